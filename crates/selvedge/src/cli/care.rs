//! The arguments of `backup`, `restore` and `recover`.

use std::path::PathBuf;

use clap::Args;

use super::Data;

#[derive(Debug, Args)]
pub struct Backup {
    /// The directory of backups; made if it is missing. What a backup in it has is not stored again.
    pub to: PathBuf,
    /// Do not restore the backup to a temporary place, and check it there.
    #[arg(long)]
    pub no_verify: bool,
    /// Remove all backups but the newest N, this one among them.
    #[arg(long, value_name = "N")]
    pub keep: Option<u64>,
    /// List the backups that there are, and make none.
    #[arg(long, conflicts_with_all = ["no_verify", "keep"])]
    pub list: bool,
    #[command(flatten)]
    pub data: Data,
}

#[derive(Debug, Args)]
pub struct Restore {
    /// The directory of backups.
    pub from: PathBuf,
    /// The backup, as `backup --list` names it; the newest if left out.
    #[arg(long, value_name = "ID")]
    pub backup: Option<u64>,
    /// The data directory to make; missing or empty.
    #[arg(long)]
    pub data: PathBuf,
}

#[derive(Debug, Args)]
pub struct Recover {
    /// The directory with the copy.
    #[arg(required_unless_present = "config")]
    pub from: Option<PathBuf>,
    /// A configuration whose [archive] says where the copy is, in place of a directory.
    #[arg(long, conflicts_with = "from")]
    pub config: Option<PathBuf>,
    /// The copy, as --list names it; needed where there are several.
    #[arg(long, value_name = "ID")]
    pub archive: Option<String>,
    /// The moment: 2026-11-26T10:00:00Z, milliseconds since 1970, or how long ago: 30s, 10m, 2h, 3d. The newest if
    /// left out.
    #[arg(long)]
    pub at: Option<String>,
    /// This database alone, or those whose names begin so: sql/local/APP/NAME, objects/local/APP; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// Replace databases of a data directory that is there; nobody may serve it.
    #[arg(long)]
    pub replace: bool,
    /// List the copies that there are, and recover nothing.
    #[arg(long, conflicts_with_all = ["archive", "at", "only", "replace", "data"])]
    pub list: bool,
    /// The data directory to make.
    #[arg(long, required_unless_present = "list")]
    pub data: Option<PathBuf>,
}
