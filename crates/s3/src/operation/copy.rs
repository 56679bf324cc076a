//! Copies, of whole blobs and into parts.

use services::access_key::Access;
use services::blob::{BlobError, Bucket, Content, CopyOptions, GetOptions, RangeSpec, Source, VersionId, Versioning};

use super::object::{reply, version};
use super::upload::{checksum_element, number, put_copied};
use super::{Call, fields};
use crate::date;
use crate::error::{Answer, Error};
use crate::request::decode;
use crate::xml;

/// `/bucket/key?versionId=…`, percent-encoded.
fn source(call: &Call<'_>, text: &str) -> Result<(Bucket, String, Option<VersionId>), Error> {
    let bad = || Error::argument("Invalid copy source object key");
    let (path, query) = text.split_once("?versionId=").map_or((text, None), |(path, id)| (path, Some(id)));
    let path = decode(path).ok_or_else(bad)?;
    let (bucket, key) = path.strip_prefix('/').unwrap_or(&path).split_once('/').ok_or_else(bad)?;
    if bucket.is_empty() || key.is_empty() {
        return Err(bad());
    }
    Ok((call.granted(bucket, Access::Read)?, key.to_owned(), version(query)?))
}

pub async fn object(call: &Call<'_>, bucket: &str, key: &str, from: &str) -> Answer {
    let asked = call.asked;
    let (bucket, info) = call.open(bucket, Access::Write).await?;
    let (from_bucket, from_key, id) = source(call, from)?;
    let from_info = call.parts.blobs.bucket(&from_bucket).await?.ok_or_else(Error::no_bucket)?;
    let directive = |name: &str| match asked.field(name) {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(_) => Err(Error::argument(format!("{name} is COPY or REPLACE"))),
    };
    let (new_metadata, new_tags) = (directive("x-amz-metadata-directive")?, directive("x-amz-tagging-directive")?);
    let onto_itself = from_bucket == bucket && from_key == key && id.is_none();
    if onto_itself && !new_metadata && !new_tags {
        let message = "This copy request is illegal because it is trying to copy an object to itself without changing \
                       the object's metadata, storage class, website redirect location or encryption attributes.";
        return Err(Error::request(message));
    }
    let metadata = fields::metadata(asked)?;
    let options = CopyOptions {
        metadata: new_metadata.then_some(metadata),
        tags: if new_tags { Some(fields::tags(asked)?.unwrap_or_default()) } else { None },
        conditions: fields::write_conditions(asked),
    };
    let conditions = fields::conditions(asked, "x-amz-copy-source-");
    let source = Source { bucket: &from_bucket, key: &from_key, version: id, conditions };
    let receipt = call.parts.blobs.copy(source, &bucket, key, options).await?;
    let missing = || if id.is_some() { Error::no_version() } else { Error::no_key() };
    let receipt = receipt.ok_or_else(missing)?;
    let (blob, durability) = (receipt.info, receipt.durability);
    let mut document = xml::Writer::root("CopyObjectResult");
    document.show("ETag", format!("\"{}\"", blob.etag)).text("LastModified", &date::extended(blob.uploaded_ms));
    if let Some(checksum) = &blob.checksum {
        document.text(checksum_element(checksum.algorithm), &fields::checksum_text(checksum));
        document.text("ChecksumType", fields::checksum_kind(checksum));
    }
    document.close("CopyObjectResult");
    let mut answer = reply(document)?;
    let headers = answer.0.headers_mut();
    fields::identify(&blob, info.settings.versioning, headers);
    fields::tell_durability(durability, headers);
    headers.remove("etag");
    if let Some(id) = id.filter(|_| from_info.settings.versioning != Versioning::Off) {
        fields::set(headers, "x-amz-copy-source-version-id", &id.to_string());
    }
    Ok(answer)
}

pub async fn part(call: &Call<'_>, bucket: &str, key: &str, from: &str) -> Answer {
    let (bucket, _) = call.open(bucket, Access::Write).await?;
    let (from_bucket, from_key, id) = source(call, from)?;
    let range = match call.asked.field("x-amz-copy-source-range") {
        None => None,
        Some(text) => {
            let range = RangeSpec::parse(text).filter(|range| matches!(range, RangeSpec::From { length: Some(_), .. }));
            Some(range.ok_or_else(|| Error::argument("x-amz-copy-source-range is bytes=first-last"))?)
        }
    };
    let conditions = fields::conditions(call.asked, "x-amz-copy-source-");
    let found = call.parts.blobs.get(&from_bucket, &from_key, GetOptions { version: id, range, conditions }).await?;
    let missing = || if id.is_some() { Error::no_version() } else { Error::no_key() };
    let blob = found.filter(|blob| !blob.info.marker).ok_or_else(missing)?;
    let Content::Bytes { body, range: given } = blob.content else {
        return Err(BlobError::Precondition { etag: Some(blob.info.etag) }.into());
    };
    if let Some(RangeSpec::From { length: Some(wanted), .. }) = range
        && wanted != given.length
    {
        return Err(Error::argument("Range specified is not valid for source object of its size"));
    }
    let part = put_copied(call, &bucket, key, number(call)?, body).await?;
    let mut document = xml::Writer::root("CopyPartResult");
    document.show("ETag", format!("\"{}\"", part.etag)).text("LastModified", &date::extended(part.uploaded_ms));
    document.text(checksum_element(part.checksum.algorithm), &fields::checksum_text(&part.checksum));
    document.close("CopyPartResult");
    reply(document)
}
