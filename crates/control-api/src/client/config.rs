use base::{AppName, code};

use super::{Client, Payload, of_env};
use crate::api::ConfigApi;
use crate::model::{ConfigEntry, ConfigRollback, ConfigVersion, ConfigVersionEntry};
use crate::query::QueryText;
use crate::{Answer, Operation, SecretKey};

impl ConfigApi for Client {
    fn config_put(&self, app: AppName, key: SecretKey, value: String) -> Answer<'_, ConfigVersion> {
        Box::pin(async move {
            let parameters = [app.as_str(), key.name.as_str()];
            self.read(Operation::ConfigPut, &parameters, of_env(&key), Payload::Bytes(value.into())).await
        })
    }

    fn config_get(&self, app: AppName, key: SecretKey) -> Answer<'_, Option<ConfigEntry>> {
        Box::pin(async move {
            let parameters = [app.as_str(), key.name.as_str()];
            match self.read(Operation::ConfigGet, &parameters, of_env(&key), Payload::Nothing).await {
                Ok(entry) => Ok(Some(entry)),
                Err(error) if error.is(&code::CONFIG_MISSING) => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    fn config_list(&self, app: AppName) -> Answer<'_, Vec<ConfigEntry>> {
        Box::pin(async move { self.items(Operation::ConfigList, &[app.as_str()], QueryText::default()).await })
    }

    fn config_history(&self, app: AppName, key: SecretKey) -> Answer<'_, Vec<ConfigVersionEntry>> {
        Box::pin(
            async move { self.items(Operation::ConfigHistory, &[app.as_str(), key.name.as_str()], of_env(&key)).await },
        )
    }

    fn config_rollback(&self, app: AppName, key: SecretKey, to: ConfigRollback) -> Answer<'_, ConfigVersion> {
        Box::pin(async move {
            let parameters = [app.as_str(), key.name.as_str()];
            self.read(Operation::ConfigRollback, &parameters, of_env(&key), Payload::json(&to)).await
        })
    }

    fn config_delete(&self, app: AppName, key: SecretKey) -> Answer<'_, ()> {
        Box::pin(async move {
            let parameters = [app.as_str(), key.name.as_str()];
            self.call(Operation::ConfigDelete, &parameters, of_env(&key), Payload::Nothing).await?;
            Ok(())
        })
    }
}
