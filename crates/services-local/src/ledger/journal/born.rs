//! Databases that begin in the log.
//!
//! One that is made on the way to its first commit can't wait until the file system has flushed its
//! name: that takes longer than everything else. So the log holds the whole of it before that
//! commit, and recovery makes the file of that, should its name have been lost. The name is flushed
//! with the file, when that holds up an old segment, or when the database is closed.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use services::StoreError;

use super::{Journal, Member, State};
use crate::disk;
use crate::ledger::archive::Shelf;
use crate::ledger::record::{self, PagesHead};
use crate::ledger::{Entered, Ledger};

/// What a file began with.
pub struct Born {
    bytes: Arc<[u8]>,
    /// Where the log has it.
    batch: u64,
}

impl Ledger {
    /// Makes a database journaled that was just made: `bytes` are what its file holds, durably, while
    /// its name need not be durable. Nobody else has opened it.
    pub fn adopt_born(
        self: &Arc<Self>,
        path: &Path,
        connection: &Connection,
        bytes: &Arc<[u8]>,
    ) -> Result<Journal, StoreError> {
        let name = self.name(path)?;
        let Entered { member, before, .. } = self.enter(path, &name, connection, true)?;
        if let Some(before) = before {
            // Of a file that somebody took away.
            before.state().retired = true;
        }
        let batch = {
            let mut state = member.state();
            member.bear(&mut state, bytes.clone())?;
            state.last
        };
        if let Some(archive) = &self.inner.archive {
            let shelf = Shelf::of(archive, &name);
            if shelf.is_marked_removed() {
                self.log().ticket(batch).wait()?;
                shelf.unmark_removed()?;
            }
            if let Some(segment) = member.needed_from() {
                self.inner.begun().note(segment, batch, &name);
            }
            self.inner.members().archived.insert(name);
        }
        Ok(Journal::new(self.clone(), member))
    }
}

impl Member {
    /// Appends all that the file began with.
    fn bear(&self, state: &mut State, bytes: Arc<[u8]>) -> Result<(), StoreError> {
        let page_bytes = match u16::from_be_bytes([bytes[16], bytes[17]]) {
            // What two bytes can't hold.
            1 => 65_536,
            size => u32::from(size),
        };
        let images: BTreeMap<u32, &[u8]> = (1..).zip(bytes.chunks_exact(page_bytes as usize)).collect();
        state.time_ms = state.time_ms.max(self.clock.unix_ms());
        let (id, time_ms, database_pages) = (self.name.id, state.time_ms, images.len() as u32);
        let head = PagesHead { id, time_ms, page_bytes, last: true, base: true, born: true, database_pages };
        let mut record = Vec::new();
        record::pages(&mut record, head, &images);
        let place = self.log.append(&self.name, &record)?;
        // The file holds this much, but not what else its batch may come to hold: the first commit may
        // be in it, and the file would count as having that.
        (state.last, state.copied) = (place.batch, place.batch - 1);
        (state.needed_from, state.uncopied_from) = (Some(place.segment), None);
        state.born = Some(Born { bytes, batch: place.batch });
        Ok(())
    }

    /// The batch that the file began in; 0 once nobody needs to know.
    pub(super) fn birth(state: &State) -> u64 {
        state.born.as_ref().map_or(0, |born| born.batch)
    }

    /// After a failure of the log: once more, if that is what failed. Nothing was copied into the file
    /// since, for that waits until the log holds what it builds upon.
    pub(super) fn bear_again(&self, state: &mut State) -> Result<(), StoreError> {
        match &state.born {
            Some(born) if self.log.in_doubt(born.batch) => {
                let bytes = born.bytes.clone();
                self.bear(state, bytes)
            }
            _ => Ok(()),
        }
    }

    /// Flushes the file, and its name if that is not durable yet.
    pub(super) fn flush_file(&self, is_named: bool) -> io::Result<()> {
        if is_named {
            return self.file.sync_data();
        }
        self.file.sync_all()?;
        disk::sync_dir(self.path.parent().unwrap_or(&self.path))
    }
}

#[cfg(test)]
impl State {
    pub fn doubt_birth(&mut self, batch: u64) {
        if let Some(born) = &mut self.born {
            born.batch = batch;
        }
    }
}
