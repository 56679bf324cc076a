//! Providers against the engines that they are clients of.

mod network;
mod postgres;
