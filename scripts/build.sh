#!/usr/bin/env bash
# Builds the release binary for a Raspberry Pi and prints its path, the only line on stdout.
#
#   scripts/build.sh [--target aarch64|armv7|armv6] [--check] [--way cross|rustup|debian]
#
#   --target  aarch64 (the default): a Pi 3 or later with a 64-bit system. armv7: a Pi 2 or later
#             with a 32-bit system. armv6: a Pi 1 or Zero; linked statically.
#   --check   runs the binary's --version in QEMU's user emulation
#   --way     cross: in Docker. rustup: with the standard library that rustup downloads. debian: with Debian's
#             compiler and the standard library built from source. Without it, the first that works here.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

target=aarch64 check='' way=''
while [ $# -gt 0 ]; do
  case $1 in
  --target) target=${2-} && shift ;;
  --way) way=${2-} && shift ;;
  --check) check=1 ;;
  *) fail "unknown argument $1; see the head of $0" ;;
  esac
  shift
done

case $target in
aarch64)
  triple=aarch64-unknown-linux-gnu linker=aarch64-linux-gnu-gcc
  packages=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross) qemu=(qemu-aarch64-static -L /usr/aarch64-linux-gnu)
  ;;
armv7)
  triple=armv7-unknown-linux-gnueabihf linker=arm-linux-gnueabihf-gcc
  packages=(gcc-arm-linux-gnueabihf libc6-dev-armhf-cross) qemu=(qemu-arm-static -L /usr/arm-linux-gnueabihf)
  ;;
armv6)
  # Debian's armhf gcc and libraries are for ARMv7, so Zig links, with its own C library.
  triple=arm-unknown-linux-musleabihf linker=zig
  packages=() qemu=(qemu-arm-static -cpu arm1176)
  ;;
*) fail "--target must be aarch64, armv7 or armv6, not ${target:-nothing}" ;;
esac

# Whether rustup is here and has the target, or can download it.
has_target() {
  command -v rustup >/dev/null && rustup target add "$triple" >/dev/null 2>&1
}

if [ -z "$way" ]; then
  if command -v cross >/dev/null && docker info >/dev/null 2>&1; then
    way=cross
  elif has_target; then
    way=rustup
  else
    way=debian
  fi
fi

build=(build --locked --release "${package_features[@]}" --target "$triple")

# cargo_build ARGUMENT…: builds with the linker for the target; the arguments go to cargo.
cargo_build() {
  install "${packages[@]}"
  if [ "$linker" = zig ]; then
    cached zig make_venv ziglang cargo-zigbuild
    # Otherwise the C library of Rust's target would be linked beside Zig's.
    RUSTFLAGS="-C link-self-contained=no" PATH=$cache/zig/bin:$PATH \
      cargo zig"${build[0]}" "${build[@]:1}" "$@" >&2
  else
    local variable=${triple^^}
    env "CARGO_TARGET_${variable//-/_}_LINKER=$linker" cargo "${build[@]}" "$@" >&2
  fi
}

case $way in
cross)
  say "$triple: with cross, in Docker"
  CROSS_CONFIG=$PWD/cross.toml cross "${build[@]}" >&2
  ;;
rustup)
  has_target || fail "rustup cannot get the target $triple; leave --way out, or use --way debian"
  say "$triple: with rustup's target and $linker"
  cargo_build
  ;;
debian)
  say "$triple: with Debian's rustc-web and $linker, its standard library from source"
  cached rust fetch_program rustc-web rust-web-src
  export RUSTC=$cache/rust/usr/bin/rustc RUSTC_BOOTSTRAP=1
  LD_LIBRARY_PATH=$(libraries "$cache/rust")
  export LD_LIBRARY_PATH
  cargo_build -Zbuild-std=std,panic_abort
  ;;
*) fail "--way must be cross, rustup or debian, not $way" ;;
esac

binary=$(realpath "${CARGO_TARGET_DIR:-target}")/$triple/release/dimmer

if [ -n "$check" ]; then
  cached qemu-user fetch qemu-user-static
  version=$("$cache/qemu-user/usr/bin/${qemu[0]}" "${qemu[@]:1}" "$binary" --version)
  say "$triple: $version starts"
fi

echo "$binary"
