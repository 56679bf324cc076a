//! A directory as a depot.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use services::StoreError;

use super::{Depot, Kept};
use crate::disk;

/// A directory on another disk, or another machine's; whoever names it has made it.
pub struct DirectoryDepot {
    dir: PathBuf,
}

/// How a file is called until it is whole.
const TEMPORARY: &str = "copy.tmp";

impl DirectoryDepot {
    pub fn new(dir: &Path) -> Self {
        Self { dir: std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()) }
    }

    /// Makes what leads to a file, durably. The directory itself is not made: what is not mounted is missing.
    fn create_dirs(&self, name: &str) -> Result<PathBuf, StoreError> {
        let mut dir = self.dir.clone();
        let parts: Vec<&str> = name.split('/').collect();
        for part in &parts[..parts.len() - 1] {
            dir.push(part);
            if !dir.is_dir() {
                disk::create_dir(&dir).map_err(|error| disk::store_error(&dir, &error))?;
            }
        }
        Ok(dir)
    }
}

impl Depot for DirectoryDepot {
    fn name(&self) -> String {
        self.dir.display().to_string()
    }

    fn check_new(&self, data: &Path) -> Result<(), StoreError> {
        let name = self.name();
        if !self.dir.is_dir() {
            return Err(StoreError::Failed(format!("{name} is no directory that is there")));
        }
        if self.dir.canonicalize().is_ok_and(|dir| dir.starts_with(data)) {
            return Err(StoreError::Failed(format!("{name} lies in the data directory")));
        }
        Ok(())
    }

    fn list(&self, below: &str) -> Result<Vec<Kept>, StoreError> {
        let (mut kept, mut dirs) = (Vec::new(), vec![self.dir.join(below)]);
        while let Some(dir) = dirs.pop() {
            let fail = |error: io::Error| disk::store_error(&dir, &error);
            let found = match fs::read_dir(&dir) {
                Ok(found) => found,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(fail(error)),
            };
            for entry in found {
                let entry = entry.map_err(fail)?;
                let path = entry.path();
                if entry.file_type().map_err(fail)?.is_dir() {
                    dirs.push(path);
                    continue;
                }
                let name = path.strip_prefix(&self.dir).ok().and_then(Path::to_str);
                if let (Some(name), Ok(metadata)) = (name, entry.metadata())
                    && !name.ends_with(TEMPORARY)
                {
                    kept.push(Kept { name: name.to_owned(), bytes: metadata.len() });
                }
            }
        }
        Ok(kept)
    }

    fn put(&self, name: &str, content: &mut File) -> Result<(), StoreError> {
        let (dir, to) = (self.create_dirs(name)?, self.dir.join(name));
        let temporary = dir.join(TEMPORARY);
        let mut write = || -> io::Result<()> {
            let mut target = disk::create_file(&temporary)?;
            io::copy(content, &mut target)?;
            disk::publish(&target, &temporary, &to)
        };
        write().map_err(|error| disk::store_error(&to, &error))
    }

    fn open(&self, name: &str, first: Option<u64>) -> Result<Option<Box<dyn Read + Send>>, StoreError> {
        let path = self.dir.join(name);
        match File::open(&path) {
            Ok(file) => Ok(Some(Box::new(file.take(first.unwrap_or(u64::MAX))))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(disk::store_error(&path, &error)),
        }
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.dir.join(name);
        disk::remove(&path).map(drop).map_err(|error| disk::store_error(&path, &error))
    }
}
