# The images, one target each:
#   vllm-openai-cpu    the CPU engine
#   vllm-openai-slim   the CUDA engine without cuBLASLt: own kernels, or a library mounted at /usr/local/cuda/lib64
#   vllm-openai        the CUDA engine with cuBLASLt (the last, so the default)
# It stays valid for BuildKit, the classic builder and buildah: no syntax line, no here-documents, no mounts.
# Cross-built: the compiler runs on the building machine, only package installation runs (emulated) as the target's.
ARG base=debian:bookworm-slim
# Of the building machine, where that is another one.
ARG build_base=${base}
# source: compile here. dist: take the program that `./run dist` or `./run dist --cuda` left in dist/ (a Debian 12's).
ARG program=source

# ---- the program ----------------------------------------------------------------------------------------------------
# The classic builder knows no BUILDPLATFORM.
FROM --platform=${BUILDPLATFORM:-linux/amd64} ${build_base} AS toolchain
ARG TARGETARCH
COPY deploy/image/build/packages.sh /build/
RUN /build/packages.sh "${TARGETARCH}"
WORKDIR /src

FROM toolchain AS source-cpu
COPY CMakeLists.txt CMakePresets.json deps.lock LICENSE NOTICE ./
COPY cmake cmake
COPY tests tests
COPY src src
COPY deploy/image/build deploy/image/build
ARG TARGETARCH
ARG max_jobs=2
RUN deploy/image/build/compile.sh release "${TARGETARCH}" "${max_jobs}"

# The pattern lets a build from source do without the folder.
FROM scratch AS dist-cpu
COPY LICENSE dist*/ /out/
FROM dist-cpu AS dist-cuda

FROM ${program}-cpu AS program-cpu

# ---- what all images share ------------------------------------------------------------------------------------------
FROM ${base} AS runtime
COPY deploy/image/build/runtime.sh /build/
RUN /build/runtime.sh && rm -r /build
COPY deploy/image/rootfs/ /
WORKDIR /vllm-workspace
EXPOSE 8000
ENTRYPOINT ["vllm", "serve"]
# Green where no server runs: a container may do something else. During the first 10 minutes (a download) red does not count.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10m --retries=3 CMD ["vllm", "health"]
ARG revision=unknown
LABEL org.opencontainers.image.title="vllm.cpp" \
      org.opencontainers.image.description="LLM inference server with an OpenAI-compatible API; takes the flags of vllm/vllm-openai. Not affiliated with the vLLM project." \
      org.opencontainers.image.version="0.33.0-cpp.0.1.0" \
      org.opencontainers.image.revision="${revision}" \
      org.opencontainers.image.base.name="debian:bookworm-slim"

FROM runtime AS vllm-openai-cpu
LABEL org.opencontainers.image.licenses="Apache-2.0"
ENV VLLM_TARGET_DEVICE=cpu
COPY --from=program-cpu /out/licenses/ /usr/share/doc/vllm/
COPY --from=program-cpu /out/bin/vllm /usr/local/bin/vllm

# ---- CUDA -----------------------------------------------------------------------------------------------------------
FROM toolchain AS cuda-toolkit
ARG TARGETARCH
COPY deploy/image/build/cuda_toolkit.sh deploy/image/build/cuda.lock /build/
RUN /build/cuda_toolkit.sh "${TARGETARCH}"

FROM cuda-toolkit AS source-cuda
COPY CMakeLists.txt CMakePresets.json deps.lock LICENSE NOTICE ./
COPY cmake cmake
COPY tests tests
COPY src src
COPY deploy/image/build deploy/image/build
ARG TARGETARCH
ARG max_jobs=2
ARG nvcc_threads=1
# "9.0+PTX", "8.0 9.0"; empty: what the GPU of this machine needs, or all that there is code for.
ARG torch_cuda_arch_list=""
# Accepted for the commands that guides give: FlashAttention is not built apart here.
ARG vllm_fa_cmake_gpu_arches=""
RUN VLLM_NVCC_THREADS="${nvcc_threads}" CUDA_ARCH_LIST="${torch_cuda_arch_list}" \
    deploy/image/build/compile.sh cuda "${TARGETARCH}" "${max_jobs}"

FROM ${program}-cuda AS program-cuda

FROM runtime AS vllm-openai-slim
LABEL org.opencontainers.image.licenses="Apache-2.0 AND LicenseRef-NVIDIA-End-User-License-Agreement"
# The CUDA images never compute on the CPU unless told to (--device cpu): a missing GPU is an error that says why.
ENV VLLM_TARGET_DEVICE=cuda NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=program-cuda /out/licenses/ /usr/share/doc/vllm/
COPY --from=program-cuda /out/bin/vllm /usr/local/bin/vllm

FROM vllm-openai-slim AS vllm-openai
COPY --from=cuda-toolkit /cublaslt/ /
