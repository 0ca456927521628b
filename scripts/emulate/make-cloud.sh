#!/usr/bin/env bash
# make-cloud.sh FOLDER: makes the SD card of an emulated Pi as a user finds it after writing an image: what cloud-init does
# at the first boot is in /boot/firmware.
set -euo pipefail
cd "$(dirname "$0")"
# $1 is for mmdebstrap's hooks: the root folder of the new system.
# shellcheck disable=SC2016
exec ./make-system.sh "$1" --include=cloud-init,wget \
  --customize-hook='copy-in cloud.cfg /etc/cloud/cloud.cfg.d' \
  --customize-hook='mkdir --parents "$1/boot/firmware"; echo "instance-id: first" >"$1/boot/firmware/meta-data"'
