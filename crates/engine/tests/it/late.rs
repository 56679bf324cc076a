//! Operations on data that end later than the call that asks for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base::{AppName, Body, ResourceName, SystemClock, TenantName};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, LocalBoxFuture};
use services::kv::{Condition, ListOptions, ListPage};
use services::memory::MemoryKv;
use services::{
    AppId, ChangesOptions, ChangesPage, CommitReceipt, DeleteReceipt, Kv, KvEntry, KvError, KvLimits, KvNamespace,
    NamespaceUsage, PutOptions, PutReceipt, Transaction,
};
use worker::{Call, Event, Failure, Handle, Invoker, Response};

use crate::fixture::{Running, get, on_core, setup};

/// What is read and written comes some turns late.
struct LateKv(MemoryKv);

async fn pause() {
    for _ in 0..5 {
        tokio::task::yield_now().await;
    }
}

impl Kv for LateKv {
    fn get<'a>(&'a self, ns: &'a KvNamespace, key: &'a str) -> BoxFuture<'a, Result<Option<KvEntry>, KvError>> {
        pause().then(move |()| self.0.get(ns, key)).boxed()
    }

    fn get_many<'a>(
        &'a self,
        ns: &'a KvNamespace,
        keys: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<KvEntry>>, KvError>> {
        self.0.get_many(ns, keys)
    }

    fn put<'a>(
        &'a self,
        ns: &'a KvNamespace,
        key: &'a str,
        value: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutReceipt, KvError>> {
        pause().then(move |()| self.0.put(ns, key, value, options)).boxed()
    }

    fn delete<'a>(
        &'a self,
        ns: &'a KvNamespace,
        key: &'a str,
        condition: Condition,
    ) -> BoxFuture<'a, Result<DeleteReceipt, KvError>> {
        self.0.delete(ns, key, condition)
    }

    fn list<'a>(&'a self, ns: &'a KvNamespace, options: ListOptions) -> BoxFuture<'a, Result<ListPage, KvError>> {
        self.0.list(ns, options)
    }

    fn commit<'a>(
        &'a self,
        ns: &'a KvNamespace,
        transaction: Transaction,
    ) -> BoxFuture<'a, Result<CommitReceipt, KvError>> {
        self.0.commit(ns, transaction)
    }

    fn changes<'a>(
        &'a self,
        ns: &'a KvNamespace,
        options: ChangesOptions,
    ) -> BoxFuture<'a, Result<ChangesPage, KvError>> {
        self.0.changes(ns, options)
    }

    fn usage<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Vec<NamespaceUsage>, KvError>> {
        self.0.usage(app)
    }
}

/// A worker over a namespace that is late, whose handler has `body` inside.
fn app(body: &str) -> Running {
    let provider = Arc::new(LateKv(MemoryKv::new(Arc::new(SystemClock::default()), KvLimits::default())));
    let namespace = KvNamespace::new(
        TenantName::parse("t").unwrap(),
        AppName::parse("app").unwrap(),
        ResourceName::parse("kv").unwrap(),
    );
    let source = format!("export default {{ async fetch(request, {{ KV }}, ctx) {{ {body} }} }};");
    setup(&source).bind("KV", Handle::Kv { provider, namespace }).start()
}

/// Asks for `path` until the answer is `expect`.
async fn until(app: &Running, path: &str, expect: &str) {
    while app.text(get(path)).await != expect {
        tokio::task::yield_now().await;
    }
}

const READ: &str = r#"if (request.url.endsWith("/read")) return new Response(await KV.get("k"));"#;

#[test]
fn one_after_the_other_or_side_by_side_all_of_them_end() {
    on_core(async {
        let app = app(r#"await KV.put("a", "1");
            await KV.put("a", (await KV.get("a")) + "2");
            await Promise.all([KV.put("b", "3"), KV.put("c", "4"), KV.put("d", "5")]);
            return Response.json(await Promise.all(["a", "b", "c", "d"].map((key) => KV.get(key))));"#);
        assert_eq!(app.text(get("http://a.test/")).await, r#"["12","3","4","5"]"#);
    });
}

#[test]
fn one_that_nobody_waits_for_ends_after_the_answer() {
    on_core(async {
        let app = app(&format!(r#"{READ} KV.put("k", "v"); return new Response("at once");"#));
        assert_eq!(app.text(get("http://a.test/")).await, "at once");
        until(&app, "http://a.test/read", "v").await;
    });
}

/// A client that leaves while its handler waits, or, after some work, while it is paused and has yet to begin.
fn one_goes_on_for_a_client_that_left(work: &str) {
    on_core(async {
        let body = format!(
            r#"{READ} {work} ctx.waitUntil(KV.put("k", "v")); await KV.get("other"); await new Promise(() => {{}});"#
        );
        let app = app(&body);
        let gone = app.instance.clone().run(app.call(), Event::Fetch(Box::new(get("http://a.test/"))));
        assert!(gone.now_or_never().is_none(), "it waits");
        until(&app, "http://a.test/read", "v").await;
    });
}

#[test]
fn one_goes_on_for_a_client_that_left_while_it_was_waited_for() {
    one_goes_on_for_a_client_that_left("");
}

#[test]
fn one_begins_for_a_client_that_left_while_the_handler_was_paused() {
    one_goes_on_for_a_client_that_left("for (let n = 0; n < 500_000; n++);");
}

#[test]
fn requests_that_wait_do_not_wait_for_each_other() {
    on_core(async {
        let app = app(r#"const key = new URL(request.url).pathname;
            for (let n = 0; n < 5; n++) await KV.put(key, `${n}`);
            return new Response(key + await KV.get(key));"#);
        let paths = ["/a", "/b", "/c"];
        let texts = paths.map(|path| app.text(get(&format!("http://a.test{path}"))));
        assert_eq!(futures_util::future::join_all(texts).await, ["/a4", "/b4", "/c4"]);
    });
}

/// A worker that never answers, but to `/gone` with whether it was let go.
struct Silent(Arc<AtomicBool>);

struct Asked(Arc<AtomicBool>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Invoker for Silent {
    fn invoke(&self, _: Call, event: Event) -> LocalBoxFuture<'static, Result<Response, Failure>> {
        let Event::Fetch(event) = event else { unreachable!("only requests are sent here") };
        if event.url.ends_with("/gone") {
            let gone = self.0.load(Ordering::Relaxed).to_string();
            return Box::pin(async move { Ok(Response::new(Body::full(gone))) });
        }
        let asked = Asked(self.0.clone());
        Box::pin(async move {
            let _asked = asked;
            std::future::pending().await
        })
    }
}

#[test]
fn one_that_is_given_up_is_let_go_while_its_request_goes_on() {
    on_core(async {
        let source = r#"export default { async fetch(request, { OTHER }) {
            const asked = new AbortController();
            setTimeout(() => asked.abort(), 1);
            const why = await OTHER.fetch("http://other.test/", { signal: asked.signal }).catch((error) => error.name);
            await new Promise((resolve) => setTimeout(resolve, 1));
            return Response.json([why, await (await OTHER.fetch("http://other.test/gone")).text()]);
        } };"#;
        let other = Handle::Service(Arc::new(Silent(Arc::default())));
        let app = setup(source).bind("OTHER", other).start();
        assert_eq!(app.text(get("http://a.test/")).await, r#"["AbortError","true"]"#);
    });
}
