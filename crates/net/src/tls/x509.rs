//! What of a certificate is asked for and rustls does not tell: when it is valid, and whom it names; and how long
//! the answer of an authority about it holds (OCSP).

use std::time::Duration;

use der::asn1::{AnyRef, GeneralizedTime, ObjectIdentifier, UtcTime};
use der::{Decode, Reader as _, SliceReader, Tag, TagNumber};

/// When a certificate is valid, in Unix time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub not_before: Duration,
    pub not_after: Duration,
}

/// RFC 5280, section 4.1. `None` if the certificate has another shape.
pub(super) fn validity(certificate: &[u8]) -> Option<Validity> {
    let mut reader = SliceReader::new(certificate).ok()?;
    let read = reader.sequence(|certificate| {
        let validity = certificate.sequence(|tbs| {
            let explicit_version = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };
            if Tag::peek(tbs)? == explicit_version {
                tbs.tlv_bytes()?;
            }
            // Serial number, algorithm and issuer.
            for _ in 0..3 {
                tbs.tlv_bytes()?;
            }
            let validity = tbs.sequence(|validity| {
                Ok::<_, der::Error>(Validity { not_before: time(validity)?, not_after: time(validity)? })
            })?;
            while !tbs.is_finished() {
                tbs.tlv_bytes()?;
            }
            Ok::<_, der::Error>(validity)
        })?;
        while !certificate.is_finished() {
            certificate.tlv_bytes()?;
        }
        Ok::<_, der::Error>(validity)
    });
    read.ok()
}

fn time<'a>(reader: &mut SliceReader<'a>) -> Result<Duration, der::Error> {
    match Tag::peek(reader)? {
        Tag::UtcTime => Ok(reader.decode::<UtcTime>()?.to_unix_duration()),
        _ => Ok(reader.decode::<GeneralizedTime>()?.to_unix_duration()),
    }
}

/// What stands in a value that is made of others, one after the other.
fn parts(tlv: &[u8]) -> Option<Vec<&[u8]>> {
    let mut reader = SliceReader::new(AnyRef::from_der(tlv).ok()?.value()).ok()?;
    let mut parts = Vec::new();
    while !reader.is_finished() {
        parts.push(reader.tlv_bytes().ok()?);
    }
    Some(parts)
}

fn moment(tlv: &[u8]) -> Option<Duration> {
    time(&mut SliceReader::new(tlv).ok()?).ok()
}

/// A tag of the context, with what it is about inside.
const EXPLICIT_0: u8 = 0xa0;
/// The longest name of a subject that is told.
const SUBJECT_CHARS_MAX: usize = 200;

/// Whom a certificate is for, as `CN=alice, O=Example` (RFC 4514 has more; what is told here is for people). It is what
/// the certificate says, whoever signed it.
pub(super) fn subject(certificate: &[u8]) -> Option<String> {
    let tbs = *parts(certificate)?.first()?;
    let fields = parts(tbs)?;
    let versioned = fields.first().is_some_and(|field| field.first() == Some(&EXPLICIT_0));
    // Behind the serial number, the algorithm, the issuer and the validity.
    let name = fields.get(usize::from(versioned) + 4)?;
    let mut told = String::new();
    for set in parts(name)? {
        for attribute in parts(set)? {
            let &[kind, value] = parts(attribute)?.as_slice() else { return None };
            let kind: ObjectIdentifier = Decode::from_der(kind).ok()?;
            let kind = kind.to_string();
            let kind = match kind.as_str() {
                "2.5.4.3" => "CN",
                "2.5.4.5" => "serialNumber",
                "2.5.4.6" => "C",
                "2.5.4.7" => "L",
                "2.5.4.8" => "ST",
                "2.5.4.10" => "O",
                "2.5.4.11" => "OU",
                other => other,
            };
            let value = String::from_utf8_lossy(AnyRef::from_der(value).ok()?.value()).escape_debug().to_string();
            let comma = if told.is_empty() { "" } else { ", " };
            told.push_str(&format!("{comma}{kind}={value}"));
        }
    }
    if told.is_empty() {
        return Some("a certificate without a name".to_owned());
    }
    Some(told.chars().take(SUBJECT_CHARS_MAX).collect())
}

/// How long an authority's answer about a certificate holds, in Unix time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Staple {
    pub this_update: Duration,
    /// `None` if there is always something newer to be had.
    pub next_update: Option<Duration>,
    /// It says that the certificate is good no longer.
    pub revoked: bool,
}

/// Reads an OCSP response (RFC 6960, section 4.2.1). `None` if it is none, or says that there is no answer. Its
/// signature is for clients to judge.
pub(super) fn staple(response: &[u8]) -> Option<Staple> {
    const SUCCESSFUL: [u8; 3] = [0x0a, 1, 0];
    let response = parts(response)?;
    let (status, bytes) = (response.first()?, response.get(1)?);
    if *status != SUCCESSFUL {
        return None;
    }
    let typed = parts(parts(bytes)?.first()?)?;
    let basic = AnyRef::from_der(typed.get(1)?).ok()?.value();
    let data = parts(parts(basic)?.first()?)?;
    let versioned = data.first()?.first() == Some(&EXPLICIT_0);
    // Behind who answers, and when that was.
    let answers = parts(data.get(usize::from(versioned) + 2)?)?;
    let mut whole: Option<Staple> = None;
    for answer in answers {
        let one = single(answer)?;
        whole = Some(match whole {
            None => one,
            Some(other) => Staple {
                this_update: one.this_update.max(other.this_update),
                next_update: one.next_update.into_iter().chain(other.next_update).min(),
                revoked: one.revoked || other.revoked,
            },
        });
    }
    whole
}

/// What is said of one certificate.
fn single(answer: &[u8]) -> Option<Staple> {
    const REVOKED: u8 = 0xa1;
    let fields = parts(answer)?;
    let next = fields.get(3).filter(|field| field.first() == Some(&EXPLICIT_0));
    Some(Staple {
        this_update: moment(fields.get(2)?)?,
        next_update: match next {
            Some(explicit) => Some(moment(parts(explicit)?.first()?)?),
            None => None,
        },
        revoked: fields.get(1)?.first() == Some(&REVOKED),
    })
}

#[cfg(test)]
mod tests;
