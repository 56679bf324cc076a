//! Lists: of keys in both versions of the protocol's operation, of versions, and of uploads.

use services::access_key::Access;
use services::blob::{Bucket, BucketInfo, Cursor, ListOptions, Place, VersionsOptions};

use super::object::{reply, version};
use super::{Call, fields};
use crate::date;
use crate::error::{Answer, Error};
use crate::xml::Writer;

/// What every list is asked for.
struct Wanted {
    prefix: String,
    delimiter: Option<String>,
    limit: usize,
    url: bool,
}

impl Wanted {
    fn read(call: &Call<'_>, limit_name: &str) -> Result<Self, Error> {
        let asked = call.asked;
        let most = call.parts.limits.blob_list_keys;
        let limit = asked.number(limit_name)?.unwrap_or(most).min(most) as usize;
        let url = match asked.parameter("encoding-type") {
            None => false,
            Some("url") => true,
            Some(_) => return Err(Error::argument("Invalid Encoding Method specified in Request")),
        };
        Ok(Self {
            prefix: asked.parameter("prefix").unwrap_or_default().to_owned(),
            delimiter: asked.parameter("delimiter").filter(|text| !text.is_empty()).map(str::to_owned),
            limit,
            url,
        })
    }

    fn options(&self, after: Option<String>) -> ListOptions {
        let (prefix, delimiter) = (self.prefix.clone(), self.delimiter.clone());
        ListOptions { prefix, delimiter, after: after.filter(|a| !a.is_empty()), limit: Some(self.limit) }
    }

    /// The root and what every list says of itself.
    fn begin(&self, root: &str, bucket: &str, limit_name: &str) -> Writer {
        let mut document = Writer::root(root).url(self.url);
        document.text(if root == "ListMultipartUploadsResult" { "Bucket" } else { "Name" }, bucket);
        document.key("Prefix", &self.prefix);
        if let Some(delimiter) = &self.delimiter {
            document.key("Delimiter", delimiter);
        }
        document.show(limit_name, self.limit);
        if self.url {
            document.text("EncodingType", "url");
        }
        document
    }
}

fn prefixes(document: &mut Writer, prefixes: &[String]) {
    for prefix in prefixes {
        document.open("CommonPrefixes").key("Prefix", prefix).close("CommonPrefixes");
    }
}

fn owner(document: &mut Writer, name: &str, call: &Call<'_>) {
    let app = &call.caller.key.app;
    document.open(name).show("ID", app).text("DisplayName", app.app.as_str()).close(name);
}

fn blob(document: &mut Writer, info: &services::blob::BlobInfo) {
    document.key("Key", &info.key).text("LastModified", &date::extended(info.uploaded_ms));
    document.show("ETag", format!("\"{}\"", info.etag));
    if let Some(checksum) = &info.checksum {
        document.text("ChecksumAlgorithm", checksum.algorithm.as_str());
        document.text("ChecksumType", fields::checksum_kind(checksum));
    }
    document.show("Size", info.size).text("StorageClass", "STANDARD");
}

pub async fn keys(call: &Call<'_>, bucket: &str) -> Answer {
    let (bucket, _) = call.open(bucket, Access::List).await?;
    match call.asked.parameter("list-type") {
        Some("2") => second(call, &bucket).await,
        _ => first(call, &bucket).await,
    }
}

async fn second(call: &Call<'_>, bucket: &Bucket) -> Answer {
    let (asked, wanted) = (call.asked, Wanted::read(call, "max-keys")?);
    let delimiter = wanted.delimiter.as_deref();
    let token = asked.parameter("continuation-token");
    let after = match token {
        Some("") => return Err(Error::argument("The continuation token provided is incorrect")),
        Some(token) => Some(Cursor::decode(bucket, &wanted.prefix, delimiter, token)?),
        None => asked.parameter("start-after").map(str::to_owned),
    };
    let page = call.parts.blobs.list(bucket, wanted.options(after)).await?;
    let mut document = wanted.begin("ListBucketResult", bucket.name.as_str(), "MaxKeys");
    document.show("KeyCount", page.blobs.len() + page.prefixes.len()).show("IsTruncated", page.next.is_some());
    document.optional("ContinuationToken", token);
    if let Some(after) = asked.parameter("start-after") {
        document.key("StartAfter", after);
    }
    if let Some(next) = &page.next {
        document.text("NextContinuationToken", &Cursor::encode(bucket, &wanted.prefix, delimiter, next));
    }
    for info in &page.blobs {
        document.open("Contents");
        blob(&mut document, info);
        if asked.parameter("fetch-owner") == Some("true") {
            owner(&mut document, "Owner", call);
        }
        document.close("Contents");
    }
    prefixes(&mut document, &page.prefixes);
    document.close("ListBucketResult");
    reply(document)
}

async fn first(call: &Call<'_>, bucket: &Bucket) -> Answer {
    let (asked, wanted) = (call.asked, Wanted::read(call, "max-keys")?);
    let marker = asked.parameter("marker").unwrap_or_default();
    let page = call.parts.blobs.list(bucket, wanted.options(Some(marker.to_owned()))).await?;
    let mut document = wanted.begin("ListBucketResult", bucket.name.as_str(), "MaxKeys");
    document.key("Marker", marker).show("IsTruncated", page.next.is_some());
    if let Some(next) = page.next.as_ref().filter(|_| wanted.delimiter.is_some()) {
        document.key("NextMarker", next);
    }
    for info in &page.blobs {
        document.open("Contents");
        blob(&mut document, info);
        owner(&mut document, "Owner", call);
        document.close("Contents");
    }
    prefixes(&mut document, &page.prefixes);
    document.close("ListBucketResult");
    reply(document)
}

pub async fn versions(call: &Call<'_>, bucket: &str) -> Answer {
    let (bucket, _) = call.open(bucket, Access::List).await?;
    let (asked, wanted) = (call.asked, Wanted::read(call, "max-keys")?);
    let key_marker = asked.parameter("key-marker").unwrap_or_default();
    let id_marker = asked.parameter("version-id-marker").filter(|text| !text.is_empty());
    if id_marker.is_some() && key_marker.is_empty() {
        return Err(Error::argument("A version-id marker cannot be specified without a key marker."));
    }
    let after = place(call, &bucket, key_marker, id_marker).await?;
    let (prefix, delimiter) = (wanted.prefix.clone(), wanted.delimiter.clone());
    let options = VersionsOptions { prefix, delimiter, after, limit: Some(wanted.limit) };
    let page = call.parts.blobs.list_versions(&bucket, options).await?;
    let mut document = wanted.begin("ListVersionsResult", bucket.name.as_str(), "MaxKeys");
    document.key("KeyMarker", key_marker).text("VersionIdMarker", id_marker.unwrap_or_default());
    document.show("IsTruncated", page.next.is_some());
    if let Some(next) = &page.next {
        document.key("NextKeyMarker", &next.key);
        let last = page.versions.last().filter(|info| next.version == Some(info.version.number));
        document.text("NextVersionIdMarker", &last.map(|info| info.version.id().to_string()).unwrap_or_default());
    }
    for info in &page.versions {
        let name = if info.marker { "DeleteMarker" } else { "Version" };
        document.open(name).show("VersionId", info.version.id()).show("IsLatest", info.latest);
        match info.marker {
            true => {
                document.key("Key", &info.key).text("LastModified", &date::extended(info.uploaded_ms));
            }
            false => blob(&mut document, info),
        }
        owner(&mut document, "Owner", call);
        document.close(name);
    }
    prefixes(&mut document, &page.prefixes);
    document.close("ListVersionsResult");
    reply(document)
}

/// The place that the markers of a request name.
async fn place(call: &Call<'_>, bucket: &Bucket, key: &str, id: Option<&str>) -> Result<Option<Place>, Error> {
    if key.is_empty() {
        return Ok(None);
    }
    let mut number = None;
    if let Some(id) = version(id)? {
        number = match id {
            services::blob::VersionId::Number(number) => Some(number),
            services::blob::VersionId::Null => {
                let null = call.parts.blobs.head(bucket, key, Some(id)).await?;
                null.map(|info| info.version.number)
            }
        };
    }
    Ok(Some(Place { key: key.to_owned(), version: number }))
}

pub async fn uploads(call: &Call<'_>, bucket: &str) -> Answer {
    let (bucket, _) = call.open(bucket, Access::List).await?;
    let (asked, wanted) = (call.asked, Wanted::read(call, "max-uploads")?);
    let marker = asked.parameter("key-marker").unwrap_or_default();
    let page = call.parts.blobs.uploads(&bucket, wanted.options(Some(marker.to_owned()))).await?;
    let mut document = wanted.begin("ListMultipartUploadsResult", bucket.name.as_str(), "MaxUploads");
    document.key("KeyMarker", marker).text("UploadIdMarker", asked.parameter("upload-id-marker").unwrap_or_default());
    document.show("IsTruncated", page.next.is_some());
    if let Some(next) = &page.next {
        document.key("NextKeyMarker", next).text("NextUploadIdMarker", "");
    }
    for upload in &page.uploads {
        document.open("Upload").key("Key", &upload.key).text("UploadId", upload.id.as_str());
        owner(&mut document, "Initiator", call);
        owner(&mut document, "Owner", call);
        document.text("StorageClass", "STANDARD").text("Initiated", &date::extended(upload.started_ms));
        document.close("Upload");
    }
    prefixes(&mut document, &page.prefixes);
    document.close("ListMultipartUploadsResult");
    reply(document)
}

/// The buckets that the key opens.
pub async fn buckets(call: &Call<'_>, buckets: &[BucketInfo]) -> Answer {
    let mut document = Writer::root("ListAllMyBucketsResult");
    owner(&mut document, "Owner", call);
    document.open("Buckets");
    for bucket in buckets {
        document.open("Bucket").text("Name", bucket.name.as_str());
        document.text("CreationDate", &date::extended(bucket.created_ms)).close("Bucket");
    }
    document.close("Buckets").close("ListAllMyBucketsResult");
    reply(document)
}
