use proptest::prelude::*;

use super::*;
use crate::script::codec::Decoder;

/// The bits for everything that can be heard of.
const ALL: u32 = 31;

/// An edit as the prelude would send it, built field by field.
#[derive(Default)]
struct TestEdit {
    flags: u32,
    lists: [Vec<(&'static str, bool)>; 5],
    attributes: Vec<(&'static str, Option<&'static str>)>,
    name: Option<&'static str>,
}

/// Places in [`TestEdit::lists`].
const BEFORE: usize = 0;
const AFTER: usize = 1;
const REPLACEMENT: usize = 2;
const PREPENDED: usize = 3;
const APPENDED: usize = 4;

impl TestEdit {
    fn flags(flags: u32) -> Self {
        Self { flags, ..Self::default() }
    }

    fn with(mut self, list: usize, text: &'static str) -> Self {
        self.lists[list].push((text, true));
        self
    }

    fn with_text(mut self, list: usize, text: &'static str) -> Self {
        self.lists[list].push((text, false));
        self
    }

    fn attribute(mut self, name: &'static str, value: Option<&'static str>) -> Self {
        self.attributes.push((name, value));
        self
    }

    fn encode(&self, id: u32, out: &mut Encoder) {
        out.array(9).integer(u64::from(id)).integer(u64::from(self.flags));
        for list in &self.lists {
            out.array(2 * list.len() as u32);
            for (text, html) in list {
                out.string(text).bool(*html);
            }
        }
        out.array(2 * self.attributes.len() as u32);
        for (name, value) in &self.attributes {
            out.string(name).optional_string(*value);
        }
        out.optional_string(self.name);
    }
}

/// A record as the guest sees it: `kind:text`, with the element's or end tag's name, the text, and so on.
fn describe(record: &[Value<'_>]) -> (u32, String) {
    let kind = ["element", "end", "text", "comment", "doctype", "document end"][record[0].as_u32().unwrap() as usize];
    let what = match kind {
        "end" => record[4].as_str().unwrap(),
        "document end" => "",
        "doctype" => record[3].as_optional_str().unwrap().unwrap_or("-"),
        _ => record[3].as_str().unwrap(),
    };
    (record[1].as_u32().unwrap(), format!("{kind}:{what}"))
}

/// Rewrites `pieces`; `handle` plays the guest's handlers.
fn rewrite(
    registrations: &[(Option<&str>, u32)],
    charset: &str,
    pieces: &[&[u8]],
    mut handle: impl FnMut(&str) -> Option<TestEdit>,
) -> Result<Vec<u8>, RewriterError> {
    let registrations: Vec<Registration> = registrations
        .iter()
        .map(|(selector, wants)| Registration { selector: selector.map(str::to_owned), wants: *wants })
        .collect();
    let mut rewriter = Rewriter::open(&registrations, charset, 1 << 20)?;
    let mut whole = Vec::new();
    for (index, piece) in pieces.iter().chain([&&b""[..]]).enumerate() {
        let last = index == pieces.len();
        rewriter.feed(piece)?;
        loop {
            let mut out = Vec::new();
            let waits = rewriter.parse(last, &mut out)?;
            whole.append(&mut out);
            if waits {
                let mut records = Encoder::default();
                rewriter.encode_batch(&mut records);
                let Ok(Value::Array(records)) = Decoder::new(&records.0).next() else { panic!("no list of records") };
                let mut edits = Encoder::default();
                let mut count = 0;
                for record in &records {
                    let Value::Array(record) = record else { panic!("no record") };
                    let (id, what) = describe(record);
                    if let Some(edit) = handle(&what) {
                        edit.encode(id, &mut edits);
                        count += 1;
                    }
                }
                let mut decoder = Decoder::new(&edits.0);
                let edits: Vec<Value<'_>> = (0..count).map(|_| decoder.next().unwrap()).collect();
                rewriter.fill(&edits, &mut out)?;
                whole.append(&mut out);
            }
            if !rewriter.has_more(last) {
                break;
            }
        }
    }
    assert!(rewriter.is_at_end());
    Ok(whole)
}

/// Rewrites in one piece and byte by byte, which must come to the same.
fn check(selector: &str, html: &str, handle: impl Fn(&str) -> Option<TestEdit>, expect: &str) {
    let registrations = [(Some(selector), ALL)];
    let whole = rewrite(&registrations, "utf-8", &[html.as_bytes()], &handle).unwrap();
    assert_eq!(String::from_utf8(whole).unwrap(), expect);
    let bytes: Vec<&[u8]> = html.as_bytes().chunks(1).collect();
    let split =
        rewrite(&registrations, "utf-8", &bytes, |what| if what.starts_with("text:") { None } else { handle(what) });
    if !html.contains("edit-text") {
        assert_eq!(String::from_utf8(split.unwrap()).unwrap(), expect, "byte by byte");
    }
}

/// Edits the tokens that are described as `what`.
fn on(what: &str, edit: impl Fn() -> TestEdit) -> impl Fn(&str) -> Option<TestEdit> {
    move |found| (found == what).then(&edit)
}

use super::edit::flags::{CONTENT_REMOVED, END_TAG_REMOVED, HAS_CONTENT, REMOVED};

#[test]
fn content_is_put_around_and_into_elements() {
    let edit = || {
        TestEdit::flags(HAS_CONTENT)
            .with(BEFORE, "<1>")
            .with(PREPENDED, "<2>")
            .with_text(APPENDED, "<&3>")
            .with(AFTER, "<4>")
    };
    check("p", "a<p>b<i>c</i></p>d", on("element:p", edit), "a<1><p><2>b<i>c</i>&lt;&amp;3&gt;</p><4>d");
    check("img", "a<img>d", on("element:img", edit), "a<1><img><2><4>d".replace("<2>", "").as_str());
}

#[test]
fn elements_are_removed_and_replaced() {
    let gone = REMOVED | CONTENT_REMOVED | END_TAG_REMOVED;
    check("p", "a<p>b<p>c</p>d</p>e", on("element:p", || TestEdit::flags(gone)), "ae");
    let replaced = || TestEdit::flags(gone).with(REPLACEMENT, "<b>").with(BEFORE, "1").with(AFTER, "2");
    check("p", "a<p>b</p>c", on("element:p", replaced), "a1<b>2c");
    check("p", "a<p>b<i>x</i></p>c", on("element:p", || TestEdit::flags(REMOVED | END_TAG_REMOVED)), "ab<i>x</i>c");
    let inner = || TestEdit::flags(CONTENT_REMOVED | HAS_CONTENT).with(PREPENDED, "new");
    check("p", "a<p class=x>b<i>x</i></p>c", on("element:p", inner), "a<p class=x>new</p>c");
}

#[test]
fn tags_keep_what_is_not_changed() {
    let edit = || {
        TestEdit { name: Some("section"), ..TestEdit::default() }
            .attribute("id", Some("a\"b"))
            .attribute("gone", None)
            .attribute("new", Some("é"))
    };
    check(
        "div",
        "<DIV ID=x Class='a b' gone hidden>t</DIV>",
        on("element:div", edit),
        "<section ID=\"a&quot;b\" Class='a b' hidden new=\"é\">t</section>",
    );
}

#[test]
fn an_element_that_is_closed_by_the_way_leaves_its_parents_tag_alone() {
    let edit = || TestEdit::flags(END_TAG_REMOVED).with(APPENDED, "1").with(AFTER, "2");
    check("p", "<div><p>a</div>b", on("element:p", edit), "<div><p>a12</div>b");
    let edit = || TestEdit { name: Some("q"), ..TestEdit::default() };
    check("p", "<div><p>a</div>b", on("element:p", edit), "<div><q>a</div>b");
    let gone = || TestEdit::flags(REMOVED | CONTENT_REMOVED | END_TAG_REMOVED);
    check("p", "<div><p>a<i>b</div>c", on("element:p", gone), "<div></div>c");
}

#[test]
fn end_tags_text_comments_and_the_document_can_be_edited() {
    let end = || TestEdit { name: Some("q"), ..TestEdit::default() }.with(BEFORE, "1").with(AFTER, "2");
    check("p", "<p>a</p>b", on("end:p", end), "<p>a1</q>2b");
    check("p", "<p>a</p>b", on("end:p", || TestEdit::flags(REMOVED)), "<p>ab");
    let comment = || TestEdit { name: Some("new"), ..TestEdit::default() }.with(BEFORE, "1");
    check("p", "<p><!--old--></p>", on("comment:old", comment), "<p>1<!--new--></p>");
    let text = || TestEdit::flags(REMOVED).with_text(REPLACEMENT, "<new>");
    check("p", "<p>edit-text</p>b", on("text:edit-text", text), "<p>&lt;new&gt;</p>b");
    let document = [(None, ALL)];
    let html = [&b"<!DOCTYPE html>a"[..]];
    let out =
        rewrite(&document, "utf-8", &html, on("document end:", || TestEdit::default().with(BEFORE, "!"))).unwrap();
    assert_eq!(out, b"<!DOCTYPE html>a!");
    let mut seen = Vec::new();
    rewrite(&document, "utf-8", &html, |what| {
        seen.push(what.to_owned());
        None
    })
    .unwrap();
    assert_eq!(seen, ["doctype:html", "text:a", "text:", "document end:"]);
}

#[test]
fn handlers_see_the_tokens_in_order_whatever_happens_to_them() {
    let mut seen = Vec::new();
    let handlers = [(Some("p"), ALL), (Some("i"), 1)];
    let out = rewrite(&handlers, "utf-8", &[b"<p>a<i>b</i><!--c--></p>d"], |what| {
        seen.push(what.to_owned());
        (what == "element:p").then(|| TestEdit::flags(REMOVED | CONTENT_REMOVED | END_TAG_REMOVED))
    });
    assert_eq!(out.unwrap(), b"d");
    let expect = ["element:p", "text:a", "text:", "element:i", "text:b", "text:", "end:i", "comment:c", "end:p"];
    assert_eq!(seen, expect);
}

#[test]
fn content_is_written_in_the_encoding_of_the_document() {
    let edit = || TestEdit::default().with(BEFORE, "é€\u{4e2d}").attribute("title", Some("ü"));
    let html: &[u8] = b"\xe4<p>\xfc</p>";
    let out = rewrite(&[(Some("p"), ALL)], "iso-8859-1", &[html], on("element:p", edit)).unwrap();
    assert_eq!(out, b"\xe4\xe9\x80&#20013;<p title=\"\xfc\">\xfc</p>");
    assert!(matches!(rewrite(&[], "utf-16", &[], |_| None), Err(RewriterError::Encoding(_))));
    assert!(matches!(rewrite(&[], "no such", &[], |_| None), Err(RewriterError::Encoding(_))));
}

#[test]
fn a_character_cut_by_a_piece_stays_whole() {
    let pieces: [&[u8]; 3] = [b"<p>\xe2", b"\x82", b"\xac</p>"];
    let out = rewrite(&[(Some("p"), ALL)], "utf-8", &pieces, |_| None).unwrap();
    assert_eq!(out, "<p>€</p>".as_bytes());
}

#[test]
fn a_tag_that_never_ends_is_refused_in_time() {
    let handlers = [(Some("p"), ALL)];
    let endless = [b'x'; 4096];
    let pieces: Vec<&[u8]> = [&b"<p class="[..]].into_iter().chain(std::iter::repeat_n(&endless[..], 1_000)).collect();
    assert!(matches!(rewrite(&handlers, "utf-8", &pieces, |_| None), Err(RewriterError::Memory(_))));
}

#[test]
fn bad_selectors_say_why() {
    for bad in ["", "p:hover", "p >", "::before", "p:nth-child(x)"] {
        let error = check_selector(bad).unwrap_err().to_string();
        assert!(error.contains("is not supported"), "{error}");
    }
    check_selector("ul > li:nth-child(2n+1) a[href^=\"http:\" i]:not(.x)").unwrap();
}

/// Documents made of what documents are made of, well formed or not.
fn markup() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "<div>",
        "</div>",
        "<p class=a>",
        "</p>",
        "<i>",
        "</i>",
        "<br>",
        "<img src='x'/>",
        "<b\n x=\"1\" y>",
        "</b >",
        "text",
        "é€😀",
        "&amp;",
        "<!-- c -->",
        "<!---->",
        "<!DOCTYPE html>",
        "<script>if (a<b) {}</script>",
        "<style>",
        "</style>",
        "<svg><circle/>",
        "</svg>",
        "<table><tr><td>",
        "<",
        ">",
        "</",
        "\"",
        "=",
        " ",
        "\n",
        "<textarea>",
        "</textarea>",
        "<title>x",
        "</title>",
        "<![CDATA[x]]>",
    ]);
    prop::collection::vec(parts, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    /// Handlers that change nothing change nothing, wherever the document is cut.
    #[test]
    fn without_edits_the_document_is_the_same(html in markup(), cut in 1usize..40) {
        let handlers = [(Some("*"), ALL), (Some("p, div"), 3), (None, ALL)];
        let pieces: Vec<&[u8]> = html.as_bytes().chunks(cut).collect();
        let out = rewrite(&handlers, "utf-8", &pieces, |_| None).unwrap();
        prop_assert_eq!(String::from_utf8_lossy(&out), html);
    }

    /// The edits of one piece, and of the same document cut anywhere, come to the same.
    #[test]
    fn edits_do_not_depend_on_where_the_document_is_cut(html in markup(), cut in 1usize..40) {
        let edit = |what: &str| match what {
            "element:p" => Some(TestEdit::flags(HAS_CONTENT).with(APPENDED, "[end of p]").with(AFTER, "[after p]")),
            "element:i" => Some(TestEdit::flags(REMOVED | CONTENT_REMOVED | END_TAG_REMOVED).with(REPLACEMENT, "[i]")),
            "element:b" => Some(TestEdit::default().attribute("x", Some("2")).with(BEFORE, "[b]")),
            "end:div" => Some(TestEdit::default().with(BEFORE, "[end]")),
            _ => None,
        };
        let handlers = [(Some("p, i, b, div"), 1), (None, 2)];
        let pieces: Vec<&[u8]> = html.as_bytes().chunks(cut).collect();
        let whole = rewrite(&handlers, "utf-8", &[html.as_bytes()], edit).unwrap();
        let split = rewrite(&handlers, "utf-8", &pieces, edit).unwrap();
        prop_assert_eq!(String::from_utf8_lossy(&split), String::from_utf8_lossy(&whole));
    }

    #[test]
    fn nonsense_never_panics(data in prop::collection::vec(any::<u8>(), 0..500), cut in 1usize..50) {
        let handlers = [(Some("*"), ALL), (None, ALL)];
        let pieces: Vec<&[u8]> = data.chunks(cut).collect();
        let _ = rewrite(&handlers, "utf-8", &pieces, |_| None);
    }
}
