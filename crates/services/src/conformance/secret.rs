use base::{AppName, ResourceName, Secret, TenantName, code};
use bytes::Bytes;

use super::{Subject, block_on};
use crate::secret::{SECRET_BYTES_MAX, SECRET_VERSIONS_KEPT};
use crate::{AppId, SecretName, SecretStore};

/// The suite of [`SecretStore`]. `open` gives a fresh provider.
pub fn secrets<P: SecretStore>(open: impl Fn() -> Subject<P>) {
    block_on(async {
        values_come_back_and_versions_rise(&open()).await;
        apps_and_environments_share_nothing(&*open().provider).await;
        a_secret_and_a_configuration_value_are_two(&*open().provider).await;
        bad_values_are_refused(&*open().provider).await;
        earlier_versions_are_kept_and_come_back(&open()).await;
        the_previous_version_is_readable_while_the_overlap_lasts(&open()).await;
    });
}

fn app(tenant: &str, name: &str) -> AppId {
    AppId::new(TenantName::parse(tenant).expect("a name"), AppName::parse(name).expect("a name"))
}

fn name(name: &str) -> SecretName {
    SecretName::new(ResourceName::parse(name).expect("a name"))
}

fn value(bytes: impl Into<Bytes>) -> Secret<Bytes> {
    Secret::new(bytes.into())
}

async fn set(store: &impl SecretStore, app: &AppId, name: &SecretName, text: &'static str) -> u64 {
    store.put(app, name, value(text), 0).await.expect("put")
}

/// The value, and the previous one.
async fn read(store: &impl SecretStore, app: &AppId, name: &SecretName) -> (Bytes, Option<Bytes>) {
    let entry = store.get(app, name).await.expect("get").expect("it is set");
    (entry.value.expose().clone(), entry.previous.map(|previous| previous.value.expose().clone()))
}

async fn values_come_back_and_versions_rise<P: SecretStore>(subject: &Subject<P>) {
    let (store, shop, key) = (&*subject.provider, app("acme", "shop"), name("api-key"));
    assert!(store.get(&shop, &key).await.expect("get").is_none());
    let start = store.generation();
    let first = set(store, &shop, &key, "opensesame").await;
    let entry = store.get(&shop, &key).await.expect("get").expect("it is set");
    assert_eq!((entry.value.expose().as_ref(), entry.version), (b"opensesame".as_slice(), first));
    assert!(!format!("{entry:?}").contains("opensesame"), "a value is never printed");
    (subject.advance)(7);
    let generation = store.generation();
    assert!(generation > start);
    let second = set(store, &shop, &key, "two").await;
    assert!(second > first);
    assert!(store.generation() > generation);
    store.put(&shop, &name("a-name"), value(vec![0; SECRET_BYTES_MAX]), 0).await.expect("the longest");
    let listed = store.list(&shop).await.expect("list");
    assert_eq!(listed.iter().map(|info| info.name.to_string()).collect::<Vec<_>>(), ["a-name", "api-key"]);
    assert_eq!((listed[1].version, listed[1].updated_ms), (second, subject.clock.unix_ms()));
    let generation = store.generation();
    assert!(store.delete(&shop, &key).await.expect("delete"));
    assert!(!store.delete(&shop, &key).await.expect("delete"));
    assert!(store.generation() > generation);
    assert!(store.get(&shop, &key).await.expect("get").is_none());
    assert!(store.versions(&shop, &key).await.expect("versions").is_empty());
    assert!(set(store, &shop, &key, "three").await > second);
}

async fn apps_and_environments_share_nothing(store: &impl SecretStore) {
    let key = name("api-key");
    let staging = SecretName { env: Some(ResourceName::parse("staging").expect("a name")), ..key.clone() };
    let (one, two, three) = (app("acme", "shop"), app("acme", "blog"), app("other", "shop"));
    set(store, &one, &key, "one").await;
    set(store, &two, &key, "two").await;
    assert!(store.get(&three, &key).await.expect("get").is_none());
    assert!(store.get(&one, &staging).await.expect("get").is_none());
    assert!(!store.delete(&three, &key).await.expect("delete"));
    set(store, &one, &staging, "for staging").await;
    assert_eq!(read(store, &one, &key).await.0, "one");
    let listed = store.list(&one).await.expect("list");
    assert_eq!(listed.iter().map(|info| info.name.to_string()).collect::<Vec<_>>(), ["api-key", "api-key@staging"]);
    store.delete(&one, &key).await.expect("delete");
    assert_eq!(read(store, &two, &key).await.0, "two");
    assert_eq!(read(store, &one, &staging).await.0, "for staging");
}

async fn bad_values_are_refused(store: &impl SecretStore) {
    let (shop, key) = (app("acme", "shop"), name("api-key"));
    for bad in [Bytes::new(), vec![1; SECRET_BYTES_MAX + 1].into()] {
        let error = store.put(&shop, &key, value(bad), 0).await.expect_err("refused");
        assert_eq!(error.code().name, code::BAD_SECRET.name);
    }
    assert!(store.list(&shop).await.expect("list").is_empty());
    let error = store.roll_back(&shop, &key, 1).await.expect_err("there is none");
    assert_eq!(error.code().name, code::UNKNOWN_VERSION.name);
}

async fn earlier_versions_are_kept_and_come_back<P: SecretStore>(subject: &Subject<P>) {
    let (store, shop, key) = (&*subject.provider, app("acme", "shop"), name("api-key"));
    let first = set(store, &shop, &key, "good").await;
    (subject.advance)(5);
    let second = set(store, &shop, &key, "bad").await;
    let kept = store.versions(&shop, &key).await.expect("versions");
    assert_eq!(kept.iter().map(|info| info.version).collect::<Vec<_>>(), [second, first]);
    assert_eq!(kept[0].updated_ms - kept[1].updated_ms, 5);
    let generation = store.generation();
    let third = store.roll_back(&shop, &key, first).await.expect("it is kept");
    assert!(third > second && store.generation() > generation);
    assert_eq!(read(store, &shop, &key).await, ("good".into(), None));
    assert!(store.roll_back(&shop, &key, third + 1).await.is_err());
    for _ in 0..SECRET_VERSIONS_KEPT - 1 {
        set(store, &shop, &key, "more").await;
    }
    let kept = store.versions(&shop, &key).await.expect("versions");
    assert_eq!((kept.len(), kept.last().map(|info| info.version)), (SECRET_VERSIONS_KEPT, Some(third)));
    assert!(store.roll_back(&shop, &key, first).await.is_err(), "it is no longer kept");
}

async fn the_previous_version_is_readable_while_the_overlap_lasts<P: SecretStore>(subject: &Subject<P>) {
    let (store, shop, key) = (&*subject.provider, app("acme", "shop"), name("api-key"));
    let rotate = |text: &'static str, overlap_ms| store.put(&shop, &key, value(text), overlap_ms);
    rotate("one", 1_000).await.expect("put");
    assert_eq!(read(store, &shop, &key).await, ("one".into(), None), "there is none before the first");
    rotate("two", 1_000).await.expect("put");
    assert_eq!(read(store, &shop, &key).await, ("two".into(), Some("one".into())));
    let until = subject.clock.unix_ms() + 1_000;
    assert_eq!(store.overlap_end().await.expect("the end"), Some(until));
    assert_eq!(store.versions(&shop, &key).await.expect("versions")[1].previous_until_ms, Some(until));
    (subject.advance)(999);
    assert_eq!(read(store, &shop, &key).await.1, Some("one".into()));
    (subject.advance)(1);
    assert_eq!(read(store, &shop, &key).await, ("two".into(), None));
    assert_eq!(store.overlap_end().await.expect("none"), None);
    assert_eq!(store.versions(&shop, &key).await.expect("versions")[1].previous_until_ms, None);
    rotate("three", 5_000).await.expect("put");
    rotate("four", 5_000).await.expect("put");
    assert_eq!(read(store, &shop, &key).await, ("four".into(), Some("three".into())), "one previous version at most");
    rotate("five", 0).await.expect("put");
    assert_eq!(read(store, &shop, &key).await, ("five".into(), None), "what leaked is gone at once");
    let entry = store.get(&shop, &key).await.expect("get").expect("it is set");
    assert!(!format!("{entry:?}").contains("five"));
}

async fn a_secret_and_a_configuration_value_are_two(store: &impl SecretStore) {
    let (shop, secret) = (app("acme", "shop"), name("level"));
    let config = SecretName::config(secret.name.clone());
    let first = set(store, &shop, &config, "shown").await;
    assert!(store.get(&shop, &secret).await.expect("get").is_none());
    set(store, &shop, &secret, "hidden").await;
    assert_eq!(read(store, &shop, &config).await.0, "shown");
    set(store, &shop, &config, "shown anew").await;
    let names: Vec<SecretName> = store.list(&shop).await.expect("list").into_iter().map(|info| info.name).collect();
    assert_eq!(names, [secret.clone(), config.clone()]);
    store.roll_back(&shop, &config, first).await.expect("it is kept");
    assert_eq!(read(store, &shop, &config).await.0, "shown");
    assert!(store.roll_back(&shop, &secret, first).await.is_err(), "it never was a version of this");
    assert!(store.delete(&shop, &secret).await.expect("delete"));
    assert_eq!(read(store, &shop, &config).await.0, "shown");
}
