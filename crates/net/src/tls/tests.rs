//! Certificates as they are found on disks: what is refused, what is warned of, what is served.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::fixture::*;
use super::*;

/// What is said about sources that can't be served.
#[track_caller]
fn refused(sources: Vec<Source>, wanted: &[&str]) {
    let problems = open(sources).expect_err("no certificate to serve");
    let said: Vec<String> = problems.iter().map(|problem| problem.message.clone()).collect();
    assert_eq!(said.len(), wanted.len(), "{said:#?}");
    for (said, wanted) in said.iter().zip(wanted) {
        assert!(said.contains(wanted), "{said}");
    }
    assert!(problems.iter().all(|problem| !problem.help.is_empty()), "{problems:#?}");
}

#[track_caller]
fn warned(tls: &Tls, wanted: &str) {
    let warnings = tls.summary().warnings;
    assert!(warnings.iter().any(|warning| warning.message.contains(wanted)), "{warnings:#?}");
}

const GOOD: Years = (2025, 2035);

#[test]
fn what_cannot_be_served_is_said_all_at_once() {
    let ca = Authority::new("ca");
    for name in ["a", "b", "empty", "broken"] {
        ca.write(name, &["a.example"], GOOD);
    }
    fs::write(ca.path("empty.pem"), "nothing here").unwrap();
    fs::write(ca.path("broken.pem"), "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n").unwrap();
    fs::copy(ca.path("b.key"), ca.path("mixed.key")).unwrap();
    fs::copy(ca.path("a.pem"), ca.path("mixed.pem")).unwrap();
    fs::copy(ca.path("a.pem"), ca.path("keyless.pem")).unwrap();
    fs::write(ca.path("keyless.key"), fs::read(ca.path("a.pem")).unwrap()).unwrap();
    refused(
        vec![ca.source("missing"), ca.source("empty"), ca.source("broken"), ca.source("mixed"), ca.source("keyless")],
        &[
            "missing.pem does not exist",
            "empty.pem: the file holds no certificate",
            "broken.pem: the first certificate of the file can't be read",
            "mixed.key is not the key of the first certificate in",
            "keyless.key holds no private key",
        ],
    );
    refused(vec![Source::Directory(ca.path("nowhere"))], &["nowhere can't be read"]);
    let limits = NodeLimits { certificate_bytes: 1024, ..NodeLimits::default() };
    fs::write(ca.path("large.pem"), vec![b'x'; 1025]).unwrap();
    let problems = Tls::open(TlsOptions::new(vec![ca.source("large")], &limits), NOW).unwrap_err();
    assert!(problems[0].message.contains("has 1025 bytes; at most 1024 (certificate_bytes)"), "{problems:?}");
    let limits = NodeLimits { certificates: 1, ..NodeLimits::default() };
    let problems = Tls::open(TlsOptions::new(vec![ca.source("a"), ca.source("b")], &limits), NOW).unwrap_err();
    assert!(problems[0].message.contains("more than 1 certificates (certificates)"), "{problems:?}");
}

#[test]
fn what_clients_will_refuse_is_served_with_a_warning() {
    let ca = Authority::new("ca");
    ca.write("old", &["old.example"], (2020, 2024));
    ca.write("future", &["future.example"], (2033, 2034));
    ca.write("other", &["other.example", "*.wild.example"], GOOD);
    let named = |hosts: &[&str]| match ca.source("other") {
        Source::Files { cert, key, ocsp, default, .. } => {
            Source::Files { cert, key, ocsp, default, hosts: hosts.iter().map(|host| (*host).to_owned()).collect() }
        }
        source => source,
    };
    let tls = open(vec![ca.source("old"), ca.source("future"), named(&["mine.example", "a.wild.example"])]).unwrap();
    warned(&tls, "old.pem expired 8");
    warned(&tls, "future.pem is not valid yet");
    warned(&tls, "other.pem is not for mine.example");
    assert!(!tls.summary().warnings.iter().any(|warning| warning.message.contains("a.wild.example")));
    let twice = open(vec![ca.source("old"), ca.source("old")]).unwrap();
    warned(&twice, "old.example has a certificate already");
    fs::set_permissions(ca.path("old.key"), fs::Permissions::from_mode(0o644)).unwrap();
    warned(&open(vec![ca.source("old")]).unwrap(), "old.key can be read by every user");
}

#[test]
fn a_directory_is_read_in_both_ways_and_one_mistake_in_it_is_left_out() {
    let ca = Authority::new("ca");
    for name in ["a", "b", "bad"] {
        ca.write(name, &[&format!("{name}.example")], GOOD);
    }
    fs::write(ca.path("bad.key"), "no key").unwrap();
    fs::create_dir(ca.path("c.example")).unwrap();
    let (certificate, key) = ca.sign(&["c.example"], GOOD);
    fs::write(ca.path("c.example/fullchain.pem"), certificate).unwrap();
    write_private(&ca.path("c.example/privkey.pem"), &key);
    fs::write(ca.path("notes.txt"), "no certificate").unwrap();
    let tls = open(vec![Source::Directory(ca.dir.path().to_owned())]).unwrap();
    let summary = tls.summary();
    assert_eq!((summary.certificates, summary.names), (3, 3));
    warned(&tls, "bad.key holds no private key");
}

#[test]
fn a_reload_that_fails_leaves_what_was_there() {
    let ca = Authority::new("ca");
    ca.write("a", &["a.example"], GOOD);
    let tls = open(vec![ca.source("a")]).unwrap();
    ca.write("a", &["a.example", "b.example"], GOOD);
    assert_eq!(tls.reload(NOW).unwrap().names, 2);
    fs::write(ca.path("a.pem"), "half a fi").unwrap();
    assert_eq!(tls.reload(NOW).unwrap_err().len(), 1);
    assert_eq!(tls.summary().names, 2);
}

#[test]
fn the_local_authority_names_this_machine_and_nobody_else() {
    let clock: Arc<dyn base::Clock> = Arc::new(base::SystemClock::default());
    let fresh = LocalCa::make(&*clock).unwrap();
    let open = |pem: &str, key: &str| LocalCa::open(pem, key, &[LOOPBACK], 2, clock.clone());
    let ca = open(&fresh.certificate_pem, &fresh.key_pem).unwrap();
    let first = ca.certificate_for(Some("app.localhost")).expect("a certificate");
    assert!(Arc::ptr_eq(&first, &ca.certificate_for(Some("APP.localhost")).unwrap()), "made once");
    for name in ["localhost", "x.localhost", "y.localhost"] {
        assert!(ca.certificate_for(Some(name)).is_some(), "{name}");
    }
    for name in ["example.com", "localhost.example.com", "xlocalhost", ""] {
        assert!(ca.certificate_for(Some(name)).is_none(), "{name}");
    }
    let other = LocalCa::make(&*clock).unwrap();
    let mixed = open(&fresh.certificate_pem, &other.key_pem).unwrap_err().to_string();
    assert!(mixed.contains("its key is not the key of its certificate"), "{mixed}");
    assert!(open("", &fresh.key_pem).is_err());
}
