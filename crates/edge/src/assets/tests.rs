//! Files over real sockets.

use std::path::Path;

use base::{NodeLimits, WorkerLimits};
use futures_util::FutureExt as _;
use manifest::Target;

use super::*;
use crate::HostMap;
use crate::fixture::*;

/// More than is kept in memory, and more than one piece.
const LARGE: usize = 700_001;

fn large() -> Vec<u8> {
    (0..LARGE).map(|n| (n % 251) as u8).collect()
}

fn site_of(files: &Path, target: Target, not_found: NotFound) -> HostMap {
    let worker = Fake(|_, event: worker::FetchEvent| {
        async move { Ok(http::Response::new(Body::full(format!("worker {} {}", event.method, event.url)))) }
            .boxed_local()
    });
    let plan = plan("app", vec![route("/*", target)], &[], WorkerLimits::default(), not_found);
    let index = AssetIndex::scan(files, &AssetMemory::new(1 << 20), manifest::HtmlHandling::AutoTrailingSlash).unwrap();
    HostMap::new([site(plan, Arc::new(worker), index)]).unwrap()
}

fn with_files(target: Target, not_found: NotFound, test: impl AsyncFnOnce(std::rc::Rc<Node>, &Path)) {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| std::fs::write(directory.path().join(name), content).unwrap();
    std::fs::create_dir(directory.path().join("docs")).unwrap();
    write("index.html", b"home");
    write("about.html", b"about");
    write("docs/index.html", b"docs");
    write("docs/404.html", b"no such page");
    write("a.txt", b"0123456789");
    write("empty", b"");
    write("large.bin", &large());
    let map = site_of(directory.path(), target, not_found);
    with_node(map, NodeLimits::default(), async |node| test(node, directory.path()).await);
}

#[test]
fn a_file_is_answered_with_its_fields() {
    with_files(ASSETS, NotFound::None, async |node, _| {
        for _ in 0..2 {
            let answer = node.get("/a.txt", "").await;
            assert_eq!((answer.status, answer.text().as_str()), (200, "0123456789"));
            assert_eq!(answer.field("content-type"), Some("text/plain; charset=utf-8"));
            assert_eq!(answer.field("content-length"), Some("10"));
            assert_eq!(answer.field("cache-control"), Some("public, max-age=0, must-revalidate"));
            assert_eq!(answer.field("accept-ranges"), Some("bytes"));
            assert_eq!(answer.field("last-modified"), None);
            assert_eq!(answer.field("etag").unwrap().len(), 34);
        }
        let head = node.ask("HEAD /a.txt", "app.localhost", "", "").await;
        assert_eq!((head.status, head.field("content-length"), head.body.len()), (200, Some("10"), 0));
        assert_eq!(node.get("/about?x", "").await.text(), "about");
        let redirect = node.get("/docs?x=1", "").await;
        assert_eq!((redirect.status, redirect.field("location")), (307, Some("/docs/?x=1")));
        assert_eq!(node.get("/empty", "").await.status, 200);
        let head = node.ask("HEAD /empty", "app.localhost", "", "").await;
        assert_eq!((head.status, head.field("content-length")), (200, Some("0")));
    });
}

#[test]
fn conditions_and_ranges_are_honoured() {
    with_files(ASSETS, NotFound::None, async |node, _| {
        let tag = node.get("/a.txt", "").await.field("etag").unwrap().to_owned();
        let same = node.get("/a.txt", &format!("If-None-Match: {tag}\r\n")).await;
        assert_eq!((same.status, same.body.len(), same.field("etag")), (304, 0, Some(tag.as_str())));
        let part = node.get("/a.txt", &format!("Range: bytes=2-4\r\nIf-Range: {tag}\r\n")).await;
        assert_eq!((part.status, part.text().as_str()), (206, "234"));
        assert_eq!(part.field("content-range"), Some("bytes 2-4/10"));
        let beyond = node.get("/a.txt", "Range: bytes=10-\r\n").await;
        assert_eq!((beyond.status, beyond.code().as_str()), (416, "range_not_satisfiable"));
        assert_eq!(beyond.field("content-range"), Some("bytes */10"));
        assert_eq!(node.get("/a.txt", "Range: bytes=0-1,3-4\r\n").await.text(), "0123456789");
    });
}

#[test]
fn a_large_file_is_streamed_whole_and_in_part() {
    with_files(ASSETS, NotFound::None, async |node, _| {
        let answer = node.get("/large.bin", "").await;
        assert_eq!(answer.field("content-length"), Some("700001"));
        assert!(answer.body == large());
        let part = node.get("/large.bin", "Range: bytes=300000-600000\r\n").await;
        assert!(part.body == large()[300_000..=600_000]);
        assert_eq!(node.records(2).await[0].response_bytes, LARGE as u64);
    });
}

#[test]
fn a_file_that_changed_since_it_was_indexed_is_not_sent() {
    with_files(ASSETS, NotFound::None, async |node, directory| {
        std::fs::write(directory.join("large.bin"), b"short").unwrap();
        assert_eq!(node.get("/large.bin", "").await.code(), "store_failed");
        std::fs::remove_file(directory.join("a.txt")).unwrap();
        assert_eq!(node.get("/a.txt", "").await.code(), "store_failed");
    });
}

#[test]
fn other_methods_are_refused() {
    with_files(ASSETS, NotFound::SinglePage, async |node, _| {
        let post = node.ask("POST /a.txt", "app.localhost", "Content-Length: 1\r\n", "x").await;
        assert_eq!(
            (post.status, post.code().as_str(), post.field("allow")),
            (405, "method_not_allowed", Some("GET, HEAD"))
        );
        assert_eq!(node.ask("POST /none", "app.localhost", "", "").await.code(), "not_found");
        assert_eq!(node.get("/docs%2findex.html", "").await.code(), "bad_path");
    });
}

#[test]
fn a_path_without_a_file_gets_what_the_plan_says() {
    with_files(ASSETS, NotFound::None, async |node, _| {
        assert_eq!(node.get("/none", "").await.code(), "not_found");
    });
    with_files(ASSETS, NotFound::SinglePage, async |node, _| {
        let page = node.get("/deep/link", "").await;
        assert_eq!((page.status, page.text().as_str()), (200, "home"));
    });
    with_files(ASSETS, NotFound::Page404, async |node, _| {
        let page = node.get("/docs/none", "").await;
        assert_eq!((page.status, page.text().as_str()), (404, "no such page"));
        assert_eq!(node.get("/none", "").await.code(), "not_found", "no page at the root");
    });
}

#[test]
fn a_worker_stands_behind_the_files() {
    with_files(BOTH, NotFound::SinglePage, async |node, _| {
        assert_eq!(node.get("/a.txt", "").await.text(), "0123456789");
        assert_eq!(node.get("/api", "").await.text(), "worker GET http://app.localhost/api");
        assert_eq!(node.get("/api", "Sec-Fetch-Mode: navigate\r\n").await.text(), "home");
        let post = node.ask("POST /a.txt", "app.localhost", "", "").await;
        assert_eq!(post.text(), "worker POST http://app.localhost/a.txt");
        assert_eq!(node.get("/a%2fb", "").await.text(), "worker GET http://app.localhost/a%2fb");
    });
    with_files(BOTH, NotFound::Page404, async |node, _| {
        assert_eq!(node.get("/docs/none", "").await.text(), "worker GET http://app.localhost/docs/none");
    });
}
