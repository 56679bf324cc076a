//! The engine from outside: artifacts and events in, responses and records out.

mod components;
mod fixture;
mod limits;
mod scripts;
mod sockets;
mod web;
