//! The deployment document: all of a deployment except the content that it refers to by digest.
//!
//! It is JSON of one fixed form, so that equal deployments have equal bytes; the SHA-256 of those
//! bytes is the id of the deployment. It has a version, and one of a newer version is refused
//! rather than half understood.

use std::collections::{BTreeMap, BTreeSet};

use base::Digest;
use manifest::{Databases, Plan};
use serde::{Deserialize, Serialize};
use services::sql::Migration;

use crate::bounds::{ASSET_FILES, ASSET_PATH_BYTES, MIGRATION_BYTES, MIGRATIONS};

/// The version that this code writes, and the only one it reads.
pub const VERSION: u32 = 1;

/// An immutable deployment. A value of this type can't be invalid: its plan was checked, and there
/// is an artifact for each worker and a list of files for each asset directory.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Document {
    version: u32,
    plan: Plan,
    workers: Vec<Digest>,
    assets: Vec<BTreeMap<String, AssetEntry>>,
    /// In order, by the databases that they are for.
    #[serde(skip_serializing_if = "Migrations::is_empty")]
    migrations: Migrations,
}

/// Migrations, in order, by the databases that they are for.
pub type Migrations = BTreeMap<Databases, Vec<MigrationText>>;

/// A migration, as a deployment carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MigrationText {
    /// The name of its file.
    pub name: String,
    pub text: String,
}

impl From<&MigrationText> for Migration {
    fn from(text: &MigrationText) -> Self {
        Self { name: text.name.clone(), text: text.text.clone() }
    }
}

/// A file of an asset directory. Its key is its path from there, with a slash in front and not
/// percent-encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetEntry {
    pub digest: Digest,
    pub bytes: u64,
}

/// Why bytes are no deployment document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error("the document can't be read: {0}")]
    Shape(String),
    #[error("the document has version {0}, this node reads version {VERSION}")]
    Version(u64),
    #[error("the plan has {plan} {what}, the document {document}")]
    Count { what: &'static str, plan: usize, document: usize },
    #[error("an asset directory has {0} files, asset_files allows {max}", max = ASSET_FILES.max)]
    TooManyFiles(usize),
    #[error(
        "a database has {most} migrations, migrations allows {}; all together have {bytes} bytes, migration_bytes allows {}",
        MIGRATIONS.max, MIGRATION_BYTES.max
    )]
    TooManyMigrations { most: usize, bytes: usize },
    #[error("{0:?} is no path of an asset")]
    AssetPath(String),
    #[error("the document is damaged: it does not have the digest {0}")]
    Damaged(Digest),
}

/// What every version has.
#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(rename = "version")]
    _version: u32,
    plan: Plan,
    workers: Vec<Digest>,
    assets: Vec<BTreeMap<String, AssetEntry>>,
    #[serde(default)]
    migrations: Migrations,
}

impl Document {
    pub fn new(
        plan: Plan,
        workers: Vec<Digest>,
        assets: Vec<BTreeMap<String, AssetEntry>>,
        migrations: Migrations,
    ) -> Result<Self, DocumentError> {
        let same = |what, plan: usize, document: usize| match plan == document {
            true => Ok(()),
            false => Err(DocumentError::Count { what, plan, document }),
        };
        same("workers", plan.workers.len(), workers.len())?;
        same("asset directories", plan.assets.len(), assets.len())?;
        for files in &assets {
            if files.len() as u64 > ASSET_FILES.max {
                return Err(DocumentError::TooManyFiles(files.len()));
            }
            if let Some(path) = files.keys().find(|path| !is_asset_path(path)) {
                return Err(DocumentError::AssetPath(path.clone()));
            }
        }
        let most = migrations.values().map(Vec::len).max().unwrap_or(0);
        let bytes = migrations.values().flatten().map(|m| m.name.len() + m.text.len()).sum::<usize>();
        if most as u64 > MIGRATIONS.max || bytes as u64 > MIGRATION_BYTES.max {
            return Err(DocumentError::TooManyMigrations { most, bytes });
        }
        Ok(Self { version: VERSION, plan, workers, assets, migrations })
    }

    /// Reads a document of any origin.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        let shape = |error: serde_json::Error| DocumentError::Shape(error.to_string());
        let Versioned { version } = serde_json::from_slice(bytes).map_err(shape)?;
        if version != u64::from(VERSION) {
            return Err(DocumentError::Version(version));
        }
        let raw: Raw = serde_json::from_slice(bytes).map_err(shape)?;
        Self::new(raw.plan, raw.workers, raw.assets, raw.migrations)
    }

    /// Reads a recorded document, which must still be the one that has this id.
    pub fn read(bytes: &[u8], id: &Digest) -> Result<Self, DocumentError> {
        if Digest::of(bytes) != *id {
            return Err(DocumentError::Damaged(*id));
        }
        Self::parse(bytes)
    }

    /// The bytes whose digest is the id.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a document has no shape that JSON lacks")
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub fn into_plan(self) -> Plan {
        self.plan
    }

    /// The artifact of each worker, in the order of the plan's workers.
    pub fn workers(&self) -> &[Digest] {
        &self.workers
    }

    /// The files of each asset directory, in the order of the plan's.
    pub fn assets(&self) -> &[BTreeMap<String, AssetEntry>] {
        &self.assets
    }

    /// The migrations of each database that has some.
    pub fn migrations(&self) -> &Migrations {
        &self.migrations
    }

    /// Everything that it refers to, each once.
    pub fn blobs(&self) -> BTreeSet<Digest> {
        let assets = self.assets.iter().flat_map(|files| files.values().map(|file| file.digest));
        self.workers.iter().copied().chain(assets).collect()
    }

    /// The hosts that the app claims: those that its routes name, and its default host.
    pub fn hosts(&self) -> Vec<String> {
        self.plan.hosts.iter().cloned().chain([self.plan.default_host()]).collect()
    }
}

fn is_asset_path(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    path.len() as u64 <= ASSET_PATH_BYTES.max
        && !path.chars().any(char::is_control)
        && rest.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
}

#[cfg(test)]
mod tests;
