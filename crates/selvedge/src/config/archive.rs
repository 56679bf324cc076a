//! `[archive]`: where the archive is copied to. How often, and for how long it is kept, are limits.

use std::path::{Path, PathBuf};

use base::NodeLimits;
use url::Url;

use super::code;
use super::reader::{Reader, Table, Text};

/// Where the archive is copied to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArchiveConfig {
    /// On another disk, or another machine's.
    Directory(PathBuf),
    Bucket(BucketConfig),
}

/// A bucket of a server of the S3 protocol. Its secret is never here: a node leaves what is here in its data
/// directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketConfig {
    /// `http` or `https`, and a host, with its port.
    pub endpoint: String,
    pub bucket: String,
    pub region: String,
    /// What all keys begin with, without a `/` at its end; may be empty.
    pub prefix: String,
    /// Of the environment, if it is not here.
    pub access_key: Option<String>,
    /// A file with the secret of the access key; of the environment without one.
    pub secret_file: Option<PathBuf>,
    /// To trust beside what the system trusts.
    pub ca: Option<PathBuf>,
}

const FIELDS: &[&str] = &["directory", "bucket", "endpoint", "region", "prefix", "access_key", "secret_file", "ca"];
const REGION: &str = "us-east-1";
const DIRECTORY_HELP: &str =
    "a directory on another disk, to which the archive is copied: directory = \"/mnt/archive\"";
const ENDPOINT_HELP: &str = "the server of the bucket: endpoint = \"https://s3.example.com\"";

pub fn read(reader: &mut Reader<'_>, table: &Table, dir: &Path, limits: &NodeLimits) -> Option<ArchiveConfig> {
    reader.check_fields(table, FIELDS, "[archive]");
    let (span, config) = match reader.string(table, "bucket") {
        Some(bucket) => (bucket.span.clone(), read_bucket(reader, table, bucket, dir).map(ArchiveConfig::Bucket)),
        None => {
            let directory = reader.required(table, "directory", DIRECTORY_HELP)?;
            (directory.span, Some(ArchiveConfig::Directory(dir.join(directory.value))))
        }
    };
    if limits.archive_days == 0 {
        let message = "there is no archive to copy: limits.archive_days is 0".to_owned();
        reader.problem(code::BAD_VALUE, &span, message, "set it to 1 or more");
    }
    config
}

fn read_bucket(reader: &mut Reader<'_>, table: &Table, bucket: Text, dir: &Path) -> Option<BucketConfig> {
    if table.has("directory") {
        let message = "the archive is copied to a directory or to a bucket".to_owned();
        reader.problem(code::BAD_VALUE, &table.key_span("directory"), message, "take one of them out");
    }
    if bucket.value.is_empty() || bucket.value.contains('/') {
        let message = format!("{:?} is no name of a bucket", bucket.value);
        reader.problem(code::BAD_VALUE, &bucket.span, message, "what all keys begin with is `prefix`");
    }
    let endpoint = reader.required(table, "endpoint", ENDPOINT_HELP)?;
    if !is_endpoint(&endpoint.value) {
        let message = format!("{:?} is no http or https URL of a server alone", endpoint.value);
        reader.problem(code::BAD_VALUE, &endpoint.span, message, ENDPOINT_HELP);
    }
    let mut text = |key: &str| reader.string(table, key).map(|text| text.value);
    Some(BucketConfig {
        endpoint: endpoint.value.trim_end_matches('/').to_owned(),
        bucket: bucket.value,
        region: text("region").unwrap_or_else(|| REGION.to_owned()),
        prefix: text("prefix").unwrap_or_default().trim_matches('/').to_owned(),
        access_key: text("access_key"),
        secret_file: text("secret_file").map(|file| dir.join(file)),
        ca: text("ca").map(|file| dir.join(file)),
    })
}

fn is_endpoint(text: &str) -> bool {
    let is_bare = |url: Url| {
        let alone = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        alone && url.has_host() && matches!(url.scheme(), "http" | "https")
    };
    Url::parse(text).is_ok_and(is_bare)
}

/// The table as it would be written, with paths as they are here; nothing, if one of them is not UTF-8.
pub fn text(config: &ArchiveConfig) -> Option<String> {
    let line = |name: &str, value: &str| format!("{name} = {}\n", toml_edit::Value::from(value));
    let BucketConfig { endpoint, bucket, region, prefix, access_key, secret_file, ca } = match config {
        ArchiveConfig::Directory(dir) => return Some(format!("[archive]\n{}", line("directory", dir.to_str()?))),
        ArchiveConfig::Bucket(bucket) => bucket,
    };
    let fields = [("bucket", bucket), ("endpoint", endpoint), ("region", region), ("prefix", prefix)];
    let mut text: String = fields.iter().map(|(name, value)| line(name, value)).collect();
    text.extend(access_key.iter().map(|key| line("access_key", key)));
    for (name, file) in [("secret_file", secret_file), ("ca", ca)] {
        if let Some(file) = file {
            text.push_str(&line(name, file.to_str()?));
        }
    }
    Some(format!("[archive]\n{text}"))
}
