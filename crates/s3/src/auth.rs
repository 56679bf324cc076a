//! Who asks: the signature of a request, checked against the access key that it names.

use services::access_key::AccessKey;

use crate::Parts;
use crate::chunked::Framing;
use crate::date;
use crate::error::Error;
use crate::request::Asked;
use crate::sigv4::{ALGORITHM, Canonical, Credential, SigningKey, UNSIGNED, string_to_sign};

/// A request whose signature is right.
pub struct Caller {
    pub key: AccessKey,
    pub payload: Payload,
}

/// What is known of the body.
pub enum Payload {
    Unsigned,
    /// It must have this SHA-256.
    Sha256([u8; 32]),
    /// It is framed in chunks.
    Chunks(Framing),
}

/// The parts of a signature, wherever they stood.
struct Signed {
    credential: Credential,
    headers: Vec<String>,
    signature: String,
    amz_date: String,
    payload: String,
}

/// Checks the signature; without one nobody gets in.
pub async fn authenticate(parts: &Parts, asked: &Asked) -> Result<Caller, Error> {
    let now_s = parts.clock.unix_ms() / 1_000;
    let skew_s = parts.limits.s3_skew_ms / 1_000;
    let signed = match asked.field("authorization") {
        Some(text) => {
            let signed = from_header(asked, text)?;
            let at = date::parse_basic(&signed.amz_date).ok_or_else(|| Error::denied("x-amz-date is no date"))?;
            if now_s.abs_diff(at) > skew_s {
                return Err(skewed());
            }
            signed
        }
        None if asked.has("X-Amz-Signature") || asked.has("X-Amz-Algorithm") => {
            let signed = from_query(asked)?;
            check_expiry(asked, &signed, now_s, skew_s, parts.limits.s3_presign_s)?;
            signed
        }
        None if asked.has("Signature") && asked.has("AWSAccessKeyId") => {
            return Err(Error::old_signature());
        }
        None => return Err(Error::denied("The request is not signed.")),
    };
    check_scope(asked, &signed)?;
    let found = parts.keys.find(&signed.credential.access_key).await?;
    let Some((key, secret)) = found else {
        let code = &base::code::S3_SIGNATURE;
        return Err(Error::new(403, "InvalidAccessKeyId", code, "The access key does not exist."));
    };
    let canonical = Canonical {
        method: asked.method.as_str(),
        path: &asked.path,
        query: &asked.query,
        headers: &asked.headers,
        signed: &signed.headers,
        payload: &signed.payload,
    };
    let signing = SigningKey::derive(secret.expose(), &signed.credential);
    let text = string_to_sign(&signed.amz_date, &signed.credential, &canonical.text());
    if !signing.verify(&text, &signed.signature) {
        return Err(Error::signature());
    }
    asked.app.get_or_init(|| key.app.clone());
    let payload = payload(&signed, signing)?;
    Ok(Caller { key, payload })
}

fn skewed() -> Error {
    let message = "The difference between the request time and the server's time is too large.";
    Error::new(403, "RequestTimeTooSkewed", &base::code::S3_CLOCK_SKEW, message)
}

fn from_header(asked: &Asked, text: &str) -> Result<Signed, Error> {
    let Some(rest) = text.strip_prefix(ALGORITHM) else {
        return Err(match text.starts_with("AWS ") {
            true => Error::old_signature(),
            false => Error::authorization(format!("the only scheme is {ALGORITHM}")),
        });
    };
    let (mut credential, mut headers, mut signature) = (None, None, None);
    for part in rest.split(',') {
        match part.trim().split_once('=') {
            Some(("Credential", value)) => credential = Credential::parse(value),
            Some(("SignedHeaders", value)) => headers = Some(names(value)),
            Some(("Signature", value)) => signature = Some(value.to_owned()),
            _ => return Err(Error::authorization("it has Credential, SignedHeaders and Signature")),
        }
    }
    let missing = |what: &str| Error::authorization(format!("{what} is missing or malformed"));
    let amz_date = match (asked.field("x-amz-date"), asked.field("date")) {
        (Some(text), _) => text.to_owned(),
        (None, Some(text)) => date::parse_http(text).map(|ms| date::basic(ms / 1_000)).unwrap_or_default(),
        (None, None) => return Err(Error::denied("a signed request has a date")),
    };
    let payload = asked.field("x-amz-content-sha256");
    let payload = payload.ok_or_else(|| Error::request("x-amz-content-sha256 is missing"))?.to_owned();
    Ok(Signed {
        credential: credential.ok_or_else(|| missing("Credential"))?,
        headers: headers.ok_or_else(|| missing("SignedHeaders"))?,
        signature: signature.ok_or_else(|| missing("Signature"))?,
        amz_date,
        payload,
    })
}

fn from_query(asked: &Asked) -> Result<Signed, Error> {
    let parameter = |name: &str| {
        let value = asked.parameter(name);
        value.ok_or_else(|| Error::authorization_query(format!("{name} is missing")))
    };
    if parameter("X-Amz-Algorithm")? != ALGORITHM {
        return Err(Error::authorization_query(format!("X-Amz-Algorithm is {ALGORITHM}")));
    }
    let credential = Credential::parse(parameter("X-Amz-Credential")?);
    let payload = asked.field("x-amz-content-sha256").or(asked.parameter("X-Amz-Content-Sha256"));
    Ok(Signed {
        credential: credential.ok_or_else(|| Error::authorization_query("X-Amz-Credential is malformed"))?,
        headers: names(parameter("X-Amz-SignedHeaders")?),
        signature: parameter("X-Amz-Signature")?.to_owned(),
        amz_date: parameter("X-Amz-Date")?.to_owned(),
        payload: payload.unwrap_or(UNSIGNED).to_owned(),
    })
}

fn names(text: &str) -> Vec<String> {
    text.split(';').map(str::to_owned).collect()
}

fn check_expiry(asked: &Asked, signed: &Signed, now_s: u64, skew_s: u64, most_s: u64) -> Result<(), Error> {
    let expires = asked.parameter("X-Amz-Expires").and_then(|text| text.parse::<u64>().ok());
    let expires = expires.filter(|seconds| (1..=most_s).contains(seconds));
    let expires = expires
        .ok_or_else(|| Error::authorization_query(format!("X-Amz-Expires is from 1 to {most_s} (s3_presign_s)")))?;
    let at = date::parse_basic(&signed.amz_date);
    let at = at.ok_or_else(|| Error::authorization_query("X-Amz-Date is no date"))?;
    if at > now_s + skew_s {
        return Err(skewed());
    }
    if now_s > at + expires {
        return Err(Error::expired("Request has expired"));
    }
    Ok(())
}

fn check_scope(asked: &Asked, signed: &Signed) -> Result<(), Error> {
    if signed.credential.service != "s3" {
        return Err(Error::authorization("the service of the credential is s3"));
    }
    if !signed.amz_date.starts_with(&signed.credential.date) {
        return Err(Error::authorization("the date of the credential is that of the request"));
    }
    if !signed.headers.iter().any(|name| name == "host") {
        return Err(Error::denied("host is not signed"));
    }
    let unsigned = asked.headers.keys().map(|name| name.as_str()).find(|name| {
        name.starts_with("x-amz-") && *name != "x-amz-content-sha256" && !signed.headers.iter().any(|s| s == name)
    });
    match unsigned {
        Some(name) => {
            Err(Error::denied(format!("There were headers present in the request which were not signed: {name}")))
        }
        None => Ok(()),
    }
}

fn payload(signed: &Signed, key: SigningKey) -> Result<Payload, Error> {
    let chunks = |signatures: bool, trailers: bool| {
        let signing = signatures.then(|| crate::chunked::Chain {
            key: key.clone(),
            amz_date: signed.amz_date.clone(),
            scope: signed.credential.scope(),
            previous: signed.signature.clone(),
        });
        Payload::Chunks(Framing { signing, trailers })
    };
    Ok(match signed.payload.as_str() {
        UNSIGNED => Payload::Unsigned,
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => chunks(true, false),
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => chunks(true, true),
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => chunks(false, true),
        other if other.starts_with("STREAMING-") => return Err(Error::unsupported(other)),
        digits => {
            let mut digest = [0; 32];
            hex::decode_to_slice(digits, &mut digest)
                .map_err(|_| Error::argument("x-amz-content-sha256 is a SHA-256 in hexadecimal"))?;
            Payload::Sha256(digest)
        }
    })
}
