//! How many files the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many as the system lets it have: a database that is awake is five files, and how many are awake
/// is bounded by limits of our own (`objects`, `sql_files_open`, `kv_files_open`). The soft limit that
/// a process is born with is for programs that still use `select`.
pub fn allow_all() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::debug!(%error, ?current, "the limit on open files stays as it is");
    }
}
