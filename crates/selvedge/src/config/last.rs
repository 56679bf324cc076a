//! The limits that a node had last, and where its archive is copied to, left in its data directory: a command on the data of a node that
//! is stopped keeps its quotas, and needs not be told which configuration it was started with.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context as _, Result};
use base::NodeLimits;

use super::{archive, parse};
use crate::admin::write_private;
use crate::wire::Storage;

const FILE: &str = "limits.toml";

/// Leaves the limits of the node that begins, where they are not the defaults. It serves without that.
pub fn leave(data: &Path, storage: &Storage) {
    if let Err(error) = write_private(&data.join(FILE), text(storage).as_bytes()) {
        tracing::warn!("{error:#}; commands on this data will not know the node's limits while it is stopped");
    }
}

/// What the last node left; the defaults where there was none.
pub fn read(data: &Path) -> Result<Storage> {
    let path = data.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        // What is no directory at all is refused by whoever opens it.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => String::new(),
        Err(error) => return Err(error).with_context(|| format!("can't read {}", path.display())),
    };
    let config = parse(&path.display().to_string(), &text, data).with_context(|| {
        format!("{} has the limits that the last node left; remove it to go on with the defaults", path.display())
    })?;
    Ok(config.storage())
}

pub fn text(storage: &Storage) -> String {
    let Storage { limits, apps, archive } = storage;
    let mut text = format!("[limits]\n{}", differing(limits, &NodeLimits::default()));
    for (app, own) in apps.iter() {
        text.push_str(&format!("\n[apps.\"{app}\"]\n{}", differing(own, limits)));
    }
    if let Some(archive) = archive.as_ref().and_then(archive::text) {
        text.push_str(&format!("\n{archive}"));
    }
    text
}

fn differing(limits: &NodeLimits, from: &NodeLimits) -> String {
    let rows = base::limits::NODE.iter().filter(|row| limits.get(row.name) != from.get(row.name));
    let values = rows.filter_map(|row| Some((row, limits.get(row.name)?)));
    let within = values.filter(|(row, value)| (row.min..=row.max).contains(value));
    within.map(|(row, value)| format!("{} = {value}\n", row.name)).collect()
}
