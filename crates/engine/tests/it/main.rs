//! The engine from outside: artifacts and events in, responses and records out.

mod components;
mod crypto;
mod fixture;
mod limits;
mod loss;
mod many;
mod scripts;
mod web;
