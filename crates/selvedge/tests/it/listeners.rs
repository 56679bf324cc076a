//! Listeners as operators configure them and clients meet them: certificates, redirects, sockets,
//! and what happens when files change. The client is curl.

use std::fs;
use std::path::Path;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData as _};
use rustix::process::Signal;

mod acme;
mod forwarded;
mod http3;
mod reload;
mod succession;
mod takeover;

use crate::harness::{Node, ONE_WORKER, Place, until, write};

const ANSWER: &str = r#"
export default {
  fetch(request: Request): Response {
    const { url, headers } = request;
    const cf = (request as unknown as { cf: unknown }).cf;
    return Response.json({ url, cf, client: headers.get("cf-connecting-ip") });
  },
};
"#;

/// An authority whose certificates lie in a directory.
pub struct Authority<'a> {
    place: &'a Place,
    issuer: Issuer<'static, KeyPair>,
}

impl<'a> Authority<'a> {
    pub fn new(place: &'a Place) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Another name than what it signs, which would pass for its own issuer.
        params.distinguished_name.push(DnType::CommonName, "the authority of a test");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        write(&place.path("ca.pem"), &certificate.pem());
        Self { place, issuer: Issuer::new(params, key) }
    }

    /// The public key that it is for, as DER.
    pub fn issue(&self, name: &str, hosts: &[&str]) -> Vec<u8> {
        let key = KeyPair::generate().expect("a key");
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let params = CertificateParams::new(hosts).expect("names");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        write(&self.place.path(&format!("{name}.key")), &key.serialize_pem());
        write(&self.place.path(&format!("{name}.pem")), &certificate.pem());
        key.subject_public_key_info()
    }
}

/// False, said aloud, if the machine has no curl; that is a failure where everything is required.
fn has_curl() -> bool {
    if Command::new("curl").arg("--version").output().is_ok() {
        return true;
    }
    let message = "missing requirement: curl; install it with: apt-get install curl";
    assert!(std::env::var_os("SELVEDGE_REQUIRE_ALL").is_none(), "{message}");
    eprintln!("{message}");
    false
}

/// What curl says; the error is its own.
fn curl(place: &Place, ca: &Path, args: &[&str]) -> Result<String, String> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "30", "--noproxy", "*", "--cacert"]).arg(ca).args(args);
    let output = command.current_dir(place.path(".")).output().expect("curl runs");
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// The ports of what a node said it serves under TLS, in the order of its listeners.
pub fn ports(node: &Node, scheme: &str) -> Vec<String> {
    let said = node.stderr();
    let start = format!("{scheme}://127.0.0.1:");
    let after = said.split(&start).skip(1);
    after.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect()).collect()
}

/// A node with these listeners, whose one app answers every host.
pub fn serve(place: &Place, config: &str) -> Node {
    let hosts = ["app.example", "other.example", "new.example", "newer.example", "admin.example", "127.0.0.1"];
    let routes = hosts.map(|host| format!("[[routes]]\nmatch = \"{host}/*\"\nworker = \"web\"\n"));
    let manifest = format!("{ONE_WORKER}{}", routes.concat());
    let project = place.project("project", &[("selvedge.toml", &manifest), ("src/index.ts", ANSWER)]);
    place.deploy(&project).expect_success();
    write(&place.path("node.toml"), config);
    place.serve_with(&["--config", "node.toml"])
}

const SECURE: &str = r#"
[[listeners]]
listen = "127.0.0.1:0"
tls = { certificates = [{ cert = "a.pem", key = "a.key" }, { cert = "b.pem", key = "b.key" }] }
hsts = { max_age_s = 600 }
"#;

#[test]
fn a_worker_is_served_with_tls_in_both_versions_of_http() {
    if !has_curl() {
        return;
    }
    let place = Place::new();
    let authority = Authority::new(&place);
    authority.issue("a", &["app.example"]);
    authority.issue("b", &["other.example"]);
    let node = serve(&place, SECURE);
    let port = &ports(&node, "https")[0];
    let ca = place.path("ca.pem");
    for (version, protocol) in [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2")] {
        for host in ["app.example", "other.example"] {
            let resolve = format!("{host}:{port}:127.0.0.1");
            let url = format!("https://{host}:{port}/x?y=1");
            let answer = curl(&place, &ca, &[version, "--include", "--resolve", &resolve, &url]).expect("an answer");
            assert!(answer.contains("strict-transport-security: max-age=600\r\n"), "{answer}");
            let json: serde_json::Value = serde_json::from_str(answer.lines().last().expect("a body")).expect("JSON");
            assert_eq!(json["url"], url);
            assert_eq!(json["cf"]["httpProtocol"], protocol);
            assert_eq!(json["cf"]["tlsVersion"], "TLSv1.3");
        }
    }
    let stranger = format!("stranger.example:{port}:127.0.0.1");
    let refused = curl(&place, &ca, &["--resolve", &stranger, &format!("https://stranger.example:{port}/")]);
    assert!(refused.is_err_and(|said| said.contains("stranger.example")));
    let old = format!("app.example:{port}:127.0.0.1");
    let old = curl(&place, &ca, &["--tls-max", "1.2", "--resolve", &old, &format!("https://app.example:{port}/")]);
    assert!(old.expect("an answer").contains("TLSv1.2"));
    // In the clear, on the port of the command line, nobody is told of HSTS.
    assert!(node.get("/").header("strict-transport-security").is_none());
    let metrics = node.ask_admin(crate::harness::Request::get("/metrics")).text();
    for part in ["selvedge_tls_handshakes_full_total", "selvedge_tls_certificate_expires_seconds"] {
        assert!(metrics.contains(part), "{metrics}");
    }
    node.stop();
}

#[test]
fn a_renewed_certificate_is_served_at_once_and_a_broken_one_never() {
    if !has_curl() {
        return;
    }
    let place = Place::new();
    let authority = Authority::new(&place);
    authority.issue("a", &["app.example"]);
    authority.issue("b", &["other.example"]);
    let node = serve(&place, SECURE);
    let port = &ports(&node, "https")[0];
    let ca = place.path("ca.pem");
    let ask = |host: &str| {
        curl(&place, &ca, &["--resolve", &format!("{host}:{port}:127.0.0.1"), &format!("https://{host}:{port}/")])
    };
    ask("app.example").expect("an answer");
    ask("new.example").expect_err("no certificate for it");
    authority.issue("a", &["app.example", "new.example"]);
    until("the files are read again", || ask("new.example").ok());
    write(&place.path("a.pem"), "not a certificate");
    node.wait_for_stderr("what was read before goes on being served");
    ask("new.example").expect("the old certificate");
    // Told to, a node looks even where nothing has changed.
    let read = |node: &Node| node.stderr().matches("certificates for").count();
    authority.issue("a", &["app.example", "newer.example"]);
    until("the files are read again", || ask("newer.example").ok());
    let before = read(&node);
    node.signal(Signal::HUP);
    until("the signal is heard", || (read(&node) > before).then_some(()));
    node.stop();
}

#[test]
fn requests_in_the_clear_are_sent_to_https() {
    let place = Place::new();
    let config =
        "[[listeners]]\nlisten = \"127.0.0.1:0\"\nredirect_to_https = { port = 8443, hosts = [\"app.example\"] }\n";
    let node = serve(&place, config);
    let port = ports(&node, "http")[1].clone();
    let address = format!("127.0.0.1:{port}").parse().expect("an address");
    let ask =
        |host: &str| crate::harness::Request::get("/a/b?c=d").header("host", host).send(address).expect("an answer");
    let moved = ask("app.example");
    assert_eq!((moved.status, moved.header("location")), (308, Some("https://app.example:8443/a/b?c=d")));
    assert_eq!(ask("other.example").status, 200);
    let told = place.on_data(&["trace", &format!("http://app.example:{port}/a"), "--send"]).expect_success();
    assert!(told.contains("the listener answers by itself") && told.contains("< 308"), "{told}");
    node.stop();
}

#[test]
fn a_socket_of_the_file_system_is_served_with_the_client_that_a_proxy_names() {
    if !has_curl() {
        return;
    }
    let place = Place::new();
    let config = "[[listeners]]\nlisten = \"unix:s.sock\"\n[[listeners]]\nlisten = \"127.0.0.1:0\"\nproxy_protocol_from = [\"127.0.0.1\"]\n";
    let node = serve(&place, config);
    let none = Path::new("/dev/null");
    let answer = curl(&place, none, &["--unix-socket", "s.sock", "http://app.example/"]).expect("an answer");
    assert!(answer.contains("\"url\":\"http://app.example/\""), "{answer}");
    let port = &ports(&node, "http")[1];
    let answer = curl(&place, none, &["--haproxy-protocol", &format!("http://127.0.0.1:{port}/")]).expect("an answer");
    assert!(answer.contains("\"client\":\"127.0.0.1\""), "{answer}");
    curl(&place, none, &[&format!("http://127.0.0.1:{port}/")]).expect_err("no header of the protocol");
    node.stop();
    assert!(!place.path("s.sock").exists());
}

#[test]
fn a_host_asks_for_client_certificates() {
    if !has_curl() {
        return;
    }
    let place = Place::new();
    let authority = Authority::new(&place);
    authority.issue("a", &["app.example", "admin.example"]);
    authority.issue("member", &["member"]);
    let config = "[[listeners]]\nlisten = \"127.0.0.1:0\"\n[listeners.tls]\n\
        certificates = [{ cert = \"a.pem\", key = \"a.key\" }]\nclients = [{ hosts = [\"admin.example\"], ca = \"ca.pem\" }]\n";
    let node = serve(&place, config);
    let port = &ports(&node, "https")[0];
    let ca = place.path("ca.pem");
    let ask = |host: &str, more: &[&str]| {
        let (resolve, url) = (format!("{host}:{port}:127.0.0.1"), format!("https://{host}:{port}/"));
        curl(&place, &ca, &[&["--resolve", &resolve, &url], more].concat())
    };
    let member = ["--cert", "member.pem", "--key", "member.key"];
    assert!(ask("app.example", &[]).expect("an answer").contains("\"certPresented\":\"0\""));
    let known = ask("admin.example", &member).expect("an answer");
    assert!(known.contains("\"certVerified\":\"SUCCESS\",\"certFingerprintSHA256\":\""), "{known}");
    ask("admin.example", &[]).expect_err("no certificate");
    let misdirected = ask("app.example", &["--header", "host: admin.example"]).expect("an answer");
    assert!(misdirected.contains("\"code\":\"misdirected\""), "{misdirected}");
    node.stop();
}

#[test]
fn dev_serves_with_an_authority_of_the_user() {
    if !has_curl() {
        return;
    }
    let place = Place::new();
    let project = place.worker(ANSWER);
    let start = || {
        let mut command = place.command(["dev", "--tls"]);
        Node::start(command.arg(&project).env("XDG_DATA_HOME", place.path("home")), &place.data())
    };
    let node = start();
    let ca = place.path("home/selvedge/ca/ca.pem");
    assert!(node.stderr().contains("curl --cacert"), "{}", node.stderr());
    let mode = |name: &str| {
        let file = fs::metadata(place.path("home/selvedge/ca").join(name)).expect("a file");
        std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o777
    };
    assert_eq!((mode("."), mode("ca.key")), (0o700, 0o600));
    let port = ports(&node, "https")[0].clone();
    for host in ["app.localhost", "localhost", "127.0.0.1"] {
        let resolve = format!("{host}:{port}:127.0.0.1");
        let answer = curl(&place, &ca, &["--resolve", &resolve, &format!("https://{host}:{port}/")]).expect(host);
        assert!(answer.contains("TLSv1.3"), "{answer}");
    }
    node.stop();
    let before = fs::read(&ca).expect("the authority");
    let again = start();
    assert_eq!(fs::read(&ca).expect("the authority"), before, "trusted once, for good");
    assert!(!again.stderr().contains("sudo"), "{}", again.stderr());
    again.stop();
    fs::set_permissions(place.path("home/selvedge/ca/ca.key"), std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .expect("a mode");
    let mut command = place.command(["dev", "--tls", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data"]);
    command.arg(place.data()).arg(&project).env("XDG_DATA_HOME", place.path("home"));
    let output = command.output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("others can read"), "{said}");
}

#[test]
fn a_certificate_that_cannot_be_served_is_a_mistake_of_the_file_that_names_it() {
    let place = Place::new();
    let authority = Authority::new(&place);
    authority.issue("a", &["app.example"]);
    authority.issue("b", &["other.example"]);
    fs::copy(place.path("b.key"), place.path("a.key")).expect("a copy");
    fs::remove_file(place.path("b.pem")).expect("a file");
    write(&place.path("node.toml"), SECURE);
    let args = ["serve", "--config", "node.toml", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let said = place.on_data(&args).expect_failure();
    for part in [
        "config::unusable",
        "a.key is not the key of the first certificate in",
        "node.toml:4:",
        "check that both are of the same renewal",
        "b.pem does not exist",
    ] {
        assert!(said.split_whitespace().collect::<Vec<_>>().join(" ").contains(part), "{part}: {said}");
    }
    let json = place.on_data(&[&args[..], &["--json"]].concat()).expect_failure();
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["problems"][0]["code"], "config::unusable");
    assert_eq!(json["problems"][0]["place"]["line"], 4);
}
