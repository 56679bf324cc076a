//! The prepared statements of one connection: by their text, the least recently used goes first.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use fallible_iterator::FallibleIterator as _;
use postgres_protocol::message::backend::Message;
use services::postgres::{Column, Effects, effects};

/// What the server said of a statement.
pub struct Prepared {
    pub name: String,
    pub params: Vec<u32>,
    pub columns: Arc<[Column]>,
    pub effects: Effects,
}

impl Prepared {
    pub fn new(name: String, text: &str) -> Self {
        Self { name, params: Vec::new(), columns: Arc::new([]), effects: effects(text) }
    }

    /// Takes what Parse and Describe are answered with.
    pub fn take(&mut self, message: &Message) -> io::Result<bool> {
        match message {
            Message::ParseComplete | Message::NoData | Message::CloseComplete => {}
            Message::ParameterDescription(body) => self.params = body.parameters().collect()?,
            Message::RowDescription(body) => {
                let columns = body.fields().map(|field| Ok(Column::new(field.name().to_owned(), field.type_oid())));
                self.columns = columns.collect::<Vec<_>>()?.into();
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

pub struct Statements {
    kept: HashMap<String, (Arc<Prepared>, u64)>,
    kept_max: usize,
    names: u64,
    /// Counts uses, so that the oldest is known.
    uses: u64,
    overdue: Vec<String>,
}

impl Statements {
    pub fn new(kept_max: usize) -> Self {
        Self { kept: HashMap::new(), kept_max, names: 0, uses: 0, overdue: Vec::new() }
    }

    pub fn get(&mut self, text: &str) -> Option<Arc<Prepared>> {
        let (prepared, used) = self.kept.get_mut(text)?;
        self.uses += 1;
        *used = self.uses;
        Some(prepared.clone())
    }

    pub fn fresh_name(&mut self) -> String {
        self.names += 1;
        format!("s{}", self.names)
    }

    /// Names that the server may forget.
    pub fn overdue(&mut self) -> Vec<String> {
        std::mem::take(&mut self.overdue)
    }

    pub fn insert(&mut self, text: String, prepared: Arc<Prepared>) {
        if self.kept.len() >= self.kept_max {
            // A few hundred at most, and only when a statement is new.
            let oldest = self.kept.iter().min_by_key(|(_, (_, used))| *used).map(|(text, _)| text.clone());
            if let Some(oldest) = oldest {
                self.remove(&oldest);
            }
        }
        self.uses += 1;
        self.kept.insert(text, (prepared, self.uses));
    }

    pub fn remove(&mut self, text: &str) {
        if let Some((prepared, _)) = self.kept.remove(text) {
            self.overdue.push(prepared.name.clone());
        }
    }

    /// The server has forgotten them all.
    pub fn clear(&mut self) {
        self.kept.clear();
        self.overdue.clear();
    }
}
