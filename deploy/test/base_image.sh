#!/bin/sh
# base_image.sh [ARCH]: a minimal Debian 12 as Docker Hub's debian:bookworm-slim, for a machine that reaches Debian's packages and no
# registry of images. Prints the path of the tar file, which is kept in the build cache. Needs root; for another ARCH also
# qemu-user-static registered in binfmt_misc, and arch-test.
set -eu
arch=${1:-$(dpkg --print-architecture)}
cache=${VLLM_BUILD_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/vllm.cpp}/images
tar=$cache/bookworm-slim-$arch-$(sha256sum "$0" | cut -c1-12).tar
if [ ! -s "$tar" ]; then
  command -v mmdebstrap >/dev/null || { apt-get update -qq; apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null; }
  mkdir -p "$cache"
  # shellcheck disable=SC2016  # for mmdebstrap's shell
  # usr-is-merged in place of usrmerge, which brings Perl: 49 MB.
  mmdebstrap --quiet --variant=minbase --architectures="$arch" --aptopt='APT::Install-Recommends "false"' \
    --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --include=ca-certificates,usr-is-merged \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*' bookworm "$tar.$$.tar" >&2
  mv "$tar.$$.tar" "$tar"
fi
echo "$tar"
