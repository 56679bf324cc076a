//! Operations on a key.

use base::Body;
use http::{Method, Response, StatusCode, header};
use services::access_key::Access;
use services::blob::{
    BlobError, BlobInfo, Bucket, Content, DeleteKey, Etags, GetOptions, Map, PutOptions, RangeSpec, VersionId,
    Versioning,
};

use super::{Call, copy, fields, upload};
use crate::error::{Answer, Error, Reply};
use crate::{empty, xml};

pub async fn answer(call: &Call<'_>, bucket: &str, key: &str, body: Body) -> Answer {
    let asked = call.asked;
    match (asked.method.clone(), asked.has("uploadId")) {
        (Method::GET, true) => upload::parts(call, bucket, key).await,
        (Method::GET, false) if asked.has("tagging") => get_tags(call, bucket, key).await,
        (Method::GET | Method::HEAD, false) => get(call, bucket, key).await,
        (Method::PUT, true) if asked.has("partNumber") => match asked.field("x-amz-copy-source") {
            Some(source) => copy::part(call, bucket, key, source).await,
            None => upload::put_part(call, bucket, key, body).await,
        },
        (Method::PUT, false) if asked.has("tagging") => put_tags(call, bucket, key, body).await,
        (Method::PUT, false) => match asked.field("x-amz-copy-source") {
            Some(source) => copy::object(call, bucket, key, source).await,
            None => put(call, bucket, key, body).await,
        },
        (Method::DELETE, true) => upload::abort(call, bucket, key).await,
        (Method::DELETE, false) if asked.has("tagging") => delete_tags(call, bucket, key).await,
        (Method::DELETE, false) => delete(call, bucket, key).await,
        (Method::POST, true) => upload::complete(call, bucket, key, body).await,
        (Method::POST, false) if asked.has("uploads") => upload::create(call, bucket, key).await,
        _ => Err(Error::method()),
    }
}

/// The version that a request names.
pub fn version(text: Option<&str>) -> Result<Option<VersionId>, Error> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let unknown = || Error::argument("Invalid version id specified");
    VersionId::parse(text).map(Some).ok_or_else(unknown)
}

async fn get(call: &Call<'_>, bucket: &str, key: &str) -> Answer {
    let asked = call.asked;
    let (bucket, info) = call.open(bucket, Access::Read).await?;
    let versioning = info.settings.versioning;
    let id = version(asked.parameter("versionId"))?;
    if asked.has("partNumber") {
        return Err(Error::unsupported("reading by partNumber; use Range"));
    }
    let range = asked.field("range").and_then(RangeSpec::parse);
    let conditions = fields::conditions(asked, "");
    let found = call.parts.blobs.get(&bucket, key, GetOptions { version: id, range, conditions }).await?;
    let Some(blob) = found else { return missing(call, &bucket, key, id, versioning).await };
    if blob.info.marker {
        let error = Error::method().with(header::HeaderName::from_static("x-amz-delete-marker"), "true");
        return Err(error.with(header::LAST_MODIFIED, crate::date::http(blob.info.uploaded_ms)));
    }
    let mut response = empty(StatusCode::OK);
    match blob.content {
        Content::NotModified => {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            fields::describe(&blob.info, versioning, &mut response);
            response.headers_mut().remove(header::CONTENT_TYPE);
            return Ok(Reply(response));
        }
        Content::Refused => return Err(BlobError::Precondition { etag: Some(blob.info.etag) }.into()),
        Content::Bytes { body, range: given } => {
            fields::describe(&blob.info, versioning, &mut response);
            let headers = response.headers_mut();
            fields::set(headers, "content-length", &given.length.to_string());
            if range.is_some() {
                let last = given.end().saturating_sub(1);
                fields::set(headers, "content-range", &format!("bytes {}-{last}/{}", given.offset, blob.info.size));
            } else if asked.field("x-amz-checksum-mode") == Some("ENABLED") {
                fields::show_checksum(blob.info.checksum.as_ref(), headers);
            }
            override_fields(call, headers);
            if range.is_some() {
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            }
            *response.body_mut() = body;
        }
    }
    Ok(Reply(response))
}

/// `response-content-type` and its like, in place of what is stored.
fn override_fields(call: &Call<'_>, headers: &mut http::HeaderMap) {
    const NAMES: [&str; 6] =
        ["content-type", "content-language", "content-disposition", "content-encoding", "cache-control", "expires"];
    for name in NAMES {
        if let Some(value) = call.asked.parameter(&format!("response-{name}")) {
            fields::set(headers, name, value);
        }
    }
}

/// Why there is nothing: there was no such version, or the key is behind a delete marker.
async fn missing(call: &Call<'_>, bucket: &Bucket, key: &str, id: Option<VersionId>, versioning: Versioning) -> Answer {
    if id.is_some() {
        return Err(Error::no_version());
    }
    let mut error = Error::no_key();
    if versioning != Versioning::Off {
        let options = services::blob::VersionsOptions { prefix: key.to_owned(), limit: Some(1), ..Default::default() };
        let page = call.parts.blobs.list_versions(bucket, options).await?;
        if let Some(marker) = page.versions.first().filter(|info| info.key == key && info.marker) {
            error = error.with(header::HeaderName::from_static("x-amz-delete-marker"), "true");
            let id = marker.version.id().to_string();
            error = error.with(header::HeaderName::from_static("x-amz-version-id"), id);
        }
    }
    Err(error)
}

async fn put(call: &Call<'_>, bucket: &str, key: &str, body: Body) -> Answer {
    let (bucket, info) = call.open(bucket, Access::Write).await?;
    let (http, custom) = fields::metadata(call.asked)?;
    let tags = fields::tags(call.asked)?.unwrap_or_default();
    let conditions = fields::write_conditions(call.asked);
    let (body, expect) = fields::content(call, body)?;
    let options = PutOptions { http, custom, tags, conditions, expect };
    let receipt = call.parts.blobs.put(&bucket, key, body, options).await?;
    let mut response = empty(StatusCode::OK);
    fields::identify(&receipt.info, info.settings.versioning, response.headers_mut());
    fields::show_checksum(receipt.info.checksum.as_ref(), response.headers_mut());
    fields::tell_durability(receipt.durability, response.headers_mut());
    Ok(Reply(response))
}

async fn delete(call: &Call<'_>, bucket: &str, key: &str) -> Answer {
    let (bucket, info) = call.open(bucket, Access::Write).await?;
    let id = version(call.asked.parameter("versionId"))?;
    let if_match = call.asked.field("if-match").map(Etags::parse);
    let wanted = DeleteKey { key: key.to_owned(), version: id, if_match };
    let mut outcomes = call.parts.blobs.delete(&bucket, vec![wanted]).await?;
    let deleted = outcomes.pop().ok_or_else(Error::no_key)??;
    let mut response = empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    fields::tell_durability(deleted.durability, headers);
    if deleted.was_marker || deleted.marker.is_some() {
        fields::set(headers, "x-amz-delete-marker", "true");
    }
    let named = deleted.marker.map(|version| version.id()).or(id);
    if let Some(named) = named.filter(|_| info.settings.versioning != Versioning::Off) {
        fields::set(headers, "x-amz-version-id", &named.to_string());
    }
    Ok(Reply(response))
}

async fn tagged(call: &Call<'_>, bucket: &str, key: &str, access: Access) -> Result<(Bucket, BlobInfo), Error> {
    let (bucket, _) = call.open(bucket, access).await?;
    let id = version(call.asked.parameter("versionId"))?;
    let info = call.parts.blobs.head(&bucket, key, id).await?;
    let missing = || if id.is_some() { Error::no_version() } else { Error::no_key() };
    let info = info.ok_or_else(missing)?;
    if info.marker { Err(Error::method()) } else { Ok((bucket, info)) }
}

async fn get_tags(call: &Call<'_>, bucket: &str, key: &str) -> Answer {
    let (_, info) = tagged(call, bucket, key, Access::Read).await?;
    Ok(Reply(fields::document(tagging(&info.tags))))
}

/// A document of tags.
pub fn tagging(tags: &Map) -> String {
    let mut document = xml::Writer::root("Tagging");
    document.open("TagSet");
    for (name, value) in tags {
        document.open("Tag").text("Key", name).text("Value", value).close("Tag");
    }
    document.close("TagSet").close("Tagging");
    document.finish()
}

/// Reads a document of tags.
pub fn read_tagging(bytes: &[u8]) -> Result<Map, Error> {
    xml::read(bytes, "Tagging", |root| {
        let set = xml::one(root, "TagSet").ok_or_else(|| Error::malformed_xml("it has no TagSet"))?;
        let mut tags = Map::new();
        for tag in xml::all(set, "Tag") {
            let name = xml::text(tag, "Key").ok_or_else(|| Error::malformed_xml("a tag has no Key"))?;
            let value = xml::text(tag, "Value").unwrap_or_default();
            if tags.insert(name, value).is_some() {
                return Err(Error::new(400, "InvalidTag", &base::code::BLOB_BAD_TAGS, "a tag stands twice"));
            }
        }
        Ok(tags)
    })
}

async fn put_tags(call: &Call<'_>, bucket: &str, key: &str, body: Body) -> Answer {
    let (bucket, info) = tagged(call, bucket, key, Access::Write).await?;
    let tags = read_tagging(&call.document(body).await?)?;
    call.parts.blobs.tag(&bucket, key, Some(info.version.id()), tags).await?;
    Ok(Reply(empty(StatusCode::OK)))
}

async fn delete_tags(call: &Call<'_>, bucket: &str, key: &str) -> Answer {
    let (bucket, info) = tagged(call, bucket, key, Access::Write).await?;
    call.parts.blobs.tag(&bucket, key, Some(info.version.id()), Map::new()).await?;
    Ok(Reply(empty(StatusCode::NO_CONTENT)))
}

/// For operations that answer a document at once: it is small.
pub fn reply(document: xml::Writer) -> Result<Reply, Error> {
    let response: Response<Body> = fields::document(document.finish());
    Ok(Reply(response))
}
