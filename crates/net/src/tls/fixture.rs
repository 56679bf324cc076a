//! Certificates for tests: an authority, and what it signs.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use der::Encode as _;
use der::asn1::{GeneralizedTime, ObjectIdentifier};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;

use super::*;

/// The time of all tests: the middle of 2026.
pub const NOW: Duration = Duration::from_secs(1_780_000_000);

pub struct Authority {
    pub dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
    pub certificate: CertificateDer<'static>,
}

/// When a certificate is valid, in years.
pub type Years = (i32, i32);

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { dir, certificate: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Signs a certificate for these hosts; as PEM, with its key.
    pub fn sign(&self, hosts: &[&str], (from, to): Years) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params =
            CertificateParams::new(hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>()).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// Writes `NAME.pem` and `NAME.key`.
    pub fn write(&self, name: &str, hosts: &[&str], years: Years) {
        let (certificate, key) = self.sign(hosts, years);
        std::fs::write(self.path(&format!("{name}.pem")), certificate).unwrap();
        write_private(&self.path(&format!("{name}.key")), &key);
    }

    pub fn source(&self, name: &str) -> Source {
        Source::Files {
            cert: self.path(&format!("{name}.pem")),
            key: self.path(&format!("{name}.key")),
            ocsp: None,
            hosts: Vec::new(),
            default: false,
        }
    }

    /// A client that trusts this authority, and shows a certificate if there is one.
    pub fn client(&self, own: Option<(String, String)>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        match own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        }
    }
}

/// What an authority says of a certificate, until then.
pub fn ocsp(this: Duration, next: Option<Duration>, status: u8) -> Vec<u8> {
    let time = |at: Duration| GeneralizedTime::from_unix_duration(at).unwrap().to_der().unwrap();
    let next = next.map(|next| tlv(0xa0, &[&time(next)])).unwrap_or_default();
    // Of which certificate: nobody looks here.
    let single = tlv(0x30, &[&tlv(0x30, &[]), &tlv(status, &[]), &time(this), &next]);
    let by_key = tlv(0xa2, &[&tlv(4, &[b"key"])]);
    let data = tlv(0x30, &[&by_key, &time(this), &tlv(0x30, &[&single])]);
    let basic = tlv(0x30, &[&data, &tlv(0x30, &[]), &tlv(3, &[b"\0"])]);
    let kind = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1").to_der().unwrap();
    let typed = tlv(0x30, &[&kind, &tlv(4, &[&basic])]);
    tlv(0x30, &[&[0x0a, 1, 0], &tlv(0xa0, &[&typed])])
}

/// One value of DER, which is made of these.
pub fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head = match content.len() {
        0..128 => vec![tag, length[1]],
        128..256 => vec![tag, 0x81, length[1]],
        _ => vec![tag, 0x82, length[0], length[1]],
    };
    [head, content].concat()
}

pub fn write_private(path: &Path, content: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    file.write_all(content.as_bytes()).unwrap();
}

pub fn options(sources: Vec<Source>) -> TlsOptions {
    TlsOptions::new(sources, &NodeLimits::default())
}

pub fn open(sources: Vec<Source>) -> Result<Arc<Tls>, Vec<TlsProblem>> {
    Tls::open(options(sources), NOW)
}

pub const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
