//! The authority of one machine, for development: a certificate that the developer's browser is
//! told to trust once, and certificates under it for whatever is asked for.
//!
//! Its certificate says itself what it may be used for: `localhost` and the names below it, and
//! addresses of this machine and of private networks. So even a stolen key opens no connection to
//! anybody else.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::Clock;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::x509;

const DAY: Duration = Duration::from_secs(86_400);
const CA_DAYS: u32 = 3_650;
/// Browsers refuse a certificate for longer than 398 days, wherever it comes from.
const LEAF_DAYS: u32 = 90;
/// A certificate of which less than this is left is made anew.
const RENEW_DAYS: u32 = 30;

/// Why an authority can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LocalCaError(String);

fn wrong(error: &dyn fmt::Display) -> LocalCaError {
    LocalCaError(error.to_string())
}

/// An authority, and what it has made.
pub struct LocalCa {
    issuer: Issuer<'static, KeyPair>,
    addresses: Vec<IpAddr>,
    clock: Arc<dyn Clock>,
    made_max: usize,
    made: Mutex<HashMap<String, Made>>,
}

struct Made {
    key: Arc<CertifiedKey>,
    renew_at: Duration,
}

impl fmt::Debug for LocalCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCa").finish_non_exhaustive()
    }
}

/// A fresh authority.
pub struct FreshCa {
    pub certificate_pem: String,
    /// Whoever has it can speak for every host that the authority may name.
    pub key_pem: String,
}

fn now(clock: &dyn Clock) -> Duration {
    Duration::from_millis(clock.unix_ms())
}

impl LocalCa {
    /// Makes an authority.
    pub fn make(clock: &dyn Clock) -> Result<FreshCa, LocalCaError> {
        let key = KeyPair::generate().map_err(|e| wrong(&e))?;
        let mut params = ca_params();
        set_period(&mut params, now(clock), CA_DAYS);
        let certificate = params.self_signed(&key).map_err(|e| wrong(&e))?;
        Ok(FreshCa { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }

    /// Opens an authority that was made before. Clients that name no host get a certificate for
    /// this machine and for `addresses`.
    pub fn open(
        certificate_pem: &str,
        key_pem: &str,
        addresses: &[IpAddr],
        made_max: usize,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, LocalCaError> {
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).map_err(|e| wrong(&e))?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|e| wrong(&e))?;
        let validity = x509::validity(&certificate).ok_or_else(|| wrong(&"its certificate can't be read"))?;
        CertifiedKey::from_der(vec![certificate], key, &aws_lc_rs::default_provider())
            .map_err(|error| wrong(&format!("its key is not the key of its certificate: {error}")))?;
        if validity.not_after < now(&*clock) + DAY * LEAF_DAYS {
            return Err(wrong(&"it expires too soon"));
        }
        let key = KeyPair::from_pem(key_pem).map_err(|e| wrong(&e))?;
        let issuer = Issuer::new(ca_params(), key);
        let addresses = addresses.iter().copied().filter(|address| !address.is_unspecified()).collect();
        Ok(Arc::new(Self { issuer, addresses, clock, made_max, made: Mutex::default() }))
    }

    /// A certificate for a host, or for the addresses of this machine. `None` for a host that the
    /// authority may not name.
    pub(super) fn certificate_for(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let name = name.unwrap_or("localhost").to_ascii_lowercase();
        if name != "localhost" && !name.ends_with(".localhost") {
            return None;
        }
        let now = now(&*self.clock);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.get(&name).filter(|known| known.renew_at > now) {
            return Some(known.key.clone());
        }
        let key = match self.issue(&name, now) {
            Ok(key) => Arc::new(key),
            Err(error) => {
                tracing::warn!(%error, "no certificate for {name}");
                return None;
            }
        };
        if made.len() >= self.made_max {
            // Making one is quick; who asks for many hosts waits for that.
            made.clear();
        }
        let renew_at = now + DAY * (LEAF_DAYS - RENEW_DAYS);
        made.insert(name, Made { key: key.clone(), renew_at });
        Some(key)
    }

    fn issue(&self, name: &str, now: Duration) -> Result<CertifiedKey, LocalCaError> {
        let key = KeyPair::generate().map_err(|e| wrong(&e))?;
        let mut params = CertificateParams::new([name.to_owned()]).map_err(|e| wrong(&e))?;
        if name == "localhost" {
            let own = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
            let others = self.addresses.iter().copied().filter(|address| !own.contains(address));
            params.subject_alt_names.extend(own.into_iter().chain(others).map(SanType::IpAddress));
        }
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        set_period(&mut params, now, LEAF_DAYS);
        let certificate = params.signed_by(&key, &self.issuer).map_err(|e| wrong(&e))?;
        let secret = PrivateKeyDer::try_from(key.serialize_der()).map_err(|e| wrong(&e))?;
        let chain = vec![certificate.der().clone()];
        CertifiedKey::from_der(chain, secret, &aws_lc_rs::default_provider()).map_err(|e| wrong(&e))
    }
}

fn set_period(params: &mut CertificateParams, now: Duration, days: u32) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    // Clocks of other machines may be behind this one's.
    params.not_before = epoch + now.saturating_sub(DAY);
    params.not_after = epoch + now + DAY * days;
}

/// The same every time, so that the name in the authority's certificate is the one that its
/// signatures name.
fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Selvedge");
    params.distinguished_name.push(DnType::CommonName, "Selvedge local development");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let v4 = [([127, 0, 0, 0], 8), ([10, 0, 0, 0], 8), ([172, 16, 0, 0], 12), ([192, 168, 0, 0], 16)];
    let v6 = [(Ipv6Addr::LOCALHOST, 128), (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7)];
    let networks = v4.into_iter().map(|(net, bits)| CidrSubnet::from_v4_prefix(net, bits));
    let networks = networks.chain(v6.into_iter().map(|(net, bits)| CidrSubnet::from_v6_prefix(net.octets(), bits)));
    let mut permitted = vec![GeneralSubtree::DnsName("localhost".to_owned())];
    permitted.extend(networks.map(GeneralSubtree::IpAddress));
    params.name_constraints = Some(NameConstraints { permitted_subtrees: permitted, excluded_subtrees: Vec::new() });
    params
}
