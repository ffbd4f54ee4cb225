# The CPU image: docker build . --target vllm-openai-cpu --tag vllm-openai-cpu
FROM debian:bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends g++ cmake ninja-build mold pkg-config libboost1.81-dev libfmt-dev \
      libspdlog-dev libyaml-cpp-dev prometheus-cpp-dev libssl-dev libcurl4-openssl-dev libutf8proc-dev libpcre2-dev libgtest-dev \
      libgmock-dev ca-certificates \
    && rm -rf /var/lib/apt/lists/* && apt-get clean
COPY . /src
WORKDIR /src
ARG max_jobs=2
RUN cmake --preset release && cmake --build --preset release --target vllm -j ${max_jobs} && strip build/release/bin/vllm

FROM debian:bookworm-slim AS vllm-openai-cpu
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl libfmt9 libspdlog1.10 libyaml-cpp0.7 \
      libprometheus-cpp-core1.0 libssl3 libcurl4 libutf8proc2 libpcre2-8-0 \
    && rm -rf /var/lib/apt/lists/* && apt-get clean
COPY --from=build /src/build/release/bin/vllm /usr/local/bin/vllm
COPY LICENSE NOTICE /usr/share/doc/vllm/
WORKDIR /vllm-workspace
ENV VLLM_TARGET_DEVICE=cpu
ENTRYPOINT ["vllm", "serve"]
