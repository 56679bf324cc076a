//! The engine from outside: artifacts and events in, responses and records out.

mod components;
mod fixture;
mod limits;
mod loss;
mod many;
mod scripts;
mod sockets;
mod web;
