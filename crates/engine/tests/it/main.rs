//! The engine from outside: artifacts and events in, responses and records out.

mod ask;
mod caches;
mod component_data;
mod components;
mod compression;
mod crypto;
mod fixture;
mod fuzz;
mod handed;
mod html_rewriter;
mod intl;
mod language;
mod late;
mod limits;
mod loss;
mod many;
mod modules;
mod node;
mod objects;
mod rpc;
mod scripts;
mod sockets;
mod warm;
mod wasm;
mod web;
