//! A real ACME server, Let's Encrypt's own for tests, with a DNS server that knows every name; both
//! end with the test.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::{Place, until, write};

pub struct Pebble {
    server: Child,
    dns: Child,
    pub directory: String,
    /// Where records are changed.
    pub dns_management: u16,
    management: u16,
}

/// What an authority is to be like.
#[derive(Debug, Clone, Copy)]
pub struct PebbleOptions {
    /// Where it looks for hosts.
    pub http: u16,
    pub tls: u16,
    pub validity_s: u64,
    /// It knows accounts of `kid-1` and `kid-2` only.
    pub bound: bool,
}

/// The key of `kid-1`.
pub const BOUND_KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

/// A port that nothing listens on now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("its number").port()
}

impl Pebble {
    /// `None`, said aloud, where it is not installed; that is a failure where everything is
    /// required. Its own authority, which clients must trust, is `pebble.pem`.
    pub fn start(place: &Place, options: PebbleOptions) -> Option<Self> {
        if Command::new("pebble").arg("-h").stderr(Stdio::null()).status().is_err() {
            let message = "missing requirement: pebble; install it with: apt-get install pebble";
            assert!(std::env::var_os("SELVEDGE_REQUIRE_ALL").is_none(), "{message}");
            eprintln!("{message}");
            return None;
        }
        own_certificate(place);
        let [listen, management, dns, dns_management] = [0; 4].map(|_| free_port());
        let mut settings = serde_json::json!({
            "listenAddress": format!("127.0.0.1:{listen}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": place.path("pebble-own.pem"),
            "privateKey": place.path("pebble-own.key"),
            "httpPort": options.http,
            "tlsPort": options.tls,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": options.bound,
            "certificateValidityPeriod": options.validity_s,
            "retryAfter": { "authz": 1, "order": 1 },
        });
        if options.bound {
            settings["externalAccountMACKeys"] = serde_json::json!({ "kid-1": BOUND_KEY });
        }
        write(&place.path("pebble.json"), &serde_json::json!({ "pebble": settings }).to_string());
        let quiet = |program: &str, args: &[String]| {
            let mut command = Command::new(program);
            command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", "5");
            command.spawn().expect("it starts")
        };
        let no = |name: &str| vec![name.to_owned(), String::new()];
        let mut args = vec!["-dns01".to_owned(), format!("127.0.0.1:{dns}")];
        args.extend(["-management".to_owned(), format!("127.0.0.1:{dns_management}")]);
        args.extend([no("-http01"), no("-https01"), no("-tlsalpn01"), no("-defaultIPv6")].concat());
        let dns_server = quiet("pebble-challtestsrv", &args);
        let config = place.path("pebble.json").display().to_string();
        let args = ["-config".to_owned(), config, "-dnsserver".to_owned(), format!("127.0.0.1:{dns}")];
        let server = quiet("pebble", &args);
        let directory = format!("https://127.0.0.1:{listen}/dir");
        let pebble = Self { server, dns: dns_server, directory, dns_management, management };
        let there = |port: u16| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        until("pebble listens", || (there(listen) && there(management) && there(dns_management)).then_some(()));
        Some(pebble)
    }

    /// The root that clients of the hosts trust, as a file.
    pub fn root(&self, place: &Place) -> std::path::PathBuf {
        let url = format!("https://127.0.0.1:{}/roots/0", self.management);
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail", "--noproxy", "*", "--cacert"]);
        let output = output_of(command.arg(place.path("pebble.pem")).arg(url));
        write(&place.path("root.pem"), &output);
        place.path("root.pem")
    }
}

fn output_of(command: &mut Command) -> String {
    let output = command.output().expect("curl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn own_certificate(place: &Place) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "whom clients of the authority trust");
    let key = KeyPair::generate().expect("a key");
    write(&place.path("pebble.pem"), &params.self_signed(&key).expect("a certificate").pem());
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address");
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    write(&place.path("pebble-own.pem"), &certificate.pem());
    write(&place.path("pebble-own.key"), &key.serialize_pem());
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for child in [&mut self.server, &mut self.dns] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
