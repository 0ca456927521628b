#!/usr/bin/env bash
# make-pi.sh FOLDER: makes what emulate.sh boots, from Debian packages: the kernel; its modules, with pwm-gpio and
# gpio-sim, which Debian's kernel lacks; busybox; and two device trees, one with a node for pwm-gpio.
set -euo pipefail
folder=$(realpath -m "$1")
cd "$(dirname "$0")"
# shellcheck source=scripts/debian.sh
source ../debian.sh

# What the emulated Pi loads: its network, its own PWM block, the PWM on any GPIO, the GPIOs of a button,
# its SD card.
modules=(phy-generic dwc2 cdc_ether pwm-bcm2835 pwm-gpio gpio-sim bcm2835 sdhci-iproc mmc_block ext4
  crc32c_generic)

root=$folder/root
update_lists
image=$(newest linux-image-6.12-arm64:arm64)
version=${image#linux-image-} version=${version%:arm64}
fetch "$root" "$image" "linux-headers-$version:arm64" "linux-headers-${version%-arm64}-common" \
  "linux-kbuild-${version%-arm64}" linux-source-6.12 busybox-static:arm64
cp "$root/boot/vmlinuz-$version" "$folder/vmlinuz"
cp "$root/bin/busybox" "$folder/busybox"

say "building the modules pwm-gpio and gpio-sim for $version"
headers=$root/usr/src/linux-headers-$version
sed -i "s#/usr/src/#$root/usr/src/#" "$headers/Makefile"
mkdir "$folder/module"
tar -xf "$root/usr/src/linux-source-6.12.tar.xz" -C "$folder/module" --strip-components=3 \
  --occurrence=1 linux-source-6.12/{drivers/pwm/pwm-gpio.c,drivers/gpio/gpio-sim.c,kernel/irq/irq_sim.c}
# gpio-sim needs irq_sim, which the kernel does not build as a module; and modules cannot use irq_to_desc.
sed -i 's/handle_simple_irq(irq_to_desc(irqnum))/generic_handle_irq(irqnum)/' "$folder/module/irq_sim.c"
printf '%s\n' '#include <linux/module.h>' 'MODULE_LICENSE("GPL");' >>"$folder/module/irq_sim.c"
echo 'obj-m := pwm-gpio.o gpio-sim.o irq_sim.o' >"$folder/module/Makefile"
make --silent -C "$headers" M="$folder/module" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- \
  CONFIG_DEBUG_INFO_BTF_MODULES= modules >&2

say "choosing the modules"
all=$root/lib/modules/$version
cp "$folder"/module/*.ko "$all/"
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
mkdir "$folder/overlays"
dtc -q -@ -o "$folder/overlays/pwm-gpio.dtbo" pwm-gpio.dts
# The same tree as with dtoverlay=pwm-gpio,gpio=21 in config.txt.
fdtoverlay -i "$folder/stock.dtb" -o "$folder/pwm-gpio,gpio=21.dtb" "$folder/overlays/pwm-gpio.dtbo"
rm -r "$root" "$folder/module"
