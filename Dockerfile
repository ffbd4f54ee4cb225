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

# All but the program. curl is for health checks inside the container, tzdata for TZ.
FROM debian:bookworm-slim AS runtime
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl tzdata libfmt9 libspdlog1.10 libyaml-cpp0.7 \
      libprometheus-cpp-core1.0 libssl3 libcurl4 libutf8proc2 libpcre2-8-0 \
    && rm -rf /var/lib/apt/lists/* && apt-get clean
COPY LICENSE NOTICE /usr/share/doc/vllm/
WORKDIR /vllm-workspace
ENV VLLM_TARGET_DEVICE=cpu
ENTRYPOINT ["vllm", "serve"]

FROM runtime AS vllm-openai-cpu
COPY --from=build /src/build/release/bin/vllm /usr/local/bin/vllm

# The same image around the program that `./run dist` built on this machine (a Debian 12): seconds instead of a whole build.
FROM runtime AS vllm-openai-cpu-dist
COPY dist/bin/vllm /usr/local/bin/vllm
