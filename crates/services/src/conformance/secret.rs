use base::{AppName, ResourceName, Secret, TenantName, code};
use bytes::Bytes;

use super::{Subject, block_on};
use crate::secret::SECRET_BYTES_MAX;
use crate::{AppId, SecretStore};

/// The suite of [`SecretStore`]. `open` gives a fresh provider.
pub fn secrets<P: SecretStore>(open: impl Fn() -> Subject<P>) {
    block_on(async {
        values_come_back_and_versions_rise(&open()).await;
        apps_share_nothing(&*open().provider).await;
        bad_values_are_refused(&*open().provider).await;
    });
}

fn app(tenant: &str, name: &str) -> AppId {
    AppId::new(TenantName::parse(tenant).expect("a name"), AppName::parse(name).expect("a name"))
}

fn name(name: &str) -> ResourceName {
    ResourceName::parse(name).expect("a name")
}

fn value(bytes: impl Into<Bytes>) -> Secret<Bytes> {
    Secret::new(bytes.into())
}

async fn values_come_back_and_versions_rise<P: SecretStore>(subject: &Subject<P>) {
    let (store, shop, key) = (&*subject.provider, app("acme", "shop"), name("api-key"));
    assert!(store.get(&shop, &key).await.expect("get").is_none());
    let start = store.generation();
    let first = store.put(&shop, &key, value("one")).await.expect("put");
    let entry = store.get(&shop, &key).await.expect("get").expect("it is set");
    assert_eq!((entry.value.expose().as_ref(), entry.version), (b"one".as_slice(), first));
    assert!(!format!("{entry:?}").contains("one"), "a value is never printed");
    (subject.advance)(7);
    let generation = store.generation();
    assert!(generation > start);
    let second = store.put(&shop, &key, value("two")).await.expect("put");
    assert!(second > first);
    assert!(store.generation() > generation);
    store.put(&shop, &name("a-name"), value(vec![0; SECRET_BYTES_MAX])).await.expect("the longest");
    let listed = store.list(&shop).await.expect("list");
    assert_eq!(listed.iter().map(|info| info.name.as_str()).collect::<Vec<_>>(), ["a-name", "api-key"]);
    assert_eq!((listed[1].version, listed[1].updated_ms), (second, subject.clock.unix_ms()));
    let generation = store.generation();
    assert!(store.delete(&shop, &key).await.expect("delete"));
    assert!(!store.delete(&shop, &key).await.expect("delete"));
    assert!(store.generation() > generation);
    assert!(store.get(&shop, &key).await.expect("get").is_none());
    assert!(store.put(&shop, &key, value("three")).await.expect("put") > second);
}

async fn apps_share_nothing(store: &impl SecretStore) {
    let key = name("api-key");
    let (one, two, three) = (app("acme", "shop"), app("acme", "blog"), app("other", "shop"));
    store.put(&one, &key, value("one")).await.expect("put");
    store.put(&two, &key, value("two")).await.expect("put");
    assert!(store.get(&three, &key).await.expect("get").is_none());
    assert!(!store.delete(&three, &key).await.expect("delete"));
    store.delete(&one, &key).await.expect("delete");
    let entry = store.get(&two, &key).await.expect("get").expect("untouched");
    assert_eq!(entry.value.expose().as_ref(), b"two");
}

async fn bad_values_are_refused(store: &impl SecretStore) {
    let (shop, key) = (app("acme", "shop"), name("api-key"));
    for bad in [Bytes::new(), vec![1; SECRET_BYTES_MAX + 1].into()] {
        let error = store.put(&shop, &key, value(bad)).await.expect_err("refused");
        assert_eq!(error.code().name, code::BAD_SECRET.name);
    }
    assert!(store.list(&shop).await.expect("list").is_empty());
}
