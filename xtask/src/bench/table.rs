//! The figures: medians over the rounds, a table for people, JSON for programs.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::load::{Closed, Open};
use super::peer::Contender;
use super::report::Report;

/// One round of one contender.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Of the server, per request.
    pub cpu_us: f64,
    pub peak: Closed,
    pub open: Option<Open>,
    pub rss_kib: u64,
    pub first_ms: f64,
}

/// One contender in one case.
#[derive(Debug)]
pub struct Row {
    pub case: &'static str,
    pub contender: Contender,
    rounds: Vec<Figures>,
}

/// A column: its title, its key in JSON, how many decimals a person wants, and where it comes from.
struct Column {
    title: &'static str,
    key: &'static str,
    decimals: usize,
    value: fn(&Figures) -> Option<f64>,
}

const COLUMNS: [Column; 8] = [
    Column { title: "CPU µs/req", key: "cpu_us", decimals: 1, value: |f| Some(f.cpu_us) },
    Column { title: "req/s", key: "per_s", decimals: 0, value: |f| Some(f.peak.per_s) },
    Column { title: "p50 ms", key: "p50_ms", decimals: 2, value: |f| Some(f.peak.p50_us / 1e3) },
    Column { title: "p99 ms", key: "p99_ms", decimals: 2, value: |f| Some(f.peak.p99_us / 1e3) },
    Column { title: "p50 at 70%", key: "open_p50_ms", decimals: 2, value: |f| Some(f.open?.p50_us / 1e3) },
    Column { title: "p99 at 70%", key: "open_p99_ms", decimals: 2, value: |f| Some(f.open?.p99_us / 1e3) },
    Column { title: "RSS MiB", key: "rss_mib", decimals: 0, value: |f| Some(f.rss_kib as f64 / 1024.0) },
    Column { title: "first ms", key: "first_ms", decimals: 0, value: |f| Some(f.first_ms) },
];

impl Row {
    pub fn new(case: &'static str, contender: Contender, rounds: Vec<Figures>) -> Self {
        Self { case, contender, rounds }
    }

    fn median(&self, column: &Column) -> Option<f64> {
        median(self.rounds.iter().filter_map(column.value).collect())
    }

    fn kept_up(&self) -> bool {
        self.rounds.iter().all(|figures| figures.open.is_none_or(|open| open.kept_up))
    }
}

pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        length if length % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

/// Of sorted values; 0 of none.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1) as f64;
    sorted.get((last * share).round() as usize).copied().unwrap_or_default()
}

pub fn print_versions(versions: &BTreeMap<&str, String>) {
    let versions: Vec<String> = versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    println!("{}", versions.join(", "));
}

/// A case: a line for each contender, then Selvedge's ratio to each peer.
pub fn print(case: &str, rows: &[Row]) {
    println!("\n{case}");
    print!("  {:<28}", "");
    COLUMNS.iter().for_each(|column| print!(" {:>11}", column.title));
    println!();
    for row in rows {
        let mark = if row.kept_up() { "" } else { " !" };
        let cells = COLUMNS.iter().map(|column| cell(row.median(column), column.decimals));
        print_line(&format!("{}{mark}", row.contender.name()), cells);
    }
    let (ours, peers): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.contender.is_selvedge());
    for (own, peer) in ours.iter().flat_map(|own| peers.iter().map(move |peer| (own, peer))) {
        let cells = COLUMNS.iter().map(|column| cell(ratio(own, peer, column), 2));
        print_line(&format!("{} / {}", own.contender.name(), peer.contender.name()), cells);
    }
}

fn print_line(name: &str, cells: impl Iterator<Item = String>) {
    print!("  {name:<28}");
    cells.for_each(|cell| print!(" {cell:>11}"));
    println!();
}

fn cell(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

fn ratio(own: &Row, peer: &Row, column: &Column) -> Option<f64> {
    Some(own.median(column)? / peer.median(column)?)
}

/// Every row with its medians and its ratios to the peers of its case, and what was measured alone.
pub fn json(versions: &BTreeMap<&str, String>, rows: &[Row], reports: &[Report]) -> Value {
    let cases = rows.iter().map(|row| {
        let peers = rows.iter().filter(|peer| peer.case == row.case && !peer.contender.is_selvedge());
        let ratios = peers
            .filter(|_| row.contender.is_selvedge())
            .map(|peer| (peer.contender.name().to_owned(), columns(|column| ratio(row, peer, column))));
        json!({
            "case": row.case,
            "contender": row.contender.name(),
            "rounds": row.rounds.len(),
            "median": columns(|column| row.median(column)),
            "open_kept_up": row.kept_up(),
            "ratio": ratios.collect::<serde_json::Map<_, _>>(),
        })
    });
    let alone: serde_json::Map<_, _> = reports.iter().map(|report| (report.name.to_owned(), report.json())).collect();
    json!({ "versions": versions, "cases": cases.collect::<Vec<_>>(), "alone": alone })
}

fn columns(value: impl Fn(&Column) -> Option<f64>) -> Value {
    COLUMNS.iter().map(|column| (column.key.to_owned(), json!(value(column)))).collect::<serde_json::Map<_, _>>().into()
}
