#!/bin/sh
# Makes component.wasm, which selvedge.toml names. Wants: rustup target add wasm32-wasip2
set -eu
cd "$(dirname "$0")"
cargo build --release --target wasm32-wasip2
cp target/wasm32-wasip2/release/component.wasm component.wasm
