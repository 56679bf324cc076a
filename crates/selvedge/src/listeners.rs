//! Opens what the configuration says about listeners, and keeps their certificates fresh.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use base::{Clock, NodeLimits};
use edge::Door;
use manifest::{Report, SourceFile};
use net::tls::{Challenges, Handshakes, Managed, Reason, Source, Summary, TlsProblem};
use net::{Address, Reception, Tls, TlsOptions};
use telemetry::Metrics;
use telemetry::metrics::{Kind, Point};

use crate::acme::Wanted;
use crate::config::{ListenerConfig, Misconfigured, TlsConfig, code};
use crate::terminal;

/// A listener before its port is taken.
pub struct ListenerOptions {
    pub address: Address,
    pub mode: u32,
    pub reception: Reception,
    pub door: Door,
    /// HTTP/3 on the same port.
    pub http3: bool,
}

impl ListenerOptions {
    /// HTTP in the clear, and nothing else.
    pub fn plain(address: impl Into<Address>) -> Self {
        Self { address: address.into(), mode: 0, reception: Reception::default(), door: Door::default(), http3: false }
    }
}

fn unix_now(clock: &dyn Clock) -> Duration {
    Duration::from_millis(clock.unix_ms())
}

/// Everything that the configuration says about listeners, opened.
pub struct Opened {
    pub listeners: Vec<ListenerOptions>,
    pub secure: Vec<Secure>,
    /// What is asked of an authority.
    pub wanted: Vec<Wanted>,
    pub challenges: Arc<Challenges>,
}

/// Reads the certificates of every listener. All that is wrong is told at once. What was opened
/// before at the same address keeps what an authority issued for it.
pub fn open(
    configs: Vec<ListenerConfig>,
    file: Option<&SourceFile>,
    limits: &NodeLimits,
    clock: &dyn Clock,
    before: &[Secure],
) -> Result<Opened> {
    let (mut opened, mut secure, mut wanted, mut report) = (Vec::new(), Vec::new(), Vec::new(), Report::default());
    let challenges = before.first().map_or_else(Arc::default, |secure| secure.challenges.clone());
    let mut before: Vec<&Secure> = before.iter().collect();
    let asks = configs.iter().any(|config| config.tls.as_ref().is_some_and(|tls| !tls.acme.is_empty()));
    for mut config in configs {
        let tls = match config.tls.take() {
            None => None,
            Some(settings) => {
                let mut options = TlsOptions::new(settings.sources.clone(), limits);
                options.clients = settings.clients.clone();
                options.only_tls13 = settings.only_tls13;
                options.challenges = Some(challenges.clone()).filter(|_| asks);
                let address = config.address.to_string();
                options.listener.clone_from(&address);
                let known = before.iter().position(|secure| secure.address == address).map(|at| before.remove(at));
                let managed = known.map_or_else(Arc::default, |secure| secure.managed.clone());
                options.sources.extend(Some(Source::Managed(managed.clone())).filter(|_| !settings.acme.is_empty()));
                match Tls::open(options, unix_now(clock)) {
                    Ok(tls) => {
                        warn(&tls.summary());
                        wanted.extend(settings.acme.iter().map(|hosts| Wanted {
                            hosts: hosts.clone(),
                            managed: managed.clone(),
                            tls: tls.clone(),
                        }));
                        secure.push(Secure {
                            // The one that serves stays, and takes what was read now.
                            tls: known.map_or(&tls, |secure| &secure.tls).clone(),
                            managed,
                            challenges: challenges.clone(),
                            address,
                        });
                        Some(tls)
                    }
                    Err(problems) => {
                        let problems = problems.iter().map(|problem| explain(problem, &settings, file));
                        report.problems.extend(problems);
                        None
                    }
                }
            }
        };
        let ListenerConfig { address, mode, proxies, proxied_unix, door, http3, .. } = config;
        let challenges = Some(challenges.clone()).filter(|_| asks && tls.is_none());
        let door = Door { secured: tls.is_some(), challenges, ..door };
        let reception = Reception { listener: 0, tls, proxies, proxied_unix };
        opened.push(ListenerOptions { address, mode, reception, door, http3 });
    }
    if !report.problems.is_empty() {
        return Err(Misconfigured(report).into());
    }
    Ok(Opened { listeners: opened, secure, wanted, challenges })
}

fn explain(problem: &TlsProblem, settings: &TlsConfig, file: Option<&SourceFile>) -> manifest::Diagnostic {
    let place = problem.place.map(|(index, field)| settings.place(index, field)).unwrap_or_default();
    let file = file.filter(|_| problem.place.is_some());
    let diagnostic = Misconfigured::at(file, &place, problem.message.clone(), &problem.help);
    debug_assert_eq!(diagnostic.code, code::UNUSABLE);
    diagnostic
}

fn warn(summary: &Summary) {
    for warning in &summary.warnings {
        let help = if warning.help.is_empty() { String::new() } else { format!(" ({})", warning.help) };
        tracing::warn!("{}{help}", warning.message);
    }
}

/// A listener with TLS, as far as its certificates go.
#[derive(Clone)]
pub struct Secure {
    tls: Arc<Tls>,
    managed: Arc<Managed>,
    challenges: Arc<Challenges>,
    address: String,
}

impl Secure {
    /// What its certificates were read from.
    pub fn files(&self) -> Vec<PathBuf> {
        self.tls.summary().files
    }

    /// When the first stapled answer of an authority runs out, in seconds of Unix time.
    pub fn staple_ends(&self) -> Option<u64> {
        self.tls.summary().staple_ends_unix_s
    }

    /// Reads the certificates again. If that fails, the old ones go on being served.
    fn reload(&self, clock: &dyn Clock) {
        match self.tls.reload(unix_now(clock)) {
            Ok(summary) => {
                warn(&summary);
                let Summary { certificates, names, .. } = summary;
                terminal::say(&format!("{}: {certificates} certificates for {names} hosts are read", self.address));
            }
            Err(problems) => {
                for problem in problems {
                    let TlsProblem { message, help, .. } = problem;
                    let address = &self.address;
                    tracing::error!("{address}: {message} ({help}); what was read before goes on being served");
                }
            }
        }
    }
}

/// Reads the certificates again. What can't be read leaves in place what was.
pub async fn read_again(secure: &[Secure], clock: &Arc<dyn Clock>) {
    let (secure, clock) = (secure.to_vec(), clock.clone());
    let reload = move || secure.iter().for_each(|secure| secure.reload(&*clock));
    // Thousands of keys take a while to be read.
    if tokio::task::spawn_blocking(reload).await.is_err() {
        tracing::error!("the certificates could not be read again; those that were read go on being served");
    }
}

fn failures(secure: &[Secure]) -> Vec<Point> {
    let of = |secure: &Secure, reason: Reason| Point {
        labels: vec![("listener", secure.address.clone()), ("reason", reason.name().to_owned())],
        value: secure.tls.failures(reason),
    };
    secure.iter().flat_map(|secure| Reason::ALL.into_iter().map(move |reason| of(secure, reason))).collect()
}

/// Counts handshakes for the metrics.
pub fn observe(metrics: &Metrics, secure: &[Secure]) {
    let sum = |secure: &[Secure], of: fn(Handshakes) -> u64| {
        let all: Vec<Arc<Tls>> = secure.iter().map(|secure| secure.tls.clone()).collect();
        move || all.iter().map(|tls| of(tls.handshakes())).sum()
    };
    let rows: [(&str, &str, fn(Handshakes) -> u64); 3] = [
        ("selvedge_tls_handshakes_full_total", "TLS handshakes that began a session.", |count| count.full),
        ("selvedge_tls_handshakes_resumed_total", "TLS handshakes that went on with a session.", |count| count.resumed),
        ("selvedge_tls_handshakes_failed_total", "TLS handshakes that failed.", |count| count.failed),
    ];
    for (name, help, of) in rows {
        metrics.observe_value(name, help, Kind::Counter, sum(secure, of));
    }
    let all = secure.to_vec();
    let help = "TLS handshakes that failed, by listener and reason.";
    metrics.observe_points("selvedge_tls_failures_total", help, Kind::Counter, move || failures(&all));
    let all = secure.to_vec();
    let expires = move || {
        let soonest = all.iter().filter_map(|secure| secure.tls.summary().expires_unix_s).min();
        soonest.unwrap_or(0)
    };
    let help = "When the first certificate expires, in seconds of Unix time; 0 without one.";
    metrics.observe_value("selvedge_tls_certificate_expires_seconds", help, Kind::Gauge, expires);
}
