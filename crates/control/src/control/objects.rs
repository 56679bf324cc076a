//! Durable objects, looked at, moved out and moved in.

use base::{AppName, ClassName, code};
use bytes::Bytes;
use control_api::{ApiError, ObjectInfo, ObjectPage, ObjectRestoreRequest, ObjectRestored};
use services::object::{ObjectClass, ObjectId, ObjectKey};
use services::{Lease, LeaseError, ObjectError};

use super::{Control, failed};

/// Ids in one page, unless the caller wants fewer.
const PAGE_IDS: usize = 1_000;

impl Control {
    fn class(&self, app: &AppName, class: ClassName) -> ObjectClass {
        ObjectClass::new(self.id(app), class)
    }

    /// An object by its id, or else by its name.
    fn key(&self, app: &AppName, class: ClassName, object: &str) -> ObjectKey {
        let class = self.class(app, class);
        let id: ObjectId = class.parse_id(object).unwrap_or_else(|| class.id_of_name(object));
        ObjectKey { class, id }
    }

    pub(super) async fn list_objects(
        &self,
        app: AppName,
        class: ClassName,
        after: Option<String>,
        limit: Option<u64>,
    ) -> Result<ObjectPage, ApiError> {
        let class = self.class(&app, class);
        let after = match after {
            None => None,
            Some(text) => Some(class.parse_id(&text).ok_or_else(|| {
                ApiError::new(&code::BAD_REQUEST, format!("{text:?} is no id of an object of the class {}", class.name))
            })?),
        };
        let limit = limit.map_or(PAGE_IDS, |limit| usize::try_from(limit).unwrap_or(PAGE_IDS)).clamp(1, PAGE_IDS);
        let mut ids = self.parts.objects.list(&class, after, limit + 1).await.map_err(failed)?;
        let more = ids.len() > limit;
        ids.truncate(limit);
        Ok(ObjectPage { ids: ids.iter().map(ToString::to_string).collect(), more })
    }

    pub(super) async fn inspect_object(
        &self,
        app: AppName,
        class: ClassName,
        object: String,
    ) -> Result<Option<ObjectInfo>, ApiError> {
        let key = self.key(&app, class, &object);
        let info = self.parts.objects.info(&key).await.map_err(failed)?;
        Ok(info.map(|info| ObjectInfo {
            id: key.id.to_string(),
            name: info.name,
            bytes: info.bytes,
            entries: info.entries,
            tables: info.tables,
            alarm_ms: info.alarm_ms,
        }))
    }

    pub(super) async fn export_object(
        &self,
        app: AppName,
        class: ClassName,
        object: String,
    ) -> Result<Option<Bytes>, ApiError> {
        self.parts.objects.export(&self.key(&app, class, &object)).await.map_err(failed)
    }

    /// Only of one that sleeps: an instance would go on with what it had.
    pub(super) async fn replace_object(
        &self,
        app: AppName,
        class: ClassName,
        object: String,
        export: Option<Bytes>,
    ) -> Result<(), ApiError> {
        let key = self.key(&app, class, &object);
        let lease = self.lease(&key).await?;
        let replaced = self.parts.objects.replace(&key, lease.fence, export).await;
        replaced.map_err(|error: ObjectError| failed(error))
    }
    /// Likewise.
    pub(super) async fn restore_object(
        &self,
        app: AppName,
        class: ClassName,
        object: String,
        request: ObjectRestoreRequest,
    ) -> Result<ObjectRestored, ApiError> {
        let key = self.key(&app, class, &object);
        let lease = self.lease(&key).await?;
        let restored = self.parts.objects.restore(&key, lease.fence, request.at_ms).await;
        restored.map(|time_ms| ObjectRestored { time_ms }).map_err(|error: ObjectError| failed(error))
    }

    async fn lease(&self, key: &ObjectKey) -> Result<Lease, ApiError> {
        match self.parts.leases.acquire(key).await {
            Ok(lease) => Ok(lease),
            Err(LeaseError::Held) => {
                Err(ApiError::new(&code::OBJECT_AWAKE, format!("{} is awake, or keeps WebSockets", key.id)))
            }
            Err(LeaseError::Store(error)) => Err(failed(error)),
        }
    }
}
