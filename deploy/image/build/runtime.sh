#!/bin/sh
# runtime.sh: everything of an image but the program: libraries, curl for health checks, time zones, folders for any user.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends ca-certificates curl tzdata libfmt9 libspdlog1.10 libyaml-cpp0.7 libprometheus-cpp-core1.0 \
  libssl3 libcurl4 libutf8proc2 libpcre2-8-0 >/dev/null
apt-get clean
rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/cache/debconf/*-old /var/lib/dpkg/*-old

# The user that some guides name by number. Group 0 owns its files, so an arbitrary id of that group may write there.
echo 'vllm:x:2000:0:vllm:/home/vllm:/bin/bash' >> /etc/passwd
mkdir -p /home/vllm/.cache/huggingface /etc/vllm
chown -R 2000:0 /home/vllm
chmod -R g=u /home/vllm
# Guides mount the hub's cache in root's home: other users must be able to enter, and to write where nothing is mounted.
chmod 755 /root
mkdir -p /root/.cache/huggingface /var/cache/vllm /var/log/vllm /vllm-workspace
chmod 1777 /root/.cache /root/.cache/huggingface /var/cache/vllm /var/log/vllm /vllm-workspace
