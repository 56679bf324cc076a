//! POST policy: a form that a page sends to put a file, with a policy that its owner signed.
//!
//! Source: "Browser-Based Uploads Using POST" of the S3 API reference.

use std::pin::Pin;
use std::task::{Context, Poll};

use base::{Body, BodyError, ResourceName, code};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode, header};
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt as _;
use serde_json::Value;
use services::access_key::Access;
use services::blob::{Algorithm, Bucket, Checksum, Expected, HttpMetadata, Map, PutOptions};

use crate::error::{Answer, Error, Reply};
use crate::request::Asked;
use crate::sigv4::{ALGORITHM, Credential, SigningKey};
use crate::{Parts, date, empty, xml};

/// Fields of a form, by their names in lower case, in front of the file.
type Fields = Vec<(String, String)>;

pub async fn answer(parts: &Parts, asked: &Asked, body: Body) -> Answer {
    let name = asked.bucket.as_deref().ok_or_else(Error::method)?;
    let boundary = boundary(asked).ok_or_else(|| malformed("the form has no boundary"))?;
    let mut form = Form::new(body, &boundary, parts.limits.s3_document_bytes as usize);
    let (fields, file_name) = form.fields().await?;
    let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let (access_key, policy) = check_signature(parts, &field).await?;
    asked.app.get_or_init(|| access_key.app.clone());
    let bucket_name = ResourceName::parse(name).map_err(|_| Error::no_bucket())?;
    if !access_key.grant.allows(&bucket_name, Access::Write) {
        return Err(Error::denied("The access key does not grant this."));
    }
    let bucket = Bucket::new(access_key.app.tenant, access_key.app.app, bucket_name);
    let info = parts.blobs.bucket(&bucket).await?.ok_or_else(Error::no_bucket)?;
    let sizes = check_policy(&policy, &fields, name, parts.clock.unix_ms() / 1_000)?;
    let key = field("key").ok_or_else(|| malformed("the form has no key"))?.replace("${filename}", &file_name);
    let options = options(&fields)?;
    let limited = Body::stream(Measured { file: form.file(), sizes, bytes: 0 });
    let receipt = parts.blobs.put(&bucket, &key, limited, options).await;
    let receipt = receipt.map_err(|error| match error {
        services::blob::BlobError::Body(error) if error.code.name == code::BLOB_LENGTH.name => {
            let name = if error.detail.contains("less") { "EntityTooSmall" } else { "EntityTooLarge" };
            Error::new(400, name, &code::BLOB_LENGTH, error.detail)
        }
        other => other.into(),
    })?;
    let mut response = success(asked, &field, name, &key, &receipt.info.etag);
    crate::operation::identify(&receipt.info, info.settings.versioning, response.headers_mut());
    crate::operation::tell_durability(receipt.durability, response.headers_mut());
    Ok(Reply(response))
}

fn malformed(message: &str) -> Error {
    Error::new(400, "MalformedPOSTRequest", &code::S3_BAD_REQUEST, message)
}

fn boundary(asked: &Asked) -> Option<String> {
    let kind = asked.field("content-type")?;
    let value = kind.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?;
    let value = value.trim_matches('"');
    (!value.is_empty() && value.len() <= 70).then(|| value.to_owned())
}

/// The key that signed the policy, and the policy.
async fn check_signature<'f>(
    parts: &Parts,
    field: &impl Fn(&str) -> Option<&'f str>,
) -> Result<(services::access_key::AccessKey, Value), Error> {
    let wanted = |name: &str| field(name).ok_or_else(|| Error::denied(format!("the form has no {name}")));
    if wanted("x-amz-algorithm")? != ALGORITHM {
        return Err(Error::argument(format!("x-amz-algorithm is {ALGORITHM}")));
    }
    let credential = Credential::parse(wanted("x-amz-credential")?);
    let credential = credential.filter(|credential| credential.service == "s3");
    let credential = credential.ok_or_else(|| Error::argument("x-amz-credential is malformed"))?;
    let policy = wanted("policy")?;
    let found = parts.keys.find(&credential.access_key).await?;
    let Some((key, secret)) = found else {
        return Err(Error::new(403, "InvalidAccessKeyId", &code::S3_SIGNATURE, "The access key does not exist."));
    };
    if !SigningKey::derive(secret.expose(), &credential).verify(policy, wanted("x-amz-signature")?) {
        return Err(Error::signature());
    }
    let bad = || Error::new(400, "InvalidPolicyDocument", &code::S3_BAD_REQUEST, "the policy is no JSON in base64");
    let policy = STANDARD.decode(policy).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok((key, policy.ok_or_else(bad)?))
}

/// Checks every condition, and that every field has one; answers the range of sizes.
fn check_policy(policy: &Value, fields: &Fields, bucket: &str, now_s: u64) -> Result<(u64, u64), Error> {
    let bad = |what: &str| Error::new(400, "InvalidPolicyDocument", &code::S3_BAD_REQUEST, what);
    let until = policy.get("expiration").and_then(Value::as_str).and_then(date::parse_extended);
    if until.ok_or_else(|| bad("the policy has no expiration"))? < now_s {
        return Err(Error::expired("Invalid according to Policy: Policy expired."));
    }
    let conditions = policy.get("conditions").and_then(Value::as_array).ok_or_else(|| bad("it has no conditions"))?;
    let (mut sizes, mut covered) = ((0, u64::MAX), Vec::new());
    let value_of = |name: &str| match name {
        "bucket" => Some(bucket),
        name => fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()),
    };
    for condition in conditions {
        let (kind, name, wanted) = match condition {
            Value::Object(map) if map.len() == 1 => {
                let (name, value) = map.iter().next().ok_or_else(|| bad("a condition is empty"))?;
                ("eq".to_owned(), name.to_ascii_lowercase(), value.as_str().unwrap_or_default().to_owned())
            }
            Value::Array(items) if items.len() == 3 => {
                let kind = items[0].as_str().unwrap_or_default().to_ascii_lowercase();
                if kind == "content-length-range" {
                    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
                    let range = number(&items[1]).zip(number(&items[2]));
                    sizes = range.ok_or_else(|| bad("content-length-range has two numbers"))?;
                    continue;
                }
                let name = items[1].as_str().unwrap_or_default().trim_start_matches('$').to_ascii_lowercase();
                (kind, name, items[2].as_str().unwrap_or_default().to_owned())
            }
            _ => return Err(bad("a condition is {name: value} or [kind, name, value]")),
        };
        let found = value_of(&name).unwrap_or_default();
        let holds = match kind.as_str() {
            "eq" => found == wanted,
            "starts-with" => found.starts_with(&wanted),
            _ => return Err(bad("the kinds of conditions are eq, starts-with and content-length-range")),
        };
        if !holds {
            let message = format!("Invalid according to Policy: Policy Condition failed: [{kind}, ${name}, {wanted}]");
            return Err(Error::denied(message));
        }
        covered.push(name);
    }
    let free = |name: &str| ["policy", "x-amz-signature", "file"].contains(&name) || name.starts_with("x-ignore-");
    match fields.iter().find(|(name, _)| !free(name) && !covered.contains(name)) {
        Some((name, _)) => Err(Error::denied(format!("Invalid according to Policy: Extra input fields: {name}"))),
        None => Ok(sizes),
    }
}

fn options(fields: &Fields) -> Result<PutOptions, Error> {
    let (mut http, mut custom, mut tags, mut expect) =
        (HttpMetadata::default(), Map::new(), Map::new(), Expected::default());
    for (name, value) in fields {
        if let Some(field) = http.field(name) {
            *field = Some(value.clone());
        } else if let Some(name) = name.strip_prefix("x-amz-meta-") {
            custom.insert(name.to_owned(), value.clone());
        } else if name == "tagging" {
            tags = crate::operation::read_tagging(value.as_bytes())?;
        } else if let Some(algorithm) = name.strip_prefix("x-amz-checksum-").and_then(Algorithm::parse) {
            let value = STANDARD.decode(value).ok().filter(|value| value.len() == algorithm.bytes());
            let value = value.ok_or_else(|| Error::request("a checksum is malformed"))?;
            expect.checksum = Some(Checksum { algorithm, value, parts: None });
        } else if name == "acl" && value != "private" {
            return Err(Error::unsupported("ACLs"));
        } else if name == "x-amz-website-redirect-location" {
            return Err(Error::unsupported("redirects of a website; make a route that redirects"));
        }
    }
    Ok(PutOptions { http, custom, tags, expect, ..PutOptions::default() })
}

fn success<'f>(
    asked: &Asked,
    field: &impl Fn(&str) -> Option<&'f str>,
    bucket: &str,
    key: &str,
    etag: &str,
) -> Response<Body> {
    if let Some(to) = field("success_action_redirect").or(field("redirect")) {
        let mut response = empty(StatusCode::SEE_OTHER);
        let encode = |text: &str| crate::sigv4::encode_pair("", text)[1..].to_owned();
        let joint = if to.contains('?') { '&' } else { '?' };
        let etag = format!("\"{etag}\"");
        let to = format!("{to}{joint}bucket={}&key={}&etag={}", encode(bucket), encode(key), encode(&etag));
        if let Ok(to) = http::HeaderValue::try_from(to) {
            response.headers_mut().insert(header::LOCATION, to);
        }
        return response;
    }
    match field("success_action_status") {
        Some("200") => empty(StatusCode::OK),
        Some("201") => {
            let mut document = xml::Writer::new();
            let host = asked.field("host").unwrap_or_default();
            document.open("PostResponse");
            document.show("Location", format!("http://{host}/{bucket}/{}", crate::sigv4::encode_path(key)));
            document.text("Bucket", bucket).text("Key", key).show("ETag", format!("\"{etag}\""));
            document.close("PostResponse");
            let mut response = Response::new(Body::full(document.finish()));
            *response.status_mut() = StatusCode::CREATED;
            response
        }
        _ => empty(StatusCode::NO_CONTENT),
    }
}

/// A form on its way in: its fields first, then the file as a stream.
struct Form {
    body: Body,
    /// `\r\n--boundary`
    mark: Vec<u8>,
    buffer: BytesMut,
    bytes_max: usize,
    ended: bool,
}

impl Form {
    fn new(body: Body, boundary: &str, bytes_max: usize) -> Self {
        // As if a line had ended before, so that the first boundary reads like the others.
        let buffer = BytesMut::from(&b"\r\n"[..]);
        Self { body, mark: format!("\r\n--{boundary}").into_bytes(), buffer, bytes_max, ended: false }
    }

    async fn more(&mut self) -> Result<(), Error> {
        if self.buffer.len() > self.bytes_max {
            return Err(malformed("the fields in front of the file are larger than s3_document_bytes"));
        }
        loop {
            match self.body.frame().await {
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        self.buffer.extend_from_slice(&data);
                        return Ok(());
                    }
                }
                None => return Err(malformed("the form ends before its file")),
            }
        }
    }

    /// Takes everything up to a mark, and the mark.
    async fn until(&mut self, mark: &[u8]) -> Result<BytesMut, Error> {
        let mut from = 0;
        loop {
            if let Some(at) = find(&self.buffer[from..], mark) {
                let taken = self.buffer.split_to(from + at);
                let _ = self.buffer.split_to(mark.len());
                return Ok(taken);
            }
            from = self.buffer.len().saturating_sub(mark.len());
            self.more().await?;
        }
    }

    /// The fields up to the file, and the name of the file.
    async fn fields(&mut self) -> Result<(Fields, String), Error> {
        let (mark, mut fields) = (self.mark.clone(), Fields::new());
        let mut size = 0;
        self.until(&mark).await?;
        loop {
            let head = self.until(b"\r\n\r\n").await?;
            let head = std::str::from_utf8(&head).map_err(|_| malformed("the head of a field is not UTF-8"))?;
            let (name, file) = disposition(head).ok_or_else(|| malformed("a field has no name"))?;
            if name == "file" {
                return Ok((fields, file.unwrap_or_default()));
            }
            let value = self.until(&mark).await?;
            size += name.len() + value.len();
            if size > self.bytes_max {
                return Err(malformed("the fields in front of the file are larger than s3_document_bytes"));
            }
            let value = String::from_utf8(value.to_vec()).map_err(|_| malformed("a field is not UTF-8"))?;
            fields.push((name, value));
        }
    }

    fn file(self) -> File {
        File(self)
    }
}

/// The name of a field in lower case, and the name of a file.
fn disposition(head: &str) -> Option<(String, Option<String>)> {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    let value = |name: &str| {
        let at = line.find(&format!("; {name}=\"")).map(|at| at + name.len() + 4)?;
        let rest = &line[at..];
        Some(rest[..rest.find('"')?].to_owned())
    };
    let file = value("filename").map(|path| path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned());
    Some((value("name")?.to_ascii_lowercase(), file))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// The file of a form, up to the boundary behind it. What follows the file is not read.
struct File(Form);

impl HttpBody for File {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let form = &mut self.0;
        loop {
            if form.ended {
                return Poll::Ready(None);
            }
            if let Some(at) = find(&form.buffer, &form.mark) {
                form.ended = true;
                let data = form.buffer.split_to(at).freeze();
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            // The end of what is there may be the beginning of the boundary.
            let sure = form.buffer.len().saturating_sub(form.mark.len() - 1);
            if sure > 0 {
                let data = form.buffer.split_to(sure).freeze();
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            match std::task::ready!(Pin::new(&mut form.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        form.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => {
                    form.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    form.ended = true;
                    let short = BodyError::new(&code::S3_BAD_REQUEST, "the form ends within its file");
                    return Poll::Ready(Some(Err(short)));
                }
            }
        }
    }
}

/// A file whose size the policy bounds.
struct Measured {
    file: File,
    sizes: (u64, u64),
    bytes: u64,
}

impl HttpBody for Measured {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let (least, most) = this.sizes;
        match std::task::ready!(Pin::new(&mut this.file).poll_frame(cx)) {
            Some(Ok(frame)) => {
                this.bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
                if this.bytes > most {
                    let detail = format!("the file has more than {most} bytes, which the policy allows");
                    return Poll::Ready(Some(Err(BodyError::new(&code::BLOB_LENGTH, detail))));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            None if this.bytes < least => {
                let detail = format!("the file has less than {least} bytes, which the policy asks for");
                Poll::Ready(Some(Err(BodyError::new(&code::BLOB_LENGTH, detail))))
            }
            end => Poll::Ready(end),
        }
    }
}
