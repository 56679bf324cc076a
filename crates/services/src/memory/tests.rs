use std::sync::Arc;

use base::NodeLimits;
use testkit::ManualClock;

use super::*;
use crate::conformance::{self, Subject};
use crate::{KvLimits, ObjectLimits};

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
fn the_model_of_kv_conforms_at_its_limits() {
    let limits = KvLimits::from(&conformance::small_limits());
    conformance::kv_limits(|| subject(|clock| MemoryKv::new(clock, limits.clone())));
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

#[test]
fn the_model_of_blobs_conforms() {
    conformance::blobs(|| subject(|clock| MemoryBlobs::new(clock, crate::blob::BlobLimits::default())));
}

#[test]
fn the_model_of_access_keys_conforms() {
    conformance::access_keys(|| subject(|clock| MemoryAccessKeys::new(clock)));
}

#[test]
fn a_snapshot_puts_back_what_was_there_and_revisions_go_on() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(snapshots());
}

async fn snapshots() {
    let name = |text: &str| base::ResourceName::parse(text).expect("a name");
    let ns = |text| {
        let (tenant, app) = (base::TenantName::parse("t"), base::AppName::parse("a"));
        crate::KvNamespace::new(tenant.expect("a name"), app.expect("a name"), name(text))
    };
    let kv = MemoryKv::new(ManualClock::new(), KvLimits::default());
    let put = async |namespace, key, value: &'static str| {
        let receipt = crate::Kv::put(&kv, &namespace, key, base::Body::full(value), crate::PutOptions::default()).await;
        receipt.expect("it is put").revision
    };
    let get = async |namespace, key| {
        let entry = crate::Kv::get(&kv, &namespace, key).await.expect("an answer");
        entry.map(|entry| entry.revision)
    };
    let first = put(ns("one"), "a", "1").await;
    let snapshot = kv.snapshot();
    let second = put(ns("one"), "a", "2").await;
    put(ns("two"), "b", "3").await;
    kv.restore(&snapshot);
    assert_eq!(get(ns("one"), "a").await, Some(first));
    assert_eq!(get(ns("two"), "b").await, None);
    assert!(put(ns("one"), "a", "4").await > second);
    kv.restore(&KvSnapshot::default());
    assert_eq!(get(ns("one"), "a").await, None);
}

#[test]
fn the_model_of_objects_conforms() {
    conformance::objects(|| subject(|clock| MemoryObjects::new(clock, ObjectLimits::from(&NodeLimits::default()))));
}
