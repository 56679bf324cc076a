//! How the protocol says that something failed: an XML document with one of its codes, and a header
//! with ours.

use base::{Body, BodyError, Code, code};
use http::{HeaderValue, Response, StatusCode, header};
use services::StoreError;
use services::access_key::AccessKeyError;
use services::blob::BlobError;

use crate::xml;

/// What an operation answers.
pub struct Reply(pub Response<Body>);

pub type Answer = Result<Reply, Error>;

/// A failure, as the client is told.
#[derive(Debug)]
pub struct Error {
    pub status: u16,
    /// The protocol's code.
    pub name: &'static str,
    /// For the client: it is the client's fault, or says nothing.
    pub message: String,
    pub code: Code,
    /// Fields of the answer beside the document.
    headers: Vec<(header::HeaderName, String)>,
}

impl Error {
    pub fn new(status: u16, name: &'static str, code: Code, message: impl Into<String>) -> Self {
        Self { status, name, message: message.into(), code, headers: Vec::new() }
    }

    fn bad(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(400, name, &code::S3_BAD_REQUEST, message)
    }

    pub fn argument(message: impl Into<String>) -> Self {
        Self::bad("InvalidArgument", message)
    }

    pub fn request(message: impl Into<String>) -> Self {
        Self::bad("InvalidRequest", message)
    }

    pub fn malformed_xml(message: impl Into<String>) -> Self {
        Self::bad("MalformedXML", message)
    }

    pub fn digest(message: impl Into<String>) -> Self {
        Self::bad("InvalidDigest", message)
    }

    pub fn uri(message: impl Into<String>) -> Self {
        Self::bad("InvalidURI", message)
    }

    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(403, "AccessDenied", &code::S3_DENIED, message)
    }

    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(403, "AccessDenied", &code::S3_EXPIRED, message)
    }

    pub fn signature() -> Self {
        let message = "The signature that was calculated does not match the one that was sent. Check the secret access \
                       key and the signing method; and that no part of the key is . or .., which clients take \
                       out of the path after they have signed it.";
        Self::new(403, "SignatureDoesNotMatch", &code::S3_SIGNATURE, message)
    }

    pub fn authorization(message: impl Into<String>) -> Self {
        Self::new(400, "AuthorizationHeaderMalformed", &code::S3_SIGNATURE, message)
    }

    pub fn authorization_query(message: impl Into<String>) -> Self {
        Self::new(400, "AuthorizationQueryParametersError", &code::S3_SIGNATURE, message)
    }

    /// For clients that sign as S3 did before 2014.
    pub fn old_signature() -> Self {
        Self::unsupported(
            "signature version 2; use version 4 (boto3: Config(signature_version=\"s3v4\"); AWS CLI: aws configure set \
             default.s3.signature_version s3v4)",
        )
    }

    pub fn unsupported(what: impl Into<String>) -> Self {
        Self::new(501, "NotImplemented", &code::S3_UNSUPPORTED, format!("not supported: {}", what.into()))
    }

    pub fn method() -> Self {
        let message = "The method is not allowed on this resource.";
        Self::new(405, "MethodNotAllowed", &code::METHOD_NOT_ALLOWED, message)
    }

    pub fn no_bucket() -> Self {
        Self::new(404, "NoSuchBucket", &code::NO_BUCKET, "The bucket does not exist.")
    }

    pub fn no_key() -> Self {
        Self::new(404, "NoSuchKey", &code::NOT_FOUND, "The key does not exist.")
    }

    pub fn no_version() -> Self {
        Self::new(404, "NoSuchVersion", &code::NOT_FOUND, "The version does not exist.")
    }

    pub fn with(mut self, name: header::HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn respond(self, resource: &str, request_id: &str) -> Response<Body> {
        let mut document = xml::Writer::new();
        document.open("Error").text("Code", self.name).text("Message", &self.message);
        document.text("Resource", resource).text("RequestId", request_id).close("Error");
        let mut response = Response::new(Body::full(document.finish()));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.extensions_mut().insert(Refused(self.code));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        headers.insert("selvedge-error", HeaderValue::from_static(self.code.name));
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        response
    }
}

/// What a response refuses with.
#[derive(Clone, Copy)]
pub struct Refused(pub Code);

impl From<BlobError> for Error {
    fn from(error: BlobError) -> Self {
        let code = error.code();
        let message = error.to_string();
        let said = |status, name| Self::new(status, name, code, message.clone());
        match &error {
            BlobError::KeyEmpty => said(400, "InvalidArgument"),
            BlobError::KeyTooLong { .. } => said(400, "KeyTooLongError"),
            BlobError::TooManyKeys { .. } => said(400, "MalformedXML"),
            BlobError::TooLarge { .. } => said(400, "EntityTooLarge"),
            BlobError::Quota { .. } => said(507, "InsufficientStorage"),
            BlobError::MetadataTooLarge { .. } => said(400, "MetadataTooLarge"),
            BlobError::BadMetadata(_) => said(400, "InvalidArgument"),
            BlobError::BadTags(_) => said(400, "InvalidTag"),
            BlobError::BadRange { size } => {
                said(416, "InvalidRange").with(header::CONTENT_RANGE, format!("bytes */{size}"))
            }
            BlobError::Precondition { .. } => said(412, "PreconditionFailed"),
            BlobError::BadDigest { what: "SHA-256" } => said(400, "XAmzContentSHA256Mismatch"),
            BlobError::BadDigest { .. } => said(400, "BadDigest"),
            BlobError::BadLength { .. } => said(400, "IncompleteBody"),
            BlobError::NoBucket(_) => said(404, "NoSuchBucket"),
            BlobError::BucketNotEmpty => said(409, "BucketNotEmpty"),
            BlobError::TooManyBuckets { .. } => said(400, "TooManyBuckets"),
            BlobError::NoUpload => said(404, "NoSuchUpload"),
            BlobError::TooManyUploads { .. } => said(400, "InvalidRequest"),
            BlobError::PartNumber { .. } => said(400, "InvalidArgument"),
            BlobError::BadPart { .. } => said(400, "InvalidPart"),
            BlobError::PartOrder => said(400, "InvalidPartOrder"),
            BlobError::PartTooSmall { .. } => said(400, "EntityTooSmall"),
            BlobError::BadSettings(_) => said(400, "InvalidRequest"),
            BlobError::BadCursor => said(400, "InvalidArgument"),
            BlobError::Body(error) => error.clone().into(),
            BlobError::Store(error) => error.clone().into(),
        }
    }
}

impl From<BodyError> for Error {
    /// A body that broke off. Where the protocol's own framing did, the code says how.
    fn from(error: BodyError) -> Self {
        let (status, name) = match error.code.name {
            name if name == code::S3_SIGNATURE.name => return Self::signature(),
            name if name == code::BLOB_DIGEST.name => (400, "BadDigest"),
            name if name == code::BODY_TOO_LARGE.name => (400, "EntityTooLarge"),
            name if name == code::REQUEST_TIMEOUT.name => (400, "RequestTimeout"),
            name if name == code::STORE_CORRUPT.name => return StoreError::Corrupt(error.detail).into(),
            name if name == code::S3_BAD_REQUEST.name => (400, "InvalidRequest"),
            _ => (400, "IncompleteBody"),
        };
        Self::new(status, name, error.code, error.detail)
    }
}

impl From<StoreError> for Error {
    /// What a store failed of is for the log.
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "blobs are not available to a request of the S3 protocol");
        let code = error.code();
        match code.status {
            503 => Self::new(503, "SlowDown", code, code.title),
            507 => Self::new(507, "InsufficientStorage", code, code.title),
            _ => Self::new(500, "InternalError", code, code.title),
        }
    }
}

impl From<AccessKeyError> for Error {
    fn from(error: AccessKeyError) -> Self {
        match error {
            AccessKeyError::Store(error) => error.into(),
            other => {
                tracing::error!(error = %other, "an access key can't be used");
                Self::new(500, "InternalError", other.code(), other.code().title)
            }
        }
    }
}
