//! `cargo xtask bench data`: operations on data at the contract, through a handler, and on the peers,
//! in one run. What each figure means stands in bench/data/README.md.

mod cases;
mod contenders;
mod databases;
mod floor;
mod node;
mod postgres;
mod recovery;
mod sockets;
#[cfg(test)]
mod tests;
mod wake;

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Value, json};

use super::options::Options;
use super::peer::Tools;
use super::report::Report;
use super::table::median;
use crate::repo::Repo;
use cases::{Bar, CASES, Case};
use contenders::{Contender, Peers};

const ROUNDS: usize = 3;

/// One round of one contender.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Of the server, per operation; none for the floor.
    pub cpu_us: Option<f64>,
    pub per_s: f64,
    pub p50_us: f64,
    pub p99_us: f64,
}

/// A case that measures Selvedge alone, shortly if so asked.
type Alone = fn(&Repo, &Tools, bool) -> Result<Report>;

const ALONE: [(&str, Alone); 4] = [
    (wake::NAME, wake::run),
    (databases::NAME, databases::run),
    (recovery::NAME, recovery::run),
    (sockets::NAME, sockets::run),
];

/// The rounds of each contender in one case.
type Rounds = BTreeMap<Contender, Vec<Figures>>;

pub fn run(repo: &Repo, arguments: &[&str]) -> Result<()> {
    let names: Vec<&str> = CASES.iter().map(|case| case.name).chain(ALONE.map(|(name, _)| name)).collect();
    let options = &Options::parse("data", arguments, &names)?;
    let tools = Tools::find(repo)?;
    let wanted = || CASES.iter().filter(|case| options.wants(case.name));
    let peers = Peers::find(
        repo,
        wanted().any(|case| taking_part(case, options).any(|contender| contender == Contender::Contract)),
    )?;
    let mut all = Vec::new();
    for case in wanted() {
        let rounds = run_case(repo, &tools, &peers, case, options)?;
        if !options.json {
            println!("{}", text(case, &rounds));
        }
        all.push((case, rounds));
    }
    let mut reports = Vec::new();
    for (_, run) in ALONE.iter().filter(|(name, _)| options.wants(name)) {
        let report = run(repo, &tools, options.quick)?;
        if !options.json {
            println!("{}", report.text());
        }
        reports.push(report);
    }
    if options.json {
        let entry = |(case, rounds): &(&Case, Rounds)| (case.name.to_owned(), to_json(case, rounds));
        let alone = reports.iter().map(|report| (report.name.to_owned(), report.json()));
        println!("{:#}", Value::Object(all.iter().map(entry).chain(alone).collect()));
    }
    Ok(())
}

/// Alone, a case is what a node does: the contract is called by a program of its own.
fn taking_part(case: &Case, options: &Options) -> impl Iterator<Item = Contender> {
    case.contenders.iter().copied().filter(|contender| *contender == Contender::Handler || !options.alone)
}

/// Every contender once a round, one after the other; one that fails is reported and left out.
fn run_case(repo: &Repo, tools: &Tools, peers: &Peers, case: &Case, options: &Options) -> Result<Rounds> {
    let mut rounds = Rounds::new();
    let mut taking_part = taking_part(case, options).collect::<Vec<_>>();
    for round in 1..=if options.quick { 1 } else { ROUNDS } {
        taking_part.retain(|&contender| {
            eprintln!("{} · round {round} · {}", case.name, contender.name());
            match contenders::measure(repo, tools, peers, case, contender, if options.quick { 2 } else { 6 }) {
                Ok(figures) => rounds.entry(contender).or_default().push(figures),
                Err(reason) => {
                    eprintln!("{}: {} is left out: {reason:#}", case.name, contender.name());
                    rounds.remove(&contender);
                    return false;
                }
            }
            true
        });
    }
    Ok(rounds)
}

/// A column: its title, its key in JSON, its decimals, and where it comes from.
type Column = (&'static str, &'static str, usize, fn(&Figures) -> Option<f64>);

const COLUMNS: [Column; 4] = [
    ("CPU µs/op", "cpu_us", 1, |figures| figures.cpu_us),
    ("op/s", "per_s", 0, |figures| Some(figures.per_s)),
    ("p50 ms", "p50_ms", 3, |figures| Some(figures.p50_us / 1e3)),
    ("p99 ms", "p99_ms", 3, |figures| Some(figures.p99_us / 1e3)),
];

fn of(rounds: &Rounds, contender: Contender, value: fn(&Figures) -> Option<f64>) -> Option<f64> {
    median(rounds.get(&contender)?.iter().filter_map(value).collect())
}

fn text(case: &Case, rounds: &Rounds) -> String {
    let mut lines = vec![format!("\n{}: {}", case.name, case.about)];
    let titles: String = COLUMNS.iter().map(|(title, ..)| format!(" {title:>11}")).collect();
    lines.push(format!("  {:<24}{titles}", ""));
    for &contender in rounds.keys() {
        let cell = |(_, _, decimals, value): &Column| match of(rounds, contender, *value) {
            Some(value) => format!(" {value:>11.decimals$}"),
            None => format!(" {:>11}", "-"),
        };
        lines.push(format!("  {:<24}{}", contender.name(), COLUMNS.iter().map(cell).collect::<String>()));
    }
    for bar in case.bars {
        if let Some(ratio) = ratio(rounds, bar) {
            let met = if ratio >= bar.at_least { "met" } else { "MISSED" };
            let (own, peer, at_least) = (bar.own.name(), bar.peer.name(), bar.at_least);
            lines.push(format!("  bar: {own} / {peer} = {ratio:.2}, at least {at_least:.1}: {met}"));
        }
        if let Some(ratio) = p99_ratio(rounds, bar) {
            let met = if ratio < 1.0 { "met" } else { "MISSED" };
            let (own, peer) = (bar.own.name(), bar.peer.name());
            lines.push(format!("  bar: p99 of {own} / {peer} = {ratio:.2}, less than 1: {met}"));
        }
    }
    lines.join("\n")
}

/// Operations per second, ours over the peer's.
fn ratio(rounds: &Rounds, bar: &Bar) -> Option<f64> {
    let per_s = |contender| of(rounds, contender, |figures| Some(figures.per_s));
    Some(per_s(bar.own)? / per_s(bar.peer)?)
}

/// The 99th percentile, ours over miniflare's.
fn p99_ratio(rounds: &Rounds, bar: &Bar) -> Option<f64> {
    let p99 = |contender| of(rounds, contender, |figures| Some(figures.p99_us));
    (bar.peer == Contender::Miniflare).then_some(())?;
    Some(p99(bar.own)? / p99(bar.peer)?)
}

fn to_json(case: &Case, rounds: &Rounds) -> Value {
    let contenders = rounds.keys().map(|&contender| {
        let columns =
            COLUMNS.iter().map(|(_, key, _, value)| ((*key).to_owned(), json!(of(rounds, contender, *value))));
        (contender.name().to_owned(), Value::Object(columns.collect()))
    });
    let bars = case.bars.iter().map(|bar| {
        json!({
            "own": bar.own.name(), "peer": bar.peer.name(), "at_least": bar.at_least, "ratio": ratio(rounds, bar),
            "p99_ratio": p99_ratio(rounds, bar),
        })
    });
    json!({ "contenders": contenders.collect::<serde_json::Map<_, _>>(), "bars": bars.collect::<Vec<_>>() })
}
