#!/usr/bin/env bash
# Makes a signed repository for apt from packages of dimmer: a folder that any static web host can serve.
#
#   scripts/apt-repository.sh --key KEY --url URL --output FOLDER PACKAGE.deb…
#
#   --key     the key to sign with, as gpg names it; it must be in gpg's keyring and is not written anywhere
#   --url     where FOLDER will be served, such as https://example.org/dimmer
#   --output  the folder; the packages that are in it from earlier releases stay
#
# FOLDER gets, besides the repository, dimmer.sources, which is all that a Pi needs: it names the URL, and holds the
# public key, so that apt trusts that key for this repository alone. And user-data, by which cloud-init does all that is
# to do on a new Pi.
set -euo pipefail
# shellcheck source=scripts/debian.sh
source "$(dirname "$0")/debian.sh"

key='' url='' output='' packages=()
while [ $# -gt 0 ]; do
  case $1 in
  --key | --url | --output)
    [ $# -gt 1 ] || fail "$1 needs a value"
    declare "${1#--}=$2"
    shift 2
    ;;
  -*) fail "unknown option $1; see the head of $0" ;;
  *)
    packages+=("$(realpath "$1")")
    shift
    ;;
  esac
done
for option in key url output; do
  [ -n "${!option}" ] || fail "--$option is needed; see the head of $0"
done
case $url in
http://* | https://*) ;;
*) fail "--url must begin with https:// or http://, not be $url" ;;
esac

install apt-utils gnupg
gpg --batch --list-secret-keys "$key" >/dev/null 2>&1 || fail "gpg has no secret key $key"

mkdir -p "$output/pool"
for package in "${packages[@]}"; do
  [ "$(dpkg-deb --field "$package" Package)" = dimmer ] || fail "$package is not a package of dimmer"
  # Under its canonical name, whatever the file is called. dpkg-deb fills in the fields.
  # shellcheck disable=SC2016
  name=$(dpkg-deb --show --showformat='${Package}_${Version}_${Architecture}.deb' "$package")
  if [ -e "$output/pool/$name" ] && ! cmp --quiet "$package" "$output/pool/$name"; then
    fail "the repository has another $name: a new package needs a new version"
  fi
  cp "$package" "$output/pool/$name"
done
cd "$output"

architectures='arm64 armhf'
for architecture in $architectures; do
  list=dists/stable/main/binary-$architecture
  mkdir -p "$list"
  apt-ftparchive --arch "$architecture" packages pool >"$list/Packages"
  gzip --best --keep --force --no-name "$list/Packages"
done
apt-ftparchive \
  -o APT::FTPArchive::Release::Origin=dimmer -o APT::FTPArchive::Release::Label=dimmer \
  -o APT::FTPArchive::Release::Suite=stable -o APT::FTPArchive::Release::Codename=stable \
  -o APT::FTPArchive::Release::Architectures="$architectures" -o APT::FTPArchive::Release::Components=main \
  release dists/stable >Release
mv Release dists/stable/Release
sign() { gpg --batch --yes --local-user "$key" "$@"; }
sign --clearsign --output dists/stable/InRelease dists/stable/Release
sign --armor --detach-sign --output dists/stable/Release.gpg dists/stable/Release

{
  printf 'Types: deb\nURIs: %s\nSuites: stable\nComponents: main\nSigned-By:\n' "$url"
  # deb822: each line of the value is indented, and an empty one is a dot.
  gpg --batch --armor --export "$key" | sed -e 's/^$/./' -e 's/^/ /'
} >dimmer.sources
{
  cat <<'EOF'
#cloud-config
# The first boot of a Raspberry Pi that becomes a dimmer, without a keyboard: docs/operations.md of dimmer.
hostname: dimmer
manage_etc_hosts: true
write_files:
  - path: /etc/apt/sources.list.d/dimmer.sources
    content: |
EOF
  sed 's/^/      /' dimmer.sources
  cat <<'EOF'
runcmd:
  - |
    # A Pi has no clock of its own: until NTP has set it, the repository is from the future.
    for attempt in $(seq 120); do
      apt-get --quiet update && apt-get --quiet --yes install dimmer && break
      sleep 5
    done
    # With the line that dimmer doctor advises first for an LED on GPIO 21 the kernel does the PWM, from the next boot on.
    line=$(dimmer doctor | grep --only-matching --max-count 1 'dtoverlay=[^ ]*,gpio=21') &&
    echo "$line" >>/boot/firmware/config.txt &&
    touch /run/dimmer-reboot
power_state:
  mode: reboot
  condition: test -e /run/dimmer-reboot
EOF
} >user-data
say "$output is ready: serve it at $url"
