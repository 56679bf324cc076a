//! Dispatch from the outside, over a fake engine.

mod again;
mod bench;
mod fake;

mod chaos;
mod drain;
mod instances;
mod overload;
mod starts;
