//! Uploads in parts.

use base::Body;
use http::StatusCode;
use services::access_key::Access;
use services::blob::{
    Algorithm, BlobError, BlobLimits, Bucket, PartInfo, PartWanted, UploadId, UploadOptions, Versioning, assemble,
};

use super::object::reply;
use super::{Call, fields};
use crate::date;
use crate::error::{Answer, Error, Reply};
use crate::{empty, xml};

fn id(call: &Call<'_>) -> UploadId {
    UploadId::from_text(call.asked.parameter("uploadId").unwrap_or_default())
}

pub async fn create(call: &Call<'_>, bucket: &str, key: &str) -> Answer {
    let (bucket, _) = call.open(bucket, Access::Write).await?;
    let (http, custom) = fields::metadata(call.asked)?;
    let tags = fields::tags(call.asked)?.unwrap_or_default();
    let algorithm = fields::algorithm(call.asked)?;
    let composite = match (algorithm, call.asked.field("x-amz-checksum-type")) {
        (Some(Algorithm::Crc64Nvme), Some("COMPOSITE"))
        | (Some(Algorithm::Sha1 | Algorithm::Sha256), Some("FULL_OBJECT")) => {
            return Err(Error::request("The checksum type and the algorithm don't go together."));
        }
        (_, Some("FULL_OBJECT")) | (None | Some(Algorithm::Crc64Nvme), _) => false,
        (_, Some("COMPOSITE") | None) => true,
        (_, Some(_)) => return Err(Error::request("x-amz-checksum-type is COMPOSITE or FULL_OBJECT")),
    };
    let options = UploadOptions { http, custom, tags, algorithm, composite };
    let id = call.parts.blobs.create_upload(&bucket, key, options).await?;
    let mut document = xml::Writer::root("InitiateMultipartUploadResult");
    document.text("Bucket", bucket.name.as_str()).text("Key", key).text("UploadId", id.as_str());
    document.close("InitiateMultipartUploadResult");
    let mut answer = reply(document)?;
    let headers = answer.0.headers_mut();
    fields::set(headers, "x-amz-server-side-encryption", "AES256");
    if let Some(algorithm) = algorithm {
        fields::set(headers, "x-amz-checksum-algorithm", algorithm.as_str());
        fields::set(headers, "x-amz-checksum-type", if composite { "COMPOSITE" } else { "FULL_OBJECT" });
    }
    Ok(answer)
}

/// The number of the part that a request is about.
pub fn number(call: &Call<'_>) -> Result<u32, Error> {
    let number = call.asked.number("partNumber")?;
    let number = number.and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| Error::argument("Part number must be an integer between 1 and 10000, inclusive"))
}

pub async fn put_part(call: &Call<'_>, bucket: &str, key: &str, body: Body) -> Answer {
    let (bucket, _) = call.open(bucket, Access::Write).await?;
    let (number, id) = (number(call)?, id(call));
    let (body, expect) = fields::content(call, body)?;
    let part = call.parts.blobs.put_part(&bucket, key, &id, number, body, expect).await?;
    let mut response = empty(StatusCode::OK);
    let headers = response.headers_mut();
    fields::set(headers, "etag", &format!("\"{}\"", part.etag));
    fields::set(headers, "x-amz-server-side-encryption", "AES256");
    fields::show_checksum(Some(&part.checksum), headers);
    headers.remove("x-amz-checksum-type");
    Ok(Reply(response))
}

/// Stores what a copy reads as a part.
pub async fn put_copied(
    call: &Call<'_>,
    bucket: &Bucket,
    key: &str,
    number: u32,
    body: Body,
) -> Result<PartInfo, Error> {
    Ok(call.parts.blobs.put_part(bucket, key, &id(call), number, body, Default::default()).await?)
}

pub async fn parts(call: &Call<'_>, bucket: &str, key: &str) -> Answer {
    let (bucket, _) = call.open(bucket, Access::Read).await?;
    let (asked, id) = (call.asked, id(call));
    let after = asked.number("part-number-marker")?.unwrap_or(0);
    let limit = asked.number("max-parts")?.unwrap_or(1_000).min(1_000) as usize;
    let after = u32::try_from(after).unwrap_or(u32::MAX);
    let (upload, mut found) = call.parts.blobs.parts(&bucket, key, &id, after, limit + 1).await?;
    let truncated = found.len() > limit;
    found.truncate(limit);
    let mut document = xml::Writer::root("ListPartsResult");
    document.text("Bucket", bucket.name.as_str()).text("Key", key).text("UploadId", id.as_str());
    document.show("PartNumberMarker", after).show("MaxParts", limit).show("IsTruncated", truncated);
    document.show("NextPartNumberMarker", found.last().map_or(0, |part| part.number));
    document.text("StorageClass", "STANDARD");
    if let Some(algorithm) = upload.options.algorithm {
        document.text("ChecksumAlgorithm", algorithm.as_str());
        document.text("ChecksumType", if upload.options.composite { "COMPOSITE" } else { "FULL_OBJECT" });
    }
    for part in &found {
        document.open("Part").show("PartNumber", part.number);
        document.text("LastModified", &date::extended(part.uploaded_ms));
        document.show("ETag", format!("\"{}\"", part.etag)).show("Size", part.size);
        document.text(checksum_element(part.checksum.algorithm), &fields::checksum_text(&part.checksum));
        document.close("Part");
    }
    document.close("ListPartsResult");
    reply(document)
}

pub fn checksum_element(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Crc32 => "ChecksumCRC32",
        Algorithm::Crc32c => "ChecksumCRC32C",
        Algorithm::Crc64Nvme => "ChecksumCRC64NVME",
        Algorithm::Sha1 => "ChecksumSHA1",
        Algorithm::Sha256 => "ChecksumSHA256",
    }
}

fn read_parts(bytes: &[u8]) -> Result<Vec<PartWanted>, Error> {
    use base64::Engine as _;
    xml::read(bytes, "CompleteMultipartUpload", |root| {
        let mut parts = Vec::new();
        for part in xml::all(root, "Part") {
            let number = xml::number(part, "PartNumber")?.and_then(|number| u32::try_from(number).ok());
            let number = number.ok_or_else(|| Error::malformed_xml("a part has no number"))?;
            let etag = xml::text(part, "ETag").ok_or_else(|| Error::malformed_xml("a part has no ETag"))?;
            let checksum = Algorithm::ALL.into_iter().find_map(|a| xml::text(part, checksum_element(a)));
            let checksum = checksum.map(|text| base64::engine::general_purpose::STANDARD.decode(text.trim()));
            let checksum = checksum.transpose().map_err(|_| Error::malformed_xml("a checksum is not base64"))?;
            parts.push(PartWanted { number, etag: etag.trim().trim_matches('"').to_owned(), checksum });
        }
        if parts.is_empty() { Err(Error::malformed_xml("it names no parts")) } else { Ok(parts) }
    })
}

pub async fn complete(call: &Call<'_>, bucket: &str, key: &str, body: Body) -> Answer {
    let (bucket, info) = call.open(bucket, Access::Write).await?;
    let (id, wanted) = (id(call), read_parts(&call.document(body).await?)?);
    check_whole(call, &bucket, key, &id, &wanted).await?;
    let conditions = fields::write_conditions(call.asked);
    let receipt = call.parts.blobs.complete_upload(&bucket, key, &id, wanted, conditions).await?;
    let (blob, durability) = (receipt.info, receipt.durability);
    let mut document = xml::Writer::root("CompleteMultipartUploadResult");
    let host = call.asked.field("host").unwrap_or_default();
    document.show("Location", format!("http://{host}/{}/{}", bucket.name, crate::sigv4::encode_path(key)));
    document.text("Bucket", bucket.name.as_str()).text("Key", key).show("ETag", format!("\"{}\"", blob.etag));
    if let Some(checksum) = &blob.checksum {
        document.text(checksum_element(checksum.algorithm), &fields::checksum_text(checksum));
        document.text("ChecksumType", fields::checksum_kind(checksum));
    }
    document.close("CompleteMultipartUploadResult");
    let mut answer = reply(document)?;
    fields::set(answer.0.headers_mut(), "x-amz-server-side-encryption", "AES256");
    fields::tell_durability(durability, answer.0.headers_mut());
    if info.settings.versioning != Versioning::Off {
        fields::set(answer.0.headers_mut(), "x-amz-version-id", &blob.version.id().to_string());
    }
    Ok(answer)
}

/// What the client says that the whole comes to, against what its parts do.
async fn check_whole(
    call: &Call<'_>,
    bucket: &Bucket,
    key: &str,
    id: &UploadId,
    wanted: &[PartWanted],
) -> Result<(), Error> {
    let size = call.asked.field("x-amz-mp-object-size").map(str::parse::<u64>).transpose();
    let size = size.map_err(|_| Error::argument("x-amz-mp-object-size is no length"))?;
    let checksum = if call.asked.field("x-amz-checksum-type") == Some("COMPOSITE") {
        None
    } else {
        fields::checksum(call.asked).ok().flatten()
    };
    if size.is_none() && checksum.is_none() {
        return Ok(());
    }
    let (upload, parts) = call.parts.blobs.parts(bucket, key, id, 0, usize::MAX).await?;
    let found = |number: u32| parts.iter().find(|part| part.number == number).cloned();
    let limits = BlobLimits::from(&call.parts.limits);
    let (whole, _) = assemble(wanted, found, &upload.options, &limits)?;
    if let Some(expected) = size.filter(|&size| size != whole.size) {
        return Err(BlobError::BadLength { expected, found: whole.size }.into());
    }
    let differs = checksum.as_ref().zip(whole.checksum.as_ref()).is_some_and(|(sent, ours)| {
        ours.parts.is_none() && (sent.algorithm != ours.algorithm || sent.value != ours.value)
    });
    if differs { Err(BlobError::BadDigest { what: "checksum" }.into()) } else { Ok(()) }
}

pub async fn abort(call: &Call<'_>, bucket: &str, key: &str) -> Answer {
    let (bucket, _) = call.open(bucket, Access::Write).await?;
    if !call.parts.blobs.abort_upload(&bucket, key, &id(call)).await? {
        return Err(BlobError::NoUpload.into());
    }
    Ok(Reply(empty(StatusCode::NO_CONTENT)))
}
