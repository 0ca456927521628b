#!/usr/bin/env bash
# Measures the pins of an emulated Raspberry Pi 3B with each driver, on two kernels: docs/emulated-pi.md.
#
#   scripts/emulate.sh [--system|--first-boot|--zero]
#
#   --system      deploys to an emulated Pi with Debian on its SD card instead, over SSH
#   --first-boot  boots a fresh image instead, which cloud-init makes a dimmer from a repository
#   --zero        measures a Pi Zero instead; the first time, its program takes some 20 minutes to build
#
# QEMU, the kernel and the rest come as Debian packages and stay in the cache (DIMMER_CACHE, else ~/.cache/dimmer);
# remove that folder to get newer versions.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

pi=pi target=aarch64 card=''
case ${1-} in
'') test=pin ;;
--system) test=deployment card=system ;;
--first-boot) test=first_boot card=cloud ;;
--zero) test=zero pi=zero target=armv6 ;;
*) fail "unknown argument $1; see the head of $0" ;;
esac

command -v apt-get >/dev/null || fail "QEMU comes as a Debian package, and there is no apt-get"
install gcc-aarch64-linux-gnu libc6-dev-arm64-cross build-essential device-tree-compiler kmod cpio \
  xz-utils chromium-headless-shell

qemu=$cache/qemu
if [ ! -d "$qemu" ]; then
  update_lists
  private_apt apt-get install --simulate qemu-system-arm >/dev/null || fail "there is no QEMU for this system"
fi
cached qemu fetch_program qemu-system-arm

# made NAME FILE…: prints the folder that make-NAME.sh fills. Fills it again when that script or one of these files changed.
made() {
  local name
  name=$1-$(cd scripts/emulate && cat "make-$1.sh" "${@:2}" | cksum | cut -d ' ' -f 1)
  cached "$name" "scripts/emulate/make-$1.sh"
  find "$cache" -mindepth 1 -maxdepth 1 -name "$1-*" ! -name "$name" -exec rm -r {} +
  echo "$cache/$name"
}
pi=$(made $pi kernel.sh gpiomem.c pwm{,-gpio}.dts)

program=$(scripts/build.sh --target $target)
[ $test != first_boot ] || scripts/package.sh --target $target >/dev/null

say "making the initramfs"
lab=$(mktemp -d)
trap 'rm -rf "$lab"' EXIT
mkdir -p "$lab/initramfs"/{bin,dev,proc,sys,tmp}
cp -r "$pi/modules/lib" "$lab/initramfs/"
cp "$pi/busybox" "$program" "$lab/initramfs/bin/"
cp scripts/emulate/init "$lab/initramfs/"
if [ $target = aarch64 ]; then
  cp /usr/aarch64-linux-gnu/lib/{ld-linux-aarch64.so.1,libc.so.6,libgcc_s.so.1,libm.so.6} "$lab/initramfs/lib/"
fi
# Where dimmer doctor looks for what it may advise.
mkdir -p "$lab/initramfs/boot/firmware"
touch "$lab/initramfs/boot/firmware/config.txt"
[ ! -d "$pi/overlays" ] || cp -r "$pi/overlays" "$lab/initramfs/boot/firmware/"
if [ -n "$card" ]; then
  system=$(made $card make-system.sh lab-shell.service cloud.cfg)
  cp --sparse=always "$system/sd.img" "$lab/"
  ssh-keygen -q -t ed25519 -N '' -C dimmer -f "$lab/key"
  cp "$lab/key.pub" "$lab/initramfs/"
  cp "$system/host_key.pub" "$lab/"
  # The environment in which a deployment runs.
  env -0 >"$lab/environment"
fi
(cd "$lab/initramfs" && find . | cpio --quiet -o -H newc -R 0:0 | gzip -1) >"$lab/initrd.gz"
cp -r "$pi"/6.* "$lab/"
cat >"$lab/qemu" <<EOF
#!/bin/sh
export LD_LIBRARY_PATH="$(libraries "$qemu")"
# With priority over all other programs, if permitted: while QEMU waits for a core, the pulses of the pin get longer.
chrt --fifo 1 true 2>/dev/null && first='chrt --fifo 1'
exec \$first setpriv --pdeathsig KILL "$qemu/usr/bin/qemu-system-aarch64" -L "$qemu/usr/share/qemu" "\$@"
EOF
chmod +x "$lab/qemu"

say "measuring"
DIMMER_LAB=$lab cargo_test --test emulated -- --ignored --exact "$test::on_an_emulated_pi" --nocapture
