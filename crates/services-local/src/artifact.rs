//! Artifacts as files under their digest, a directory tree for each tenant.
//!
//! A file appears under its name only when it is whole and flushed, and it is checked against its
//! name whenever it is read.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::{Digest, TenantName};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use services::{ArtifactError, ArtifactInfo, ArtifactStore, StoreError};

use crate::data_dir::Root;
use crate::pool::Lane;
use crate::{DataDirError, disk};

/// [`ArtifactStore`] in a data directory.
pub struct LocalArtifacts {
    files: Arc<Files>,
    lane: Lane,
    bytes_max: u64,
    root: Arc<Root>,
}

struct Files {
    path: PathBuf,
    /// Tells apart the temporary files of puts that run at the same time.
    puts: AtomicU64,
}

impl LocalArtifacts {
    pub(crate) fn open(root: Arc<Root>) -> Result<Self, DataDirError> {
        let path = root.create_dir(&["artifacts"]).map_err(|error| DataDirError::from_io(&root.path, error))?;
        let files = Files { path, puts: AtomicU64::new(0) };
        files.remove_temporaries()?;
        let bytes_max = root.options.limits.artifact_bytes;
        Ok(Self { files: Arc::new(files), lane: Lane::default(), bytes_max, root })
    }

    /// Whether a file lies where artifacts do.
    pub(crate) fn holds(&self, file: &Path) -> bool {
        file.starts_with(&self.files.path)
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Files) -> Result<T, ArtifactError> + Send + 'static,
    ) -> Result<T, ArtifactError> {
        let files = self.files.clone();
        self.root.readers().run(self.lane, move || job(&files)).await?
    }
}

impl Files {
    fn tenant(&self, tenant: &TenantName) -> PathBuf {
        self.path.join(tenant.as_str())
    }

    fn file(&self, tenant: &TenantName, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.tenant(tenant).join(&name[..2]).join(name)
    }

    fn put(&self, tenant: &TenantName, bytes: &Bytes) -> Result<Digest, ArtifactError> {
        let digest = Digest::of(bytes);
        let file = self.file(tenant, &digest);
        let dir = file.parent().unwrap_or(&self.path);
        let fail = |error: io::Error| disk::store_error(&file, &error);
        let already = match fs::read(&file) {
            // A damaged file is replaced.
            Ok(found) => found == *bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(fail(error).into()),
        };
        if already {
            // Its name may not have been flushed by whoever put it.
            disk::sync_dir(dir).map_err(fail)?;
            return Ok(digest);
        }
        disk::create_dir(&self.tenant(tenant)).map_err(fail)?;
        disk::create_dir(dir).map_err(fail)?;
        let temporary = self.path.join(format!("{}.tmp", self.puts.fetch_add(1, Ordering::Relaxed)));
        if let Err(error) = disk::write_whole(&temporary, &file, bytes) {
            let _ = disk::remove(&temporary);
            return Err(fail(error).into());
        }
        Ok(digest)
    }

    fn get(&self, tenant: &TenantName, digest: &Digest) -> Result<Option<Bytes>, ArtifactError> {
        let file = self.file(tenant, digest);
        match fs::read(&file) {
            Ok(bytes) if Digest::of(&bytes) == *digest => Ok(Some(bytes.into())),
            Ok(_) => Err(ArtifactError::Damaged(*digest)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(disk::store_error(&file, &error).into()),
        }
    }

    fn list(&self, tenant: &TenantName) -> Result<Vec<ArtifactInfo>, ArtifactError> {
        let mut found = Vec::new();
        for dir in entries(&self.tenant(tenant))? {
            for (path, metadata) in entries_with_metadata(&dir)? {
                let digest = path.file_name().and_then(|name| Digest::parse(name.to_str()?));
                found.extend(digest.map(|digest| ArtifactInfo { digest, size: metadata.len() }));
            }
        }
        found.sort_by_key(|info| info.digest);
        Ok(found)
    }

    fn remove_temporaries(&self) -> Result<(), StoreError> {
        for path in entries(&self.path)? {
            if path.extension().is_some_and(|extension| extension == "tmp") {
                disk::remove(&path).map_err(|error| disk::store_error(&path, &error))?;
            }
        }
        Ok(())
    }
}

/// The paths in a directory; none if it does not exist.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let paths = match fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    paths.map_err(|error| disk::store_error(dir, &error))
}

fn entries_with_metadata(dir: &Path) -> Result<Vec<(PathBuf, fs::Metadata)>, StoreError> {
    let mut found = Vec::new();
    for path in entries(dir)? {
        match fs::metadata(&path) {
            Ok(metadata) => found.push((path, metadata)),
            // Removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(disk::store_error(&path, &error)),
        }
    }
    Ok(found)
}

impl ArtifactStore for LocalArtifacts {
    fn put<'a>(&'a self, tenant: &'a TenantName, bytes: Bytes) -> BoxFuture<'a, Result<Digest, ArtifactError>> {
        async move {
            let found = bytes.len() as u64;
            if found > self.bytes_max {
                return Err(ArtifactError::TooLarge { bytes: found, bytes_max: self.bytes_max });
            }
            self.root.reserve.check()?;
            let tenant = tenant.clone();
            self.run(move |files| files.put(&tenant, &bytes)).await
        }
        .boxed()
    }

    fn get<'a>(
        &'a self,
        tenant: &'a TenantName,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<Bytes>, ArtifactError>> {
        let (tenant, digest) = (tenant.clone(), *digest);
        self.run(move |files| files.get(&tenant, &digest)).boxed()
    }

    fn has<'a>(&'a self, tenant: &'a TenantName, digest: &'a Digest) -> BoxFuture<'a, Result<bool, ArtifactError>> {
        let (tenant, digest) = (tenant.clone(), *digest);
        let has = move |files: &Files| {
            let file = files.file(&tenant, &digest);
            Ok(file.try_exists().map_err(|error| disk::store_error(&file, &error))?)
        };
        self.run(has).boxed()
    }

    fn local_file(&self, tenant: &TenantName, digest: &Digest) -> Option<PathBuf> {
        let file = self.files.file(tenant, digest);
        file.exists().then_some(file)
    }

    fn list<'a>(&'a self, tenant: &'a TenantName) -> BoxFuture<'a, Result<Vec<ArtifactInfo>, ArtifactError>> {
        let tenant = tenant.clone();
        self.run(move |files| files.list(&tenant)).boxed()
    }

    fn delete<'a>(&'a self, tenant: &'a TenantName, digest: &'a Digest) -> BoxFuture<'a, Result<bool, ArtifactError>> {
        let (tenant, digest) = (tenant.clone(), *digest);
        let delete = move |files: &Files| {
            let file = files.file(&tenant, &digest);
            Ok(disk::remove(&file).map_err(|error| disk::store_error(&file, &error))?)
        };
        self.run(delete).boxed()
    }
}
