#!/bin/sh
# shims_test.sh: the stand-ins for Python and uv in the images, with a vllm that prints its arguments. Needs no engine.
# shellcheck disable=SC2016  # scripts in single quotes
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -a deploy/image/rootfs/usr/local/bin "$work/bin"
printf '#!/bin/sh\nfor a in vllm "$@"; do printf "[%%s]" "$a"; done\necho\n' > "$work/bin/vllm"
chmod +x "$work/bin/vllm"
for tool in sh basename cat; do ln -s "$(command -v $tool)" "$work/bin/$tool"; done
failed=0 count=0
# expect CODE PATTERN COMMAND...: its exit status, and a line of its output.
expect() {
  code=$1 pattern=$2; shift 2
  got=0
  out=$(PATH="$work/bin${real:+:$real}" "$@" 2>&1) || got=$?
  count=$((count + 1))
  if [ "$got" != "$code" ] || ! printf '%s\n' "$out" | grep -qF -e "$pattern"; then
    failed=$((failed + 1))
    printf 'shims_test: %s\n  expected %s with "%s", got %s with: %s\n' "$*" "$code" "$pattern" "$got" "$out" >&2
  fi
}

real=''
expect 0 '[vllm][serve][--model][a b][--port][9]' python3 -m vllm.entrypoints.openai.api_server --model 'a b' --port 9
expect 0 '[vllm][serve][--model][x]' python -u -m vllm.entrypoints.openai.api_server --model x
expect 0 '[vllm][serve]' python3 -m vllm.entrypoints.api_server
expect 0 '[vllm][serve][m]' python3 -m vllm.entrypoints.cli.main serve m
expect 127 'this image has no Python' python3 -m http.server
expect 127 'this image has no Python' python3 -c 'import vllm'
expect 127 'this image has no Python' python3
expect 0 'nothing to install for vllm[audio,video]==0.7.3' uv pip install --system 'vllm[audio,video]==0.7.3'
expect 0 'nothing to install for git+https://github.com/huggingface/transformers.git' uv pip install --system git+https://github.com/huggingface/transformers.git
expect 0 'nothing to install for vllm' pip install --upgrade vllm
expect 0 'nothing to install for transformers>=4.51' pip3 install --no-cache-dir --extra-index-url http://x 'transformers>=4.51'
expect 0 'nothing to install for git+https://github.com/vllm-project/vllm.git@main' uv pip install --system git+https://github.com/vllm-project/vllm.git@main
expect 1 'cannot install pandas' uv pip install --system vllm pandas
expect 1 'cannot install vllmx' uv pip install --system vllmx
expect 1 'cannot install -r' uv pip install --system -r requirements.txt
expect 127 'not installed in this image' uv venv
expect 127 'not installed in this image' pip list
expect 0 'not installed' uv --version

# Where the image's user has installed the real programs, those are called.
real=$work/real
mkdir "$real"
printf '#!/bin/sh\n[ "$1" = -c ] && exit 1\necho real python "$@"\n' > "$real/python3"
printf '#!/bin/sh\necho real uv "$@"\n' > "$real/uv"
chmod +x "$real"/*
expect 0 'real python -m http.server' python3 -m http.server
expect 0 'real uv pip install --system vllm' uv pip install --system vllm
expect 0 '[vllm][serve][m]' python3 -m vllm.entrypoints.openai.api_server m
printf '#!/bin/sh\n[ "$1" = -c ] && exit 0\necho real python "$@"\n' > "$real/python3"  # it has a vllm of its own
expect 0 'real python -m vllm.entrypoints.openai.api_server m' python3 -m vllm.entrypoints.openai.api_server m

# The build's reading of torch_cuda_arch_list.
cp deploy/image/build/cuda_archs.sh "$work/bin/"
ln -s "$(command -v tr)" "$work/bin/tr"
real=''
for list in '9.0+PTX' '9.0' '9.0a' '7.0 7.5 8.0 8.9 9.0 10.0+PTX' '8.0;9.0' ''; do expect 0 '90a-real' cuda_archs.sh "$list"; done
expect 1 'nothing is left' cuda_archs.sh '8.0 8.6'
expect 1 'is no compute capability' cuda_archs.sh 'Hopper'
echo "$((count - failed)) passed, $failed failed"
[ $failed = 0 ]
