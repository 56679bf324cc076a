//! What can be told of a statement from its text, without a parser of SQL: enough to know whether a
//! connection has to be cleaned after it.

/// What a statement may leave behind on its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Settings, temporary tables, prepared statements, listeners, locks of the session.
    pub session: bool,
}

/// Words that leave something behind. `SET` is not among them: it stands in every `UPDATE`, and the
/// server's command tag tells. To find one where it means something else costs a round trip, no more.
const WORDS: [&str; 12] = [
    "set_config",
    "pg_advisory_lock",
    "pg_advisory_lock_shared",
    "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared",
    "temp",
    "temporary",
    "pg_temp",
    "setseed",
    "dblink_connect",
    "lo_open",
    "hold",
];

/// Command tags that leave something behind.
const TAGS: [&str; 10] =
    ["SET", "RESET", "LISTEN", "UNLISTEN", "PREPARE", "DEALLOCATE", "DISCARD", "LOAD", "DECLARE CURSOR", "DO"];

/// What the text of a statement shows; computed once, when it is prepared.
pub fn effects(text: &str) -> Effects {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let mut words = text.split(|c| !is_part(c));
    Effects { session: words.any(|word| WORDS.iter().any(|known| word.eq_ignore_ascii_case(known))) }
}

impl Effects {
    /// The same, with what the server called it.
    pub fn and_tag(self, tag: &str) -> Self {
        Self { session: self.session || TAGS.contains(&tag) }
    }
}

/// An identifier as SQL quotes it.
pub fn quoted_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
