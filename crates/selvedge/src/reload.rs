//! Reads the configuration again, when told to: by SIGHUP, or by the admin API.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use base::{AppName, Clock, NodeLimits, code};
use control_api::{ApiError, Reloaded};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use net::DnsOptions;
use tokio::sync::{mpsc, oneshot};

use crate::config::{self, AcmeConfig, ArchiveConfig, NodeConfig, S3Config, last};
use crate::listeners::{self, ListenerOptions, Opened, Secure};
use crate::live::{Applied, Live};
use crate::terminal;
use crate::watch::Watch;
use crate::wire::{Apps, QUOTAS, Quotas, Storage};

type Asked = oneshot::Sender<Result<Applied, String>>;

/// How others ask for it.
#[derive(Clone)]
pub struct Bell(mpsc::Sender<Asked>);

/// Hears them.
pub struct Heard(mpsc::Receiver<Asked>);

pub fn bell() -> (Bell, Heard) {
    let (sender, receiver) = mpsc::channel(8);
    (Bell(sender), Heard(receiver))
}

impl Bell {
    /// For the admin API.
    pub fn ask(&self) -> BoxFuture<'static, Result<Reloaded, ApiError>> {
        let bell = self.0.clone();
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let gone = || ApiError::new(&code::DRAINING, "the node is stopping".to_owned());
            bell.send(answer).await.map_err(|_| gone())?;
            Ok(match answered.await.map_err(|_| gone())? {
                Ok(Applied { changed, later }) => Reloaded { changed, later, problem: None },
                Err(problem) => Reloaded { problem: Some(problem), ..Reloaded::default() },
            })
        })
    }
}

/// The answer of `dev`, which follows its project by itself.
pub fn nothing() -> BoxFuture<'static, Result<Reloaded, ApiError>> {
    let told = "`selvedge dev` has no configuration to read; it follows the files of its project by itself";
    Box::pin(std::future::ready(Ok(Reloaded { changed: vec![told.to_owned()], ..Reloaded::default() })))
}

/// What is as it was at the start for as long as a node runs.
#[derive(PartialEq, Eq)]
pub struct Fixed {
    s3: S3Config,
    acme: Option<AcmeConfig>,
    cache_disk: Option<PathBuf>,
    archive: Option<ArchiveConfig>,
    countries: Option<PathBuf>,
    dns: DnsOptions,
    /// Whose certificates are asked of an authority.
    hosts: Vec<Vec<String>>,
}

impl Fixed {
    pub fn of(config: &NodeConfig) -> Self {
        let secured = config.listeners.iter().filter_map(|listener| listener.tls.as_ref());
        Self {
            s3: config.s3.clone(),
            acme: config.acme.clone(),
            cache_disk: config.cache_disk.clone(),
            archive: config.archive.clone(),
            countries: config.countries.as_ref().map(|file| file.path.clone()),
            dns: config.dns.clone(),
            hosts: secured.flat_map(|tls| tls.acme.clone()).collect(),
        }
    }

    /// The names of what would be different.
    fn differences(&self, other: &Self) -> impl Iterator<Item = &'static str> {
        let rows = [
            ("[s3]", self.s3 == other.s3),
            ("[acme]", self.acme == other.acme),
            ("[cache]", self.cache_disk == other.cache_disk),
            ("[archive]", self.archive == other.archive),
            ("[geo]", self.countries == other.countries),
            ("[dns]", self.dns == other.dns),
            ("tls.acme", self.hosts == other.hosts),
        ];
        rows.into_iter().filter(|(_, same)| !same).map(|(what, _)| what)
    }
}

/// Until certificates are read again that could not be read when a stapled answer of theirs ran out.
const STAPLE_AGAIN: Duration = Duration::from_secs(60);

/// What is followed.
pub struct Follower {
    pub live: Live,
    pub secure: Vec<Secure>,
    /// The file, and what the command line says beside it.
    pub config: Option<PathBuf>,
    pub listen: Option<SocketAddr>,
    pub fixed: Fixed,
    /// How data is kept, as it was at the start but for quotas, and where it lies.
    pub storage: Storage,
    pub data: PathBuf,
    pub quotas: Arc<Quotas>,
    pub clock: Arc<dyn Clock>,
}

impl Follower {
    /// Reads certificates again when a file of theirs changes, and everything when told to. Never
    /// ends by itself.
    pub async fn run(mut self, mut heard: Heard) -> Result<()> {
        let mut told = terminal::hangup_signal()?;
        let mut watch = Watch::new()?;
        loop {
            let files: Vec<PathBuf> = self.secure.iter().flat_map(Secure::files).collect();
            watch.follow(&files);
            tokio::select! {
                _ = told.next() => match self.reload() {
                    Ok(applied) => say(&applied),
                    Err(error) => tracing::error!("nothing is changed: {error:#}"),
                },
                Some(answer) = heard.0.recv() => {
                    let reloaded = self.reload();
                    if let Ok(applied) = &reloaded {
                        say(applied);
                    }
                    // Whoever asked may have left.
                    let _ = answer.send(reloaded.map_err(|error| format!("{error:#}")));
                }
                _ = watch.changed() => listeners::read_again(&self.secure, &self.clock).await,
                // What can be stapled no longer goes, and is told.
                () = self.staple_over() => listeners::read_again(&self.secure, &self.clock).await,
            }
        }
    }

    /// Ends when the first stapled answer of an authority does.
    async fn staple_over(&self) {
        match self.secure.iter().filter_map(Secure::staple_ends).min() {
            Some(ends_s) => {
                // A second later, for times of certificates are whole seconds. If it is over and still there,
                // nothing could be read, of which the log has a line.
                let left_ms = (ends_s + 1).saturating_mul(1_000).saturating_sub(self.clock.unix_ms());
                let left = if left_ms == 0 { STAPLE_AGAIN } else { Duration::from_millis(left_ms) };
                tokio::time::sleep(left).await;
            }
            None => std::future::pending().await,
        }
    }

    fn reload(&mut self) -> Result<Applied> {
        let config = config::read(self.config.as_deref())?;
        let fixed = Fixed::of(&config);
        let opened =
            listeners::open(config.listeners, config.file.as_ref(), &config.limits, &*self.clock, &self.secure)?;
        let Opened { listeners: configured, secure, .. } = opened;
        let listen = self.listen.or(configured.is_empty().then_some(config::LISTEN));
        let listeners = listen.map(ListenerOptions::plain).into_iter().chain(configured).collect();
        let now = Duration::from_millis(self.clock.unix_ms());
        let mut applied = self.live.apply(listeners, &config.limits, now)?;
        let later = |what| format!("{what} changes with the next start");
        applied.later.extend(self.fixed.differences(&fixed).map(later));
        self.set_quotas(&config.limits, config.apps, &mut applied);
        self.secure = secure;
        Ok(applied)
    }

    /// Lets the next write of each app meet the quotas that it has now, and commands on the data of this node when it
    /// is stopped.
    fn set_quotas(&mut self, limits: &NodeLimits, apps: Apps, applied: &mut Applied) {
        self.quotas.set(limits, &apps);
        for name in QUOTAS {
            if let Some(value) = limits.get(name) {
                self.storage.limits.set(name, value);
            }
        }
        let (before, now) = (std::mem::replace(&mut self.storage.apps, apps.clone()), apps);
        let names: BTreeSet<&AppName> = before.keys().chain(now.keys()).collect();
        for app in names {
            let of = |apps: &Apps, name: &str| apps.get(app).unwrap_or(limits).get(name);
            for name in QUOTAS.iter().filter(|name| of(&before, name) != of(&now, name)) {
                applied.changed.push(format!("apps.{app}.{name} is {}", of(&now, name).unwrap_or_default()));
            }
        }
        last::leave(&self.data, &self.storage);
    }
}

fn say(applied: &Applied) {
    let nothing = applied.changed.is_empty() && applied.later.is_empty();
    if nothing {
        terminal::say("the configuration is read again; nothing is different");
    }
    for line in &applied.changed {
        terminal::say(line);
    }
    for line in &applied.later {
        terminal::say(&format!("warning: {line}"));
    }
}
