//! The operations: which one a request asks for, whether its key grants it, and doing it.

use base::{Body, ResourceName};
use http::Method;
use services::access_key::Access;
use services::blob::{Bucket, BucketInfo};

use crate::Parts;
use crate::auth::{Caller, Payload, authenticate};
use crate::error::{Answer, Error};
use crate::form;
use crate::request::Asked;

mod bucket;
mod copy;
mod fields;
mod list;
mod object;
mod upload;

pub use fields::{identify, tell_durability};
pub use object::read_tagging;

/// A request that may be carried out.
pub struct Call<'a> {
    pub parts: &'a Parts,
    pub asked: &'a Asked,
    pub caller: Caller,
}

/// Parameters of buckets and objects that this implementation does without.
const UNSUPPORTED: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "attributes",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "torrent",
    "website",
];

/// Answers a request, its signature first.
pub async fn answer(parts: &Parts, asked: &Asked, body: Body) -> Answer {
    let is_form = asked.field("content-type").is_some_and(|kind| kind.starts_with("multipart/form-data"));
    if asked.method == Method::POST && asked.key.is_none() && is_form {
        return form::answer(parts, asked, body).await;
    }
    let caller = authenticate(parts, asked).await?;
    let call = Call { parts, asked, caller };
    if let Some(what) = UNSUPPORTED.iter().find(|what| asked.has(what)) {
        return call.unsupported(what).await;
    }
    match (&asked.bucket, &asked.key) {
        (None, _) if asked.method == Method::GET => bucket::list(&call).await,
        (None, _) => Err(Error::method()),
        (Some(bucket), None) => bucket::answer(&call, bucket, body).await,
        (Some(bucket), Some(key)) => object::answer(&call, bucket, key, body).await,
    }
}

impl Call<'_> {
    /// The bucket of that name, if the key opens it for this and it is there.
    pub async fn open(&self, name: &str, access: Access) -> Result<(Bucket, BucketInfo), Error> {
        let bucket = self.granted(name, access)?;
        let info = self.parts.blobs.bucket(&bucket).await?.ok_or_else(Error::no_bucket)?;
        Ok((bucket, info))
    }

    /// The same, whether or not it is there.
    pub fn granted(&self, name: &str, access: Access) -> Result<Bucket, Error> {
        let name = ResourceName::parse(name).map_err(|_| Error::no_bucket())?;
        let key = &self.caller.key;
        if !key.grant.allows(&name, access) {
            return Err(Error::denied("The access key does not grant this."));
        }
        Ok(Bucket::new(key.app.tenant.clone(), key.app.app.clone(), name))
    }

    async fn unsupported(&self, what: &str) -> Answer {
        if let Some(bucket) = &self.asked.bucket {
            self.open(bucket, Access::Read).await?;
        }
        Err(Error::unsupported(what))
    }

    /// A document that the request carries.
    pub async fn document(&self, body: Body) -> Result<Vec<u8>, Error> {
        let most = self.parts.limits.s3_document_bytes as usize;
        let body = match &self.caller.payload {
            Payload::Chunks(_) => return Err(Error::unsupported("a document in chunks")),
            Payload::Unsigned | Payload::Sha256(_) => body,
        };
        let bytes = body.collect(most).await?;
        if let Payload::Sha256(expected) = &self.caller.payload
            && aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes).as_ref() != expected
        {
            return Err(services::blob::BlobError::BadDigest { what: "SHA-256" }.into());
        }
        Ok(bytes.to_vec())
    }
}
