#!/bin/sh
# all.sh MODEL.gguf: every test that needs a Docker Engine; called through engine.sh, after lint.sh.
set -eu
cd "$(dirname "$0")"
./image_test.sh "$1"
python3 ./commands_test.py "$1"
python3 ./compose_test.py "$1"
