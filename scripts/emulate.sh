#!/usr/bin/env bash
# Measures GPIO 21 on an emulated Raspberry Pi 3B, once with each driver: docs/emulated-pi.md.
#
# Everything comes as Debian packages and stays in the cache (DIMMER_CACHE, else ~/.cache/dimmer);
# remove that folder to get newer ones.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

# What the emulated Pi loads: its network, its own PWM block, and the PWM on any GPIO.
modules=(phy-generic dwc2 cdc_ether pwm-bcm2835 pwm-gpio)

# Ends with the status that tells scripts/test.sh that nothing was measured.
skip() {
  say "SKIPPED: there is no QEMU for this system"
  exit 77
}

# The kernel, from its package, with the module pwm-gpio, which Debian builds without, and a device
# tree that has a node for it.
make_pi() {
  local folder=$1 root=$1/root image version
  update_lists
  image=$(newest linux-image-6.12-arm64:arm64)
  version=${image#linux-image-} version=${version%:arm64}
  fetch "$root" "$image" "linux-headers-$version:arm64" "linux-headers-${version%-arm64}-common" \
    "linux-kbuild-${version%-arm64}" linux-source-6.12 busybox-static:arm64
  cp "$root/boot/vmlinuz-$version" "$folder/vmlinuz"
  cp "$root/bin/busybox" "$folder/busybox"

  say "building the module pwm-gpio for $version"
  local headers=$root/usr/src/linux-headers-$version
  sed -i "s#/usr/src/#$root/usr/src/#" "$headers/Makefile"
  mkdir "$folder/module"
  tar -xf "$root/usr/src/linux-source-6.12.tar.xz" -C "$folder/module" --strip-components=3 \
    --occurrence=1 linux-source-6.12/drivers/pwm/pwm-gpio.c
  echo 'obj-m := pwm-gpio.o' >"$folder/module/Makefile"
  make --silent -C "$headers" M="$folder/module" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- \
    CONFIG_DEBUG_INFO_BTF_MODULES= modules >&2

  say "choosing the modules"
  local all=$root/lib/modules/$version module file
  cp "$folder/module/pwm-gpio.ko" "$all/"
  depmod -b "$root" "$version"
  mkdir -p "$folder/modules/lib/modules/$version"
  cp "$all"/modules.{builtin,builtin.modinfo,order} "$folder/modules/lib/modules/$version/"
  for module in "${modules[@]}"; do
    modprobe -d "$root" -S "$version" --show-depends "$module"
  done | awk '$1 == "insmod" { print $2 }' | sort -u | while read -r file; do
    cp "$file" "$folder/modules/lib/modules/$version/"
  done
  find "$folder/modules" -name '*.ko.xz' -exec unxz {} +
  depmod -b "$folder/modules" "$version"

  say "making the device trees"
  cp "$root/usr/lib/linux-image-$version/broadcom/bcm2837-rpi-3-b.dtb" "$folder/stock.dtb"
  dtc -q -@ -o "$folder/pwm-gpio.dtbo" scripts/emulate/pwm-gpio.dts
  # As dtoverlay=pwm-gpio,gpio=21 in config.txt makes it.
  fdtoverlay -i "$folder/stock.dtb" -o "$folder/pwm-gpio,gpio=21.dtb" "$folder/pwm-gpio.dtbo"
  rm -r "$root" "$folder/module" "$folder/pwm-gpio.dtbo"
}

command -v apt-get >/dev/null || skip
install gcc-aarch64-linux-gnu libc6-dev-arm64-cross build-essential device-tree-compiler kmod cpio \
  xz-utils chromium chromium-driver

qemu=$cache/qemu
if [ ! -d "$qemu" ]; then
  rm -rf "$qemu.partial"
  update_lists
  private_apt apt-get install --simulate qemu-system-arm >/dev/null || skip
  fetch_program "$qemu.partial" qemu-system-arm
  mv "$qemu.partial" "$qemu"
fi

pi=$cache/pi
if [ ! -d "$pi" ]; then
  rm -rf "$pi.partial"
  make_pi "$pi.partial"
  mv "$pi.partial" "$pi"
fi

program=$(scripts/build.sh)

say "making the initramfs"
lab=$(mktemp -d)
trap 'rm -rf "$lab"' EXIT
mkdir -p "$lab/root"/{bin,dev,proc,sys,tmp}
cp -r "$pi/modules/lib" "$lab/root/"
cp /usr/aarch64-linux-gnu/lib/{ld-linux-aarch64.so.1,libc.so.6,libgcc_s.so.1,libm.so.6} "$lab/root/lib/"
cp "$pi/busybox" "$program" "$lab/root/bin/"
cp scripts/emulate/init "$lab/root/"
(cd "$lab/root" && find . | cpio --quiet -o -H newc -R 0:0 | gzip -1) >"$lab/initrd.gz"
cp "$pi/vmlinuz" "$pi"/*.dtb "$lab/"
cat >"$lab/qemu" <<EOF
#!/bin/sh
export LD_LIBRARY_PATH="$(libraries "$qemu")"
# Before all else on this machine, if it may: when QEMU waits for a core, the pin's pulses get longer.
chrt --fifo 1 true 2>/dev/null && first='chrt --fifo 1'
exec \$first setpriv --pdeathsig KILL "$qemu/usr/bin/qemu-system-aarch64" -L "$qemu/usr/share/qemu" "\$@"
EOF
chmod +x "$lab/qemu"

say "measuring"
DIMMER_LAB=$lab cargo test --locked --test emulated_pi
