//! Random sequences of operations on secrets, compared with the memory model.

use base::{AppName, ResourceName, Secret, TenantName};
use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::{Subject, block_on, random};
use crate::memory::MemorySecrets;
use crate::{AppId, SecretError, SecretName, SecretStore};

#[derive(Clone, Debug)]
enum Op {
    Put {
        at: At,
        value: u16,
        overlap_ms: u64,
    },
    Get(At),
    Versions(At),
    /// To the version that was given so many changes ago, to whichever name.
    RollBack {
        at: At,
        back: usize,
    },
    Delete(At),
    List(usize),
    OverlapEnd,
    Advance(u64),
}

/// A name in an app.
#[derive(Clone, Copy, Debug)]
struct At {
    app: usize,
    name: usize,
}

const APPS: [&str; 2] = ["shop", "blog"];
/// Names, and the environments of their values.
const NAMES: [(&str, Option<&str>); 4] = [("api-key", None), ("api-key", Some("staging")), ("api", None), ("z", None)];

pub fn compare<P: SecretStore>(open: impl Fn() -> Subject<P>) {
    random("secrets", op(), |ops| block_on(run(&open(), ops)));
}

fn op() -> impl Strategy<Value = Op> {
    let at = || (0..APPS.len(), 0..NAMES.len()).prop_map(|(app, name)| At { app, name });
    let overlap = prop_oneof![1 => Just(0), 2 => 1..2_000_u64];
    prop_oneof![
        5 => (at(), 0..400_u16, overlap).prop_map(|(at, value, overlap_ms)| Op::Put { at, value, overlap_ms }),
        4 => at().prop_map(Op::Get),
        2 => at().prop_map(Op::Versions),
        2 => (at(), 0..30_usize).prop_map(|(at, back)| Op::RollBack { at, back }),
        1 => at().prop_map(Op::Delete),
        1 => (0..APPS.len()).prop_map(Op::List),
        1 => Just(Op::OverlapEnd),
        2 => (1..1_500_u64).prop_map(Op::Advance),
    ]
}

/// One side of the comparison, with the versions that it gave so far: their numbers differ between
/// the sides, their order does not.
struct Side<'a, S> {
    secrets: &'a S,
    given: Vec<u64>,
}

impl<S: SecretStore> Side<'_, S> {
    fn index(&self, version: u64) -> usize {
        self.given.iter().rposition(|&given| given == version).expect("a version was given before")
    }

    fn note(&mut self, version: u64) -> String {
        assert!(self.given.last().is_none_or(|&last| last < version), "versions rise");
        self.given.push(version);
        format!("version {}", self.given.len())
    }

    async fn run(&mut self, op: &Op) -> String {
        let before = self.secrets.generation();
        let seen = match self.try_run(op).await {
            Ok(seen) => seen,
            // Its text names the version, which differs.
            Err(error) => error.code().name.to_owned(),
        };
        // That it rises with each change is promised, not by how much.
        format!("{seen}; changed {}", self.secrets.generation() > before)
    }

    async fn try_run(&mut self, op: &Op) -> Result<String, SecretError> {
        match *op {
            Op::Put { at, value, overlap_ms } => {
                let (app, name) = place(at);
                // From nothing at all, which is refused, to more than a page.
                let bytes = Bytes::from(vec![value as u8; usize::from(value) * 13]);
                let version = self.secrets.put(&app, &name, Secret::new(bytes), overlap_ms).await?;
                Ok(self.note(version))
            }
            Op::RollBack { at, back } => {
                let (app, name) = place(at);
                let version = self.given.len().checked_sub(back + 1).map_or(u64::MAX >> 1, |n| self.given[n]);
                let version = self.secrets.roll_back(&app, &name, version).await?;
                Ok(self.note(version))
            }
            Op::Get(at) => {
                let (app, name) = place(at);
                let Some(entry) = self.secrets.get(&app, &name).await? else { return Ok("nothing".into()) };
                let previous =
                    entry.previous.map(|p| (base::Digest::of(p.value.expose()), self.index(p.version), p.until_ms));
                let value = base::Digest::of(entry.value.expose());
                Ok(format!("{value} {} {previous:?}", self.index(entry.version)))
            }
            Op::Versions(at) => {
                let (app, name) = place(at);
                let kept = self.secrets.versions(&app, &name).await?;
                let kept = kept.iter().map(|v| (self.index(v.version), v.updated_ms, v.previous_until_ms));
                Ok(format!("{:?}", kept.collect::<Vec<_>>()))
            }
            Op::Delete(at) => {
                let (app, name) = place(at);
                Ok(format!("existed {}", self.secrets.delete(&app, &name).await?))
            }
            Op::List(app) => {
                let listed = self.secrets.list(&app_id(app)).await?;
                let listed =
                    listed.iter().map(|info| (info.name.to_string(), self.index(info.version), info.updated_ms));
                Ok(format!("{:?}", listed.collect::<Vec<_>>()))
            }
            Op::OverlapEnd => Ok(format!("{:?}", self.secrets.overlap_end().await?)),
            Op::Advance(_) => Ok(String::new()),
        }
    }
}

fn app_id(app: usize) -> AppId {
    AppId::new(TenantName::parse("acme").expect("a name"), AppName::parse(APPS[app]).expect("a name"))
}

fn place(at: At) -> (AppId, SecretName) {
    let resource = |text: &str| ResourceName::parse(text).expect("a name");
    let (name, env) = NAMES[at.name];
    (app_id(at.app), SecretName { name: resource(name), env: env.map(resource) })
}

async fn run<P: SecretStore>(subject: &Subject<P>, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let model = MemorySecrets::new(subject.clock.clone());
    let mut expected = Side { secrets: &model, given: Vec::new() };
    let mut found = Side { secrets: &*subject.provider, given: Vec::new() };
    for (n, op) in ops.iter().enumerate() {
        if let Op::Advance(ms) = op {
            (subject.advance)(*ms);
        }
        let (expected, found) = (expected.run(op).await, found.run(op).await);
        prop_assert_eq!(found, expected, "operation {}: {:?}", n, op);
    }
    Ok(())
}
