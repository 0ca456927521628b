#!/usr/bin/env bash
# make-zero.sh FOLDER: makes what emulate.sh boots on a Pi Zero, from Debian packages: the kernel and the device tree in
# a folder, its modules, and busybox.
set -euo pipefail
folder=$(realpath -m "$1")
cd "$(dirname "$0")"
# shellcheck source=scripts/debian.sh
source ../debian.sh
# shellcheck source=scripts/emulate/kernel.sh
source kernel.sh

# Read by private_apt.
export foreign=armel
root=$folder/root
update_lists
version=$(kernel_version linux-image-rpi:armel)
fetch "$root" "linux-image-$version:armel" busybox-static:armel
cp "$root/bin/busybox" "$folder/busybox"
# Its network, its own PWM block.
choose_modules "$version" phy-generic dwc2 cdc_ether pwm-bcm2835

mkdir "$folder/6.1"
cp "$root/boot/vmlinuz-$version" "$folder/6.1/vmlinuz"
tree=$folder/6.1/stock.dtb
cp "$root/usr/lib/linux-image-$version/bcm2835-rpi-zero.dtb" "$tree"
# QEMU's USB is always the host. Its watchdog's power domains make the kernel hang.
fdtput -t s "$tree" /soc/usb@7e980000 dr_mode host
fdtput -t s "$tree" /soc/watchdog@7e100000 status disabled
rm -r "$root"
