//! The recipes do what their READMEs say.

use rustix::process::Signal;
use serde_json::json;

use crate::harness::{Place, Request, write};

#[test]
fn guestbook_shows_what_visitors_wrote_as_text() {
    let place = Place::new();
    let node = place.dev(&place.recipe("guestbook"));

    let page = node.get("/").expect(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.text().contains("No entries yet"), "{}", page.text());

    let signed = node.send(&Request::form("/", "name=Ada&message=%3Cb%3EHello%3C%2Fb%3E+%26+welcome")).expect(303);
    let location = signed.header("location").expect("a location");
    assert!(location.starts_with("/#entry-"), "{location}");

    let page = node.get("/").expect(200).text();
    assert!(page.contains("&lt;b&gt;Hello&lt;/b&gt; &amp; welcome"), "{page}");
    assert!(!page.contains("<b>Hello"), "{page}");
    assert!(page.contains("<h3>Ada</h3>"), "{page}");
    assert!(page.contains(&location["/#".len()..]), "the anchor of the redirect is on the page: {page}");
}

#[test]
fn guestbook_gives_a_wrong_form_back_with_what_was_typed() {
    let place = Place::new();
    let node = place.dev(&place.recipe("guestbook"));

    let page = node.send(&Request::form("/", "name=Ada+Lovelace&message=")).expect(422).text();
    assert!(page.contains("Please write your message."), "{page}");
    assert!(page.contains("value=\"Ada Lovelace\""), "{page}");
    assert!(node.get("/").text().contains("No entries yet"));

    let elsewhere = Request::form("/", "name=Eve&message=spam").header("origin", "https://elsewhere.example");
    node.send(&elsewhere).expect(403);
    let large = Request::form("/", &format!("name=Ada&message={}", "x".repeat(70_000)));
    node.send(&large).expect_problem(413, "body_too_large");
    assert_eq!(node.send(&Request::new("DELETE", "/")).expect(405).header("allow"), Some("GET, HEAD, POST"));
}

#[test]
fn guestbook_keeps_its_entries_over_a_restart() {
    let place = Place::new();
    let project = place.recipe("guestbook");
    let node = place.dev(&project);
    node.send(&Request::form("/", "name=Ada&message=I+was+here")).expect(303);
    node.stop();

    let page = place.dev(&project).get("/").expect(200).text();
    assert!(page.contains("I was here"), "{page}");
}

#[test]
fn guestbook_pages_through_its_entries_newest_first() {
    let place = Place::new();
    let node = place.dev(&place.recipe("guestbook"));
    for n in 1..=12 {
        node.send(&Request::form("/", &format!("name=Visitor+{n}&message=entry+{n}."))).expect(303);
    }

    let first = node.get("/").text();
    let at = |n: u32| first.find(&format!("entry {n}."));
    assert!(at(12) < at(11) && at(12).is_some(), "{first}");
    assert!(at(2).is_none(), "ten entries are a page: {first}");
    let (_, rest) = first.split_once("href=\"/?cursor=").expect("a link to earlier entries");
    let cursor = rest.split('"').next().expect("the end of the link").replace("&amp;", "&");
    let second = node.get(&format!("/?cursor={cursor}")).expect(200).text();
    assert!(second.contains("entry 2.") && second.contains("entry 1.") && !second.contains("entry 3."), "{second}");
    assert_eq!(node.get("/?cursor=nonsense").expect(303).header("location"), Some("/"));
}

#[test]
fn guestbook_serves_its_files_with_validators_and_ranges() {
    let place = Place::new();
    let node = place.dev(&place.recipe("guestbook"));

    let style = node.get("/style.css").expect(200);
    assert_eq!(style.header("content-type"), Some("text/css; charset=utf-8"));
    let etag = style.header("etag").expect("an ETag");
    let again = node.send(&Request::get("/style.css").header("if-none-match", etag)).expect(304);
    assert!(again.body.is_empty());
    let part = node.send(&Request::get("/style.css").header("range", "bytes=0-9")).expect(206);
    assert_eq!(part.body, style.body[..10]);
    assert_eq!(node.get("/favicon.svg").expect(200).header("content-type"), Some("image/svg+xml; charset=utf-8"));
}

#[test]
fn api_creates_an_item_once_and_overwrites_nothing_unseen() {
    let place = Place::new();
    let node = place.dev(&place.recipe("api"));
    let mug = json!({ "sku": "mug-blue", "name": "Blue mug", "stock": 3 });

    let created = node.send(&Request::json("POST", "/items", &mug)).expect(201);
    assert_eq!(created.header("location"), Some("/items/mug-blue"));
    let etag = created.header("etag").expect("an ETag").to_owned();
    let again = node.send(&Request::json("POST", "/items", &mug));
    again.expect_problem(409, "exists");

    let read = node.get("/items/mug-blue").expect(200);
    assert_eq!(read.json()["stock"], 3);
    node.send(&Request::get("/items/mug-blue").header("if-none-match", &etag)).expect(304);

    let change = json!({ "name": "Mug", "stock": 4 });
    let put = || Request::json("PUT", "/items/mug-blue", &change);
    node.send(&put()).expect_problem(428, "if_match_required");
    node.send(&put().header("if-match", &etag)).expect(200);
    node.send(&put().header("if-match", &etag)).expect_problem(412, "changed");
    let list = node.get("/items?limit=10").expect(200).json();
    assert_eq!(list["items"][0]["name"], "Mug", "{list}");
    assert_eq!(list["cursor"], serde_json::Value::Null);
}

#[test]
fn api_says_everything_that_is_wrong_with_a_body() {
    let place = Place::new();
    let node = place.dev(&place.recipe("api"));

    let wrong = Request::json("POST", "/items", &json!({ "sku": "Mug!", "stok": 3 }));
    let problem = node.send(&wrong).expect_problem(422, "invalid");
    let pointers: Vec<_> = problem["errors"].as_array().expect("errors").iter().map(|e| &e["pointer"]).collect();
    assert_eq!(pointers, ["/sku", "/name", "/stock", "/stok"], "{problem}");
    let broken = Request::post("/items", "{").header("content-type", "application/json");
    node.send(&broken).expect_problem(400, "bad_json");
    node.send(&Request::post("/items", "sku=mug")).expect_problem(415, "not_json");
    node.get("/nothing").expect_problem(404, "not_found");
    node.get("/items/missing").expect_problem(404, "no_item");
}

#[test]
fn api_never_gives_one_piece_to_two_callers() {
    let place = Place::new();
    let node = place.dev(&place.recipe("api"));
    node.send(&Request::json("POST", "/items", &json!({ "sku": "rare", "name": "Rare", "stock": 3 }))).expect(201);

    let take = Request::json("POST", "/items/rare/take", &json!({ "quantity": 1 }));
    let taken = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..12)
            .map(|_| {
                let (node, take) = (&node, &take);
                scope.spawn(move || {
                    // Too many at once is an answer that asks to come again.
                    let answer = node.until(take, |answer| answer.status != 503);
                    assert!(matches!(answer.status, 200 | 409), "{} {}", answer.status, answer.text());
                    answer.status == 200
                })
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().expect("a caller")).filter(|&took| took).count()
    });
    assert_eq!(taken, 3);
    assert_eq!(node.get("/items/rare").json()["stock"], 0);
}

#[test]
fn component_answers_and_reads_bodies_of_any_size() {
    let place = Place::new();
    let node = place.dev(&place.recipe("component"));

    let hello = node.get("/hello/Ada").expect(200);
    assert_eq!(hello.header("content-type"), Some("application/json"));
    assert_eq!(hello.json(), json!({ "message": "Hello, Ada!" }));
    let text = "one two\nthree\n".repeat(20_000);
    let stats = node.send(&Request::post("/stats", text.clone())).expect(200).json();
    assert_eq!(stats, json!({ "bytes": text.len(), "lines": 40_000, "words": 60_000 }));
    assert_eq!(node.get("/stats").expect(405).header("allow"), Some("POST"));
    node.get("/elsewhere").expect(404);
}

#[test]
fn wrangler_project_runs_unmodified() {
    let place = Place::new();
    let node = place.dev(&place.recipe("wrangler-project"));

    assert!(node.get("/").expect(200).text().contains("<title>Short links</title>"));
    assert_eq!(node.get("/app.js").expect(200).header("content-type"), Some("text/javascript; charset=utf-8"));
    assert_eq!(node.get("/api/site").expect(200).json(), json!({ "name": "Short links", "ttlDays": 30 }));

    let target = "https://example.com/a/long/way";
    let link = node.send(&Request::json("POST", "/api/links", &json!({ "url": target }))).expect(201).json();
    let slug = link["slug"].as_str().expect("a slug");
    let visit = node.get(&format!("/{slug}")).expect(302);
    assert_eq!(visit.header("location"), Some(target));
    // The visit is counted after the answer.
    let counted =
        node.until(&Request::get(&format!("/{slug}+")), |answer| answer.status != 200 || answer.json()["visits"] == 1);
    assert_eq!(counted.json()["target"], target);

    let missing = node.get("/nothing").expect(404);
    assert!(missing.text().contains("<title>No such link</title>"), "{}", missing.text());
    node.send(&Request::json("POST", "/api/links", &json!({ "url": "javascript:alert(1)" }))).expect(400);
}

#[test]
fn wrangler_environment_has_its_own_name_and_variables() {
    let place = Place::new();
    let project = place.recipe("wrangler-project").display().to_string();
    let plan = place.run(&["check", &project, "--env", "staging", "--json"]).json();
    assert_eq!(plan["app"], "short-links-staging", "{plan}");
    let text = place.run(&["check", &project, "--env", "staging"]).expect_success();
    assert!(text.contains("Short links (staging)"), "{text}");
}

#[test]
fn sessions_know_who_is_signed_in_and_survive_a_rotated_key() {
    let place = Place::new();
    let project = place.recipe("sessions");
    std::fs::remove_file(project.join(".dev.vars")).expect("the key of development");
    place.on_data_with(&["secret", "put", "sessions", "cookie-key"], b"the first key").expect_success();
    place.deploy(&project).expect_success();
    let node = place.serve();
    let request =
        |method: &str, path: &str, cookie: &str| Request::new(method, path).at_app("sessions").header("cookie", cookie);
    let form = Request::form("/sign-in", "user=ada").at_app("sessions");
    let cookie_of = |answer: &crate::harness::Answer| {
        answer.header("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("a cookie").to_owned()
    };
    let first = cookie_of(&node.send(&form).expect(200));
    assert_eq!(node.send(&request("GET", "/me", &first)).expect(200).text(), "ada, visit 1\n");
    let rotate = ["secret", "put", "sessions", "cookie-key", "--overlap", "3600"];
    place.on_data_with(&rotate, b"the second key").expect_success();
    // The cookie is signed anew once the new key is there, and the old one is good all the while.
    let moved = node.until(&request("GET", "/me", &first), |answer| answer.status != 200 || cookie_of(answer) != first);
    let second = cookie_of(&moved.expect(200));
    place.on_data_with(&["secret", "put", "sessions", "cookie-key"], b"the second key").expect_success();
    node.until(&request("GET", "/me", &first), |answer| answer.status == 401);
    node.send(&request("GET", "/me", &second)).expect(200);
    node.send(&request("POST", "/sign-out", &second)).expect(200);
    node.send(&request("GET", "/me", &second)).expect(401);
    let left = place.on_data(&["kv", "list", "sessions", "sessions"]).expect_success();
    assert_eq!(left, "user/ada\n");
}

#[test]
fn todo_keeps_lists_in_a_database_and_searches_them() {
    let place = Place::new();
    let project = place.recipe("todo");
    let node = place.dev(&project);
    let post = |path: &str, body: serde_json::Value| node.send(&Request::json("POST", path, &body));
    let list = post("/lists", json!({ "name": "shopping" })).expect(200).text();
    assert_eq!(list, r#"{"id":1,"name":"shopping"}"#);
    for text in ["milk and bread", "tea"] {
        post("/lists/1/items", json!({ "text": text })).expect(200);
    }
    post("/items/2/move/1", json!({})).expect(200);
    post("/items/1/done", json!({})).expect(200);
    let items = node.get("/lists/1").expect(200).text();
    let expected = r#"{"id":1,"name":"shopping","items":[{"id":2,"text":"tea","done":0},{"id":1,"text":"milk and bread","done":1}]}"#;
    assert_eq!(items, expected);
    assert!(node.get("/search?q=bread").expect(200).text().contains("milk and bread"));
    let twice = post("/lists", json!({ "name": "shopping" })).expect(409).text();
    assert_eq!(twice, r#"{"error":"UNIQUE constraint failed: list.name"}"#);
    node.stop();
    assert_eq!(place.dev(&project).get("/lists/1").expect(200).text(), expected, "it outlives the node");
}

#[test]
fn tenants_have_a_database_each() {
    let place = Place::new();
    let project = place.recipe("tenants");
    let node = place.dev(&project);
    let invoice = |tenant: &str, cents: u64| {
        let body = json!({ "customer": "ada", "cents": cents });
        node.send(&Request::json("POST", &format!("/{tenant}/invoices"), &body))
    };
    invoice("acme", 1).expect(404);
    for tenant in ["acme", "globex"] {
        node.send(&Request::new("PUT", &format!("/{tenant}"))).expect(201);
    }
    for number in 1..=3 {
        assert_eq!(invoice("acme", 500).expect(201).text(), format!(r#"{{"number":{number}}}"#));
    }
    assert_eq!(invoice("acme", 500).expect(402).text(), "The free plan ends here.\n");
    assert_eq!(invoice("globex", 70).expect(201).text(), r#"{"number":1}"#);
    node.stop();
    let node = place.dev(&project);
    let listed = node.get("/globex/invoices").expect(200).text();
    assert_eq!(listed, r#"{"invoices":[{"number":1,"customer":"ada","cents":70,"paid":0}],"open_cents":70}"#);
}

#[test]
fn views_are_counted_at_once_and_written_behind() {
    let place = Place::new();
    place.deploy(&place.recipe("views")).expect_success();
    let mut node = place.serve();
    let view = Request::new("POST", "/pages/home").at_app("views");
    for count in 1..=25 {
        assert_eq!(node.send(&view).expect(200).text(), format!(r#"{{"views":{count}}}"#));
    }
    // Whatever the database has by now, no view is lost with the process.
    node.signal(Signal::KILL);
    node.wait();
    let node = place.serve();
    let top = Request::new("GET", "/top").at_app("views");
    node.until(&top, |answer| answer.text() == r#"[{"name":"home","views":25}]"#);
    assert_eq!(node.send(&view).expect(200).text(), r#"{"views":26}"#);
    node.until(&top, |answer| answer.text() == r#"[{"name":"home","views":26}]"#);
}

#[test]
fn feed_brings_a_post_to_whoever_follows() {
    let place = Place::new();
    let project = place.recipe("feed");
    let node = place.dev(&project);
    for reader in ["ada", "alan"] {
        node.send(&Request::new("PUT", &format!("/{reader}/following/grace"))).expect(200);
        assert_eq!(node.get(&format!("/{reader}/timeline")).expect(200).text(), "[]");
    }
    let post = Request::post("/grace/posts", "It ran at once.");
    assert_eq!(node.send(&post).expect(202).text(), r#"{"id":1}"#);
    for reader in ["ada", "alan"] {
        let timeline = Request::new("GET", &format!("/{reader}/timeline"));
        node.until(&timeline, |answer| answer.text().contains("It ran at once."));
    }
    node.stop();
    assert!(place.dev(&project).get("/ada/timeline").expect(200).text().contains("grace"), "it outlives the node");
}

#[test]
fn orders_and_the_stock_change_together_or_not_at_all() {
    let Some(server) = testkit::PostgresServer::start() else { return };
    let place = Place::new();
    let project = place.recipe("orders");
    server.sql(&std::fs::read_to_string(project.join("schema.sql")).expect("the schema"));
    let manifest = std::fs::read_to_string(project.join("selvedge.toml")).expect("the manifest");
    let manifest = manifest.replace("postgres://localhost", &format!("postgres://localhost:{}", server.port));
    write(&project.join("selvedge.toml"), &manifest);
    write(&project.join(".dev.vars"), &format!("DB={}\n", server.url()));
    let node = place.dev(&project);

    let order =
        |item: &str, units: i64| node.send(&Request::json("POST", "/orders", &json!({ "item": item, "units": units })));
    assert_eq!(order("lamp", 2).expect(201).text(), "{\"id\":1}");
    order("lamp", 2).expect(409);
    order("sofa", 1).expect(404);
    order("lamp", -1).expect(409);
    let stock = node.get("/stock").expect(200).text();
    assert_eq!(stock, "[{\"item\":\"chair\",\"units\":10},{\"item\":\"lamp\",\"units\":1}]");
    let orders: serde_json::Value = serde_json::from_str(&node.get("/orders").expect(200).text()).expect("JSON");
    assert_eq!(orders.as_array().map(Vec::len), Some(1), "{orders}");
}
