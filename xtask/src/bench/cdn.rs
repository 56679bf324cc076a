//! `cargo xtask bench cdn`: cache hits, reverse proxying, handshakes and idle connections beside the
//! peers that the machine has, in one run. What each figure means stands in bench/cdn/README.md.

mod cases;
mod contenders;
mod load;
mod origin;
#[cfg(test)]
mod tests;
mod zipf;

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::options::Options;
use super::peer::Tools;
use super::table::median;
use crate::repo::Repo;
use cases::{Bar, CASES, Case, Kind};
use contenders::{Contender, Folder, Peers};
use load::Load;

const ROUNDS: usize = 3;

pub fn run(repo: &Repo, arguments: &[&str]) -> Result<()> {
    let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
    let options = Options::parse("cdn", arguments, &names)?;
    let tools = Tools::find(repo)?;
    let peers = Peers::find(&tools)?;
    let mut all = Map::new();
    for case in CASES.iter().filter(|case| options.wants(case.name)) {
        let rounds = run_case(&tools, &peers, case, &options);
        if options.json {
            all.insert(case.name.to_owned(), to_json(case, &rounds));
        } else {
            println!("{}", text(case, &rounds));
        }
    }
    if options.json {
        println!("{:#}", Value::Object(all));
    }
    Ok(())
}

/// One round of one contender; what a case does not measure is not there.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// Of the server, per operation.
    pub cpu_us: Option<f64>,
    pub per_s: Option<f64>,
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
    pub rss_kib: Option<f64>,
    /// Of a connection that nobody uses.
    pub idle_kib: Option<f64>,
    /// Requests that came through to the origin while the load ran.
    pub origin: Option<f64>,
    /// Share of the requests that the cache answered, of what an optimum that knows the future would.
    pub hits: Option<f64>,
}

/// The rounds of each contender in one case.
type Rounds = BTreeMap<Contender, Vec<Figures>>;

/// Every contender once a round, one after the other; one that fails is reported and left out.
fn run_case(tools: &Tools, peers: &Peers, case: &Case, options: &Options) -> Rounds {
    let mut rounds = Rounds::new();
    let wanted = |contender: &Contender| *contender == Contender::Selvedge || !options.alone;
    let mut taking_part = case.contenders().filter(wanted).collect::<Vec<_>>();
    for round in 1..=if options.quick { 1 } else { ROUNDS } {
        taking_part.retain(|&contender| {
            eprintln!("{} · round {round} · {}", case.name, contender.name());
            match measure(tools, peers, case, contender, options) {
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
    rounds
}

fn measure(tools: &Tools, peers: &Peers, case: &Case, contender: Contender, options: &Options) -> Result<Figures> {
    let folder = Folder::new()?;
    let origin = origin::Origin::start(case)?;
    let server = contenders::start(tools, peers, case, contender, &folder, origin.address())?;
    let load = Load { tools, case, address: server.address(), seconds: if options.quick { 2 } else { 6 } };
    load.wait(&server)?;
    load.check()?;
    match case.kind {
        Kind::Requests => load.requests(&server, &origin),
        Kind::Handshakes => load.handshakes(&server),
        Kind::Idle => load.idle(&server),
        Kind::Herd => load.herd(&origin),
        Kind::Zipf => zipf::run(&load, &server, &origin),
    }
}

/// A column: its title, its key in JSON, its decimals, and where it comes from.
struct Column {
    title: &'static str,
    key: &'static str,
    decimals: usize,
    value: fn(&Figures) -> Option<f64>,
}

const COLUMNS: [Column; 8] = [
    Column { title: "CPU µs/op", key: "cpu_us", decimals: 1, value: |f| f.cpu_us },
    Column { title: "op/s", key: "per_s", decimals: 0, value: |f| f.per_s },
    Column { title: "p50 ms", key: "p50_ms", decimals: 3, value: |f| Some(f.p50_us? / 1e3) },
    Column { title: "p99 ms", key: "p99_ms", decimals: 3, value: |f| Some(f.p99_us? / 1e3) },
    Column { title: "RSS MiB", key: "rss_mib", decimals: 0, value: |f| Some(f.rss_kib? / 1024.0) },
    Column { title: "idle KiB", key: "idle_kib", decimals: 1, value: |f| f.idle_kib },
    Column { title: "origin", key: "origin", decimals: 0, value: |f| f.origin },
    Column { title: "of optimum", key: "hits_of_optimum", decimals: 3, value: |f| f.hits },
];

fn of(rounds: &Rounds, contender: Contender, value: fn(&Figures) -> Option<f64>) -> Option<f64> {
    median(rounds.get(&contender)?.iter().filter_map(value).collect())
}

fn text(case: &Case, rounds: &Rounds) -> String {
    let measured = |column: &&Column| rounds.keys().any(|&contender| of(rounds, contender, column.value).is_some());
    let columns: Vec<&Column> = COLUMNS.iter().filter(measured).collect();
    let titles: String = columns.iter().map(|column| format!(" {:>11}", column.title)).collect();
    let mut lines = vec![format!("\n{}: {}", case.name, case.about), format!("  {:<24}{titles}", "")];
    for &contender in rounds.keys() {
        let cell = |column: &&Column| match of(rounds, contender, column.value) {
            Some(value) => format!(" {value:>11.0$}", column.decimals),
            None => format!(" {:>11}", "-"),
        };
        lines.push(format!("  {:<24}{}", contender.name(), columns.iter().map(cell).collect::<String>()));
    }
    for bar in case.bars {
        let Some((by_cpu, by_rate)) = ratios(rounds, bar) else { continue };
        let met = if by_cpu >= bar.at_least { "met" } else { "MISSED" };
        lines.push(format!(
            "  bar: {:.2} x {} per CPU second ({by_rate:.2} x its rate), at least {:.1}: {met}",
            by_cpu,
            bar.peer.name(),
            bar.at_least
        ));
    }
    lines.join("\n")
}

/// What Selvedge does in a second of its CPU's time and in a second of the clock, over the peer's.
fn ratios(rounds: &Rounds, bar: &Bar) -> Option<(f64, f64)> {
    let cpu = |contender| of(rounds, contender, |figures| figures.cpu_us);
    let rate = |contender| of(rounds, contender, |figures| figures.per_s);
    Some((cpu(bar.peer)? / cpu(Contender::Selvedge)?, rate(Contender::Selvedge)? / rate(bar.peer)?))
}

fn to_json(case: &Case, rounds: &Rounds) -> Value {
    let contenders = rounds.keys().map(|&contender| {
        let columns = COLUMNS
            .iter()
            .filter_map(|column| Some((column.key.to_owned(), json!(of(rounds, contender, column.value)?))));
        (contender.name().to_owned(), Value::Object(columns.collect()))
    });
    let bars = case.bars.iter().map(|bar| {
        let ratios = ratios(rounds, bar);
        json!({
            "peer": bar.peer.name(), "at_least": bar.at_least,
            "per_cpu_second": ratios.map(|(by_cpu, _)| by_cpu), "rate": ratios.map(|(_, by_rate)| by_rate),
        })
    });
    json!({ "contenders": contenders.collect::<Map<_, _>>(), "bars": bars.collect::<Vec<_>>() })
}
