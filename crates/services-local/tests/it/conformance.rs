use std::sync::Arc;

use base::NodeLimits;
use services::conformance::{self, Subject};
use services_local::{DataDir, DataDirOptions};
use testkit::ManualClock;

use crate::Place;

fn subject<P>(get: impl Fn(&DataDir) -> Arc<P>) -> Subject<P> {
    limited(NodeLimits::default(), get)
}

fn limited<P>(limits: NodeLimits, get: impl Fn(&DataDir) -> Arc<P>) -> Subject<P> {
    let (place, clock) = (Place::in_memory(), ManualClock::new());
    let options = DataDirOptions { clock: clock.clone(), limits, ..place.options() };
    let data = DataDir::open(place.data(), options).expect("the data directory opens");
    let advance = clock.clone();
    Subject {
        provider: get(&data),
        clock,
        advance: Box::new(move |ms| advance.advance(ms)),
        keep: Box::new((data, place)),
    }
}

#[test]
fn local_kv_conforms() {
    conformance::kv(|| subject(DataDir::kv));
}

#[test]
fn local_kv_conforms_at_its_limits() {
    conformance::kv_limits(|| limited(conformance::small_limits(), DataDir::kv));
}

#[test]
fn local_sql_conforms() {
    conformance::sql(|| subject(DataDir::sql));
}

#[test]
fn local_artifacts_conform() {
    conformance::artifacts(|| subject(DataDir::artifacts));
}

#[test]
fn local_releases_conform() {
    conformance::releases(|| subject(DataDir::releases));
}

#[test]
fn local_secrets_conform() {
    conformance::secrets(|| subject(|data| data.secrets().expect("the node key is made")));
}

#[test]
fn local_objects_conform() {
    conformance::objects(|| subject(|data| data.objects().expect("their files are made")));
}
