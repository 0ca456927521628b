# Debian packages for the other scripts, which source this: installed, or unpacked in a cache
# folder. The lists are private, so that arm64's do not end up in the system's; the mirrors are the
# system's own.
# shellcheck shell=bash

# An error within $(…) ends the script, too.
shopt -s inherit_errexit

cache=$(realpath -m "${DIMMER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dimmer}")

say() { printf '== %s\n' "$*" >&2; }

fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# private_apt TOOL ARGUMENT…: apt-get or apt-cache with the private lists of amd64 and arm64.
private_apt() {
  local tool=$1
  shift
  "$tool" -qq -o Dir::State::Lists="$cache/apt/lists" -o Dir::Cache="$cache/apt" \
    -o APT::Architectures::="$(dpkg --print-architecture)" -o APT::Architectures::=arm64 \
    -o APT::Sandbox::User="$(id -un)" -o APT::Install-Recommends=false \
    -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
    -o Debug::NoLocking=true "$@"
}

# Brings the private lists up to date, once in a run: old ones name packages that are gone.
update_lists() {
  [ -z "${lists_updated:-}" ] || return 0
  say "reading the package lists"
  mkdir -p "$cache/apt/lists/partial" "$cache/apt/archives/partial"
  private_apt apt-get update >&2
  lists_updated=1
}

# cached NAME COMMAND ARGUMENT…: fills the folder NAME of the cache, unless it is there, by the
# command, which gets the folder before its arguments.
cached() {
  local folder=$cache/$1 command=$2
  shift 2
  [ ! -d "$folder" ] || return 0
  rm -rf "$folder.partial"
  "$command" "$folder.partial" "$@"
  mv "$folder.partial" "$folder"
}

# newest META: the package with the version in its name that a meta package stands for.
newest() {
  private_apt apt-cache depends "$1" | awk '/Depends:/ { print $2; exit }'
}

# unpack_into FOLDER: unpacks the packages in FOLDER/debs there, and removes them.
unpack_into() {
  local package
  for package in "$1"/debs/*.deb; do
    dpkg -x "$package" "$1"
  done
  rm -r "$1/debs"
}

# fetch FOLDER PACKAGE…: unpacks just these packages in FOLDER.
fetch() {
  local folder=$1
  shift
  update_lists
  say "fetching $*"
  mkdir -p "$folder/debs"
  (cd "$folder/debs" && private_apt apt-get download "$@" >&2)
  unpack_into "$folder"
}

# fetch_program FOLDER PACKAGE…: unpacks these packages in FOLDER, with what they depend on and this
# system lacks. Nothing is installed, so nothing is removed either, as QEMU's package would remove a
# newer qemu-utils.
fetch_program() {
  local folder=$1
  shift
  update_lists
  say "fetching $*"
  mkdir -p "$folder/debs/partial"
  private_apt apt-get install --yes --download-only -o Dir::Cache::Archives="$folder/debs" "$@" >&2
  unpack_into "$folder"
}

# libraries FOLDER: the LD_LIBRARY_PATH for programs that fetch_program unpacked.
libraries() {
  local multiarch
  multiarch=$(uname -m)-linux-gnu
  echo "$1/lib/$multiarch:$1/usr/lib/$multiarch"
}

# install PACKAGE…: installs the packages that are missing, unless another would have to go; as root, or
# with sudo.
install() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
      missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]}"
  as_root apt-get update -qq >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-remove \
    --no-install-recommends "${missing[@]}" >/dev/null
}
