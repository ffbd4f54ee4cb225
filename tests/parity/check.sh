#!/bin/sh
# check.sh FOLDER [FOLDER|FILE.gguf]...: every HF folder against transformers; a .gguf against the folder named before it.
# PYTHON names an interpreter with torch, transformers and numpy (default: python3).
set -eu
here=$(dirname "$0")
python=${PYTHON:-python3}
[ $# -gt 0 ] || { echo "usage: ./run check parity HF_FOLDER [FILE.gguf] ..." >&2; exit 2; }
"$python" -c "import torch, transformers, numpy" || { echo "check parity: set PYTHON to an interpreter with torch, transformers, numpy" >&2; exit 2; }
status=0
folder=
for item in "$@"; do
  case $item in
    *.gguf) "$python" "$here/compare.py" "$folder" --model "$item" --dtypes float16 || status=1 ;;
    *) folder=$item; "$python" "$here/compare.py" "$folder" || status=1 ;;
  esac
done
exit $status
