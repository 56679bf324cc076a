//! Keys as documents: SubjectPublicKeyInfo, PKCS#8, and what those hold.

use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef, UintRef};
use der::{Decode, Encode};
use pkcs1::{RsaPrivateKeyRef, RsaPublicKeyRef};
use pkcs8::PrivateKeyInfoRef;
use sec1::{EcParameters, EcPrivateKey};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use super::curves::Curve;
use super::data_error;
use crate::script::host::Refusal;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const X25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.110");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

fn malformed<E>(_: E) -> Refusal {
    data_error("the key is not encoded as its format says")
}

fn other_algorithm() -> Refusal {
    data_error("the key is one for another algorithm")
}

/// What an encoded key of a curve holds.
pub struct CurveKey {
    pub private: Option<Vec<u8>>,
    pub public: Option<Vec<u8>>,
}

/// The identifiers of the algorithm and of its parameters.
fn identifiers(curve: Curve) -> (ObjectIdentifier, Option<&'static ObjectIdentifier>) {
    match curve {
        Curve::P256 => (EC, Some(&P256)),
        Curve::P384 => (EC, Some(&P384)),
        Curve::P521 => (EC, Some(&P521)),
        Curve::X25519 => (X25519, None),
        Curve::Ed25519 => (ED25519, None),
    }
}

fn check_curve(curve: Curve, algorithm: &AlgorithmIdentifierRef<'_>) -> Result<(), Refusal> {
    let (oid, parameters) = identifiers(curve);
    if algorithm.oid != oid {
        return Err(other_algorithm());
    }
    let given = algorithm.parameters.map(|any| any.decode_as::<ObjectIdentifier>()).transpose().map_err(malformed)?;
    if given.as_ref() == parameters { Ok(()) } else { Err(data_error("the key is one for another curve")) }
}

fn curve_algorithm(curve: Curve) -> AlgorithmIdentifierRef<'static> {
    let (oid, parameters) = identifiers(curve);
    AlgorithmIdentifierRef { oid, parameters: parameters.map(AnyRef::from) }
}

fn spki(data: &[u8]) -> Result<SubjectPublicKeyInfoRef<'_>, Refusal> {
    SubjectPublicKeyInfoRef::from_der(data).map_err(malformed)
}

fn pkcs8(data: &[u8]) -> Result<PrivateKeyInfoRef<'_>, Refusal> {
    PrivateKeyInfoRef::from_der(data).map_err(malformed)
}

pub fn read_curve_spki(curve: Curve, data: &[u8]) -> Result<CurveKey, Refusal> {
    let info = spki(data)?;
    check_curve(curve, &info.algorithm)?;
    let public = info.subject_public_key.as_bytes().ok_or_else(|| malformed(()))?;
    Ok(CurveKey { private: None, public: Some(public.to_vec()) })
}

pub fn read_curve_pkcs8(curve: Curve, data: &[u8]) -> Result<CurveKey, Refusal> {
    let info = pkcs8(data)?;
    check_curve(curve, &info.algorithm)?;
    let inner = info.private_key.as_bytes();
    if !curve.is_weierstrass() {
        let seed = <&OctetStringRef>::from_der(inner).map_err(malformed)?;
        return Ok(CurveKey { private: Some(seed.as_bytes().to_vec()), public: None });
    }
    let key = EcPrivateKey::from_der(inner).map_err(malformed)?;
    if key.parameters.and_then(EcParameters::named_curve).is_some_and(|oid| Some(&oid) != identifiers(curve).1) {
        return Err(data_error("the key is one for another curve"));
    }
    let public = key.public_key.map(<[u8]>::to_vec);
    Ok(CurveKey { private: Some(key.private_key.to_vec()), public })
}

pub fn write_curve_spki(curve: Curve, public: &[u8]) -> Result<Vec<u8>, Refusal> {
    write_spki(curve_algorithm(curve), public)
}

fn write_spki(algorithm: AlgorithmIdentifierRef<'_>, public: &[u8]) -> Result<Vec<u8>, Refusal> {
    let subject_public_key = BitStringRef::from_bytes(public).map_err(malformed)?;
    SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der().map_err(malformed)
}

fn write_pkcs8(algorithm: AlgorithmIdentifierRef<'_>, private: &[u8]) -> Result<Vec<u8>, Refusal> {
    let private = OctetStringRef::new(private).map_err(malformed)?;
    PrivateKeyInfoRef::new(algorithm, private).to_der().map_err(malformed)
}

pub fn write_curve_pkcs8(curve: Curve, private: &[u8], public: &[u8]) -> Result<Vec<u8>, Refusal> {
    let inner = if curve.is_weierstrass() {
        EcPrivateKey { private_key: private, parameters: None, public_key: Some(public) }.to_der()
    } else {
        OctetStringRef::new(private).and_then(|seed| seed.to_der())
    };
    write_pkcs8(curve_algorithm(curve), &inner.map_err(malformed)?)
}

fn rsa_algorithm() -> AlgorithmIdentifierRef<'static> {
    AlgorithmIdentifierRef { oid: RSA, parameters: Some(AnyRef::NULL) }
}

fn check_rsa(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<(), Refusal> {
    if algorithm.oid == RSA { Ok(()) } else { Err(other_algorithm()) }
}

/// The integers of an RSA public key (n, e), big-endian and without leading zeros.
pub fn read_rsa_spki(data: &[u8]) -> Result<[Vec<u8>; 2], Refusal> {
    let info = spki(data)?;
    check_rsa(&info.algorithm)?;
    let key = info.subject_public_key.as_bytes().ok_or_else(|| malformed(()))?;
    let key = RsaPublicKeyRef::from_der(key).map_err(malformed)?;
    Ok([key.modulus, key.public_exponent].map(|integer| integer.as_bytes().to_vec()))
}

/// The integers of an RSA private key (n, e, d, p, q, dp, dq, qi).
pub fn read_rsa_pkcs8(data: &[u8]) -> Result<[Vec<u8>; 8], Refusal> {
    let info = pkcs8(data)?;
    check_rsa(&info.algorithm)?;
    let key = RsaPrivateKeyRef::from_der(info.private_key.as_bytes()).map_err(malformed)?;
    if key.other_prime_infos.is_some() {
        return Err(data_error("RSA keys of more than two primes are not supported"));
    }
    let integers = [
        key.modulus,
        key.public_exponent,
        key.private_exponent,
        key.prime1,
        key.prime2,
        key.exponent1,
        key.exponent2,
        key.coefficient,
    ];
    Ok(integers.map(|integer| integer.as_bytes().to_vec()))
}

pub fn write_rsa_spki(integers: &[Vec<u8>; 2]) -> Result<Vec<u8>, Refusal> {
    let [n, e] = integers;
    let key = RsaPublicKeyRef { modulus: integer(n)?, public_exponent: integer(e)? };
    write_spki(rsa_algorithm(), &key.to_der().map_err(malformed)?)
}

pub fn write_rsa_pkcs8(integers: &[Vec<u8>; 8]) -> Result<Vec<u8>, Refusal> {
    let [n, e, d, p, q, dp, dq, qi] = integers;
    let key = RsaPrivateKeyRef {
        modulus: integer(n)?,
        public_exponent: integer(e)?,
        private_exponent: integer(d)?,
        prime1: integer(p)?,
        prime2: integer(q)?,
        exponent1: integer(dp)?,
        exponent2: integer(dq)?,
        coefficient: integer(qi)?,
        other_prime_infos: None,
    };
    write_pkcs8(rsa_algorithm(), &key.to_der().map_err(malformed)?)
}

fn integer(bytes: &[u8]) -> Result<UintRef<'_>, Refusal> {
    UintRef::new(bytes).map_err(malformed)
}
