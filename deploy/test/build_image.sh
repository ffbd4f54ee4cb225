#!/bin/sh
# build_image.sh TARGET TAG: one target of the Dockerfile with the arguments that guides give, into the Docker Engine of engine.sh.
# BUILDER=buildkit (default), classic, buildah or podman; PROGRAM=dist (default: what ./run dist [--cuda] made) or source (compiled in the
# build); DOCKERFILE=docker/Dockerfile is what newer guides name; PLATFORM=linux/arm64 with BASE=IMAGE, a Debian for it, builds for other
# machines. Prints how long it took; the builder's own words only where it fails.
set -eu
target=$1 tag=$2 docker=${DOCKER:-docker} builder=${BUILDER:-buildkit} program=${PROGRAM:-dist}
cd "$(dirname "$0")/../.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
set -- --network host --file "${DOCKERFILE:-Dockerfile}" --target "$target" ${PLATFORM:+--platform "$PLATFORM"} \
  --build-arg base="${BASE:-debian:bookworm-slim}" --build-arg build_base="${BUILD_BASE:-debian:bookworm-slim}" \
  --build-arg program="$program" --build-arg max_jobs="$(nproc)" --build-arg nvcc_threads=2 --build-arg torch_cuda_arch_list="9.0+PTX" \
  --build-arg revision="${REVISION:-$(git rev-parse HEAD 2>/dev/null || echo unknown)}" --tag "$tag" .
begin=$(date +%s) code=0
case $builder in
  buildkit) DOCKER_BUILDKIT=1 "$docker" build --progress plain "$@" >"$log" 2>&1 || code=$? ;;
  classic) DOCKER_BUILDKIT=0 "$docker" build "$@" >"$log" 2>&1 || code=$? ;;
  buildah|podman) deploy/test/daemonless.sh "$builder" "$@" >"$log" 2>&1 || code=$? ;;
  *) echo "build_image.sh: BUILDER=$builder: expected buildkit, classic, buildah or podman" >&2; exit 2 ;;
esac
if [ -n "${BUILD_LOG:-}" ]; then cp "$log" "$BUILD_LOG"; fi
if [ $code != 0 ]; then tail -40 "$log" >&2; echo "build_image.sh: $target: $builder failed" >&2; exit 1; fi
echo "build_image.sh: $target: built by $builder from $program in $(($(date +%s) - begin)) s, $("$docker" image inspect -f '{{.Size}}' "$tag") bytes" >&2
