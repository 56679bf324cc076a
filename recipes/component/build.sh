#!/bin/sh
# Builds component.wasm. Needs Rust with its target: rustup target add wasm32-wasip2
set -eu
cd "$(dirname "$0")"
target=${CARGO_TARGET_DIR:-target}
RUSTFLAGS="--remap-path-prefix=$PWD=. --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo" \
    CARGO_TARGET_DIR="$target" cargo build --locked --release --target wasm32-wasip2
cp "$target/wasm32-wasip2/release/component.wasm" component.wasm
sha256sum component.wasm > component.wasm.sha256
