//! Migrations: texts of SQL that take a database from one shape to the next, once.
//!
//! What is to be done follows from two lists alone, what there is and what was applied, so it is a
//! pure function.

use base::Digest;

/// One migration, `0001_users.sql` for example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// The name of its file, which gives its place in the order.
    pub name: String,
    pub text: String,
}

impl Migration {
    /// By which a change is noticed. Line ends don't count, for a checkout may change them.
    pub fn checksum(&self) -> String {
        Digest::of(self.text.replace("\r\n", "\n").as_bytes()).to_string()
    }
}

/// A migration that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    pub name: String,
    pub checksum: String,
    /// Milliseconds since the Unix epoch.
    pub applied_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MigrationError {
    #[error(
        "the migration {name} was applied and has changed since; put it back as it was, and make the change in a new migration"
    )]
    Changed { name: String },
    #[error("the migration {name} was applied and is missing now; put it back")]
    Missing { name: String },
    #[error("the migration {name} comes before {last}, which was applied already; give it a later number")]
    OutOfOrder { name: String, last: String },
    #[error("the migration {name} failed and changed nothing: {message}")]
    Failed { name: String, message: String },
}

impl Migration {
    /// Those of `all`, which is in order, that were not applied yet. What was applied after the last
    /// of them is no error: an earlier deployment that is released again knows less than its database.
    pub fn pending<'a>(all: &'a [Migration], applied: &[Applied]) -> Result<&'a [Migration], MigrationError> {
        for (n, done) in applied.iter().enumerate() {
            let name = || done.name.clone();
            match all.get(n) {
                None => return Ok(&[]),
                Some(here) if here.name == done.name => {
                    if here.checksum() != done.checksum {
                        return Err(MigrationError::Changed { name: name() });
                    }
                }
                Some(here) if here.name < done.name && all.iter().any(|m| m.name == done.name) => {
                    return Err(MigrationError::OutOfOrder { name: here.name.clone(), last: name() });
                }
                _ => return Err(MigrationError::Missing { name: name() }),
            }
        }
        Ok(&all[applied.len()..])
    }
}
