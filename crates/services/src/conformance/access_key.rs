use base::{AppName, ResourceName, TenantName};

use super::{Subject, block_on};
use crate::AppId;
use crate::access_key::{Access, AccessKeyStore, Grant};

/// The suite of [`AccessKeyStore`].
pub fn access_keys<P: AccessKeyStore>(open: impl Fn() -> Subject<P>) {
    block_on(async {
        keys_are_found_listed_and_deleted(&*open().provider).await;
    });
}

fn app(name: &str) -> AppId {
    AppId::new(TenantName::parse("acme").expect("a name"), AppName::parse(name).expect("a name"))
}

async fn keys_are_found_listed_and_deleted(keys: &impl AccessKeyStore) {
    let bucket = ResourceName::parse("images").expect("a name");
    let grant = Grant { buckets: vec![bucket.clone()], read: true, ..Grant::default() };
    let (one, secret) = keys.create(&app("shop"), grant.clone()).await.expect("create");
    let (two, other) = keys.create(&app("blog"), Grant::all()).await.expect("create");
    assert_eq!((one.id.len(), secret.expose().len()), (20, 40));
    assert_ne!(secret.expose(), other.expose());
    let (found, opened) = keys.find(&one.id).await.expect("find").expect("it is there");
    assert_eq!((found, opened.expose()), (one.clone(), secret.expose()));
    assert_eq!(keys.list(&app("shop")).await.expect("list"), std::slice::from_ref(&one));
    assert!(keys.find("SELVAAAAAAAAAAAAAAAA").await.expect("find").is_none());
    assert!(!keys.delete(&app("shop"), &two.id).await.expect("another app's key stays"));
    assert!(keys.delete(&app("shop"), &one.id).await.expect("delete"));
    assert!(!keys.delete(&app("shop"), &one.id).await.expect("delete again"));
    assert!(keys.find(&one.id).await.expect("find").is_none());
    assert!(keys.find(&two.id).await.expect("find").is_some());
    let elsewhere = ResourceName::parse("other").expect("a name");
    assert!(grant.allows(&bucket, Access::Read) && !grant.allows(&elsewhere, Access::Read));
    assert!(!grant.allows(&bucket, Access::Write) && !grant.allows(&bucket, Access::Manage));
}
