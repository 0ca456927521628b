#!/usr/bin/env bash
# make-pi.sh FOLDER: makes what emulate.sh boots on a Pi 3B, from Debian packages: two kernels, each in a folder with the
# device trees; their modules, with those that Debian's kernel lacks; overlays; and busybox.
set -euo pipefail
folder=$(realpath -m "$1")
cd "$(dirname "$0")"
# shellcheck source=scripts/debian.sh
source ../debian.sh
# shellcheck source=scripts/emulate/kernel.sh
source kernel.sh

# What the emulated Pi loads: its network, its own PWM block, its SD card.
modules=(phy-generic dwc2 cdc_ether pwm-bcm2835 bcm2835 sdhci-iproc mmc_block ext4 crc32c_generic)
# Those that are built here: the PWM on any GPIO, the GPIOs of a button, the device of the GPIOs.
built=(pwm-gpio gpio-sim gpiomem)

root=$folder/root
update_lists
old=$(kernel_version linux-image-arm64:arm64)
new=$(kernel_version linux-image-6.12-arm64:arm64)
fetch "$root" "linux-image-$old:arm64" "linux-image-$new:arm64" "linux-headers-$new:arm64" \
  "linux-headers-${new%-arm64}-common" "linux-kbuild-${new%-arm64}" linux-source-6.12 busybox-static:arm64
cp "$root/bin/busybox" "$folder/busybox"

say "building the modules ${built[*]} for $new"
headers=$root/usr/src/linux-headers-$new
sed -i "s#/usr/src/#$root/usr/src/#" "$headers/Makefile"
mkdir "$folder/module"
tar -xf "$root/usr/src/linux-source-6.12.tar.xz" -C "$folder/module" --strip-components=3 \
  --occurrence=1 linux-source-6.12/{drivers/pwm/pwm-gpio.c,drivers/gpio/gpio-sim.c,kernel/irq/irq_sim.c}
cp gpiomem.c "$folder/module/"
# gpio-sim needs irq_sim, which the kernel does not build as a module; and modules cannot use irq_to_desc.
sed -i 's/handle_simple_irq(irq_to_desc(irqnum))/generic_handle_irq(irqnum)/' "$folder/module/irq_sim.c"
printf '%s\n' '#include <linux/module.h>' 'MODULE_LICENSE("GPL");' >>"$folder/module/irq_sim.c"
echo "obj-m := ${built[*]/%/.o} irq_sim.o" >"$folder/module/Makefile"
make --silent -C "$headers" M="$folder/module" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- \
  CONFIG_DEBUG_INFO_BTF_MODULES= modules >&2
cp "$folder"/module/*.ko "$root/lib/modules/$new/"

say "choosing the modules, and making the device trees"
choose_modules "$old" "${modules[@]}"
choose_modules "$new" "${modules[@]}" "${built[@]}"
mkdir "$folder/overlays"
for overlay in pwm pwm-gpio; do
  dtc -q -@ -o "$folder/overlays/$overlay.dtbo" "$overlay.dts"
done
for kernel in "6.1 $old" "6.12 $new"; do
  read -r name version <<<"$kernel"
  mkdir "$folder/$name"
  cp "$root/boot/vmlinuz-$version" "$folder/$name/vmlinuz"
  cp "$root/usr/lib/linux-image-$version/broadcom/bcm2837-rpi-3-b.dtb" "$folder/$name/stock.dtb"
  # The same tree as with dtoverlay=pwm,pin=18,func=2 in config.txt.
  fdtoverlay -i "$folder/$name/stock.dtb" -o "$folder/$name/pwm,pin=18,func=2.dtb" "$folder/overlays/pwm.dtbo"
done
# As with dtoverlay=pwm-gpio,gpio=21.
fdtoverlay -i "$folder/6.12/stock.dtb" -o "$folder/6.12/pwm-gpio,gpio=21.dtb" "$folder/overlays/pwm-gpio.dtbo"
rm -r "$root" "$folder/module"
