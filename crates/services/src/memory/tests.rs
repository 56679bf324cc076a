use std::sync::Arc;

use base::NodeLimits;
use testkit::ManualClock;

use super::*;
use crate::KvLimits;
use crate::conformance::{self, Subject};

fn subject<P>(open: impl Fn(Arc<ManualClock>) -> P) -> Subject<P> {
    let clock = ManualClock::new();
    let advance = clock.clone();
    Subject {
        provider: Arc::new(open(clock.clone())),
        clock,
        advance: Box::new(move |ms| advance.advance(ms)),
        keep: Box::new(()),
    }
}

#[test]
fn the_model_of_kv_conforms() {
    conformance::kv(|| subject(|clock| MemoryKv::new(clock, KvLimits::default())));
}

#[test]
fn the_model_of_artifacts_conforms() {
    conformance::artifacts(|| subject(|_| MemoryArtifacts::new(&NodeLimits::default())));
}

#[test]
fn the_model_of_releases_conforms() {
    conformance::releases(|| subject(|clock| MemoryReleases::new(clock)));
}

#[test]
fn the_model_of_secrets_conforms() {
    conformance::secrets(|| subject(|clock| MemorySecrets::new(clock)));
}
