//! What people see who come with a browser.

use crate::harness::{Browser, Place, write};

#[test]
fn the_guestbook_is_signed_without_a_script() {
    let Some(mut browser) = Browser::open() else { return };
    let place = Place::new();
    let node = place.dev(&place.recipe("guestbook"));
    browser.without_scripts();
    browser.go(&format!("http://{}/", node.address));
    assert!(browser.text("body").contains("No entries yet"));

    // A form with a mistake comes back with what was typed.
    browser.type_into("[name=name]", "Ada");
    browser.type_into("[name=message]", " ");
    browser.follow("form button");
    assert!(browser.text("body").contains("Please write your message."), "{}", browser.text("body"));

    browser.type_into("[name=message]", "<b>Hello</b> & welcome");
    browser.follow("form button");
    let page = browser.text("body");
    assert!(page.contains("Ada") && page.contains("<b>Hello</b> & welcome"), "{page}");
    assert!(browser.address().contains("/#entry-"), "{}", browser.address());
}

#[test]
fn a_mistake_is_shown_in_the_browser_with_its_line_of_typescript() {
    let Some(mut browser) = Browser::open() else { return };
    let place = Place::new();
    let lines = [
        "interface Visitor { name?: string }",
        "function greet(visitor: Visitor): string {",
        "  return `Hello ${visitor.name!.trim()}`;",
        "}",
        "function answer(visitor: Visitor): Response {",
        "  return new Response(greet(visitor));",
        "}",
        "export default {",
        "  fetch(request: Request): Response { return answer({} as Visitor); },",
        "};",
        "",
    ];
    let project = place.worker(&lines.join("\n"));
    let node = place.dev(&project);
    browser.go(&format!("http://{}/", node.address));
    assert_eq!(browser.text("h1"), "The worker threw an exception");
    assert_eq!(browser.text("mark").trim(), format!("3 {}", lines[2]));
    let page = browser.text("body");
    for place in ["src/index.ts:3:", "src/index.ts:6:", "src/index.ts:9:"] {
        assert!(page.contains(place), "{place} in {page}");
    }

    write(&project.join("src/index.ts"), "const port: number = ;\nexport default {};\n");
    node.wait_for_stderr("const port: number = ;");
    browser.go(&format!("http://{}/", node.address));
    assert_eq!(browser.text("mark").trim(), "1 const port: number = ;");
}
