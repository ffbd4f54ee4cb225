#!/bin/sh
# packages.sh ARCH: the compiler and the libraries' headers for programs of ARCH (amd64, arm64; empty: this machine's).
set -eu
own=$(dpkg --print-architecture)
target=${1:-$own}
cross='' linker=mold
if [ "$target" != "$own" ]; then
  linker=''  # the cross compiler looks for mold under the target's name: it takes its own
  dpkg --add-architecture "$target"
  case $target in
    arm64) cross=g++-aarch64-linux-gnu ;;
    amd64) cross=g++-x86-64-linux-gnu ;;
    *) echo "packages.sh: no cross compiler is known for $target" >&2; exit 1 ;;
  esac
fi
libraries=''
for name in libfmt-dev libspdlog-dev libyaml-cpp-dev prometheus-cpp-dev libssl-dev libcurl4-openssl-dev libutf8proc-dev libpcre2-dev libgtest-dev libgmock-dev; do
  libraries="$libraries $name:$target"
done
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends g++ cmake ninja-build $linker pkg-config python3 python3-pip ca-certificates libboost1.81-dev $cross $libraries >/dev/null
apt-get clean
rm -rf /var/lib/apt/lists/*
