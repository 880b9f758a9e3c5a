# syntax=docker/dockerfile:1

FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY Cargo.toml Cargo.lock build.rs ./
COPY src src
COPY migrations migrations
COPY projections projections
# The client tests are a target of the manifest, so their file must be there; it is not built.
RUN mkdir tests && touch tests/main.rs
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/build/target \
    cargo build --release --locked && cp target/release/vtid-ledger /vtid-ledger

FROM debian:bookworm-slim
# curl is for the health check; ca-certificates for TLS to PostgreSQL and NATS.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin ledger
COPY --from=build /vtid-ledger /usr/local/bin/vtid-ledger
USER 10001
EXPOSE 8080
ENV PORT=8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
    CMD curl --fail --silent --show-error http://127.0.0.1:8080/vtid/health || exit 1
ENTRYPOINT ["/usr/local/bin/vtid-ledger"]
CMD ["serve"]
