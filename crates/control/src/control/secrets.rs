//! Secrets through the API. No value ever leaves by it.

use std::collections::BTreeSet;

use base::{AppName, ResourceName, Secret};
use bytes::Bytes;
use control_api::{
    ApiError, SecretEntry, SecretKey, SecretPutOptions, SecretRollback, SecretVersion, SecretVersionEntry,
};
use services::{AppId, SecretName, ValueKind};

use super::{Control, failed};
use crate::document::Document;

impl Control {
    /// They may be set after the deployment as well as before, so it is no error; but who deploys
    /// wants to hear of it before a visitor does.
    pub(super) async fn missing_secrets(
        &self,
        app: &AppId,
        document: &Document,
    ) -> Result<Vec<ResourceName>, ApiError> {
        let plan = document.plan();
        let bound = plan.secrets();
        if bound.is_empty() {
            return Ok(Vec::new());
        }
        let env = plan.env_name.as_deref();
        let set = self.parts.secrets.list(app).await.map_err(failed)?;
        let secrets = set.iter().filter(|info| info.name.kind == ValueKind::Secret);
        let readable = secrets.filter(|info| info.name.env.as_ref().is_none_or(|of| Some(of.as_str()) == env));
        let names: BTreeSet<&ResourceName> = readable.map(|info| &info.name.name).collect();
        Ok(bound.into_iter().filter(|name| !names.contains(name)).cloned().collect())
    }

    pub(super) async fn put_secret(
        &self,
        app: AppName,
        secret: SecretKey,
        value: Secret<Bytes>,
        options: SecretPutOptions,
    ) -> Result<SecretVersion, ApiError> {
        let overlap_ms = options.overlap_s.saturating_mul(1_000);
        let version = self.parts.secrets.put(&self.id(&app), &name(secret), value, overlap_ms).await.map_err(failed)?;
        (self.parts.on_release)();
        Ok(SecretVersion { version })
    }

    pub(super) async fn list_secrets(&self, app: AppName) -> Result<Vec<SecretEntry>, ApiError> {
        let secrets = self.parts.secrets.list(&self.id(&app)).await.map_err(failed)?;
        let entry = |info: services::SecretInfo| SecretEntry {
            name: info.name.name,
            env: info.name.env,
            version: info.version,
            updated_ms: info.updated_ms,
        };
        let secrets = secrets.into_iter().filter(|info| info.name.kind == ValueKind::Secret);
        Ok(secrets.map(entry).collect())
    }

    pub(super) async fn secret_history(
        &self,
        app: AppName,
        secret: SecretKey,
    ) -> Result<Vec<SecretVersionEntry>, ApiError> {
        let versions = self.parts.secrets.versions(&self.id(&app), &name(secret)).await.map_err(failed)?;
        let entry = |(at, info): (usize, services::SecretVersionInfo)| SecretVersionEntry {
            version: info.version,
            updated_ms: info.updated_ms,
            current: at == 0,
            previous_until_ms: info.previous_until_ms,
        };
        Ok(versions.into_iter().enumerate().map(entry).collect())
    }

    pub(super) async fn roll_secret_back(
        &self,
        app: AppName,
        secret: SecretKey,
        to: SecretRollback,
    ) -> Result<SecretVersion, ApiError> {
        let version = self.parts.secrets.roll_back(&self.id(&app), &name(secret), to.version).await.map_err(failed)?;
        (self.parts.on_release)();
        Ok(SecretVersion { version })
    }

    pub(super) async fn delete_secret(&self, app: AppName, secret: SecretKey) -> Result<(), ApiError> {
        self.parts.secrets.delete(&self.id(&app), &name(secret)).await.map_err(failed)?;
        (self.parts.on_release)();
        Ok(())
    }
}

fn name(key: SecretKey) -> SecretName {
    SecretName { kind: ValueKind::Secret, name: key.name, env: key.env }
}
