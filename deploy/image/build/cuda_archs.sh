#!/bin/sh
# cuda_archs.sh LIST: torch_cuda_arch_list ("9.0+PTX", "8.0 9.0a", "8.0;9.0") as CMAKE_CUDA_ARCHITECTURES.
# Empty: those of this machine's GPUs, or all that there is code for. What there is no code for is left out with a warning; if
# nothing is left, that is an error.
set -eu
built='9.0'  # compute capabilities that the kernels are written for
cmake_name() { echo "$(echo "$1" | tr -d .)a-real"; }
say() { printf 'torch_cuda_arch_list: %s\n' "$*" >&2; }

list=$(printf '%s' "$*" | tr ',;' '  ')
if [ -z "$(echo "$list" | tr -d ' ')" ]; then
  if command -v nvidia-smi >/dev/null 2>&1; then list=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | sort -u | tr '\n' ' ' || true); fi
  case $list in *[0-9].[0-9]*) say "empty: this machine's GPUs have $list" ;; *) list=$built; say "empty and no GPU to be seen: $list" ;; esac
fi
out=''
for item in $list; do
  number=${item%+PTX}
  case $number in *[a-f]) number=${number%?} ;; esac
  case $number in
    [0-9].[0-9]|[0-9][0-9].[0-9]) ;;
    *) say "'$item' is no compute capability such as 9.0 or 9.0+PTX"; exit 1 ;;
  esac
  case " $built " in
    *" $number "*)
      case $item in *+PTX) say "$item: code for $number alone; its kernels use instructions that PTX for other GPUs can't express" ;; esac
      name=$(cmake_name "$number")
      case ";$out;" in *";$name;"*) ;; *) out="${out:+$out;}$name" ;; esac ;;
    *) say "$item: left out, there is code for $built only" ;;
  esac
done
if [ -z "$out" ]; then say "nothing is left of '$list': this version has code for compute capability $built"; exit 1; fi
echo "$out"
