#!/bin/sh
# emulate_arm64.sh COMMAND...: run COMMAND while the kernel starts programs for 64-bit ARM through QEMU, also those inside containers
# (package qemu-user-static; needs root). What was registered before stays, what this registers goes again at its end.
set -eu
misc=/proc/sys/fs/binfmt_misc mounted='' registered=''
# shellcheck disable=SC2317  # called by the trap
stop() {
  if [ -n "$registered" ]; then echo -1 > "$misc/qemu-aarch64"; fi
  if [ -n "$mounted" ]; then umount "$misc"; fi
}

trap stop EXIT
trap 'exit 1' INT TERM
for package in qemu-user-static arch-test; do
  if [ ! -f "/usr/share/doc/$package/copyright" ]; then apt-get update -qq; apt-get install -y -qq --no-install-recommends "$package" >/dev/null; fi
done
if [ ! -e "$misc/register" ]; then mount -t binfmt_misc binfmt_misc "$misc"; mounted=1; fi
# The package's own line: its flag F keeps the emulator open, so containers need none of their own.
if [ ! -e "$misc/qemu-aarch64" ]; then cat /usr/lib/binfmt.d/qemu-aarch64.conf > "$misc/register"; registered=1; fi
"$@"
