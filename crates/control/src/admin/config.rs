//! Configuration.

use base::{AppName, code};
use control_api::{ApiError, ConfigRollback, Operation, SecretKey};

use super::{Admin, Call, Reply, items, json, name, not_here};

impl Admin {
    pub(super) async fn config(&self, call: Call) -> Result<Reply, ApiError> {
        let api = &self.parts.api;
        let app: AppName = name("app", call.parameter(0))?;
        if call.operation == Operation::ConfigList {
            return items(api.config_list(app).await?);
        }
        let env = call.query.text("env").map(|text| name("environment", text)).transpose()?;
        let key = SecretKey { name: name("value", call.parameter(1))?, env };
        match call.operation {
            Operation::ConfigPut => {
                let bytes = call.collect(self.body_limit()).await?;
                let not_text = |_| ApiError::new(&code::BAD_CONFIG, "the value is no UTF-8 text");
                let value = String::from_utf8(bytes.into()).map_err(not_text)?;
                json(&api.config_put(app, key, value).await?)
            }
            Operation::ConfigGet => {
                let missing = || ApiError::new(&code::CONFIG_MISSING, format!("{app} has no value {}", key.name));
                json(&api.config_get(app.clone(), key.clone()).await?.ok_or_else(missing)?)
            }
            Operation::ConfigHistory => items(api.config_history(app, key).await?),
            Operation::ConfigRollback => {
                let to: ConfigRollback = self.json_body(call).await?;
                json(&api.config_rollback(app, key, to).await?)
            }
            Operation::ConfigDelete => {
                api.config_delete(app, key).await?;
                Ok(Reply::Nothing)
            }
            other => Err(not_here(other)),
        }
    }
}
