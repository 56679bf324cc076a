use super::*;

fn file(text: &str) -> SourceFile {
    SourceFile::new(Source { path: "f.toml", text })
}

#[test]
fn a_place_never_splits_a_character_nor_leaves_the_text() {
    let file = file("aä\n");
    assert_eq!(file.place(2..2).span, 1..3);
    assert_eq!(file.place(90..99).span, 4..4);
    let (late, early) = (3, 1);
    assert_eq!(file.place(late..early).span, 3..3);
    assert_eq!(file.place(4..4).line_column(), (2, 1));
    assert_eq!(file.place(3..4).line_column(), (1, 3));
}

#[test]
fn a_report_is_json_for_programs() {
    let problem = Diagnostic::new(code::BAD_NAME, "no name").at(file("a\nbc").place(3..4)).help("another");
    let expect = serde_json::json!({ "problems": [{
        "code": "manifest::bad_name",
        "message": "no name",
        "place": { "file": "f.toml", "line": 2, "column": 2, "start": 3, "end": 4 },
        "label": null,
        "help": "another",
    }] });
    assert_eq!(Report::from(problem.clone()).to_json(), expect);
    assert_eq!(Report::from(problem).to_string(), "f.toml:2: no name");
}

#[test]
fn colour_is_only_there_when_asked_for() {
    let report = Report::from(Diagnostic::new(code::BAD_NAME, "no name").at(file("a").place(0..1)));
    assert!(report.render(true).contains('\u{1b}'));
    assert!(!report.render(false).contains('\u{1b}'));
}

#[test]
fn the_nearest_name_is_near() {
    let known = ["routes", "workers", "name", "limits", "kv"];
    for (wrong, right) in [("route", "routes"), ("nmae", "name"), ("Workers", "workers"), ("kw", "kv")] {
        assert_eq!(nearest(wrong, known), Some(right), "{wrong}");
    }
    for wrong in ["xyzzy", "", "database"] {
        assert_eq!(nearest(wrong, known), None, "{wrong}");
    }
}
