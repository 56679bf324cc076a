//! What of a certificate is asked for and rustls does not tell: when it is valid.

use std::time::Duration;

use der::asn1::{GeneralizedTime, UtcTime};
use der::{Reader as _, SliceReader, Tag, TagNumber};

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
