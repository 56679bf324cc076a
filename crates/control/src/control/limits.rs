//! The limits as `selvedge limits` shows them.

use base::NodeLimits;
use base::limits::{LimitRow, NODE};
use control_api::{LimitEntry, LimitScope};
use manifest::Plan;
use manifest::bounds::MANIFEST;

use crate::bounds::CONTROL;

/// Those of the node, and those that are fixed.
pub(super) fn of_node(limits: &NodeLimits) -> Vec<LimitEntry> {
    let node = NODE.iter().map(|row| {
        let value = limits.get(row.name).unwrap_or(row.default);
        let set_at = if value == row.default { "default" } else { "node" };
        entry(LimitScope::Node, row, value, set_at)
    });
    let fixed = MANIFEST.iter().chain(CONTROL).map(|row| entry(LimitScope::Format, row, row.max, "fixed"));
    node.chain(fixed).collect()
}

/// Those of an app and of its workers.
pub(super) fn of_app(plan: &Plan) -> Vec<LimitEntry> {
    let lines = manifest::limits_table(plan).into_iter();
    lines
        .map(|line| LimitEntry {
            scope: if line.worker.is_some() { LimitScope::Worker } else { LimitScope::App },
            worker: line.worker,
            name: line.name.into(),
            value: line.value,
            default: line.default,
            min: line.min,
            max: line.max,
            unit: line.unit.into(),
            about: line.about.into(),
            set_at: line.set_at,
        })
        .collect()
}

fn entry(scope: LimitScope, row: &LimitRow, value: u64, set_at: &str) -> LimitEntry {
    LimitEntry {
        scope,
        worker: None,
        name: row.name.into(),
        value,
        default: row.default,
        min: row.min,
        max: row.max,
        unit: row.unit.into(),
        about: row.about.into(),
        set_at: set_at.into(),
    }
}
