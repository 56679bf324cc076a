use control_api::{Client, ClientOptions, DeployRequest, KvCheck, KvDeleted, KvTransaction, KvWrite, RollbackRequest};
use http_body_util::BodyExt as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;
use crate::control::tests::{Node, app, bundle};
use crate::upload;

const ADDRESS: &str = "127.0.0.1:8788";
const TOKEN: &str = "s3cret-t0ken";

fn admin_at(node: &Node, address: SocketAddr) -> Arc<Admin> {
    Arc::new(Admin::new(AdminParts {
        api: node.control.clone(),
        token: Secret::new(format!("{TOKEN}\n")),
        address,
        hosts: vec!["admin.internal".into()],
        limits: NodeLimits { artifact_bytes: 1 << 20, admin_body_bytes: 1 << 21, ..NodeLimits::default() },
        ready: Arc::new(|| Ok(())),
        metrics: Arc::new(|| "selvedge_requests_total 1\n".into()),
    }))
}

fn admin() -> Arc<Admin> {
    admin_at(&Node::new(), ADDRESS.parse().expect("an address"))
}

/// A request with a good host and token, which later fields replace. An empty value removes one.
fn request(method: &str, target: &str, fields: &[(&str, &str)], body: &[u8]) -> Request<Body> {
    let mut request = Request::new(Body::full(body.to_vec()));
    *request.method_mut() = method.parse().expect("a method");
    *request.uri_mut() = target.parse().expect("a target");
    let token = format!("Bearer {TOKEN}");
    for (name, value) in [("host", ADDRESS), ("authorization", token.as_str())].iter().chain(fields) {
        let name: header::HeaderName = name.parse().expect("a field name");
        match *value {
            "" => drop(request.headers_mut().remove(name)),
            value => drop(request.headers_mut().insert(name, HeaderValue::from_str(value).expect("a field value"))),
        }
    }
    request
}

/// The status, and the code of the problem document or nothing.
async fn outcome(admin: &Admin, request: Request<Body>) -> (u16, String) {
    let response = admin.respond(request).await;
    let status = response.status().as_u16();
    let is_problem = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == base::problem::MEDIA_TYPE);
    assert_eq!(is_problem, status >= 400, "every error is a problem document, and nothing else is");
    let body = response.into_body().collect(1 << 20).await.expect("a body");
    let code = if is_problem { ApiError::from_document(status, &body).code } else { String::new() };
    (status, code)
}

/// A listener that serves a control plane, and a client for it.
async fn serve(node: &Node) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let admin = admin_at(node, address);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let admin = admin.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                    let admin = admin.clone();
                    let request = request.map(|body| Body::stream(body.map_err(|_| base::BodyError::gone())));
                    async move { Ok::<_, std::convert::Infallible>(admin.respond(request).await) }
                });
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Client::new(ClientOptions::new(address, Secret::new(TOKEN.into())))
}

#[tokio::test]
async fn a_deployment_is_released_and_rolled_back_over_http() {
    let node = Node::new();
    let client = serve(&node).await;
    let first = upload_from_disk(&client, "one").await;
    let second = upload_from_disk(&client, "two").await;
    assert!(first.fresh && second.fresh);
    let apps = client.apps().await.expect("apps");
    assert_eq!((apps.len(), apps[0].id, apps[0].release), (1, second.id, 2));
    let back = client.rollback(app("shop"), RollbackRequest::default()).await.expect("a rollback");
    assert_eq!((back.id, back.release), (first.id, 3));
    let releases = client.releases(app("shop"), None).await.expect("releases");
    let shown: Vec<_> = releases.iter().map(|entry| (entry.number, entry.id, entry.current)).collect();
    assert_eq!(shown, [(3, first.id, true), (2, second.id, false), (1, first.id, false)]);
    assert_eq!(node.releases_counted(), 3);
    let error = client.rollback(app("shop"), RollbackRequest { to: Some("abcdef".into()) }).await;
    assert!(error.expect_err("no such id").is(&code::UNKNOWN_DEPLOYMENT));

    client.remove(app("shop")).await.expect("it is there");
    assert_eq!(client.apps().await, Ok(Vec::new()));
    let status = client.status().await.expect("status");
    assert_eq!((status.version.as_str(), status.apps), ("1.2.3", 0));
    assert_eq!(client.limits(None).await, node.control.limits(None).await);
    let deploy = client.deploy(DeployRequest { document: serde_json::json!({}), message: None }).await;
    assert!(deploy.expect_err("no document").is(&code::BAD_DEPLOYMENT));
}

async fn upload_from_disk(client: &Client, text: &str) -> control_api::Deployed {
    let bundle = bundle("shop", &["shop.example"], text);
    upload(client, &bundle, None, &|_| {}).await.expect("a good app")
}

#[tokio::test]
async fn secrets_and_kv_travel_over_http() {
    let client = serve(&Node::new()).await;
    let name = |text: &str| text.parse::<ResourceName>().expect("a name");
    let value = || Secret::new(Bytes::from_static(b"hunter2"));
    let key = |env: Option<&str>| SecretKey { name: name("api-key"), env: env.map(name) };
    let put = |env, overlap_s| client.secret_put(app("shop"), key(env), value(), SecretPutOptions { overlap_s });
    assert_eq!(put(None, 0).await.expect("set").version, 1);
    assert_eq!(put(None, 60).await.expect("set").version, 2);
    assert_eq!(put(Some("staging"), 0).await.expect("set").version, 3);
    let secrets = client.secret_list(app("shop")).await.expect("a list");
    let listed: Vec<_> =
        secrets.iter().map(|entry| (entry.env.as_ref().map(ResourceName::as_str), entry.version)).collect();
    assert_eq!(listed, [(None, 2), (Some("staging"), 3)]);
    let versions = client.secret_versions(app("shop"), key(None)).await.expect("versions");
    let shown: Vec<_> = versions.iter().map(|v| (v.version, v.current, v.previous_until_ms.is_some())).collect();
    assert_eq!(shown, [(2, true, false), (1, false, true)]);
    let back = |version| client.secret_rollback(app("shop"), key(None), SecretRollback { version });
    assert_eq!(back(1).await.expect("it is kept").version, 4);
    assert!(back(3).await.expect_err("that of another environment").is(&code::UNKNOWN_VERSION));
    client.secret_delete(app("shop"), key(None)).await.expect("unset");
    client.secret_delete(app("shop"), key(None)).await.expect("it is no error to unset nothing");
    assert_eq!(client.secret_list(app("shop")).await.expect("a list").len(), 1);
    let options = SecretPutOptions::default();
    let empty = client.secret_put(app("shop"), key(None), Secret::new(Bytes::new()), options).await;
    assert!(empty.expect_err("empty").is(&code::BAD_SECRET));

    let ns = || name("guests");
    let keys = ["a/b c", "ä?&=#%2F+", "\u{1}日本", "~-._"];
    for key in keys {
        let options = KvPutOptions {
            metadata: Some(format!("{{\"ä\":{key:?}}}").replace("\\u{1}", "")),
            ..KvPutOptions::default()
        };
        let put = client.kv_put(app("shop"), ns(), key.into(), Bytes::from(key), options.clone()).await.expect(key);
        let entry = client.kv_get(app("shop"), ns(), key.into()).await.expect(key).expect("it was put");
        assert_eq!((entry.revision, entry.value, entry.metadata), (put.revision, Bytes::from(key), options.metadata));
    }
    let page = |cursor| KvListOptions { cursor, limit: Some(3), ..KvListOptions::default() };
    let first = client.kv_list(app("shop"), ns(), page(None)).await.expect("a page");
    let second = client.kv_list(app("shop"), ns(), page(first.cursor.clone())).await.expect("a page");
    let mut listed: Vec<_> = first.keys.iter().chain(&second.keys).map(|key| key.name.as_str()).collect();
    listed.sort_unstable();
    let mut expect = keys;
    expect.sort_unstable();
    assert_eq!((listed.as_slice(), second.cursor), (&expect[..], None));

    let absent = KvPutOptions { condition: KvCondition::Absent, ..KvPutOptions::default() };
    let conflict = client.kv_put(app("shop"), ns(), keys[0].into(), Bytes::new(), absent).await;
    assert!(conflict.expect_err("it is there").is(&code::REVISION_CONFLICT));
    let delete = |when| client.kv_delete(app("shop"), ns(), keys[0].into(), when);
    assert!(delete(KvCondition::Revision(u64::MAX)).await.expect_err("another one").is(&code::REVISION_CONFLICT));
    let gone = KvDeleted { existed: true, durability: "memory".into() };
    assert_eq!(delete(KvCondition::Always).await, Ok(gone));
    assert_eq!(client.kv_get(app("shop"), ns(), keys[0].into()).await, Ok(None));
}

#[tokio::test]
async fn transactions_changes_and_usage_travel_over_http() {
    let client = serve(&Node::new()).await;
    let ns = || "guests".parse::<ResourceName>().expect("a name");
    let start = client.kv_changes(app("shop"), ns(), KvChangesOptions::default()).await.expect("now").through;
    let put = |key: &str, base64: &str| KvWrite::Put {
        key: key.into(),
        base64: base64.into(),
        metadata: Some("1".into()),
        expires_at_ms: None,
    };
    let commit = |checks: Vec<KvCheck>, writes| client.kv_commit(app("shop"), ns(), KvTransaction { checks, writes });
    let check = |revision, exists| KvCheck { key: "a".into(), revision, exists };
    let writes = vec![put("a", "/w=="), KvWrite::Add { key: "n".into(), amount: -3 }];
    let committed = commit(vec![check(None, Some(false))], writes).await.expect("committed");
    assert_eq!((committed.sums.as_slice(), committed.durability.as_str()), (&[-3][..], "memory"));
    let gone = || vec![KvWrite::Delete { key: "a".into() }];
    assert!(
        commit(vec![check(None, Some(false))], gone()).await.expect_err("it is there").is(&code::REVISION_CONFLICT)
    );
    assert!(commit(vec![check(None, None)], gone()).await.expect_err("no condition").is(&code::BAD_TRANSACTION));
    assert!(commit(Vec::new(), vec![put("b", "?")]).await.expect_err("no base64").is(&code::BAD_TRANSACTION));
    let options = KvListOptions { values: true, ..KvListOptions::default() };
    let page = client.kv_list(app("shop"), ns(), options.clone()).await.expect("a page");
    assert_eq!(page.keys[0].base64.as_deref(), Some("/w=="));
    let new = KvListOptions { after_revision: Some(page.revision), ..options };
    assert!(client.kv_list(app("shop"), ns(), new).await.expect("a page").keys.is_empty());
    let usage = client.kv_usage(app("shop")).await.expect("usage");
    assert_eq!((usage.keys, usage.bytes, usage.namespaces.len()), (2, 3 + 3, 1));
    commit(vec![check(Some(committed.revision), None)], gone()).await.expect("unchanged");
    let since = KvChangesOptions { since: Some(start), wait_ms: 60_000, ..KvChangesOptions::default() };
    let told = client.kv_changes(app("shop"), ns(), since).await.expect("changes");
    let words: Vec<_> = told.changes.iter().map(|change| (change.key.as_str(), change.kind.as_str())).collect();
    assert_eq!(words, [("a", "put"), ("n", "put"), ("a", "delete")]);
    let idle = KvChangesOptions { since: Some(told.through), wait_ms: 20, ..KvChangesOptions::default() };
    assert_eq!(client.kv_changes(app("shop"), ns(), idle).await.expect("nothing").changes, []);
}

#[tokio::test]
async fn a_wrong_token_is_refused() {
    for token in ["", "Bearer", "Bearer wrong", "Basic s3cret-t0ken", "Bearer s3cret-t0ke", "Bearer s3cret-t0kenn"] {
        let answer = outcome(&admin(), request("GET", "/v1/status", &[("authorization", token)], b"")).await;
        assert_eq!(answer, (401, "unauthenticated".into()), "{token}");
    }
    let spare = format!("bearer   {TOKEN}");
    let answer = outcome(&admin(), request("GET", "/v1/status", &[("authorization", &spare)], b"")).await;
    assert_eq!(answer.0, 200, "the scheme has no case");
}

#[tokio::test]
async fn a_web_page_gets_nowhere() {
    let admin = admin();
    let pages: &[&[(&str, &str)]] = &[
        &[("origin", "https://evil.example")],
        &[("origin", "http://127.0.0.1:8788")],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("host", "evil.example:8788")],
        &[("host", "evil.example")],
        &[("host", "127.0.0.1.evil.example:8788")],
        &[("host", "127.0.0.1:9999")],
        &[("host", "127.0.0.1")],
        &[("host", "10.0.0.1:8788")],
        &[("host", "localhost@evil.example:8788")],
        &[("host", "localhost.:8788")],
        &[("host", "")],
    ];
    for page in pages {
        for (method, target) in
            [("POST", "/v1/deployments"), ("OPTIONS", "/v1/deployments"), ("GET", "/healthz"), ("GET", "/x")]
        {
            let answer = outcome(&admin, request(method, target, page, b"{}")).await;
            assert_eq!(answer, (403, "forbidden".into()), "{method} {target} {page:?}");
        }
    }
    let mut two = request("GET", "/healthz", &[], b"");
    two.headers_mut().append(header::HOST, HeaderValue::from_static("evil.example"));
    assert_eq!(outcome(&admin, two).await.0, 403);
    let absolute = request("GET", "http://evil.example:8788/healthz", &[], b"");
    assert_eq!(outcome(&admin, absolute).await.0, 403);
}

#[tokio::test]
async fn the_listeners_own_names_are_let_in() {
    let admin = admin();
    for host in [
        ADDRESS,
        "localhost:8788",
        "LocalHost:8788",
        "127.0.0.2:8788",
        "[::1]:8788",
        "[::ffff:127.0.0.1]:8788",
        "admin.internal:8788",
    ] {
        let answer = outcome(&admin, request("GET", "/healthz", &[("host", host)], b"")).await;
        assert_eq!(answer.0, 200, "{host}");
    }
    let typed = request("GET", "/healthz", &[("sec-fetch-site", "none"), ("authorization", "")], b"");
    assert_eq!(outcome(&admin, typed).await.0, 200, "a person typed the address");
    let h2 = request("GET", "http://127.0.0.1:8788/healthz", &[("host", "")], b"");
    assert_eq!(outcome(&admin, h2).await.0, 200, "HTTP/2 names the host in its target");

    let node = Node::new();
    let everywhere = admin_at(&node, "0.0.0.0:8788".parse().expect("an address"));
    for (host, status) in [("192.168.1.5:8788", 200), ("[2001:db8::1]:8788", 200), ("evil.example:8788", 403)] {
        let answer = outcome(&everywhere, request("GET", "/healthz", &[("host", host)], b"")).await;
        assert_eq!(answer.0, status, "{host}");
    }
}

#[tokio::test]
async fn every_row_of_the_table_is_served() {
    let admin = admin();
    for row in route::ROUTES {
        let path = row.operation.path(&["shop", "guests", "key"]);
        let response = admin.respond(request(row.method.as_str(), &path, &[], b"{}")).await;
        assert_ne!(response.status(), StatusCode::INTERNAL_SERVER_ERROR, "{}", row.id);
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        let bare = request(row.method.as_str(), &path, &[("authorization", "")], b"{}");
        let refused = admin.respond(bare).await.status() == StatusCode::UNAUTHORIZED;
        assert_eq!(refused, row.token, "{}", row.id);
    }
}

#[tokio::test]
async fn what_is_asked_wrongly_is_told_so() {
    let admin = admin();
    let check = async |method: &str, target: &str, body: &[u8], expect: (u16, &str)| {
        let answer = outcome(&admin, request(method, target, &[], body)).await;
        assert_eq!(answer, (expect.0, expect.1.to_owned()), "{method} {target}");
    };
    check("GET", "/", b"", (404, "not_found")).await;
    check("GET", "/v1/apps/", b"", (404, "not_found")).await;
    check("PATCH", "/v1/status", b"", (405, "method_not_allowed")).await;
    check("GET", "/v1/apps/Shop/releases", b"", (400, "bad_request")).await;
    check("GET", "/v1/apps/shop/releases?limit=x", b"", (400, "bad_request")).await;
    check("GET", "/v1/apps/shop/releases?max=1", b"", (400, "bad_request")).await;
    check("GET", "/v1/apps/shop/kv/guests/%FF", b"", (400, "bad_path")).await;
    check("GET", "/v1/apps/shop/kv/guests/none", b"", (404, "key_missing")).await;
    check("PUT", "/v1/apps/shop/kv/guests/..%00?if_absent=maybe", b"", (400, "bad_request")).await;
    check("PUT", "/v1/apps/shop/kv/guests/k?metadata=%7B", b"", (400, "bad_metadata")).await;
    check("PUT", "/v1/blobs/missing", b"", (400, "bad_request")).await;
    check("POST", "/v1/deployments", b"not json", (400, "bad_request")).await;
    check("POST", "/v1/deployments", b"{\"document\":{},\"massage\":\"x\"}", (400, "bad_request")).await;
    let response = admin.respond(request("PATCH", "/v1/status", &[], b"")).await;
    assert_eq!(response.headers()[header::ALLOW], "GET, HEAD");
    let response = admin.respond(request("HEAD", "/healthz", &[], b"")).await;
    assert!(response.status() == StatusCode::OK && response.body().is_empty());
}

#[tokio::test]
async fn a_body_beyond_its_limit_is_refused() {
    let admin = admin();
    let announced = request("POST", "/v1/deployments", &[("content-length", "2097153")], b"");
    assert_eq!(outcome(&admin, announced).await, (413, "body_too_large".into()));
    let blob = vec![0; (1 << 20) + 1];
    let target = format!("/v1/blobs/{}", Digest::of(&blob));
    assert_eq!(outcome(&admin, request("PUT", &target, &[], &blob)).await, (413, "body_too_large".into()));
    let fits = &blob[1..];
    let target = format!("/v1/blobs/{}", Digest::of(fits));
    assert_eq!(outcome(&admin, request("PUT", &target, &[], fits)).await, (204, String::new()));

    let mut chunked = request("POST", "/v1/deployments", &[], b"");
    let (mut sender, body) = http_body_util::channel::Channel::<Bytes, base::BodyError>::new(4);
    *chunked.body_mut() = Body::stream(body);
    let send = async { while sender.send_data(Bytes::from(vec![b' '; 1 << 20])).await.is_ok() {} };
    let (answer, ()) = tokio::join!(outcome(&admin, chunked), send);
    assert_eq!(answer, (413, "body_too_large".into()), "a stream is cut where the limit is");
}

#[tokio::test]
async fn readiness_and_metrics_come_from_the_node() {
    let node = Node::new();
    let not_ready = || Err(ApiError::new(&code::DRAINING, "the node is shutting down"));
    let admin = Admin::new(AdminParts {
        api: node.control.clone(),
        token: Secret::new(" ".into()),
        address: ADDRESS.parse().expect("an address"),
        hosts: Vec::new(),
        limits: NodeLimits::default(),
        ready: Arc::new(not_ready),
        metrics: Arc::new(String::new),
    });
    assert_eq!(outcome(&admin, request("GET", "/readyz", &[], b"")).await, (503, "draining".into()));
    assert_eq!(outcome(&admin, request("GET", "/healthz", &[], b"")).await.0, 200);
    for token in ["", "Bearer ", "Bearer"] {
        let answer = outcome(&admin, request("GET", "/metrics", &[("authorization", token)], b"")).await;
        assert_eq!(answer.0, 401, "an empty token lets nobody in");
    }
    let response = self::admin().respond(request("GET", "/metrics", &[], b"")).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(response.into_body().collect(100).await.expect("a body"), "selvedge_requests_total 1\n");
}
