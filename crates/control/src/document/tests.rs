use manifest::{Options, Source};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn plan() -> Plan {
    let text = "name = \"shop\"\n[workers.web]\nentry = \"a.ts\"\n[[routes]]\nmatch = \"shop.example/*\"\nassets = \"public\"\n[[routes]]\nmatch = \"/api/*\"\nworker = \"web\"\n";
    manifest::read_selvedge(Source { path: "selvedge.toml", text }, &Options::default()).expect("a good manifest")
}

fn document(paths: &[&str]) -> Result<Document, DocumentError> {
    let entry = |path: &&str| ((*path).to_owned(), AssetEntry { digest: Digest::of(path.as_bytes()), bytes: 3 });
    Document::new(plan(), vec![Digest::of(b"web")], vec![paths.iter().map(entry).collect()], Migrations::new())
}

/// What a document is read as after a change to its JSON.
fn read_with(change: impl Fn(&mut Value)) -> Result<Document, DocumentError> {
    let mut value = serde_json::to_value(document(&["/a.css"]).expect("a good document")).expect("it is JSON");
    change(&mut value);
    Document::parse(value.to_string().as_bytes())
}

#[test]
fn a_document_reads_back_as_it_was_written() {
    let document = document(&["/index.html", "/a/ä b.css"]).expect("a good document");
    let bytes = document.encode();
    let read = Document::read(&bytes, &Digest::of(&bytes)).expect("it was just written");
    assert_eq!(read, document);
    assert_eq!(read.encode(), bytes);
    assert_eq!(read.hosts(), ["shop.example", "shop.localhost"]);
    assert_eq!(read.blobs().len(), 3);
}

#[test]
fn a_changed_record_is_found() {
    let bytes = document(&["/a"]).expect("a good document").encode();
    let id = Digest::of(&bytes);
    let mut changed = bytes.clone();
    changed.push(b' ');
    assert_eq!(Document::read(&changed, &id), Err(DocumentError::Damaged(id)));
}

#[test]
fn what_is_no_document_says_why() {
    let version = read_with(|d| d["version"] = json!(2));
    assert_eq!(version, Err(DocumentError::Version(2)));
    assert_eq!(
        read_with(|d| d["workers"] = json!([])),
        Err(DocumentError::Count { what: "workers", plan: 1, document: 0 })
    );
    assert_eq!(
        read_with(|d| d["assets"] = json!([{}, {}])),
        Err(DocumentError::Count { what: "asset directories", plan: 1, document: 2 })
    );
    let shape = |result: Result<Document, DocumentError>, expect: &str| match result {
        Err(DocumentError::Shape(found)) => assert!(found.contains(expect), "{found}"),
        other => panic!("{expect}: {other:?}"),
    };
    shape(read_with(|d| d["extra"] = json!(1)), "unknown field `extra`");
    shape(read_with(|d| d["workers"][0] = json!("abc")), "64 hexadecimal digits");
    shape(read_with(|d| d["plan"]["routes"][0]["target"] = json!({ "worker": 7 })), "does not hold");
    shape(read_with(|d| d["plan"]["limits"]["concurrency"] = json!(0)), "concurrency");
    shape(Document::parse(b"{"), "EOF");
    shape(Document::parse(b"\xff"), "");
}

#[test]
fn an_asset_path_is_what_a_url_resolves_to() {
    for bad in ["", "/", "a", "//a", "/a/", "/a//b", "/.", "/a/../b", "/a\nb", &format!("/{}", "x".repeat(1_024))] {
        assert_eq!(document(&[bad]), Err(DocumentError::AssetPath(bad.into())));
    }
    for good in ["/a", "/.well-known/x", "/a..b/c", "/日本", &format!("/{}", "x".repeat(1_023))] {
        assert!(document(&[good]).is_ok(), "{good}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Document::parse(&bytes);
    }

    #[test]
    fn a_damaged_document_is_refused_or_still_valid(at in 0usize..2_000, with in any::<u8>()) {
        let mut bytes = document(&["/a"]).expect("a good document").encode();
        let at = at % bytes.len();
        bytes[at] = with;
        if let Ok(read) = Document::parse(&bytes) {
            let encoded = read.encode();
            prop_assert_eq!(Document::parse(&encoded), Ok(read));
        }
    }
}
