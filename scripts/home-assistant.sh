#!/usr/bin/env bash
# Installs the two versions of Home Assistant that dimmer is tested with, or runs one of them.
#
#   scripts/home-assistant.sh install
#   scripts/home-assistant.sh run VERSION FOLDER
#
# FOLDER has the settings, and is written to. The old version runs in an environment of Python 3.11. The new one needs a
# Python that no stable Debian has: it runs in a Debian forky below the cache folder, as root.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

old=2024.3.3
new=2026.11.0
old_folder=home-assistant-$old
new_folder=home-assistant-$new

# make_old FOLDER: with the versions of its time where newer ones no longer fit.
make_old() {
  python3.11 -c 'import ensurepip' 2>/dev/null || install python3.11 python3.11-venv
  say "fetching Home Assistant $old"
  python3.11 -m venv "$1"
  pip_install "$1/bin/python" "homeassistant==$old" 'paho-mqtt<2' 'josepy<2'
}

# make_new FOLDER: a Debian with the tools that Python's packages are built with.
make_new() {
  local mirror script=/usr/share/debootstrap/scripts/forky
  install debootstrap
  # That of Debian 12 is older than forky.
  [ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
  # shellcheck disable=SC2016
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | sed q)
  say "fetching Debian forky"
  as_root debootstrap --variant=minbase \
    --include=ca-certificates,g++,gcc,libc6-dev,python3,python3-dev,python3-venv \
    forky "$1" "$mirror" "$script" >&2
  # The names and the certificates that this machine knows.
  as_root cp /etc/resolv.conf "$1/etc/resolv.conf"
  as_root cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/ca-certificates.crt"
  as_root mkdir "$1/config"
  say "fetching Home Assistant $new"
  as_root chroot "$1" python3 -m venv /opt/ha
  pip_install "as_root chroot $1 /opt/ha/bin/python" "homeassistant==$new" paho-mqtt==2.1.0
}

# pip_install PYTHON PACKAGE…: installs Home Assistant, and what it would install itself when it first runs.
pip_install() {
  local python folder
  read -ra python <<<"$1"
  shift
  "${python[@]}" -m pip install --quiet --disable-pip-version-check "$@" >&2
  folder=$("${python[@]}" -c 'import homeassistant; print(*homeassistant.__path__)')
  "${python[@]}" - <scripts/test/home-assistant-needs.py |
    "${python[@]}" -m pip install --quiet --disable-pip-version-check \
      --constraint "$folder/package_constraints.txt" --requirement /dev/stdin >&2
}

# run_new CONFIG: replaces this process by Home Assistant, which finds the folder as /config.
run_new() {
  local root=()
  [ "$(id -u)" -eq 0 ] || root=(sudo)
  # shellcheck disable=SC2016
  exec "${root[@]}" unshare --mount sh -c '
    mount --bind "$2" "$1/config" && mount --rbind /proc "$1/proc" &&
      exec chroot "$1" /opt/ha/bin/python -m homeassistant --skip-pip --config /config
  ' sh "$cache/$new_folder" "$1"
}

case "${1-} ${2-}" in
'install ')
  cached "$old_folder" make_old
  cached "$new_folder" make_new
  ;;
"run $old")
  exec "$cache/$old_folder/bin/python" -m homeassistant --skip-pip --config "${3:?a folder is missing}"
  ;;
"run $new") run_new "${3:?a folder is missing}" ;;
*) fail "unknown arguments $*; see the head of $0" ;;
esac
