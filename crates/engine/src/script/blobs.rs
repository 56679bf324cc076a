//! Blob buckets, as the guest asks for them. What crosses as JSON is agreed with
//! `prelude/features/blobs.ts` alone.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::code;
use serde::{Deserialize, Serialize};
use services::Durability;
use services::blob::{
    Algorithm, Blob, BlobError, BlobInfo, Blobs, Bucket, Checksum, Conditions, Content, Cursor, DeleteKey, Etags,
    Expected, GetOptions, HttpMetadata, ListOptions, Map, PartWanted, PutOptions, PutReceipt, Range, RangeSpec,
    UploadId, UploadOptions,
};
use worker::Handle;

use super::abi::blob as abi;
use super::ask::{Ask, Streamed};
use super::codec::{Decoder, Encoder, Malformed, NoKey, Value};
use super::guest::Guest;
use super::instance::ScriptInstance;
use super::operations::{self, Completion, Operation};

impl From<BlobError> for Completion {
    fn from(error: BlobError) -> Self {
        let store = if let BlobError::Store(store) = &error { Some(store) } else { None };
        Completion::failed(error.code(), operations::told(&error, store))
    }
}

/// A condition as the prelude sends it.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct OnlyIf {
    etag_matches: Option<String>,
    etag_does_not_match: Option<String>,
    /// Milliseconds since the Unix epoch.
    uploaded_before: Option<f64>,
    uploaded_after: Option<f64>,
    seconds_granularity: bool,
}

impl OnlyIf {
    fn conditions(self) -> Conditions {
        Conditions {
            if_match: self.etag_matches.as_deref().map(Etags::parse),
            if_none_match: self.etag_does_not_match.as_deref().map(Etags::parse),
            if_modified_since_ms: self.uploaded_after.map(|ms| ms as u64),
            if_unmodified_since_ms: self.uploaded_before.map(|ms| ms as u64),
            whole_seconds: self.seconds_granularity,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct GetWire {
    only_if: OnlyIf,
    offset: Option<f64>,
    length: Option<f64>,
    suffix: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PutWire {
    only_if: OnlyIf,
    http: HttpMetadata,
    custom: Map,
    /// In hexadecimal.
    md5: Option<String>,
    sha1: Option<String>,
    sha256: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ListWire {
    prefix: String,
    delimiter: Option<String>,
    cursor: Option<String>,
    start_after: Option<String>,
    limit: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PartWire {
    part_number: u32,
    etag: String,
}

/// What the prelude makes an `R2Object` of: an array of fields at their places, and behind them
/// each digest with its name.
fn encode_info(info: &BlobInfo, range: Option<Range>, durability: Option<Durability>, out: &mut Encoder) {
    let md5 = hex_bytes(&info.etag).filter(|_| info.parts.is_none());
    let checksum = info.checksum.as_ref().filter(|checksum| checksum.parts.is_none());
    let digests = u32::from(md5.is_some()) + u32::from(checksum.is_some());
    out.array(10 + 2 * digests);
    out.string(&info.key).string(&format!("{:016x}", info.version.number)).integer(info.size);
    out.string(&info.etag).integer(info.uploaded_ms);
    match info.http == HttpMetadata::default() {
        true => out.null(),
        false => out.string(&json(&info.http)),
    };
    match info.custom.is_empty() {
        true => out.null(),
        false => out.string(&json(&info.custom)),
    };
    match range {
        Some(range) => out.integer(range.offset).integer(range.length),
        None => out.null().null(),
    };
    out.optional_string(durability.map(|durability| durability.as_str()));
    if let Some(md5) = md5 {
        out.string("md5").bytes(&md5);
    }
    if let Some(Checksum { algorithm, value, .. }) = checksum {
        out.string(&algorithm.as_str().to_ascii_lowercase()).bytes(value);
    }
}

fn written(receipt: &PutReceipt) -> Completion {
    Completion::value(|to| {
        encode_info(&receipt.info, None, Some(receipt.durability), to);
        to
    })
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

pub async fn perform(operation: &Operation, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let binding = args.next()?.as_u32()? as usize;
    let Some((_, Handle::Blob { provider, bucket })) = operation.env().bindings.get(binding) else {
        return Err(Completion::type_error("this binding is no blob bucket"));
    };
    let reach = Reach { operation, blobs: provider.clone(), bucket: bucket.clone() };
    match operation.code {
        abi::DELETE => reach.delete(args).await,
        abi::LIST => reach.list(args).await,
        abi::CREATE_UPLOAD => reach.create_upload(args).await,
        abi::PUT_PART => reach.put_part(args).await,
        abi::COMPLETE => reach.complete(args).await,
        abi::ABORT => reach.abort(args).await,
        _ => Err(Completion::type_error("there is no such operation")),
    }
}

/// The bucket that comes first.
fn bucket<'a>(ask: &'a Ask, args: &mut Decoder<'_>) -> Result<(&'a Arc<dyn Blobs>, &'a Bucket), Completion> {
    let binding = args.next()?.as_u32()? as usize;
    match ask.env.bindings.get(binding) {
        Some((_, Handle::Blob { provider, bucket })) => Ok((provider, bucket)),
        _ => Err(Completion::type_error("this binding is no blob bucket")),
    }
}

/// HEAD(binding, key) → info or null
pub async fn head(ask: &Ask, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let (blobs, bucket) = bucket(ask, &mut args)?;
    let key = args.next()?;
    ask.metered()?.blob_reads.fetch_add(1, Ordering::Relaxed);
    let info = blobs.head(bucket, key.as_key()?, None).await?;
    Ok(Completion::value(|e| match &info {
        Some(info) => {
            encode_info(info, None, None, e);
            e
        }
        None => e.null(),
    }))
}

/// GET(binding, key, options) → [info, has content, bytes, handle] or null
pub async fn get(ask: &Ask, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let (blobs, bucket) = bucket(ask, &mut args)?;
    let (key, options) = (args.next()?, args.next()?);
    let wire: GetWire = parse_options(&options)?;
    let range = match (wire.suffix, wire.offset, wire.length) {
        (Some(bytes), _, _) => Some(RangeSpec::Last(bytes as u64)),
        (None, None, None) => None,
        (None, offset, length) => {
            let length = length.map(|bytes| bytes as u64);
            Some(RangeSpec::From { offset: offset.unwrap_or(0.0) as u64, length })
        }
    };
    let options = GetOptions { version: None, range, conditions: wire.only_if.conditions() };
    ask.metered()?.blob_reads.fetch_add(1, Ordering::Relaxed);
    let found = blobs.get(bucket, key.as_key()?, options).await?;
    Ok(Completion::Blob(found.map(Box::new)))
}

/// PUT(binding, key, value, stream, options) → info, or null if a condition does not hold
pub async fn put(ask: &Ask, mut args: Decoder<'_>, streamed: Streamed) -> Result<Completion, Completion> {
    let (blobs, bucket) = bucket(ask, &mut args)?;
    let (key, value, _) = (args.next()?, args.next()?, args.next()?);
    let content = ask.content(&value, streamed)?;
    let options = put_options(parse_options(&args.next()?)?)?;
    ask.metered()?.blob_writes.fetch_add(1, Ordering::Relaxed);
    match blobs.put(bucket, key.as_key()?, content, options).await {
        Ok(receipt) => Ok(written(&receipt)),
        Err(BlobError::Precondition { .. }) => Ok(Completion::value(|e| e.null())),
        Err(error) => Err(error.into()),
    }
}

fn put_options(wire: PutWire) -> Result<PutOptions, Completion> {
    let checksum = |algorithm, text: &Option<String>| -> Result<Option<Checksum>, Completion> {
        let value = text.as_deref().map(unhex).transpose()?;
        Ok(value.map(|value| Checksum { algorithm, value, parts: None }))
    };
    let (sha1, sha256) = (checksum(Algorithm::Sha1, &wire.sha1)?, checksum(Algorithm::Sha256, &wire.sha256)?);
    let md5 = wire.md5.as_deref().map(unhex).transpose()?.map(<[u8; 16]>::try_from).transpose();
    let md5 = md5.map_err(|_| Completion::type_error("an MD5 has 16 bytes"))?;
    let expect = Expected { md5, checksum: sha256.or(sha1), ..Expected::default() };
    let conditions = wire.only_if.conditions();
    Ok(PutOptions { http: wire.http, custom: wire.custom, tags: Map::new(), conditions, expect })
}

struct Reach<'a> {
    operation: &'a Operation,
    blobs: Arc<dyn Blobs>,
    bucket: Bucket,
}

impl Reach<'_> {
    fn write(&self, count: u64) -> Result<(), Completion> {
        self.operation.metered()?.1.blob_writes.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }

    /// DELETE(binding, [key, …]) → durability, or null of no key
    async fn delete(&self, mut args: Decoder<'_>) -> Result<Completion, Completion> {
        let Value::Array(keys) = args.next()? else { return Err(Malformed.into()) };
        let keys: Result<Vec<DeleteKey>, NoKey> = keys.iter().map(|k| k.as_key().map(DeleteKey::new)).collect();
        let keys = keys?;
        self.write(keys.len() as u64)?;
        let outcomes = self.blobs.delete(&self.bucket, keys).await?;
        let mut durability = None;
        for outcome in outcomes {
            durability = Some(outcome?.durability.as_str());
        }
        Ok(Completion::value(|e| e.optional_string(durability)))
    }

    /// LIST(binding, options) → [cursor or null, [prefix, …], info, …]
    async fn list(&self, mut args: Decoder<'_>) -> Result<Completion, Completion> {
        let wire: ListWire = parse(args.next()?.as_str()?)?;
        let (prefix, delimiter) = (wire.prefix, wire.delimiter.filter(|delimiter| !delimiter.is_empty()));
        let after = match &wire.cursor {
            Some(cursor) => Some(Cursor::decode(&self.bucket, &prefix, delimiter.as_deref(), cursor)?),
            None => wire.start_after,
        };
        let limit = wire.limit.map(|limit| limit as usize);
        let options = ListOptions { prefix: prefix.clone(), delimiter: delimiter.clone(), after, limit };
        self.operation.metered()?.1.blob_reads.fetch_add(1, Ordering::Relaxed);
        let page = self.blobs.list(&self.bucket, options).await?;
        let cursor = page.next.as_ref().map(|next| Cursor::encode(&self.bucket, &prefix, delimiter.as_deref(), next));
        Ok(Completion::value(|to| {
            to.array(2 + page.blobs.len() as u32).optional_string(cursor.as_deref());
            to.array(page.prefixes.len() as u32);
            page.prefixes.iter().for_each(|prefix| {
                to.string(prefix);
            });
            page.blobs.iter().for_each(|info| encode_info(info, None, None, to));
            to
        }))
    }

    /// CREATE_UPLOAD(binding, key, options) → id
    async fn create_upload(&self, mut args: Decoder<'_>) -> Result<Completion, Completion> {
        let (key, options) = (args.next()?, args.next()?);
        let wire: PutWire = parse_options(&options)?;
        let options = UploadOptions { http: wire.http, custom: wire.custom, ..UploadOptions::default() };
        self.write(1)?;
        let id = self.blobs.create_upload(&self.bucket, key.as_key()?, options).await?;
        Ok(Completion::value(|e| e.string(id.as_str())))
    }

    /// PUT_PART(binding, key, upload, number, value, stream) → etag
    async fn put_part(&self, mut args: Decoder<'_>) -> Result<Completion, Completion> {
        let (key, upload, number) = (args.next()?, args.next()?, args.next()?.as_u32()?);
        let (value, stream) = (args.next()?, args.next()?);
        let body = self.operation.body(&value, &stream)?;
        let upload = UploadId::from_text(upload.as_str()?);
        self.write(1)?;
        let expect = Expected::default();
        let part = self.blobs.put_part(&self.bucket, key.as_key()?, &upload, number, body, expect).await?;
        Ok(Completion::value(|e| e.string(&part.etag)))
    }

    /// COMPLETE(binding, key, upload, parts) → info
    async fn complete(&self, mut args: Decoder<'_>) -> Result<Completion, Completion> {
        let (key, upload, parts) = (args.next()?, args.next()?, args.next()?);
        let wire: Vec<PartWire> = parse(parts.as_str()?)?;
        let mut parts: Vec<PartWanted> = wire
            .into_iter()
            .map(|part| PartWanted { number: part.part_number, etag: part.etag, checksum: None })
            .collect();
        parts.sort_by_key(|part| part.number);
        let upload = UploadId::from_text(upload.as_str()?);
        self.write(1)?;
        let conditions = Conditions::default();
        let receipt = self.blobs.complete_upload(&self.bucket, key.as_key()?, &upload, parts, conditions).await?;
        Ok(written(&receipt))
    }

    /// ABORT(binding, key, upload)
    async fn abort(&self, mut args: Decoder<'_>) -> Result<Completion, Completion> {
        let (key, upload) = (args.next()?, args.next()?);
        self.write(1)?;
        self.blobs.abort_upload(&self.bucket, key.as_key()?, &UploadId::from_text(upload.as_str()?)).await?;
        Ok(Completion::value(|e| e.null()))
    }
}

/// The end of an operation with `[info, has content, bytes, handle]`, or null.
pub fn encode(found: Option<Box<Blob>>, instance: &ScriptInstance, guest: &mut Guest, out: &mut Encoder) {
    out.bool(true);
    if let Err(Some(found)) = encode_whole(found, out)
        && let Blob { info, content: Content::Bytes { body, range } } = *found
    {
        out.array(4);
        encode_info(&info, Some(range), None, out);
        out.bool(true);
        operations::encode_body(body, instance, guest, out);
    }
}

/// The same without the mark of success; gives a blob back whose content is not all there.
pub fn encode_whole(found: Option<Box<Blob>>, out: &mut Encoder) -> Result<(), Option<Box<Blob>>> {
    let Some(mut found) = found else {
        out.null();
        return Ok(());
    };
    let (range, whole) = match &mut found.content {
        Content::Bytes { body, range } => match body.take_whole() {
            Some(whole) => (Some(*range), Some(whole)),
            None => return Err(Some(found)),
        },
        Content::NotModified | Content::Refused => (None, None),
    };
    out.array(4);
    encode_info(&found.info, range, None, out);
    match whole {
        Some(whole) => out.bool(true).bytes(&whole).integer(0),
        None => out.bool(false).null().integer(0),
    };
    Ok(())
}

fn parse<T: for<'de> Deserialize<'de>>(json: &str) -> Result<T, Completion> {
    serde_json::from_str(json).map_err(|_| Malformed.into())
}

/// Options, which are null if there are none.
fn parse_options<T: for<'de> Deserialize<'de> + Default>(options: &Value<'_>) -> Result<T, Completion> {
    options.as_optional_str()?.map_or_else(|| Ok(T::default()), parse)
}

fn unhex(text: &str) -> Result<Vec<u8>, Completion> {
    let bad = || Completion::failed(&code::BLOB_DIGEST, "a checksum is bytes, or text in hexadecimal");
    hex_bytes(text).ok_or_else(bad)
}

fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let digits = text.as_bytes();
    let pairs = digits.chunks_exact(2);
    let is_odd = !pairs.remainder().is_empty();
    let bytes = pairs.map(|pair| Some((digit(pair[0])? << 4 | digit(pair[1])?) as u8)).collect::<Option<_>>();
    bytes.filter(|_| !is_odd)
}
