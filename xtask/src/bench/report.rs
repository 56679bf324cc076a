//! What the cases print that measure Selvedge alone, against a bar of its own.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

/// The figures of one case.
#[derive(Debug)]
pub struct Report {
    pub name: &'static str,
    about: String,
    figures: Vec<Figure>,
}

#[derive(Debug)]
struct Figure {
    label: String,
    /// Its key in JSON.
    key: &'static str,
    decimals: usize,
    value: f64,
}

impl Report {
    pub fn new(name: &'static str, about: impl Into<String>) -> Self {
        Self { name, about: about.into(), figures: Vec::new() }
    }

    /// The unit stands last in both names.
    pub fn figure(mut self, label: impl Into<String>, key: &'static str, decimals: usize, value: f64) -> Self {
        self.figures.push(Figure { label: label.into(), key, decimals, value });
        self
    }

    pub fn text(&self) -> String {
        let mut text = format!("\n{}: {}", self.name, self.about);
        for Figure { label, decimals, value, .. } in &self.figures {
            write!(text, "\n  {label:<40} {value:>12.decimals$}").expect("a string takes everything");
        }
        text
    }

    pub fn json(&self) -> Value {
        let entry = |figure: &Figure| (figure.key.to_owned(), json!(figure.value));
        self.figures.iter().map(entry).collect::<Map<_, _>>().into()
    }
}
