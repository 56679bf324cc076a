//! What strangers and proxies in front say of a request, and what of it reaches servers, the cache and routes.

use super::{Authority, curl, has_curl, ports, serve};
use crate::harness::{Answer, Node, Place, write};
use crate::proxy::{Origin, send};

/// An app of one upstream behind a listener that believes whoever connects.
fn trusting(place: &Place, origin: &Origin, routes: &str) -> Node {
    let manifest = format!("name = \"edge\"\n[upstreams.origin]\ntargets = [\"http://{}\"]\n{routes}", origin.address);
    place.deploy(&place.project("project", &[("selvedge.toml", &manifest)])).expect_success();
    write(&place.path("node.toml"), "[[listeners]]\nlisten = \"127.0.0.1:0\"\nforwarded_from = [\"127.0.0.0/8\"]\n");
    let mut node = place.serve_with(&["--config", "node.toml"]);
    // The first is that of the command line, which believes nobody.
    node.address = format!("127.0.0.1:{}", ports(&node, "http")[1]).parse().expect("an address");
    node
}

/// Both ways of a request: on a connection that stays open, and on one that does not.
fn both_ways(node: &Node, path: &str, host: &str, fields: &str) -> [Answer; 2] {
    ["", "connection: close\r\n"]
        .map(|more| node.exchange(&format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{fields}{more}\r\n")))
}

#[test]
fn names_with_underscores_do_not_pass_for_those_of_the_node() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| {
        let mut told: Vec<&str> = seen.head.lines().filter(|line| line.contains("spoof")).collect();
        told.sort_unstable();
        send(stream, "cache-control: max-age=60\r\n", &told.join("|"));
    });
    let manifest = format!(
        "name = \"edge\"\n[upstreams.origin]\ntargets = [\"http://{}\"]\n\
         [[routes]]\nmatch = \"/plain/*\"\nupstream = \"origin\"\ncache = false\n\
         [[routes]]\nmatch = \"/ruled/*\"\nupstream = \"origin\"\ncache = false\n\
         request_headers = {{ set = {{ x-client = \"{{client}}\", x-real-ip = \"{{client}}\" }}, remove = [\"x-secret\"] }}\n\
         [[routes]]\nmatch = \"/stored/*\"\nupstream = \"origin\"\ncache = {{ headers = [\"x-lang\"] }}\n",
        origin.address
    );
    let node = place.dev(&place.project("project", &[("selvedge.toml", &manifest)]));
    let fields = "X_Forwarded_Host: spoof\r\nx_forwarded-for: spoof\r\nX_Real_IP: spoof\r\nX-Real-IP: spoof\r\n\
                  X_Client: spoof\r\nx_secret: spoof\r\nCF_Connecting_IP: spoof\r\nX_Lang: spoof\r\n\
                  X_SSL_Client_Verify: spoof\r\nClient-Cert: :spoof:\r\nx_mine: spoof\r\n";
    for (path, told) in [
        ("/plain/", "x_client: spoof|x_lang: spoof|x_mine: spoof|x_secret: spoof"),
        ("/ruled/", "x_lang: spoof|x_mine: spoof"),
        ("/stored/", "x_client: spoof|x_mine: spoof|x_secret: spoof"),
    ] {
        for answer in both_ways(&node, path, "x", fields) {
            assert_eq!(answer.expect(200).text(), told, "{path}");
        }
    }
}

#[test]
fn the_rules_of_a_route_may_say_what_a_stranger_may_not() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| {
        let told: Vec<&str> = seen.head.lines().filter(|line| line.starts_with("x-real-ip")).collect();
        send(stream, "cache-control: max-age=60\r\n", &told.join("|"));
    });
    let node = crate::proxy::node(&place, &origin, "request_headers = { set = { x-real-ip = \"{client}\" } }");
    for answer in both_ways(&node, "/", "x", "x-real-ip: 6.6.6.6\r\n") {
        assert_eq!(answer.expect(200).text(), "x-real-ip: 127.0.0.1");
    }
}

#[test]
fn what_a_believed_proxy_says_of_the_url_is_in_the_key() {
    let place = Place::new();
    // As an app does that sends everybody to HTTPS, and makes its links of what it is told.
    let origin = Origin::start(|seen, stream| {
        let of = |name: &str| seen.head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        let (scheme, host) = (of("x-forwarded-proto: "), of("x-forwarded-host: "));
        let forwarded = of("forwarded: ");
        let other = if scheme == "https" { "proto=http;" } else { "proto=https" };
        assert!(!format!("{forwarded};").contains(other), "{forwarded}");
        send(stream, "cache-control: max-age=60\r\n", &format!("{scheme}://{host}{} {}", seen.target, seen.number));
    });
    let routes = "[[routes]]\nmatch = \"/*\"\nupstream = \"origin\"\n";
    let node = trusting(&place, &origin, routes);
    let ask = |fields: &str| both_ways(&node, "/", "edge.localhost", fields).map(|answer| answer.expect(200).text());
    let same = |text: &str| [text.to_owned(), text.to_owned()];
    assert_eq!(ask(""), same("http://edge.localhost/ 0"));
    assert_eq!(ask("x-forwarded-proto: https\r\n"), same("https://edge.localhost/ 1"));
    assert_eq!(ask("forwarded: for=192.0.2.7;proto=https\r\n"), same("https://edge.localhost/ 1"));
    assert_eq!(ask("x-forwarded-host: evil.example\r\n"), same("http://evil.example/ 2"));
    assert_eq!(
        ask("x-forwarded-proto: https\r\nforwarded: host=evil.example;proto=http\r\n"),
        same("https://evil.example/ 3")
    );
    assert_eq!(ask("x-forwarded-proto: nonsense\r\nx-forwarded-host: a@b\r\n"), same("http://edge.localhost/ 0"));
    assert_eq!(ask(""), same("http://edge.localhost/ 0"));
    assert_eq!(origin.visits(), 4);
    let hit = node.exchange("GET / HTTP/1.1\r\nhost: edge.localhost\r\nx-forwarded-proto: https\r\n\r\n");
    assert!(hit.header("cache-status").is_some_and(|status| status.starts_with("selvedge; hit")), "{hit:?}");
    // The page is the one whose host the request names, with what else was asked for by it.
    let purge = |url: &str| place.on_data(&["purge", "edge", "--url", url]).expect_success();
    assert_eq!(purge("https://edge.localhost/"), "purged 2 responses\n");
    assert_eq!(purge("http://edge.localhost/"), "purged 2 responses\n");
}

#[test]
fn the_client_is_who_asked_the_proxy_in_front() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| {
        let of = |name: &str| seen.head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        send(stream, "", &format!("{} {} {}", seen.target, of("x-told: "), of("x-forwarded-for: ")));
    });
    let routes = "[[routes]]\nmatch = \"/*\"\nupstream = \"origin\"\ncache = false\n\
        [[routes]]\nmatch = \"/*\"\nwhen = { network = [\"192.0.2.0/24\"] }\nupstream = \"origin\"\ncache = false\n\
        rewrite = { path = \"/inside\" }\nrequest_headers = { set = { x-told = \"{client} {scheme}\" } }\n";
    let node = trusting(&place, &origin, routes);
    let ask = |fields: &str| both_ways(&node, "/", "edge.localhost", fields).map(|answer| answer.expect(200).text());
    let same = |text: &str| [text.to_owned(), text.to_owned()];
    assert_eq!(ask(""), same("/  127.0.0.1"));
    let told = ask("x-forwarded-for: 6.6.6.6, 192.0.2.7, 127.0.0.9\r\nx-forwarded-proto: https\r\n");
    assert_eq!(told, same("/inside 192.0.2.7 https 6.6.6.6, 192.0.2.7, 127.0.0.9, 127.0.0.1"));
    let told = ask("x-forwarded-for: 192.0.2.7, 6.6.6.6\r\n");
    assert_eq!(told, same("/  192.0.2.7, 6.6.6.6, 127.0.0.1"));
    let log = node.wait_for_log("\"client\":\"6.6.6.6\"");
    assert!(log.contains("\"client\":\"192.0.2.7\""), "{log}");
}

#[test]
fn servers_learn_of_a_client_certificate_from_the_node_alone() {
    if !has_curl() {
        return;
    }
    let place = Place::new();
    let authority = Authority::new(&place);
    authority.issue("a", &["app.example"]);
    authority.issue("member", &["member"]);
    let origin = Origin::start(|seen, stream| {
        let told: Vec<&str> = seen.head.lines().filter(|line| line.contains("cert")).collect();
        send(stream, "cache-control: max-age=60\r\n", &told.join("|"));
    });
    let manifest = format!(
        "name = \"edge\"\n[upstreams.origin]\ntargets = [\"http://{}\"]\n[[routes]]\nmatch = \"app.example/*\"\n\
         upstream = \"origin\"\ncache = false\n[[routes]]\nmatch = \"app.example/kept\"\nupstream = \"origin\"\n",
        origin.address
    );
    place.deploy(&place.project("project", &[("selvedge.toml", &manifest)])).expect_success();
    let config = "[[listeners]]\nlisten = \"127.0.0.1:0\"\n[listeners.tls]\n\
        certificates = [{ cert = \"a.pem\", key = \"a.key\" }]\nclient_ca = \"ca.pem\"\n";
    write(&place.path("node.toml"), config);
    let node = place.serve_with(&["--config", "node.toml"]);
    let port = &ports(&node, "https")[0];
    let resolve = format!("app.example:{port}:127.0.0.1");
    let ask = |path: &str, version: &str| {
        let url = format!("https://app.example:{port}{path}");
        let member = ["--cert", "member.pem", "--key", "member.key", "--header", "client-cert: :forged:", version];
        let args = [&["--resolve", &resolve, &url], &member[..]].concat();
        curl(&place, &place.path("ca.pem"), &args).expect("an answer")
    };
    let pem = std::fs::read_to_string(place.path("member.pem")).expect("a certificate");
    let der: String = pem.lines().filter(|line| !line.starts_with("--")).collect();
    for version in ["--http1.1", "--http2"] {
        assert_eq!(ask("/", version), format!("client-cert: :{}:", der.to_ascii_lowercase()));
        assert_eq!(ask("/kept", version), "", "what may be stored does not depend on it");
    }
}

#[test]
fn a_client_without_a_good_certificate_is_told_of_in_the_log_and_counted() {
    if !has_curl() {
        return;
    }
    let (place, elsewhere) = (Place::new(), Place::new());
    let authority = Authority::new(&place);
    authority.issue("a", &["app.example"]);
    Authority::new(&elsewhere).issue("stranger", &["stranger"]);
    let config = "[[listeners]]\nlisten = \"127.0.0.1:0\"\n[listeners.tls]\n\
        certificates = [{ cert = \"a.pem\", key = \"a.key\" }]\nclient_ca = \"ca.pem\"\n";
    let node = serve(&place, config);
    let port = &ports(&node, "https")[0];
    let (resolve, url) = (format!("app.example:{port}:127.0.0.1"), format!("https://app.example:{port}/"));
    let own = ["stranger.pem", "stranger.key"].map(|name| elsewhere.path(name).display().to_string());
    let stranger = ["--cert", &own[0], "--key", &own[1]];
    for (shown, reason) in [(&[][..], "no_client_certificate"), (&stranger[..], "bad_client_certificate")] {
        let args = [&["--resolve", &resolve, &url], shown].concat();
        curl(&place, &place.path("ca.pem"), &args).expect_err("it is refused");
        let said = node.wait_for_stderr(reason);
        let line = said.lines().find(|line| line.contains(reason)).expect("a line");
        for part in ["a client's certificate was refused", "127.0.0.1:0", "app.example"] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert_eq!(line.contains("CN="), !shown.is_empty(), "whom the certificate names: {line}");
        let metrics = node.ask_admin(crate::harness::Request::get("/metrics")).text();
        let counted = format!("reason=\"{reason}\"}} 1");
        assert!(metrics.lines().any(|line| line.ends_with(&counted)), "{counted}: {metrics}");
    }
    node.stop();
}

#[test]
fn cookies_in_pieces_count_as_one_field() {
    if !has_curl() {
        return;
    }
    let place = Place::new();
    let authority = Authority::new(&place);
    authority.issue("a", &["edge.localhost"]);
    let origin = Origin::start(|seen, stream| {
        let told: Vec<&str> = seen.head.lines().filter(|line| line.starts_with("cookie: ")).collect();
        send(stream, "", &told.join("|"));
    });
    let manifest = format!(
        "name = \"edge\"\n[upstreams.origin]\ntargets = [\"http://{}\"]\n[[routes]]\nmatch = \"/*\"\nupstream = \"origin\"\n",
        origin.address
    );
    place.deploy(&place.project("project", &[("selvedge.toml", &manifest)])).expect_success();
    let config =
        "[[listeners]]\nlisten = \"127.0.0.1:0\"\ntls = { certificates = [{ cert = \"a.pem\", key = \"a.key\" }] }\n";
    write(&place.path("node.toml"), config);
    let node = place.serve_with(&["--config", "node.toml"]);
    let port = &ports(&node, "https")[0];
    let (resolve, url) = (format!("edge.localhost:{port}:127.0.0.1"), format!("https://edge.localhost:{port}/"));
    let crumbs: Vec<String> = (0..120).map(|n| format!("cookie: c{n}={n}")).collect();
    let mut args = vec!["--http2", "--resolve", &resolve, &url];
    args.extend(crumbs.iter().flat_map(|crumb| ["--header", crumb.as_str()]));
    let told = curl(&place, &place.path("ca.pem"), &args).expect("an answer");
    let whole: Vec<_> = crumbs.iter().map(|crumb| &crumb["cookie: ".len()..]).collect();
    assert_eq!(told, format!("cookie: {}", whole.join("; ")));
}
