//! Certificates from a real ACME server, by every kind of proof, and what happens when it says no.

use super::*;
use crate::harness::{BOUND_KEY, Pebble, PebbleOptions, free_port};

struct Ports {
    http: u16,
    https: u16,
}

impl Ports {
    fn new() -> Self {
        Self { http: free_port(), https: free_port() }
    }

    fn pebble(&self, place: &Place, validity_s: u64, bound: bool) -> Option<Pebble> {
        Pebble::start(place, PebbleOptions { http: self.http, tls: self.https, validity_s, bound })
    }

    fn config(&self, pebble: &Pebble, hosts: &str, extra: &str) -> String {
        let Self { http, https } = self;
        let directory = &pebble.directory;
        format!(
            r#"
[[listeners]]
listen = "127.0.0.1:{http}"
redirect_to_https = {{ port = {https} }}

[[listeners]]
listen = "127.0.0.1:{https}"
tls = {{ acme = [{{ hosts = [{hosts}] }}] }}

[acme]
directory = "{directory}"
ca = "pebble.pem"
contact = ["mailto:operator@app.example"]
terms_agreed = true
{extra}
"#
        )
    }

    /// The status of a request under TLS, checked against a root.
    fn ask(&self, place: &Place, root: &Path, host: &str) -> Result<String, String> {
        let resolve = format!("{host}:{}:127.0.0.1", self.https);
        let url = format!("https://{host}:{}/", self.https);
        curl(place, root, &["--output", "body", "--write-out", "%{http_code}", "--resolve", &resolve, &url])
    }

    /// The number of the certificate that is served.
    fn serial(&self, place: &Place, host: &str) -> String {
        let resolve = format!("{host}:{}:127.0.0.1", self.https);
        let url = format!("https://{host}:{}/", self.https);
        let args = ["--insecure", "--output", "body", "--write-out", "%{certs}", "--resolve", &resolve, &url];
        let certificates = curl(place, &place.path("pebble.pem"), &args).unwrap_or_default();
        let line = certificates.lines().find_map(|line| line.strip_prefix("Serial Number:"));
        line.unwrap_or_default().to_owned()
    }
}

#[test]
fn a_certificate_is_asked_for_proven_served_kept_and_renewed() {
    if !has_curl() {
        return;
    }
    let (place, ports) = (Place::new(), Ports::new());
    let Some(pebble) = ports.pebble(&place, 12, false) else { return };
    let config = ports.config(&pebble, "\"app.example\", \"other.example\"", "");
    let node = serve(&place, &config);
    node.wait_for_stderr("a certificate for app.example, other.example was issued");
    let root = pebble.root(&place);
    for host in ["app.example", "other.example"] {
        assert_eq!(ports.ask(&place, &root, host), Ok("200".to_owned()));
    }
    // Everything else in the clear still goes to HTTPS, and an unknown question is nobody's.
    let challenge = format!("http://127.0.0.1:{}/.well-known/acme-challenge/none", ports.http);
    let answer = curl(&place, &root, &["--output", "body", "--write-out", "%{http_code}", &challenge]);
    assert_eq!(answer, Ok("308".to_owned()));
    let first = ports.serial(&place, "app.example");
    // At two thirds of twelve seconds there is another, without a restart.
    let second = until("it is renewed", || {
        Some(ports.serial(&place, "app.example")).filter(|serial| !serial.is_empty() && *serial != first)
    });
    node.stop();
    // What is kept is served at once by a node whose authority is gone.
    drop(pebble);
    let node = place.serve_with(&["--config", "node.toml"]);
    let served = until("it serves", || Some(ports.serial(&place, "app.example")).filter(|serial| !serial.is_empty()));
    assert!(served == second || served != first, "{served}");
    node.wait_for_stderr("the old one goes on being served");
    assert_eq!(ports.serial(&place, "app.example"), served);
    node.stop();
}

#[test]
fn a_host_is_proven_by_its_certificate_alone() {
    if !has_curl() {
        return;
    }
    let (place, ports) = (Place::new(), Ports::new());
    let Some(pebble) = ports.pebble(&place, 86_400, true) else { return };
    let extra = format!("challenge = \"tls-alpn-01\"\nexternal_account = {{ id = \"kid-1\", key = \"{BOUND_KEY}\" }}");
    let node = serve(&place, &ports.config(&pebble, "\"app.example\"", &extra));
    node.wait_for_stderr("a certificate for app.example was issued");
    let root = pebble.root(&place);
    assert_eq!(ports.ask(&place, &root, "app.example"), Ok("200".to_owned()));

    // It is listed, and asked for again when told to.
    let listed = place.on_data(&["certs", "list"]);
    assert!(listed.ok && listed.stdout.starts_with("app.example  expires "), "{listed:?}");
    let first = ports.serial(&place, "app.example");
    let renewed = place.on_data(&["certs", "renew", "--host", "app.example"]);
    assert!(renewed.ok && renewed.stdout.starts_with("app.example  expires "), "{renewed:?}");
    let second = ports.serial(&place, "app.example");
    assert_ne!(second, first);
    let unknown = place.on_data(&["certs", "renew", "--host", "other.example"]);
    assert!(!unknown.ok && unknown.stderr.contains("no certificate for other.example"), "{unknown:?}");
    // An authority that is gone leaves what is served.
    drop(pebble);
    let failed = place.on_data(&["certs", "renew"]);
    assert!(!failed.ok && failed.stderr.contains("1 of 1 could not be renewed"), "{failed:?}");
    assert_eq!(ports.serial(&place, "app.example"), second);
    node.stop();
    let stopped = place.on_data(&["certs", "list"]);
    assert!(!stopped.ok && stopped.stderr.contains("no node runs"), "{stopped:?}");
}

#[test]
fn a_wildcard_is_proven_by_a_record_that_a_hook_sets() {
    if !has_curl() {
        return;
    }
    let (place, ports) = (Place::new(), Ports::new());
    let Some(pebble) = ports.pebble(&place, 86_400, false) else { return };
    let hook = format!(
        "#!/bin/sh\necho \"$1 $2\" >> {log}\ncase $1 in set) what=set-txt;; *) what=clear-txt;; esac\n\
         exec curl --silent --fail --noproxy '*' --data \"{{\\\"host\\\": \\\"$2.\\\", \\\"value\\\": \\\"$3\\\"}}\" \
         http://127.0.0.1:{port}/$what\n",
        log = place.path("hook.log").display(),
        port = pebble.dns_management,
    );
    write(&place.path("hook"), &hook);
    make_executable(&place.path("hook"));
    let extra = "challenge = \"dns-01\"\ndns_hook = \"hook\"";
    let node = serve(&place, &ports.config(&pebble, "\"*.app.example\"", extra));
    node.wait_for_stderr("a certificate for *.app.example was issued");
    let root = pebble.root(&place);
    // No app is there; the certificate is what counts.
    assert_eq!(ports.ask(&place, &root, "www.app.example"), Ok("404".to_owned()));
    let calls = fs::read_to_string(place.path("hook.log")).expect("the hook was called");
    assert_eq!(calls, "set _acme-challenge.app.example\nunset _acme-challenge.app.example\n");
    node.stop();
}

#[test]
fn an_authority_that_says_no_is_told_of_and_asked_again_later() {
    let (place, ports) = (Place::new(), Ports::new());
    let Some(pebble) = ports.pebble(&place, 86_400, false) else { return };
    // It looks for the host where nobody answers.
    let config = ports.config(&pebble, "\"app.example\"", "").replace(&format!(":{}\"", ports.http), ":0\"");
    let node = serve(&place, &config);
    let said = node.wait_for_stderr("the next attempt is in");
    assert!(said.contains("does not find app.example here"), "{said}");
    node.stop();
}

#[test]
fn what_is_missing_to_ask_an_authority_is_said() {
    let place = Place::new();
    let listener = "[[listeners]]\nlisten = \"127.0.0.1:0\"\ntls = { acme = [{ hosts = [\"app.example\"] }] }\n";
    let cases = [
        ("", "no authority is named"),
        ("[acme]\n", "gives certificates to those who agree to its terms"),
        ("[acme]\nterms_agreed = true\nchallenge = \"dns-01\"\n", "dns-01 needs somebody who changes records"),
        ("[acme]\nterms_agreed = true\nchallenge = \"http\"\n", "`http` is no way to prove a host"),
        ("[acme]\nterms_agreed = true\ndirectory = \"http://x\"\n", "the directory is no https URL"),
        ("[acme]\nterms_agreed = true\nexternal_account = { id = \"a\", key = \"?\" }\n", "not base64url"),
    ];
    for (acme, expect) in cases {
        write(&place.path("node.toml"), &format!("{listener}{acme}"));
        let outcome = place.on_data(&["serve", "--config", "node.toml"]);
        assert!(!outcome.ok && outcome.stderr.contains(expect), "{expect}: {}", outcome.stderr);
    }
}

fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its mode");
}
