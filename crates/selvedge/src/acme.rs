//! Keeps the certificates that the node gets from an authority: reads what is kept, asks when it is
//! time, and puts what comes of it where handshakes find it.
//!
//! Certificates and the account's key lie among the secrets, under a tenant that no app can have:
//! sealed, in every backup, and shared where the secrets are shared. Before the authority is asked,
//! they are read again: another node may have been faster.
//!
//! **When.** At two thirds of a certificate's life, less up to a twentieth so that a fleet does not
//! ask at once. After a failure the next attempt waits longer each time. What was there before goes
//! on being served, past its end if need be: a client that minds is no worse off than without.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base::{AppName, Clock, Digest, NodeLimits, ResourceName, Rng, Secret, SystemRng, TenantName};
use bytes::Bytes;
use control_api::{ApiError, CertificateEntry, RenewRequest};
use futures_util::future::BoxFuture;
use net::acme::{Authority, SetRecord};
use net::tls::{Challenges, Issued, Managed, Term};
use net::{Connector, ConnectorOptions, Tls};
use serde::{Deserialize, Serialize};
use services::AppId;
use services::secret::{SecretName, SecretStore};
use tokio::sync::{mpsc, oneshot};

use crate::config::AcmeConfig;
use crate::terminal;

/// The longest that nothing is looked at.
const LOOK: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);
/// How long a hook may take.
const HOOK: Duration = Duration::from_secs(120);
/// How long an authority may take to look at the proofs, or to issue.
const PATIENCE: Duration = Duration::from_secs(120);

/// One certificate that a listener wants.
#[derive(Clone)]
pub struct Wanted {
    pub hosts: Vec<String>,
    pub managed: Arc<Managed>,
    pub tls: Arc<Tls>,
}

/// What is kept of a certificate.
#[derive(Serialize, Deserialize)]
struct Kept {
    chain: String,
    key: String,
}

type Asked = (Option<RenewRequest>, oneshot::Sender<Vec<CertificateEntry>>);

/// How others ask about certificates.
#[derive(Clone)]
pub struct Desk(mpsc::Sender<Asked>);

/// Hears them.
pub struct Heard(mpsc::Receiver<Asked>);

pub fn desk() -> (Desk, Heard) {
    let (sender, receiver) = mpsc::channel(8);
    (Desk(sender), Heard(receiver))
}

impl Desk {
    /// What there is, after those that are named were asked for. Nothing, where no authority is.
    pub fn ask(&self, renew: Option<RenewRequest>) -> BoxFuture<'static, Result<Vec<CertificateEntry>, ApiError>> {
        let desk = self.0.clone();
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            if desk.send((renew, answer)).await.is_err() {
                return Ok(Vec::new());
            }
            Ok(answered.await.unwrap_or_default())
        })
    }
}

/// Keeps the certificates of a node.
pub struct Keeper {
    authority: Authority,
    secrets: Arc<dyn SecretStore>,
    place: AppId,
    wanted: Vec<Entry>,
    clock: Arc<dyn Clock>,
}

struct Entry {
    wanted: Wanted,
    name: SecretName,
    term: Option<Term>,
    /// Of the secret that was read last.
    version: u64,
    failures: u32,
    problem: Option<String>,
    next: Duration,
}

impl Keeper {
    pub fn new(
        config: &AcmeConfig,
        wanted: Vec<Wanted>,
        challenges: Arc<Challenges>,
        secrets: Arc<dyn SecretStore>,
        clock: Arc<dyn Clock>,
        limits: &NodeLimits,
    ) -> Result<Self> {
        let options = ConnectorOptions { extra_ca: config.ca.clone(), ..ConnectorOptions::from(limits) };
        let authority = Authority {
            directory: config.directory.clone(),
            contact: config.contact.clone(),
            external: config.external.clone(),
            proof: config.proof,
            set_record: config.dns_hook.clone().map(hook),
            connector: Connector::new(options),
            challenges,
            patience: PATIENCE,
        };
        let name = |text: &str| TenantName::parse(text).ok().zip(AppName::parse("acme").ok());
        let (tenant, app) = name("node").context("the names of what is kept are valid")?;
        let entry = |wanted: Wanted| Entry {
            name: secret_name("cert", &wanted.hosts.join(" ")),
            wanted,
            term: None,
            version: 0,
            failures: 0,
            problem: None,
            next: Duration::ZERO,
        };
        let wanted = wanted.into_iter().map(entry).collect();
        Ok(Self { authority, secrets, place: AppId::new(tenant, app), wanted, clock })
    }

    /// Reads what is kept, so that it is served from the first handshake on.
    pub async fn load(&mut self) {
        for at in 0..self.wanted.len() {
            if let Err(error) = self.read(at).await {
                let hosts = self.wanted[at].wanted.hosts.join(", ");
                tracing::error!("the certificate for {hosts} that is kept can't be read: {error:#}");
            }
        }
    }

    /// Asks for certificates when it is time, or when told to. Never ends by itself.
    pub async fn run(mut self, mut heard: Heard) {
        loop {
            let now = self.now();
            let soonest = (0..self.wanted.len()).min_by_key(|at| self.wanted[*at].next);
            let due = soonest.map(|at| self.wanted[at].next);
            // Looked at again now and then: a clock may be set.
            let wait = due.map_or(LOOK, |due| due.saturating_sub(now).min(LOOK));
            tokio::select! {
                Some((renew, answer)) = heard.0.recv() => {
                    for at in 0..self.wanted.len() {
                        if renew.as_ref().is_some_and(|renew| is_asked(renew, &self.wanted[at].wanted.hosts)) {
                            self.attempt(at, true).await;
                        }
                    }
                    // Whoever asked may have left.
                    let asked = |entry: &&Entry| renew.as_ref().is_none_or(|renew| is_asked(renew, &entry.wanted.hosts));
                    let _ = answer.send(self.wanted.iter().filter(asked).map(Entry::told).collect());
                }
                () = tokio::time::sleep(wait) => {
                    if let Some(at) = soonest.filter(|at| self.wanted[*at].next <= self.now()) {
                        self.attempt(at, false).await;
                    }
                }
            }
        }
    }

    /// Asks for one certificate; `now` even if one that is good is kept.
    async fn attempt(&mut self, at: usize, now: bool) {
        let hosts = self.wanted[at].wanted.hosts.join(", ");
        match self.renew(at, now).await {
            Ok(true) => terminal::say(&format!("a certificate for {hosts} was issued")),
            Ok(false) => {}
            Err(error) => {
                let next = self.now();
                let entry = &mut self.wanted[at];
                let pause = pause(entry.failures, &SystemRng);
                entry.failures += 1;
                entry.next = next + pause;
                entry.problem = Some(format!("{error:#}"));
                let kept = if entry.term.is_some() { "; the old one goes on being served" } else { "" };
                let seconds = pause.as_secs();
                tracing::error!("no certificate for {hosts}: {error:#}{kept}; the next attempt is in {seconds} s");
            }
        }
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.clock.unix_ms())
    }

    /// Takes what is kept, if it is news; answers whether it was.
    async fn read(&mut self, at: usize) -> Result<bool> {
        let entry = &self.wanted[at];
        let Some(found) = self.secrets.get(&self.place, &entry.name).await? else { return Ok(false) };
        if found.version == entry.version {
            return Ok(false);
        }
        let kept: Kept = serde_json::from_slice(found.value.expose())?;
        let issued = Issued { chain_pem: kept.chain, key_pem: Secret::new(kept.key) };
        self.take(at, issued, found.version).await?;
        Ok(true)
    }

    async fn take(&mut self, at: usize, issued: Issued, version: u64) -> Result<()> {
        let term = issued.term().map_err(anyhow::Error::msg)?;
        let now = self.now();
        let entry = &mut self.wanted[at];
        entry.next = due(&term, &SystemRng);
        entry.failures = 0;
        entry.problem = None;
        entry.version = version;
        entry.term = Some(term);
        entry.wanted.managed.put(entry.name.name.as_str(), issued);
        let tls = entry.wanted.tls.clone();
        let reloaded = tokio::task::spawn_blocking(move || tls.reload(now)).await?;
        reloaded
            .map_err(|problems| anyhow::anyhow!("{}", problems.first().map_or("", |first| first.message.as_str())))?;
        Ok(())
    }

    /// Gets a certificate, unless another node has; answers whether this one did.
    async fn renew(&mut self, at: usize, now: bool) -> Result<bool> {
        if self.read(at).await? && self.wanted[at].next > self.now() && !now {
            return Ok(false);
        }
        let account_name = secret_name("account", &self.authority.directory);
        let account = self.secrets.get(&self.place, &account_name).await?;
        let account = match account {
            Some(found) => Some(Secret::new(String::from_utf8(found.value.expose().to_vec())?)),
            None => None,
        };
        let obtained = self.authority.obtain(account.as_ref(), &self.wanted[at].wanted.hosts).await?;
        if let Some(account) = obtained.account {
            let bytes = Secret::new(Bytes::from(account.expose().clone()));
            self.secrets.put(&self.place, &account_name, bytes, 0).await?;
        }
        let issued = obtained.issued;
        let kept = Kept { chain: issued.chain_pem.clone(), key: issued.key_pem.expose().clone() };
        let bytes = Secret::new(Bytes::from(serde_json::to_vec(&kept)?));
        let version = self.secrets.put(&self.place, &self.wanted[at].name, bytes, 0).await?;
        self.take(at, issued, version).await?;
        Ok(true)
    }
}

impl Entry {
    fn told(&self) -> CertificateEntry {
        let ms = |at: Duration| u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        CertificateEntry {
            hosts: self.wanted.hosts.clone(),
            expires_ms: self.term.as_ref().map(|term| ms(term.not_after)),
            next_ms: ms(self.next),
            problem: self.problem.clone(),
        }
    }
}

fn is_asked(renew: &RenewRequest, hosts: &[String]) -> bool {
    renew.host.as_ref().is_none_or(|host| hosts.contains(host))
}

/// A name for what may be as long as it likes.
fn secret_name(kind: &str, of: &str) -> SecretName {
    let sum = Digest::of(of.as_bytes());
    let sum: String = sum.as_bytes()[..10].iter().map(|byte| format!("{byte:02x}")).collect();
    let Ok(name) = ResourceName::parse(&format!("{kind}-{sum}")) else { unreachable!("letters and digits are a name") };
    SecretName::new(name)
}

/// A share of one that is drawn anew each time.
fn share(rng: &dyn Rng) -> f64 {
    let mut bytes = [0; 4];
    rng.fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

/// When a certificate is to be replaced.
fn due(term: &Term, rng: &dyn Rng) -> Duration {
    let life = term.not_after.saturating_sub(term.not_before);
    term.not_before + life.mul_f64(2.0 / 3.0 - share(rng) / 20.0)
}

/// How long to wait after so many failures before.
fn pause(failures: u32, rng: &dyn Rng) -> Duration {
    let full = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(LONGEST_PAUSE);
    full.mul_f64(0.75 + share(rng) / 4.0)
}

/// Calls a program to change a record.
fn hook(program: PathBuf) -> SetRecord {
    Arc::new(move |name, value, there| {
        let program = program.clone();
        let called = async move { call(&program, &name, &value, there).await.map_err(|error| format!("{error:#}")) };
        Box::pin(called) as Pin<Box<dyn Future<Output = Result<(), String>> + Send>>
    })
}

async fn call(program: &Path, name: &str, value: &str, there: bool) -> Result<()> {
    let mut command = tokio::process::Command::new(program);
    command.arg(if there { "set" } else { "unset" }).args([name, value]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let shown = program.display();
    let output = tokio::time::timeout(HOOK, command.output()).await;
    let output = output.with_context(|| format!("{shown} took longer than {} s", HOOK.as_secs()))?;
    let output = output.with_context(|| format!("{shown} can't be run"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::bail!("{shown} ended with {}: {}", output.status, said.trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Always the same.
    struct Fixed(u8);

    impl Rng for Fixed {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }

    #[test]
    fn a_certificate_is_replaced_at_two_thirds_of_its_life_or_a_little_before() {
        let at = Duration::from_secs;
        let term = Term { names: Vec::new(), not_before: at(1_000), not_after: at(1_600) };
        assert_eq!(due(&term, &Fixed(0)), at(1_400));
        let earliest = due(&term, &Fixed(255));
        assert!(earliest < at(1_371) && earliest >= at(1_369), "{earliest:?}");
    }

    #[test]
    fn pauses_double_up_to_a_quarter_of_a_day() {
        assert_eq!(pause(0, &Fixed(255)), FIRST_PAUSE);
        assert_eq!(pause(3, &Fixed(255)), FIRST_PAUSE * 8);
        assert_eq!(pause(3, &Fixed(0)), FIRST_PAUSE * 6);
        assert_eq!(pause(60, &Fixed(255)), LONGEST_PAUSE);
    }
}
