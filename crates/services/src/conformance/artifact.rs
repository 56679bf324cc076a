use base::{Digest, NodeLimits, TenantName, code};
use bytes::Bytes;

use super::{Subject, block_on};
use crate::ArtifactStore;

/// The suite of [`ArtifactStore`]. `open` gives a fresh provider with the default limits.
pub fn artifacts<P: ArtifactStore>(open: impl Fn() -> Subject<P>) {
    block_on(async {
        bytes_come_back_under_their_digest(&*open().provider).await;
        tenants_share_nothing(&*open().provider).await;
    });
}

fn tenant(name: &str) -> TenantName {
    TenantName::parse(name).expect("a name")
}

async fn bytes_come_back_under_their_digest(store: &impl ArtifactStore) {
    let acme = tenant("acme");
    let all = [Bytes::new(), Bytes::from_static(b"hello"), vec![3; 3 << 20].into()];
    for bytes in &all {
        let digest = Digest::of(bytes);
        assert!(!store.has(&acme, &digest).await.expect("has"));
        assert_eq!(store.get(&acme, &digest).await.expect("get"), None);
        for _ in 0..2 {
            assert_eq!(store.put(&acme, bytes.clone()).await.expect("put"), digest);
        }
        assert!(store.has(&acme, &digest).await.expect("has"));
        assert_eq!(store.get(&acme, &digest).await.expect("get").as_ref(), Some(bytes));
    }
    let mut expected: Vec<(Digest, u64)> = all.iter().map(|b| (Digest::of(b), b.len() as u64)).collect();
    expected.sort();
    let listed = store.list(&acme).await.expect("list");
    assert_eq!(listed.iter().map(|info| (info.digest, info.size)).collect::<Vec<_>>(), expected);
    assert!(store.delete(&acme, &expected[0].0).await.expect("delete"));
    assert!(!store.delete(&acme, &expected[0].0).await.expect("delete"));
    assert_eq!(store.list(&acme).await.expect("list").len(), 2);
    let over = Bytes::from(vec![0; NodeLimits::default().artifact_bytes as usize + 1]);
    assert_eq!(store.put(&acme, over).await.expect_err("too large").code().name, code::BODY_TOO_LARGE.name);
}

async fn tenants_share_nothing(store: &impl ArtifactStore) {
    let (acme, other) = (tenant("acme"), tenant("other"));
    let digest = store.put(&acme, "mine".into()).await.expect("put");
    assert!(!store.has(&other, &digest).await.expect("has"));
    assert_eq!(store.get(&other, &digest).await.expect("get"), None);
    assert!(store.list(&other).await.expect("list").is_empty());
    assert!(!store.delete(&other, &digest).await.expect("delete"));
    store.put(&other, "mine".into()).await.expect("put");
    assert!(store.delete(&other, &digest).await.expect("delete"));
    assert!(store.has(&acme, &digest).await.expect("has"));
}
