use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use control_api::Message;
use manifest::Source;
use services::blob::BlobLimits;
use services::memory::{
    MemoryAccessKeys, MemoryArtifacts, MemoryBlobs, MemoryCare, MemoryKv, MemoryObjects, MemoryReleases, MemorySecrets,
};
use services::{KvLimits, ObjectLimits};
use testkit::ManualClock;

use noted::NotedMigrations;

use super::*;
use crate::{AssetEntry, BuildOptions, Bundle, build_app, upload};

mod noted;

/// A control plane over the memory model.
pub(crate) struct Node {
    pub clock: Arc<ManualClock>,
    pub control: Arc<Control>,
    pub artifacts: Arc<dyn ArtifactStore>,
    /// How often what is released changed, and how often a worker was prepared.
    pub released: Arc<AtomicUsize>,
    pub prepared: Arc<AtomicUsize>,
    /// What preparing fails with.
    pub failure: Arc<StdMutex<Option<PrepareError>>>,
}

impl Node {
    pub fn new() -> Self {
        let clock = ManualClock::new();
        let limits = NodeLimits { artifact_bytes: 1 << 20, admin_body_bytes: 1 << 21, ..NodeLimits::default() };
        let objects = Arc::new(MemoryObjects::new(clock.clone(), ObjectLimits::from(&limits)));
        let artifacts: Arc<dyn ArtifactStore> = Arc::new(MemoryArtifacts::new(&limits));
        let (released, prepared) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let failure = Arc::new(StdMutex::new(None));
        let (on_release, on_prepare, why) = (released.clone(), prepared.clone(), failure.clone());
        let control = Arc::new(Control::new(ControlParts {
            tenant: "local".parse().expect("a name"),
            artifacts: artifacts.clone(),
            releases: Arc::new(MemoryReleases::new(clock.clone())),
            secrets: Arc::new(MemorySecrets::new(clock.clone())),
            sql: Arc::new(NotedMigrations::default()),
            kv: Arc::new(MemoryKv::new(clock.clone(), KvLimits::from(&limits))),
            blobs: Arc::new(MemoryBlobs::new(clock.clone(), BlobLimits::from(&limits))),
            access_keys: Arc::new(MemoryAccessKeys::new(clock.clone())),
            objects: objects.clone(),
            leases: objects,
            care: Arc::new(MemoryCare),
            responses: None,
            metrics: None,
            traced: None,
            clock: clock.clone(),
            limits_of: Arc::new(|_| NodeLimits::default()),
            limits,
            prepare: Arc::new(move |_, _| {
                on_prepare.fetch_add(1, Ordering::SeqCst);
                let why: Option<PrepareError> = why.lock().expect("no test panics with it").clone();
                why.map_or(Ok(vec!["info: hello".to_owned()]), Err)
            }),
            certificates: None,
            reload: None,
            on_release: Arc::new(move || {
                on_release.fetch_add(1, Ordering::SeqCst);
            }),
            upstreams: Arc::new(Vec::new),
            version: "1.2.3",
        }));
        Self { clock, control, artifacts, released, prepared, failure }
    }

    pub fn releases_counted(&self) -> usize {
        self.released.load(Ordering::SeqCst)
    }

    pub async fn deploy(&self, bundle: &Bundle) -> Result<Deployed, ApiError> {
        upload(&*self.control, bundle, None, &|_| {}).await
    }
}

/// A bundle and the directory that its files lie in.
pub(crate) struct BuiltApp {
    pub bundle: Bundle,
    pub dir: tempfile::TempDir,
}

impl std::ops::Deref for BuiltApp {
    type Target = Bundle;

    fn deref(&self) -> &Bundle {
        &self.bundle
    }
}

/// An app with a worker that says `text` and a page, at these hosts.
pub(crate) fn bundle(name: &str, hosts: &[&str], text: &str) -> BuiltApp {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let write = |path: &str, content: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).expect("a directory");
        fs::write(path, content).expect("a file");
    };
    let mut manifest = format!("name = \"{name}\"\n[workers.web]\nentry = \"index.js\"\nlimits = {{ cpu_ms = 77 }}\n");
    for host in hosts.iter().chain(&[""]) {
        manifest += &format!("[[routes]]\nmatch = \"{host}/api/*\"\nworker = \"web\"\n");
    }
    manifest += "[[routes]]\nmatch = \"/*\"\nassets = \"public\"\n[env.staging]\n";
    write("selvedge.toml", &manifest);
    write("index.js", &format!("export default {{ fetch() {{ return new Response({text:?}); }} }};\n"));
    write("public/index.html", "<h1>the same in all versions</h1>");
    let built = build_app(dir.path(), &BuildOptions::default());
    BuiltApp { bundle: built.unwrap_or_else(|failure| panic!("{}", failure.render(false))), dir }
}

pub(crate) fn app(name: &str) -> AppName {
    name.parse().expect("a name")
}

fn resource(name: &str) -> ResourceName {
    name.parse().expect("a name")
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, ApiError>, code: Code, detail: &str) {
    let error = result.expect_err(detail);
    assert_eq!((error.code.as_str(), error.detail.as_str()), (code.name, detail));
}

#[tokio::test]
async fn an_identical_deployment_changes_nothing() {
    let node = Node::new();
    let first = node.deploy(&bundle("shop", &["shop.example"], "one")).await.expect("a good app");
    assert!(first.fresh);
    assert_eq!((first.release, first.hosts.as_slice()), (1, &["shop.example".to_owned(), "shop.localhost".into()][..]));
    let generation = node.control.status().await.expect("status").generation;
    let again = node.deploy(&bundle("shop", &["shop.example"], "one")).await.expect("the same app");
    assert_eq!(first.start_log, ["web (at start) info: hello"]);
    assert_eq!(again, Deployed { fresh: false, start_log: vec![], ..first.clone() });
    assert_eq!(node.control.status().await.expect("status").generation, generation);
    assert_eq!((node.releases_counted(), node.prepared.load(Ordering::SeqCst)), (1, 1));

    // What was deployed before is released again, without a second preparation.
    let second = node.deploy(&bundle("shop", &["shop.example"], "two")).await.expect("a new version");
    let back = node.deploy(&bundle("shop", &["shop.example"], "one")).await.expect("the first version");
    assert_eq!((back.id, back.release, back.fresh), (first.id, 3, false));
    assert_ne!(second.id, first.id);
    assert_eq!((node.releases_counted(), node.prepared.load(Ordering::SeqCst)), (3, 2));
}

#[tokio::test]
async fn only_what_is_missing_is_sent() {
    let node = Node::new();
    let sent = StdMutex::new(Vec::new());
    let note = |progress| sent.lock().expect("no test panics with it").push(progress);
    upload(&*node.control, &bundle("shop", &[], "one"), None, &note).await.expect("a good app");
    let first: Vec<_> = std::mem::take(&mut *sent.lock().expect("no panic"));
    assert_eq!(first.iter().map(|p| (p.blobs, p.blobs_total)).collect::<Vec<_>>(), [(0, 2), (1, 2), (2, 2)]);
    upload(&*node.control, &bundle("shop", &[], "two"), None, &note).await.expect("a good app");
    let second = sent.lock().expect("no panic").clone();
    assert_eq!(second.iter().map(|p| (p.blobs, p.blobs_total)).collect::<Vec<_>>(), [(0, 1), (1, 1)]);
}

#[tokio::test]
async fn a_deployment_without_its_blobs_is_refused() {
    let node = Node::new();
    let bundle = bundle("shop", &[], "one");
    let document = bundle.document().expect("a document");
    let request = DeployRequest { document: serde_json::to_value(&document).expect("JSON"), message: None };
    let first = *document.blobs().iter().next().expect("two blobs");
    let detail = format!("the node does not have {first} and 1 more");
    refused(node.control.deploy(request).await, &code::BLOB_MISSING, &detail);
    assert_eq!(node.control.apps().await, Ok(Vec::new()));
    assert_eq!(node.releases_counted(), 0);
}

#[tokio::test]
async fn a_blob_under_another_digest_is_refused() {
    let node = Node::new();
    let (found, named) = (Digest::of(b"found"), Digest::of(b"named"));
    let put = node.control.put_blob(named, Bytes::from_static(b"found")).await;
    refused(put, &code::DIGEST_MISMATCH, &format!("the content has the digest {found} and was sent as {named}"));
    assert_eq!(node.control.missing_blobs(vec![named, found, named]).await, Ok(vec![named, found]));
}

#[tokio::test]
async fn a_host_that_another_app_claims_is_refused_by_name() {
    let node = Node::new();
    node.deploy(&bundle("shop", &["shop.example"], "one")).await.expect("the first claim");
    let taken = node.deploy(&bundle("rival", &["SHOP.example"], "two")).await;
    refused(taken, &code::HOST_CLAIMED, "the host shop.example is claimed by local/shop");
    let taken = node.deploy(&bundle("rival", &["shop.localhost"], "two")).await;
    refused(taken, &code::HOST_CLAIMED, "the host shop.localhost is claimed by local/shop");
    assert_eq!(node.control.apps().await.expect("apps").len(), 1);
    assert_eq!(node.releases_counted(), 1);

    node.control.remove(app("shop")).await.expect("it is there");
    node.deploy(&bundle("rival", &["shop.example"], "two")).await.expect("the host is free");
    assert_eq!(node.releases_counted(), 3);
}

#[tokio::test]
async fn a_worker_that_does_not_start_never_replaces_one_that_does() {
    let node = Node::new();
    let good = node.deploy(&bundle("shop", &[], "one")).await.expect("a good app");
    let stack = Some("    at <anonymous> (index.js:1:7)".to_owned());
    let why = PrepareError { code: &code::START_FAILED, detail: "Error: no".into(), stack: stack.clone() };
    *node.failure.lock().expect("no panic") = Some(why);
    let error = node.deploy(&bundle("shop", &[], "two")).await.expect_err("it throws while it starts");
    assert!(error.is(&code::START_FAILED));
    assert_eq!((error.detail.as_str(), error.stack, error.status), ("worker `web`: Error: no", stack, 422));
    assert_eq!(node.control.apps().await.expect("apps")[0].id, good.id);
    assert_eq!(node.control.releases(app("shop"), None).await.expect("releases").len(), 1);
}

#[tokio::test]
async fn an_artifact_that_does_not_fit_the_plan_is_refused() {
    let node = Node::new();
    let good = bundle("shop", &[], "one");
    let deploy = async |artifact: Vec<u8>| {
        let digest = node.artifacts.put(&"local".parse().expect("a name"), artifact.into()).await.expect("stored");
        let text = "name = \"shop\"\n[workers.web]\nentry = \"a.js\"\n";
        let source = Source { path: "selvedge.toml", text };
        let plan = manifest::read_selvedge(source, &manifest::Options::default()).expect("a good manifest");
        let document = Document::new(plan, vec![digest], Vec::new(), BTreeMap::new()).expect("it fits");
        let document = serde_json::to_value(&document).expect("JSON");
        node.control.deploy(DeployRequest { document, message: None }).await
    };
    refused(
        deploy(b"junk".to_vec()).await,
        &code::BAD_DEPLOYMENT,
        "worker `web`: these bytes are not a Selvedge artifact",
    );
    let component = Artifact::Component(b"\0asm".to_vec()).encode();
    let detail = "worker `web`: its artifact is of another kind than the plan says";
    refused(deploy(component).await, &code::BAD_DEPLOYMENT, detail);
    assert!(deploy(good.workers[0].bytes.to_vec()).await.is_ok());
}

#[tokio::test]
async fn what_is_no_document_is_refused() {
    let node = Node::new();
    let deploy = |document| node.control.deploy(DeployRequest { document, message: None });
    let newer = serde_json::json!({ "version": 9, "whatever": true });
    refused(deploy(newer).await, &code::BAD_DEPLOYMENT, "the document has version 9, this node reads version 1");
    let error = deploy(serde_json::Value::Null).await.expect_err("no document");
    assert!(error.is(&code::BAD_DEPLOYMENT) && error.detail.starts_with("the document can't be read: "), "{error}");
}

#[tokio::test]
async fn a_rollback_goes_to_the_previous_or_to_the_named_deployment() {
    let node = Node::new();
    let mut ids = Vec::new();
    for text in ["one", "two", "three"] {
        node.clock.advance(1_000);
        ids.push(node.deploy(&bundle("shop", &[], text)).await.expect("a good app").id);
    }
    let rollback = |to: Option<String>| node.control.rollback(app("shop"), RollbackRequest { to });
    let back = rollback(None).await.expect("there is a previous one");
    assert_eq!((back.id, back.release, back.fresh), (ids[1], 4, false));
    let named = rollback(Some(ids[0].short().to_uppercase())).await.expect("it was released");
    assert_eq!((named.id, named.release), (ids[0], 5));
    let same = rollback(Some(ids[0].to_string())).await.expect("it is released");
    assert_eq!(same.release, 5, "nothing moves if it is there already");

    let entries = node.control.releases(app("shop"), Some(3)).await.expect("releases");
    let shown: Vec<_> = entries.iter().map(|e| (e.number, e.id, e.current)).collect();
    assert_eq!(shown, [(5, ids[0], true), (4, ids[1], false), (3, ids[2], false)]);

    let unknown = "0123456789abcdef";
    let detail = format!("no release of shop has a deployment {unknown}");
    refused(rollback(Some(unknown.into())).await, &code::UNKNOWN_DEPLOYMENT, &detail);
    for bad in ["", "abcde", "latest", &"a".repeat(65)] {
        assert!(rollback(Some(bad.into())).await.expect_err(bad).is(&code::BAD_REQUEST), "{bad}");
    }
}

#[tokio::test]
async fn an_app_that_is_not_released_is_unknown() {
    let node = Node::new();
    let detail = "no app shop is released";
    refused(node.control.releases(app("shop"), None).await, &code::UNKNOWN_APP, detail);
    refused(node.control.rollback(app("shop"), RollbackRequest::default()).await, &code::UNKNOWN_APP, detail);
    refused(node.control.remove(app("shop")).await, &code::UNKNOWN_APP, detail);
    refused(node.control.limits(Some(app("shop"))).await, &code::UNKNOWN_APP, detail);
    node.deploy(&bundle("shop", &[], "one")).await.expect("a good app");
    let detail = "shop has no earlier deployment than the released one";
    refused(node.control.rollback(app("shop"), RollbackRequest::default()).await, &code::NO_PREVIOUS_RELEASE, detail);
}

#[tokio::test]
async fn a_release_shows_its_message_and_environment() {
    let node = Node::new();
    let mut staged = bundle("shop", &[], "one");
    staged.bundle.plan.env_name = Some("staging".into());
    let message = Message::parse("Fix the cart").expect("a message");
    upload(&*node.control, &staged, Some(message), &|_| {}).await.expect("a good app");
    let entry = node.control.releases(app("shop"), None).await.expect("releases").remove(0);
    assert_eq!((entry.message.as_deref(), entry.env.as_deref()), (Some("Fix the cart"), Some("staging")));
    assert_eq!((entry.by.as_str(), entry.created_ms), ("admin", node.clock.unix_ms()));
}

#[tokio::test]
async fn a_bundle_whose_file_changed_meanwhile_is_not_deployed() {
    let node = Node::new();
    let app = bundle("shop", &[], "one");
    fs::write(app.dir.path().join("public/index.html"), "changed").expect("written");
    let detail = "the asset /index.html changed after it was read for this deployment";
    refused(node.deploy(&app).await, &code::DIGEST_MISMATCH, detail);
    fs::remove_dir_all(app.dir.path().join("public")).expect("it is there");
    let gone = node.deploy(&app).await.expect_err("its directory is gone");
    assert!(
        gone.is(&code::DIGEST_MISMATCH) && gone.detail.starts_with("the asset /index.html can't be read"),
        "{gone}"
    );
}

#[tokio::test]
async fn limits_show_who_set_them() {
    let node = Node::new();
    node.deploy(&bundle("shop", &[], "one")).await.expect("a good app");
    let entries = node.control.limits(Some(app("shop"))).await.expect("limits");
    let set_at: BTreeMap<_, _> = entries.iter().map(|e| (e.name.as_str(), (e.value, e.set_at.as_str()))).collect();
    assert_eq!(set_at["cpu_ms"], (77, "manifest"));
    assert_eq!(set_at["head_ms"], (30_000, "default"));
    assert_eq!(set_at["artifact_bytes"], (1 << 20, "node"));
    assert_eq!(set_at["asset_files"], (100_000, "fixed"));
    let node_only = node.control.limits(None).await.expect("limits");
    assert!(
        node_only.iter().all(|e| matches!(e.scope, control_api::LimitScope::Node | control_api::LimitScope::Format))
    );
}

#[tokio::test]
async fn a_ttl_counts_from_the_nodes_clock() {
    let node = Node::new();
    let put =
        |options| node.control.kv_put(app("shop"), resource("guests"), "k".into(), Bytes::from_static(b"v"), options);
    let options = KvPutOptions { ttl_s: Some(60), ..KvPutOptions::default() };
    put(options.clone()).await.expect("a good put");
    let get = || node.control.kv_get(app("shop"), resource("guests"), "k".into());
    assert_eq!(get().await.expect("a get").expect("an entry").expires_at_ms, Some(node.clock.unix_ms() + 60_000));
    node.clock.advance(60_000);
    assert_eq!(get().await, Ok(None));
    let both = KvPutOptions { expires_at_ms: Some(u64::MAX), ..options };
    refused(put(both).await, &code::BAD_EXPIRY, "an entry has a TTL or an expiry, not both");
    let zero = KvPutOptions { ttl_s: Some(0), ..KvPutOptions::default() };
    refused(put(zero).await, &code::BAD_EXPIRY, "a TTL is at least one second");
    let endless = KvPutOptions { ttl_s: Some(u64::MAX), ..KvPutOptions::default() };
    assert!(put(endless).await.expect_err("beyond all dates").is(&code::BAD_EXPIRY));
}

#[tokio::test]
async fn assets_of_equal_content_are_one_blob() {
    let entry = AssetEntry { digest: Digest::of(b"x"), bytes: 1 };
    let plan = bundle("shop", &[], "one").bundle.plan;
    let files = BTreeMap::from([("/a".to_owned(), entry), ("/b".to_owned(), entry)]);
    let document = Document::new(plan, vec![Digest::of(b"w")], vec![files], BTreeMap::new()).expect("it fits");
    assert_eq!(document.blobs().len(), 2);
}

#[tokio::test]
async fn a_secret_that_is_bound_and_not_set_is_named() {
    let node = Node::new();
    let built = bundle("shop", &[], "one");
    let manifest = built.dir.path().join("selvedge.toml");
    let text = fs::read_to_string(&manifest).expect("it is there");
    let bindings = "[workers.web.bindings]\nA = { secret = \"api-key\" }\nB = { secret = \"pepper\" }\n";
    fs::write(&manifest, format!("{text}{bindings}")).expect("written");
    let bundle = build_app(built.dir.path(), &BuildOptions::default()).expect("a good app");
    let value = Secret::new(Bytes::from_static(b"hunter2"));
    node.control
        .secret_put(app("shop"), SecretKey { name: resource("pepper"), env: None }, value, SecretPutOptions::default())
        .await
        .expect("set");
    let deployed = node.deploy(&bundle).await.expect("a good app");
    assert_eq!(deployed.missing_secrets, [resource("api-key")]);
}
