//! The commands that do one thing and end.

pub mod blob;
pub mod cache;
pub mod care;
pub mod certs;
pub mod config;
pub mod init;
pub mod kv;
pub mod mirrors;
pub mod objects;
pub mod project;
pub mod release;
pub mod secret;
pub mod sql;
pub mod trace;
pub mod upstreams;
pub mod usage;

use std::fmt;
use std::io::Write as _;

use anyhow::{Context as _, Result};
use base::AppName;
use control::BuildFailure;
use control_api::ApiError;

use crate::config::Misconfigured;
use crate::terminal;

/// Prints an error: for a person with all its causes, or as one JSON object.
pub fn report(error: &anyhow::Error, json: bool) {
    if let Some(failure) = error.downcast_ref::<Unbuilt>() {
        if json {
            eprintln!("{}", failure.0.to_json());
        } else {
            eprint!("{}", failure.0.render(terminal::stderr_color()));
        }
        return;
    }
    if let Some(wrong) = error.downcast_ref::<Misconfigured>() {
        if json {
            eprintln!("{}", wrong.0.to_json());
        } else {
            eprint!("{}", wrong.0.render(terminal::stderr_color()));
        }
        return;
    }
    let api = error.downcast_ref::<ApiError>();
    if json {
        let code = api.map_or("error", |api| api.code.as_str());
        eprintln!("{}", serde_json::json!({ "code": code, "detail": format!("{error:#}") }));
        return;
    }
    eprintln!("error: {error:#}");
    if let Some(api) = api {
        if let Some(stack) = &api.stack {
            eprintln!("{}", stack.trim_end());
        }
        if let Some(row) = api.row() {
            eprintln!("  {} ({})", row.remedy, row.name);
        }
    }
}

/// A build that failed, on its way to [`report`].
#[derive(Debug)]
pub struct Unbuilt(pub BuildFailure);

impl fmt::Display for Unbuilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.render(false))
    }
}

impl std::error::Error for Unbuilt {}

pub fn app_name(text: &str) -> Result<AppName> {
    AppName::parse(text).with_context(|| format!("{text:?} is no name of an app"))
}

pub fn resource_name(text: &str) -> Result<base::ResourceName> {
    base::ResourceName::parse(text).with_context(|| format!("{text:?} is no name of a resource"))
}

/// Prints a line; a reader that left is no error.
pub fn print(text: impl fmt::Display) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

pub fn print_json(value: &impl serde::Serialize) -> Result<()> {
    print(serde_json::to_string_pretty(value)?)
}

/// A point in time as people read it, in UTC.
pub fn time(unix_ms: u64) -> String {
    let seconds = unix_ms / 1000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 1970 to a civil date (Howard Hinnant's algorithm).
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests;
