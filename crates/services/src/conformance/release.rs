use base::{AppName, Digest, TenantName, code};
use futures_util::future::{join, join_all};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::{Subject, block_on, random};
use crate::memory::MemoryReleases;
use crate::{AppId, DeploymentRecord, Release, ReleaseError, ReleaseStore};

/// The suite of [`ReleaseStore`]. `open` gives a fresh provider.
pub fn releases<P: ReleaseStore>(open: impl Fn() -> Subject<P>) {
    block_on(async {
        a_release_points_at_a_recorded_deployment(&open()).await;
        a_host_has_one_owner(&*open().provider).await;
        of_claimants_that_race_one_wins(&*open().provider).await;
        generations_tell_of_changes(&*open().provider).await;
    });
    random("releases", op(), |ops| block_on(compare(&open(), ops)));
}

fn app(tenant: &str, name: &str) -> AppId {
    AppId::new(TenantName::parse(tenant).expect("a name"), AppName::parse(name).expect("a name"))
}

fn deployment(n: u8, hosts: &[&str]) -> DeploymentRecord {
    DeploymentRecord {
        id: Digest::of(&[n]),
        created_ms: u64::from(n),
        message: n.is_multiple_of(2).then(|| format!("number {n}")),
        document: vec![b'{', n, b'}'],
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
    }
}

async fn a_release_points_at_a_recorded_deployment<P: ReleaseStore>(subject: &Subject<P>) {
    let (store, shop) = (&*subject.provider, app("acme", "shop"));
    let (one, two) = (deployment(1, &["Shop.Example"]), deployment(2, &[]));
    let error = store.point(&shop, &one.id, "ann").await.expect_err("nothing is recorded");
    assert_eq!(error.code().name, code::UNKNOWN_DEPLOYMENT.name);
    store.record(&shop, one.clone()).await.expect("record");
    store.record(&shop, two.clone()).await.expect("record");
    store.record(&shop, DeploymentRecord { document: b"other".into(), ..one.clone() }).await.expect("record again");
    let stored = store.deployment(&shop, &one.id).await.expect("deployment").expect("it is there");
    assert_eq!(stored.document, one.document, "the first record is kept");
    assert_eq!(stored.hosts, ["shop.example"]);
    assert!(store.current().await.expect("current").apps.is_empty());
    assert_eq!(store.previous(&shop).await.expect("previous"), None);
    assert!(store.point(&app("acme", "blog"), &one.id, "ann").await.is_err(), "deployments belong to their app");

    let first = store.point(&shop, &one.id, "ann").await.expect("point");
    (subject.advance)(5);
    let second = store.point(&shop, &two.id, "bob").await.expect("point");
    assert_eq!((first.number, second.number, second.by.as_str()), (1, 2, "bob"));
    assert_eq!(second.released_ms, first.released_ms + 5);
    assert_eq!(store.previous(&shop).await.expect("previous"), Some(first.clone()));
    assert_eq!(store.releases(&shop, 10).await.expect("releases"), [second.clone(), first]);
    assert_eq!(store.releases(&shop, 1).await.expect("releases"), std::slice::from_ref(&second));
    let current = store.current().await.expect("current");
    assert_eq!((&current.apps[0].app, &current.apps[0].release), (&shop, &second));
    assert_eq!(current.apps[0].record, two);
    let recorded = store.deployments(&shop).await.expect("deployments");
    assert_eq!(recorded.iter().map(|record| record.id).collect::<Vec<_>>(), [two.id, one.id]);
    assert!(store.remove(&shop).await.expect("remove"));
    assert!(!store.remove(&shop).await.expect("remove"));
    assert!(store.current().await.expect("current").apps.is_empty());
    assert!(store.deployments(&shop).await.expect("deployments").is_empty());
}

async fn a_host_has_one_owner(store: &impl ReleaseStore) {
    let (shop, blog) = (app("acme", "shop"), app("other", "blog"));
    store.record(&shop, deployment(1, &["a.example", "A.example", "b.example"])).await.expect("record");
    store.record(&shop, deployment(2, &["b.example"])).await.expect("record");
    store.record(&blog, deployment(3, &["c.example", "A.EXAMPLE"])).await.expect("record");
    let point = |owner, n: u8| async move { store.point(owner, &Digest::of(&[n]), "ann").await };
    point(&shop, 1).await.expect("the hosts are free");
    let error = point(&blog, 3).await.expect_err("a.example is taken");
    assert_eq!(error, ReleaseError::HostClaimed { host: "a.example".into(), by: shop.clone() });
    assert_eq!(store.current().await.expect("current").apps.len(), 1, "nothing of the refused release remains");
    assert!(store.releases(&blog, 9).await.expect("releases").is_empty());
    point(&shop, 2).await.expect("the app gives a.example up");
    point(&blog, 3).await.expect("a.example is free");
    point(&shop, 1).await.expect_err("a.example is taken now");
    assert!(store.remove(&blog).await.expect("remove"));
    point(&shop, 1).await.expect("a removed app claims nothing");
}

async fn of_claimants_that_race_one_wins(store: &impl ReleaseStore) {
    let apps: Vec<AppId> = (0..16).map(|n| app("acme", &format!("app-{n}"))).collect();
    for owner in &apps {
        store.record(owner, deployment(1, &["same.example"])).await.expect("record");
    }
    let id = Digest::of(&[1]);
    let outcomes = join_all(apps.iter().map(|owner| store.point(owner, &id, "ann"))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(store.current().await.expect("current").apps.len(), 1);
}

async fn generations_tell_of_changes(store: &impl ReleaseStore) {
    let shop = app("acme", "shop");
    let before = store.generation();
    store.record(&shop, deployment(1, &[])).await.expect("record");
    assert_eq!(store.generation(), before, "a record changes nothing that is served");
    let id = Digest::of(&[1]);
    let (seen, released) = join(store.changed(before), store.point(&shop, &id, "ann")).await;
    released.expect("point");
    assert!(seen > before);
    assert_eq!(store.changed(before).await, seen, "a change in the past is not waited for");
    assert_eq!(store.current().await.expect("current").generation, seen);
    store.remove(&shop).await.expect("remove");
    assert!(store.generation() > seen);
}

#[derive(Clone, Debug)]
enum Op {
    Record { app: usize, n: u8 },
    Point { app: usize, n: u8 },
    Remove { app: usize },
}

fn op() -> impl Strategy<Value = Op> {
    let places = || (0..3usize, 0..4u8);
    prop_oneof![
        3 => places().prop_map(|(app, n)| Op::Record { app, n }),
        5 => places().prop_map(|(app, n)| Op::Point { app, n }),
        1 => (0..3usize).prop_map(|app| Op::Remove { app }),
    ]
}

async fn apply(store: &impl ReleaseStore, op: &Op) -> Result<Option<Release>, ReleaseError> {
    let apps = [app("acme", "a"), app("acme", "b"), app("other", "a")];
    // Each app's deployments claim hosts that some of the others' claim too.
    let hosts: [&[&str]; 4] = [&["x.example"], &["y.example", "x.example"], &["z.example"], &[]];
    match *op {
        Op::Record { app, n } => {
            let record = deployment(n, hosts[(usize::from(n) + app) % hosts.len()]);
            store.record(&apps[app], record).await.map(|()| None)
        }
        Op::Point { app, n } => store.point(&apps[app], &Digest::of(&[n]), "ann").await.map(Some),
        Op::Remove { app } => store.remove(&apps[app]).await.map(|_| None),
    }
}

async fn compare<P: ReleaseStore>(subject: &Subject<P>, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let model = MemoryReleases::new(subject.clock.clone());
    for op in &ops {
        let (expected, found) = (apply(&model, op).await, apply(&*subject.provider, op).await);
        prop_assert_eq!(found, expected, "{:?}", op);
    }
    let (expected, found) = (model.current().await, subject.provider.current().await);
    prop_assert_eq!(found.expect("current").apps, expected.expect("current").apps);
    for owner in [app("acme", "a"), app("acme", "b"), app("other", "a")] {
        prop_assert_eq!(subject.provider.releases(&owner, 99).await, model.releases(&owner, 99).await);
        prop_assert_eq!(subject.provider.previous(&owner).await, model.previous(&owner).await);
        prop_assert_eq!(subject.provider.deployments(&owner).await, model.deployments(&owner).await);
    }
    Ok(())
}
