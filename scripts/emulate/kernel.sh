# What make-pi.sh and make-zero.sh share; they source this file after debian.sh. `folder` is what they fill, `root`
# where packages are unpacked meanwhile.
# shellcheck shell=bash
# shellcheck disable=SC2154

# kernel_version META: the version of the kernel that the meta package META depends on.
kernel_version() {
  local image
  image=$(newest "$1")
  image=${image#linux-image-}
  echo "${image%:*}"
}

# choose_modules VERSION MODULE…: copies these modules of an unpacked kernel, and those that they need, to the folder
# of all modules.
choose_modules() {
  local version=$1 module
  local all=lib/modules/$version
  shift
  depmod -b "$root" "$version"
  mkdir -p "$folder/modules/$all"
  cp "$root/$all"/modules.{builtin,builtin.modinfo,order} "$folder/modules/$all/"
  for module in "$@"; do
    modprobe -d "$root" -S "$version" --show-depends "$module"
  done | awk '$1 == "insmod" { print $2 }' | sort -u | while read -r file; do
    cp "$file" "$folder/modules/$all/"
  done
  find "$folder/modules/$all" -name '*.ko.xz' -exec unxz {} +
  depmod -b "$folder/modules" "$version"
}
