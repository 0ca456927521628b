#!/usr/bin/env bash
# Deploys dimmer from a laptop to a Raspberry Pi: builds the package that fits, installs it over SSH, waits until the
# service answers, and prints the address of the page. If the service does not answer, puts the previous package back.
#
#   scripts/deploy.sh [--dry-run] [--package FILE] [USER@]HOST [-- SSH-OPTION…]
#
#   --dry-run  changes nothing, and says what it would do
#   --package  installs this package instead of building one
#
# The Pi needs an SSH server and sudo. What follows -- goes to every ssh: -p 2222, -i FILE, -F FILE.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

host='' dry='' package=''
while [ $# -gt 0 ]; do
  case $1 in
  --dry-run) dry=1 ;;
  --package)
    package=$(realpath -e -- "${2-}") || fail "--package must be a file, not ${2:-nothing}"
    shift
    ;;
  --)
    shift
    break
    ;;
  -*) fail "unknown argument $1; see the head of $0" ;;
  *)
    [ -z "$host" ] || fail "one host at a time: $host, or $1?"
    host=$1
    ;;
  esac
  shift
done
[ -n "$host" ] || fail "name the Pi: scripts/deploy.sh pi@raspberrypi.local"

here=$(mktemp -d)
# One connection for all commands, so that ssh asks for a password only once.
ssh=(ssh -o ControlMaster=auto -o ControlPath="$here/%C" -o ControlPersist=60 "$@")
# on_pi COMMAND: runs the command in the shell of the Pi.
on_pi() { "${ssh[@]}" -- "$host" "$1"; }
end() {
  "${ssh[@]}" -O exit -- "$host" 2>/dev/null || true
  rm -rf "$here"
}
trap end EXIT

say "looking at $host"
architecture=$(on_pi 'dpkg --print-architecture') ||
  fail "cannot reach $host by ssh, or it does not run Raspberry Pi OS: try ssh $host"
case $architecture in
arm64) target=aarch64 ;;
# The 32-bit Raspberry Pi OS runs from the Pi 1 on, and so does this package.
armhf) target=armv6 ;;
*) fail "$host is $architecture; there are packages for arm64 and armhf" ;;
esac
say "$host is $architecture: target $target"

if [ -n "$dry" ]; then
  on_pi 'dpkg-query --show dimmer' >&2 2>/dev/null || say "dimmer is not installed there"
  say "dry run: would copy ${package:-the package for $target, newly built}, install it, and wait until the service answers"
  exit
fi

[ -n "$package" ] || package=$(scripts/package.sh --target "$target")

sum=$(sha256sum <"$package")
if [ "$(on_pi 'sha256sum </var/cache/dimmer/current.deb' 2>/dev/null)" = "$sum" ] &&
  on_pi 'systemctl is-active --quiet dimmer'; then
  say "$(basename "$package") is installed and runs: nothing to change"
else
  say "copying $(basename "$package")"
  folder=$(on_pi 'mktemp -d')
  on_pi "cat >$folder/new.deb" <"$package"
  on_pi "cat >$folder/install.sh" <scripts/deploy/install.sh
  # With a terminal, sudo can ask for a password.
  [ ! -t 0 ] || ssh+=(-t)
  status=0
  on_pi "sudo bash $folder/install.sh $folder/new.deb; status=\$?; rm -r $folder; exit \$status" >&2 || status=$?
  [ "$status" -eq 0 ] || fail "$host was not deployed to"
fi

# shellcheck disable=SC2016
on_pi 'port=$(systemctl show --property=Listen dimmer.socket) && port=${port% (*} && dimmer address --port "${port##*:}"'
