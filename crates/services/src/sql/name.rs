//! What a database is called: a name of the manifest, or one of a family with a key that the app
//! chooses while it runs.

use std::fmt;
use std::sync::Arc;

use base::{AppName, ResourceName, TenantName};

use super::SqlError;
use crate::AppId;

/// Bytes of the key of a database in a family.
const KEY_BYTES_MAX: usize = 128;

/// One database. It needs no creation; an empty one and a missing one are the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SqlDatabase {
    pub tenant: TenantName,
    pub app: AppName,
    pub name: SqlName,
}

impl SqlDatabase {
    pub fn new(app: &AppId, name: SqlName) -> Self {
        Self { tenant: app.tenant.clone(), app: app.app.clone(), name }
    }

    pub fn app_id(&self) -> AppId {
        AppId::new(self.tenant.clone(), self.app.clone())
    }
}

impl fmt::Display for SqlDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.tenant, self.app, self.name)
    }
}

/// The name of a database within its app. It can stand in a path: no slash, no dot in front.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SqlName(Arc<str>);

impl SqlName {
    /// Reads a name as a person types it: that of a binding, or of one of a family.
    pub fn parse(text: &str) -> Result<Self, SqlError> {
        let good = !text.starts_with(['.', '-']) && (1..=KEY_BYTES_MAX + 64).contains(&text.len());
        match good && text.bytes().all(is_key_byte) {
            true => Ok(Self(text.into())),
            false => Err(SqlError::BadName(format!("{text:?}"))),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&ResourceName> for SqlName {
    fn from(name: &ResourceName) -> Self {
        Self(name.as_str().into())
    }
}

impl fmt::Display for SqlName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SqlName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// Databases that share a beginning of their names, such as one for each customer of the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlFamily {
    pub app: AppId,
    /// What stands before the star, such as `tenant-`.
    pub prefix: Arc<str>,
}

impl SqlFamily {
    /// The database of a key.
    pub fn database(&self, key: &str) -> Result<SqlDatabase, SqlError> {
        if key.starts_with('.') || !(1..=KEY_BYTES_MAX).contains(&key.len()) || !key.bytes().all(is_key_byte) {
            return Err(SqlError::BadName(format!("{key:?}")));
        }
        Ok(SqlDatabase::new(&self.app, SqlName(format!("{}{key}", self.prefix).into())))
    }
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.@+".contains(&byte)
}
