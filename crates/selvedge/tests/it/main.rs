//! The whole node, as people use it: the real binary, as a process of its own, over HTTP and the
//! command line.

mod admin;
mod app_tests;
mod bad_input;
mod blobs;
mod browser;
mod cache;
mod care;
mod config;
mod deploy;
mod dev;
mod dns;
mod egress;
mod full_disk;
mod grpc;
mod harness;
mod init;
mod interim;
mod kv;
mod limits;
mod listeners;
mod objects;
mod parts;
mod postgres;
mod proxy;
mod recipes;
mod routing;
mod rpc;
mod services;
mod sockets;
mod sql;
mod tiers;
mod traces;
mod upstreams;
mod usage;
mod wasm;
