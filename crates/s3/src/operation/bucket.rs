//! Operations on a bucket: it, its settings, and the deletion of many keys.

use base::Body;
use http::{Method, StatusCode};
use roxmltree::Node;
use services::access_key::Access;
use services::blob::{
    BlobError, BucketChange, CorsRule, DeleteKey, Etags, Expiry, LifecycleRule, Map, Settings, VersionId, Versioning,
};

use super::object::{read_tagging, reply, tagging, version};
use super::{Call, fields, list as lists, tell_durability};
use crate::date;
use crate::error::{Answer, Error, Reply};
use crate::{empty, xml};

/// The buckets of the app that the key opens.
pub async fn list(call: &Call<'_>) -> Answer {
    let key = &call.caller.key;
    let mut buckets = call.parts.blobs.buckets(&key.app).await?;
    buckets.retain(|bucket| key.grant.buckets.is_empty() || key.grant.buckets.contains(&bucket.name));
    lists::buckets(call, &buckets).await
}

pub async fn answer(call: &Call<'_>, bucket: &str, body: Body) -> Answer {
    let asked = call.asked;
    let setting = ["versioning", "lifecycle", "cors", "tagging"].into_iter().find(|name| asked.has(name));
    match (asked.method.clone(), setting) {
        (Method::GET, Some(name)) => show(call, bucket, name).await,
        (Method::PUT, Some(name)) => change(call, bucket, name, body).await,
        (Method::DELETE, Some(name)) => reset(call, bucket, name).await,
        (Method::GET, None) if asked.has("location") => location(call, bucket).await,
        (Method::GET, None) if asked.has("versions") => lists::versions(call, bucket).await,
        (Method::GET, None) if asked.has("uploads") => lists::uploads(call, bucket).await,
        (Method::GET, None) => lists::keys(call, bucket).await,
        (Method::HEAD, _) => {
            call.open(bucket, Access::List).await?;
            let mut response = empty(StatusCode::OK);
            fields::set(response.headers_mut(), "x-amz-bucket-region", "us-east-1");
            Ok(Reply(response))
        }
        (Method::PUT, None) => create(call, bucket).await,
        (Method::DELETE, None) => delete(call, bucket).await,
        (Method::POST, _) if asked.has("delete") => delete_keys(call, bucket, body).await,
        _ => Err(Error::method()),
    }
}

async fn create(call: &Call<'_>, name: &str) -> Answer {
    if base::ResourceName::parse(name).is_err() {
        let message = "A bucket's name has lower-case letters, digits and inner hyphens.";
        return Err(Error::new(400, "InvalidBucketName", &base::code::S3_BAD_REQUEST, message));
    }
    let bucket = call.granted(name, Access::Manage)?;
    if !call.parts.blobs.create_bucket(&bucket).await? {
        let message = "Your previous request to create the named bucket succeeded and you already own it.";
        return Err(Error::new(409, "BucketAlreadyOwnedByYou", &base::code::S3_BAD_REQUEST, message));
    }
    let mut response = empty(StatusCode::OK);
    fields::set(response.headers_mut(), "location", &format!("/{name}"));
    Ok(Reply(response))
}

async fn delete(call: &Call<'_>, name: &str) -> Answer {
    let (bucket, _) = call.open(name, Access::Manage).await?;
    call.parts.blobs.delete_bucket(&bucket).await?;
    Ok(Reply(empty(StatusCode::NO_CONTENT)))
}

async fn location(call: &Call<'_>, name: &str) -> Answer {
    call.open(name, Access::List).await?;
    // The one region whose name the protocol leaves empty.
    let mut document = xml::Writer::root("LocationConstraint");
    document.close("LocationConstraint");
    reply(document)
}

async fn show(call: &Call<'_>, name: &str, setting: &str) -> Answer {
    let (_, info) = call.open(name, Access::Read).await?;
    let settings = info.settings;
    let missing =
        |name, what: &str| Err(Error::new(404, name, &base::code::NOT_FOUND, format!("The {what} does not exist")));
    match setting {
        "versioning" => {
            let mut document = xml::Writer::root("VersioningConfiguration");
            match settings.versioning {
                Versioning::Off => {}
                Versioning::Enabled => {
                    document.text("Status", "Enabled");
                }
                Versioning::Suspended => {
                    document.text("Status", "Suspended");
                }
            }
            document.close("VersioningConfiguration");
            reply(document)
        }
        "lifecycle" if settings.lifecycle.is_empty() => {
            missing("NoSuchLifecycleConfiguration", "lifecycle configuration")
        }
        "lifecycle" => Ok(Reply(fields::document(write_lifecycle(&settings)))),
        "cors" if settings.cors.is_empty() => missing("NoSuchCORSConfiguration", "CORS configuration"),
        "cors" => Ok(Reply(fields::document(write_cors(&settings)))),
        _ if settings.tags.is_empty() => missing("NoSuchTagSet", "TagSet"),
        _ => Ok(Reply(fields::document(tagging(&settings.tags)))),
    }
}

async fn change(call: &Call<'_>, name: &str, setting: &str, body: Body) -> Answer {
    let (bucket, _) = call.open(name, Access::Manage).await?;
    let document = call.document(body).await?;
    let change = match setting {
        "versioning" => BucketChange::Versioning(read_versioning(&document)?),
        "lifecycle" => BucketChange::Lifecycle(xml::read(&document, "LifecycleConfiguration", |root| {
            xml::all(root, "Rule").enumerate().map(|(n, rule)| read_rule(n, rule)).collect()
        })?),
        "cors" => BucketChange::Cors(xml::read(&document, "CORSConfiguration", |root| {
            xml::all(root, "CORSRule").map(read_cors).collect()
        })?),
        _ => BucketChange::Tags(read_tagging(&document)?),
    };
    call.parts.blobs.change_bucket(&bucket, change).await?;
    Ok(Reply(empty(StatusCode::OK)))
}

async fn reset(call: &Call<'_>, name: &str, setting: &str) -> Answer {
    let (bucket, _) = call.open(name, Access::Manage).await?;
    let change = match setting {
        "lifecycle" => BucketChange::Lifecycle(Vec::new()),
        "cors" => BucketChange::Cors(Vec::new()),
        "tagging" => BucketChange::Tags(Map::new()),
        _ => return Err(Error::method()),
    };
    call.parts.blobs.change_bucket(&bucket, change).await?;
    Ok(Reply(empty(StatusCode::NO_CONTENT)))
}

fn read_versioning(bytes: &[u8]) -> Result<Versioning, Error> {
    xml::read(bytes, "VersioningConfiguration", |root| {
        // Taken and not kept, it would protect nothing.
        if xml::text(root, "MfaDelete").is_some_and(|text| text != "Disabled") {
            return Err(Error::unsupported("MFADelete; an access key without delete protects versions"));
        }
        match xml::text(root, "Status").as_deref() {
            Some("Enabled") => Ok(Versioning::Enabled),
            Some("Suspended") => Ok(Versioning::Suspended),
            _ => Err(Error::malformed_xml("Status is Enabled or Suspended")),
        }
    })
}

fn days(node: Node<'_, '_>, name: &'static str) -> Result<Option<u32>, Error> {
    let days = xml::number(node, name)?;
    days.map(|days| u32::try_from(days).map_err(|_| Error::argument(format!("{name} is too large")))).transpose()
}

fn read_rule(n: usize, rule: Node<'_, '_>) -> Result<LifecycleRule, Error> {
    let mut read =
        LifecycleRule { id: xml::text(rule, "ID").unwrap_or_else(|| format!("rule-{n}")), ..Default::default() };
    read.enabled = match xml::text(rule, "Status").as_deref() {
        Some("Enabled") => true,
        Some("Disabled") => false,
        _ => return Err(Error::malformed_xml("the Status of a rule is Enabled or Disabled")),
    };
    read.prefix = xml::text(rule, "Prefix").unwrap_or_default();
    if let Some(filter) = xml::one(rule, "Filter") {
        let filter = xml::one(filter, "And").unwrap_or(filter);
        read.prefix = xml::text(filter, "Prefix").unwrap_or_default();
        read.larger_than = xml::number(filter, "ObjectSizeGreaterThan")?;
        read.smaller_than = xml::number(filter, "ObjectSizeLessThan")?;
        for tag in xml::all(filter, "Tag") {
            let text = |name| xml::text(tag, name).unwrap_or_default();
            read.tags.insert(text("Key"), text("Value"));
        }
    }
    if let Some(expiration) = xml::one(rule, "Expiration") {
        if let Some(date) = xml::text(expiration, "Date") {
            let at = date::parse_extended(date.trim()).ok_or_else(|| Error::malformed_xml("Date is no date"))?;
            read.expiry = Some(Expiry::DateMs(at * 1_000));
        } else if let Some(days) = days(expiration, "Days")? {
            read.expiry = Some(Expiry::Days(days));
        }
        read.lone_markers = xml::text(expiration, "ExpiredObjectDeleteMarker").as_deref() == Some("true");
    }
    if let Some(expiration) = xml::one(rule, "NoncurrentVersionExpiration") {
        read.noncurrent_days = days(expiration, "NoncurrentDays")?;
        if xml::one(expiration, "NewerNoncurrentVersions").is_some() {
            return Err(Error::unsupported("NewerNoncurrentVersions"));
        }
    }
    if let Some(abort) = xml::one(rule, "AbortIncompleteMultipartUpload") {
        read.abort_days = days(abort, "DaysAfterInitiation")?;
    }
    if xml::one(rule, "Transition").or(xml::one(rule, "NoncurrentVersionTransition")).is_some() {
        return Err(Error::unsupported("transitions between storage classes"));
    }
    Ok(read)
}

fn write_lifecycle(settings: &Settings) -> String {
    let mut document = xml::Writer::root("LifecycleConfiguration");
    for rule in &settings.lifecycle {
        document.open("Rule").text("ID", &rule.id);
        document.open("Filter");
        let several =
            rule.tags.len() + usize::from(rule.larger_than.is_some()) + usize::from(rule.smaller_than.is_some());
        let several = several + usize::from(!rule.prefix.is_empty()) > 1;
        if several {
            document.open("And");
        }
        if !rule.prefix.is_empty() || rule.tags.is_empty() {
            document.text("Prefix", &rule.prefix);
        }
        for (name, value) in &rule.tags {
            document.open("Tag").text("Key", name).text("Value", value).close("Tag");
        }
        let bytes = |bytes: Option<u64>| bytes.map(|bytes| bytes.to_string());
        document.optional("ObjectSizeGreaterThan", bytes(rule.larger_than).as_deref());
        document.optional("ObjectSizeLessThan", bytes(rule.smaller_than).as_deref());
        if several {
            document.close("And");
        }
        document.close("Filter").text("Status", if rule.enabled { "Enabled" } else { "Disabled" });
        if rule.expiry.is_some() || rule.lone_markers {
            document.open("Expiration");
            match rule.expiry {
                Some(Expiry::Days(days)) => {
                    document.show("Days", days);
                }
                Some(Expiry::DateMs(ms)) => {
                    document.text("Date", &date::extended(ms));
                }
                None => {
                    document.text("ExpiredObjectDeleteMarker", "true");
                }
            }
            document.close("Expiration");
        }
        if let Some(days) = rule.noncurrent_days {
            document.open("NoncurrentVersionExpiration").show("NoncurrentDays", days);
            document.close("NoncurrentVersionExpiration");
        }
        if let Some(days) = rule.abort_days {
            document.open("AbortIncompleteMultipartUpload").show("DaysAfterInitiation", days);
            document.close("AbortIncompleteMultipartUpload");
        }
        document.close("Rule");
    }
    document.close("LifecycleConfiguration");
    document.finish()
}

fn read_cors(rule: Node<'_, '_>) -> Result<CorsRule, Error> {
    let texts = |name| xml::all(rule, name).map(|node| node.text().unwrap_or_default().to_owned()).collect::<Vec<_>>();
    let methods = texts("AllowedMethod");
    if let Some(other) = methods.iter().find(|m| !["GET", "PUT", "POST", "DELETE", "HEAD"].contains(&m.as_str())) {
        return Err(Error::request(format!(
            "Found unsupported HTTP method in CORS config. Unsupported method is {other}"
        )));
    }
    Ok(CorsRule {
        id: xml::text(rule, "ID").unwrap_or_default(),
        origins: texts("AllowedOrigin"),
        methods,
        headers: texts("AllowedHeader").into_iter().map(|name| name.to_ascii_lowercase()).collect(),
        expose: texts("ExposeHeader"),
        max_age_s: days(rule, "MaxAgeSeconds")?,
    })
}

fn write_cors(settings: &Settings) -> String {
    let mut document = xml::Writer::root("CORSConfiguration");
    for rule in &settings.cors {
        document.open("CORSRule");
        document.optional("ID", Some(rule.id.as_str()).filter(|id| !id.is_empty()));
        let lists = [
            ("AllowedOrigin", &rule.origins),
            ("AllowedMethod", &rule.methods),
            ("AllowedHeader", &rule.headers),
            ("ExposeHeader", &rule.expose),
        ];
        for (name, values) in lists {
            for value in values {
                document.text(name, value);
            }
        }
        document.optional("MaxAgeSeconds", rule.max_age_s.map(|seconds| seconds.to_string()).as_deref());
        document.close("CORSRule");
    }
    document.close("CORSConfiguration");
    document.finish()
}

async fn delete_keys(call: &Call<'_>, name: &str, body: Body) -> Answer {
    let (bucket, _) = call.open(name, Access::Write).await?;
    let document = call.document(body).await?;
    let (keys, quiet) = xml::read(&document, "Delete", |root| {
        let keys: Result<Vec<DeleteKey>, Error> = xml::all(root, "Object").map(read_key).collect();
        Ok((keys?, xml::text(root, "Quiet").as_deref() == Some("true")))
    })?;
    if keys.is_empty() {
        return Err(Error::malformed_xml("it names no objects"));
    }
    let named: Vec<(String, Option<VersionId>)> = keys.iter().map(|key| (key.key.clone(), key.version)).collect();
    let outcomes = call.parts.blobs.delete(&bucket, keys).await?;
    let durability = outcomes.iter().flatten().map(|deleted| deleted.durability).next();
    let mut answer = xml::Writer::root("DeleteResult");
    for ((key, id), outcome) in named.into_iter().zip(outcomes) {
        let id = id.map(|id| id.to_string());
        match outcome {
            Ok(deleted) if !quiet => {
                answer.open("Deleted").text("Key", &key).optional("VersionId", id.as_deref());
                if let Some(marker) = deleted.marker.or(deleted.version.filter(|_| deleted.was_marker)) {
                    answer.text("DeleteMarker", "true").show("DeleteMarkerVersionId", marker.id());
                }
                answer.close("Deleted");
            }
            Ok(_) => {}
            Err(error) => {
                let error: Error = error.into();
                answer.open("Error").text("Key", &key).optional("VersionId", id.as_deref());
                answer.text("Code", error.name).text("Message", &error.message).close("Error");
            }
        }
    }
    answer.close("DeleteResult");
    let mut answer = reply(answer)?;
    if let Some(durability) = durability {
        tell_durability(durability, answer.0.headers_mut());
    }
    Ok(answer)
}

fn read_key(node: Node<'_, '_>) -> Result<DeleteKey, Error> {
    let key = xml::text(node, "Key").ok_or_else(|| Error::malformed_xml("an object has no Key"))?;
    if key.is_empty() {
        return Err(BlobError::KeyEmpty.into());
    }
    let id = version(xml::text(node, "VersionId").as_deref())?;
    Ok(DeleteKey { key, version: id, if_match: xml::text(node, "ETag").map(|etag| Etags::parse(&etag)) })
}
