//! Configuration through the API: kept where secrets are, and shown.

use base::{AppName, Secret, code};
use control_api::{
    Answer, ApiError, ConfigApi, ConfigEntry, ConfigRollback, ConfigVersion, ConfigVersionEntry, SecretKey,
};
use services::{AppId, SecretError, SecretName, ValueKind};

use super::{Control, failed};

fn name(key: SecretKey) -> SecretName {
    SecretName { kind: ValueKind::Config, name: key.name, env: key.env }
}

/// What the store calls a secret is a value here.
fn refused(error: SecretError) -> ApiError {
    match error {
        SecretError::Empty | SecretError::TooLarge { .. } => {
            ApiError::new(&code::BAD_CONFIG, error.to_string().replace("secret", "value"))
        }
        other => failed(other),
    }
}

impl Control {
    async fn config_entry(
        &self,
        app: &AppId,
        name: SecretName,
        updated_ms: u64,
    ) -> Result<Option<ConfigEntry>, ApiError> {
        let Some(entry) = self.parts.secrets.get(app, &name).await.map_err(refused)? else { return Ok(None) };
        let value = String::from_utf8_lossy(entry.value.expose()).into_owned();
        Ok(Some(ConfigEntry { name: name.name, env: name.env, version: entry.version, updated_ms, value }))
    }

    async fn config_entries(&self, app: AppName) -> Result<Vec<ConfigEntry>, ApiError> {
        let app = self.id(&app);
        let mut entries = Vec::new();
        for info in self.parts.secrets.list(&app).await.map_err(refused)? {
            if info.name.kind == ValueKind::Config {
                entries.extend(self.config_entry(&app, info.name, info.updated_ms).await?);
            }
        }
        Ok(entries)
    }

    async fn config_versions(&self, app: AppName, key: SecretKey) -> Result<Vec<ConfigVersionEntry>, ApiError> {
        let versions = self.parts.secrets.versions(&self.id(&app), &name(key)).await.map_err(refused)?;
        let entry = |(at, info): (usize, services::SecretVersionInfo)| ConfigVersionEntry {
            version: info.version,
            updated_ms: info.updated_ms,
            current: at == 0,
        };
        Ok(versions.into_iter().enumerate().map(entry).collect())
    }
}

impl ConfigApi for Control {
    fn config_put(&self, app: AppName, key: SecretKey, value: String) -> Answer<'_, ConfigVersion> {
        Box::pin(async move {
            let value = Secret::new(value.into());
            let version = self.parts.secrets.put(&self.id(&app), &name(key), value, 0).await.map_err(refused)?;
            (self.parts.on_release)();
            Ok(ConfigVersion { version })
        })
    }

    fn config_get(&self, app: AppName, key: SecretKey) -> Answer<'_, Option<ConfigEntry>> {
        Box::pin(async move {
            let (app, name) = (self.id(&app), name(key));
            let newest = self.parts.secrets.versions(&app, &name).await.map_err(refused)?.into_iter().next();
            match newest {
                Some(newest) => self.config_entry(&app, name, newest.updated_ms).await,
                None => Ok(None),
            }
        })
    }

    fn config_list(&self, app: AppName) -> Answer<'_, Vec<ConfigEntry>> {
        Box::pin(self.config_entries(app))
    }

    fn config_history(&self, app: AppName, key: SecretKey) -> Answer<'_, Vec<ConfigVersionEntry>> {
        Box::pin(self.config_versions(app, key))
    }

    fn config_rollback(&self, app: AppName, key: SecretKey, to: ConfigRollback) -> Answer<'_, ConfigVersion> {
        Box::pin(async move {
            let rolled = self.parts.secrets.roll_back(&self.id(&app), &name(key), to.version).await;
            let version = rolled.map_err(refused)?;
            (self.parts.on_release)();
            Ok(ConfigVersion { version })
        })
    }

    fn config_delete(&self, app: AppName, key: SecretKey) -> Answer<'_, ()> {
        Box::pin(async move {
            self.parts.secrets.delete(&self.id(&app), &name(key)).await.map_err(refused)?;
            (self.parts.on_release)();
            Ok(())
        })
    }
}
