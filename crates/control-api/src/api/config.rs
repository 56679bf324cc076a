//! Configuration.

use base::AppName;

use super::{Answer, SecretKey};
use crate::model::{ConfigEntry, ConfigRollback, ConfigVersion, ConfigVersionEntry};

/// The part of [`Api`](super::Api) that is about configuration: values of an app that are no secret,
/// and change without a deployment.
pub trait ConfigApi: Send + Sync {
    /// Sets a value, or the one that it has in one environment. The app need not exist yet.
    fn config_put(&self, app: AppName, key: SecretKey, value: String) -> Answer<'_, ConfigVersion>;

    /// What is set, if it is.
    fn config_get(&self, app: AppName, key: SecretKey) -> Answer<'_, Option<ConfigEntry>>;

    /// All that is set, by name.
    fn config_list(&self, app: AppName) -> Answer<'_, Vec<ConfigEntry>>;

    /// The versions that are kept, newest first.
    fn config_history(&self, app: AppName, key: SecretKey) -> Answer<'_, Vec<ConfigVersionEntry>>;

    /// Sets a value to what an earlier version was; that makes a new version.
    fn config_rollback(&self, app: AppName, key: SecretKey, to: ConfigRollback) -> Answer<'_, ConfigVersion>;

    /// Unsets a value, with all its versions; to unset what is not set is no error.
    fn config_delete(&self, app: AppName, key: SecretKey) -> Answer<'_, ()>;
}
