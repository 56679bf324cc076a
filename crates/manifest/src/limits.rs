//! The limits of an app, one line each, for `selvedge limits`.

use base::limits::{APP, LimitRow, POSTGRES, UPSTREAM, WORKER};
use base::{ResourceName, WorkerName};
use serde::Serialize;

use crate::plan::Plan;

/// A limit, its value, and where that comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LimitLine {
    /// The worker it bounds; none if it bounds the app or a database.
    pub worker: Option<WorkerName>,
    /// The PostgreSQL database it bounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<ResourceName>,
    /// The upstream it bounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<ResourceName>,
    pub name: &'static str,
    pub value: u64,
    pub default: u64,
    pub min: u64,
    pub max: u64,
    /// `ms`, `MiB`, `bytes`, or empty for a count.
    pub unit: &'static str,
    pub about: &'static str,
    /// `selvedge.toml:12`, or `default`.
    pub set_at: String,
}

/// Every limit of the app and of its workers, in the order of the tables in `base::limits`.
pub fn limits_table(plan: &Plan) -> Vec<LimitLine> {
    let line = |worker: Option<&WorkerName>, row: &LimitRow, value: Option<u64>| {
        let key = (worker.cloned(), row.name.to_owned());
        let value = value.unwrap_or(row.default);
        let set_at = match plan.origins.limits.get(&key) {
            Some(place) => place.to_string(),
            // A plan that was read back does not know where it came from.
            None if value != row.default => "manifest".to_owned(),
            None => "default".to_owned(),
        };
        LimitLine {
            worker: worker.cloned(),
            database: None,
            upstream: None,
            name: row.name,
            value,
            default: row.default,
            min: row.min,
            max: row.max,
            unit: row.unit,
            about: row.about,
            set_at,
        }
    };
    let app = APP.iter().map(|row| line(None, row, plan.limits.get(row.name)));
    let workers = plan
        .workers
        .iter()
        .flat_map(|w| WORKER.iter().map(move |row| (w, row)))
        .map(|(w, row)| line(Some(&w.name), row, w.limits.get(row.name)));
    let databases = plan.postgres.iter().flat_map(|(name, database)| {
        POSTGRES.iter().map(move |row| {
            let value = database.limits.get(row.name).unwrap_or(row.default);
            let set_at = if value == row.default { "default" } else { "manifest" };
            let plain = line(None, row, Some(value));
            LimitLine { database: Some(name.clone()), set_at: set_at.to_owned(), ..plain }
        })
    });
    let upstreams = plan.upstreams.iter().flat_map(|upstream| {
        UPSTREAM.iter().map(move |row| {
            let value = upstream.limits.get(row.name).unwrap_or(row.default);
            let set_at = if value == row.default { "default" } else { "manifest" };
            let plain = line(None, row, Some(value));
            LimitLine { upstream: Some(upstream.name.clone()), set_at: set_at.to_owned(), ..plain }
        })
    });
    app.chain(workers).chain(databases).chain(upstreams).collect()
}

#[cfg(test)]
mod tests;
