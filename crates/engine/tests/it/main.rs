//! The engine from outside: artifacts and events in, responses and records out.

mod caches;
mod components;
mod compression;
mod fixture;
mod html_rewriter;
mod limits;
mod loss;
mod many;
mod scripts;
mod sockets;
mod web;
