# syntax=docker/dockerfile:1
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# shown by the metric huntzen_build_info
ARG HUNTZEN_REVISION=unknown
ENV HUNTZEN_REVISION=$HUNTZEN_REVISION
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin huntzen && cp target/release/huntzen /usr/local/bin/huntzen

FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/huntzen --create-home --shell /usr/sbin/nologin huntzen
COPY --from=build /usr/local/bin/huntzen /usr/local/bin/huntzen
USER 10001
WORKDIR /var/lib/huntzen
ENV APP_ENV=production \
    LISTEN_ADDR=0.0.0.0:3000 \
    DATA_DIR=/var/lib/huntzen/data
VOLUME /var/lib/huntzen
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["huntzen", "health"]
ENTRYPOINT ["huntzen"]
CMD ["serve"]
