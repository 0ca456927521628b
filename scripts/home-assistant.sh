#!/usr/bin/env bash
# Installs the two versions of Home Assistant that dimmer is tested with, or runs one of them.
#
#   scripts/home-assistant.sh install
#   scripts/home-assistant.sh run VERSION FOLDER
#
# FOLDER has the settings, and is written to. The old version runs in an environment of Python 3.11. The new one needs a
# Python that no stable Debian has: it runs in a Debian forky in the cache, as root.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

old=2024.3.3
new=2026.11.0
old_folder=home-assistant-$old
# In Debian forky.
new_folder=/opt/home-assistant-$new

# make_old FOLDER: with the versions of its time where newer ones no longer fit.
make_old() {
  python3.11 -c 'import ensurepip' 2>/dev/null || install python3.11 python3.11-venv
  say "fetching Home Assistant $old"
  python3.11 -m venv "$1"
  pip_install "$1/bin/python" -- "homeassistant==$old" 'paho-mqtt<2' 'josepy<2'
}

# install_new: in Debian forky, below /opt.
install_new() {
  cached forky make_forky
  [ ! -e "$cache/forky$new_folder/installed" ] || return 0
  say "fetching Home Assistant $new"
  in_debian "$cache/forky" python3 -m venv --clear "$new_folder"
  pip_install in_debian "$cache/forky" "$new_folder/bin/python" -- "homeassistant==$new" paho-mqtt==2.1.0
  as_root mkdir -p "$cache/forky/config"
  as_root touch "$cache/forky$new_folder/installed"
}

# pip_install PYTHON… -- PACKAGE…: installs Home Assistant, and what it would install itself when it first runs.
pip_install() {
  local python=() folder listed needs
  while [ "$1" != -- ]; do
    python+=("$1")
    shift
  done
  "${python[@]}" -m pip install --quiet --disable-pip-version-check "${@:2}" >&2
  folder=$("${python[@]}" -c 'import homeassistant; print(*homeassistant.__path__)')
  listed=$("${python[@]}" - <scripts/test/home-assistant-needs.py)
  mapfile -t needs <<<"$listed"
  # No file of requirements, as Debian forky has neither this folder nor /dev/stdin.
  "${python[@]}" -m pip install --quiet --disable-pip-version-check \
    --constraint "$folder/package_constraints.txt" "${needs[@]}" >&2
}

# run_new CONFIG: replaces this process by Home Assistant, which finds the folder as /config.
run_new() {
  local root=()
  [ "$(id -u)" -eq 0 ] || root=(sudo)
  # shellcheck disable=SC2016
  exec "${root[@]}" unshare --mount sh -c '
    mount --bind "$2" "$1/config" && mount --rbind /proc "$1/proc" &&
      exec chroot "$1" "$3/bin/python" -m homeassistant --skip-pip --config /config
  ' sh "$cache/forky" "$1" "$new_folder"
}

case "${1-} ${2-}" in
'install ')
  cached "$old_folder" make_old
  install_new
  ;;
"run $old")
  exec "$cache/$old_folder/bin/python" -m homeassistant --skip-pip --config "${3:?a folder is missing}"
  ;;
"run $new") run_new "${3:?a folder is missing}" ;;
*) fail "unknown arguments $*; see the head of $0" ;;
esac
