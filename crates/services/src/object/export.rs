//! The data of one object as a file, in order to move it.
//!
//! JSON lines: a head, then an entry a line, in the order of the keys. Values are base64 of what the
//! script platform encoded; they mean the same wherever they are imported.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Alarm, ObjectError, ObjectStorage};

const FORMAT: &str = "selvedge-object 1";

/// One object's data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Export {
    pub name: Option<String>,
    pub alarm_ms: Option<u64>,
    pub entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub value: Bytes,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    name: Option<String>,
    alarm_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: String,
    value: String,
}

/// The text is no export.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct BadExport {
    pub line: usize,
    pub what: String,
}

impl Export {
    /// What an object holds.
    pub fn of(storage: &mut dyn ObjectStorage) -> Result<Self, ObjectError> {
        let entries = storage.list(&super::ListOptions::default())?;
        Ok(Self {
            name: storage.name()?,
            alarm_ms: storage.alarm()?.map(|alarm| alarm.due_ms),
            entries: entries.into_iter().map(|(key, value)| Entry { key, value }).collect(),
        })
    }

    /// Replaces what an object holds; the caller commits.
    pub fn put_into(&self, storage: &mut dyn ObjectStorage) -> Result<(), ObjectError> {
        storage.delete_all()?;
        if let Some(name) = &self.name {
            storage.set_name(name);
        }
        for Entry { key, value } in &self.entries {
            storage.put(key, value)?;
        }
        storage.set_alarm(self.alarm_ms.map(Alarm::at))
    }

    pub fn to_text(&self) -> String {
        let head = Head { format: FORMAT.to_owned(), name: self.name.clone(), alarm_ms: self.alarm_ms };
        let mut text = serde_json::to_string(&head).unwrap_or_default();
        text.push('\n');
        for Entry { key, value } in &self.entries {
            let line = Line { key: key.clone(), value: STANDARD.encode(value) };
            text.push_str(&serde_json::to_string(&line).unwrap_or_default());
            text.push('\n');
        }
        text
    }

    pub fn parse(text: &str) -> Result<Self, BadExport> {
        let bad = |line: usize, what: String| BadExport { line, what };
        let mut lines = text.lines().zip(1..);
        let Some((first, _)) = lines.next() else { return Err(bad(1, "the file is empty".to_owned())) };
        let head: Head = serde_json::from_str(first).map_err(|error| bad(1, error.to_string()))?;
        if head.format != FORMAT {
            return Err(bad(1, format!("the format is {:?}, and this version reads {FORMAT:?}", head.format)));
        }
        let mut entries = Vec::new();
        for (line, number) in lines.filter(|(line, _)| !line.is_empty()) {
            let Line { key, value } = serde_json::from_str(line).map_err(|error| bad(number, error.to_string()))?;
            let value = STANDARD.decode(&value).map_err(|error| bad(number, format!("the value: {error}")))?;
            entries.push(Entry { key, value: value.into() });
        }
        Ok(Self { name: head.name, alarm_ms: head.alarm_ms, entries })
    }
}
