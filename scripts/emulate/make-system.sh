#!/usr/bin/env bash
# make-system.sh FOLDER [OPTION…]: makes the SD card of an emulated Pi, with Debian, systemd, an SSH server and the user
# pi, who may use sudo; the options go to mmdebstrap. Needs root, because the scripts of the packages run in QEMU's user
# emulation.
set -euo pipefail
folder=$(realpath -m "$1")
cd "$(dirname "$0")"
# shellcheck source=scripts/debian.sh
source ../debian.sh

install mmdebstrap arch-test e2fsprogs
cached qemu-user fetch qemu-user-static
mkdir -p "$folder"

# While this script runs, the kernel starts arm64 programs with this interpreter.
formats=/proc/sys/fs/binfmt_misc
[ -e $formats/register ] || mount -t binfmt_misc none $formats
name=dimmer-$$
elf='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
echo ":$name:M::$elf:$mask:$cache/qemu-user/usr/bin/qemu-aarch64-static:F" >$formats/register
trap 'echo -1 >$formats/$name' EXIT

say "installing Debian for arm64"
# $1 is for mmdebstrap's hooks: the root folder of the new system.
# shellcheck disable=SC2016
mmdebstrap --quiet --mode=root --skip=check/qemu --architectures=arm64 --variant=minbase \
  --include=systemd-sysv,udev,dbus,openssh-server,sudo,procps \
  --customize-hook='chroot "$1" useradd --create-home --shell /bin/bash pi' \
  --customize-hook='echo "pi ALL=(ALL) NOPASSWD: ALL" >"$1/etc/sudoers.d/pi"' \
  --customize-hook='echo raspberrypi >"$1/etc/hostname"; printf "127.0.0.1 localhost\n127.0.1.1 raspberrypi\n" >"$1/etc/hosts"' \
  --customize-hook="cp lab-shell.service \"\$1/etc/systemd/system/\"" \
  --customize-hook='chroot "$1" systemctl enable --quiet lab-shell.service' \
  --customize-hook='chroot "$1" systemctl mask --quiet serial-getty@ttyS1.service' \
  --customize-hook='rm --force "$1"/etc/apt/sources.list' \
  "${@:2}" bookworm "$folder/root" >&2
cp "$folder/root"/etc/ssh/ssh_host_ed25519_key.pub "$folder/host_key.pub"

say "making the SD card"
mke2fs -q -t ext4 -d "$folder/root" "$folder/sd.img" 1G >&2
rm -r "$folder/root"
