//! `cargo xtask bench functions`: Selvedge beside its peers, in one run on one machine. What each
//! figure means, and what a machine needs, stands in bench/functions/README.md.

mod apps;
mod cases;
pub mod cdn;
mod cold;
pub mod data;
mod fairness;
mod load;
mod options;
mod origin;
mod overload;
mod peer;
pub mod process;
mod report;
mod stage;
mod start;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use anyhow::Result;

use crate::repo::Repo;
use cases::Case;
use load::Pace;
use options::Options;
use peer::{Contender, Tools};
use report::Report;
use stage::Stage;
use table::{Figures, Row};

const ROUNDS: usize = 3;

/// A case that has bars of its own, and no peer.
struct Alone {
    name: &'static str,
    run: fn(&Repo, &Tools, bool) -> Result<Report>,
}

const ALONE: [Alone; 5] = [
    Alone { name: apps::NAME, run: apps::run },
    Alone { name: cold::NAME, run: cold::run },
    Alone { name: start::NAME, run: start::run },
    Alone { name: fairness::NAME, run: fairness::run },
    Alone { name: overload::NAME, run: overload::run },
];

pub fn run(repo: &Repo, arguments: &[&str]) -> Result<()> {
    let cases = cases::CASES.iter().map(|case| case.name).chain(ALONE.iter().map(|alone| alone.name));
    let options = &Options::parse("functions", arguments, &cases.collect::<Vec<_>>())?;
    let tools = Tools::find(repo)?;
    tools.report();
    let versions = tools.versions();
    if !options.json {
        table::print_versions(&versions);
    }
    let mut rows = Vec::new();
    for case in cases::CASES.iter().filter(|case| options.wants(case.name)) {
        let measured = run_case(repo, &tools, case, options)?;
        if !options.json && !measured.is_empty() {
            table::print(case.name, &measured);
        }
        rows.extend(measured);
    }
    let mut reports = Vec::new();
    for alone in ALONE.iter().filter(|alone| options.wants(alone.name)) {
        eprintln!("{}", alone.name);
        match (alone.run)(repo, &tools, options.quick) {
            Ok(report) => {
                if !options.json {
                    println!("{}", report.text());
                }
                reports.push(report);
            }
            Err(reason) => eprintln!("{} is left out: {reason:#}", alone.name),
        }
    }
    if options.json {
        println!("{:#}", table::json(&versions, &rows, &reports));
    }
    Ok(())
}

/// Every contender once a round, one after the other. One that fails is reported and left out of
/// the rounds that remain.
fn run_case(repo: &Repo, tools: &Tools, case: &'static Case, options: &Options) -> Result<Vec<Row>> {
    let mut stages = Vec::new();
    let wanted = |contender: &Contender| case.admits(*contender) && (contender.is_selvedge() || !options.alone);
    let admitted = Contender::ALL.into_iter().filter(|contender| wanted(contender) && tools.has(*contender));
    for contender in admitted {
        match Stage::prepare(repo, tools, case, contender) {
            Ok(stage) => stages.push((contender, stage)),
            Err(reason) => eprintln!("{}: without {}: {reason:#}", case.name, contender.name()),
        }
    }
    let mut rounds: BTreeMap<Contender, Vec<Figures>> = BTreeMap::new();
    for round in 1..=if options.quick { 1 } else { ROUNDS } {
        let mut failed = Vec::new();
        for (contender, stage) in &stages {
            eprintln!("{} · round {round} · {}", case.name, contender.name());
            match measure(tools, case, stage, Pace::of(options.quick)) {
                Ok(figures) => rounds.entry(*contender).or_default().push(figures),
                Err(reason) => {
                    eprintln!("{}: {} is left out: {reason:#}", case.name, contender.name());
                    failed.push(*contender);
                }
            }
        }
        stages.retain(|(contender, _)| !failed.contains(contender));
        rounds.retain(|contender, _| !failed.contains(contender));
    }
    Ok(rounds.into_iter().map(|(contender, rounds)| Row::new(case.name, contender, rounds)).collect())
}

fn measure(tools: &Tools, case: &Case, stage: &Stage, pace: Pace) -> Result<Figures> {
    let server = stage.start(tools)?;
    let target = load::Target { address: server.address(), host: stage.host(), case };
    let first_ms = server.first_answer(&target)?;
    load::check_answer(&target)?;

    load::closed(tools, stage, &target, pace.warm_s)?;
    let before = server.cpu_us()?;
    let peak = load::closed(tools, stage, &target, pace.run_s)?;
    let cpu_us = server.cpu_us()? - before;
    let rss_kib = server.rss_kib()?;
    let open = match case.paces() {
        true => load::open(tools, stage, &target, peak.per_s * 0.7, pace)?,
        false => None,
    };
    Ok(Figures { cpu_us: cpu_us / peak.requests, peak, open, rss_kib, first_ms })
}
