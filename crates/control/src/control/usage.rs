//! What an app stores in each service.

use base::{AppName, NodeLimits};
use control_api::{ApiError, AppUsage, Used};

use super::{Control, failed};

impl Control {
    /// The limits of the node, as they are for this app.
    pub(super) fn limits_of(&self, app: &AppName) -> NodeLimits {
        (self.parts.limits_of)(app)
    }

    pub(super) async fn usage_of(&self, app: AppName) -> Result<AppUsage, ApiError> {
        let (limits, app) = (self.limits_of(&app), self.id(&app));
        let kv = self.parts.kv.usage(&app).await.map_err(failed)?.iter().map(|used| used.usage.bytes).sum();
        let sql = self.parts.sql.used(&app).await.map_err(failed)?;
        let blobs = self.parts.blobs.used(&app).await.map_err(failed)?;
        let objects = self.parts.objects.used(&app).await.map_err(failed)?;
        Ok(AppUsage {
            kv: Used { bytes: kv, bytes_max: limits.kv_app_bytes },
            sql: Used { bytes: sql, bytes_max: limits.sql_app_bytes },
            blobs: Used { bytes: blobs, bytes_max: limits.blob_app_bytes },
            objects: Used { bytes: objects, bytes_max: limits.object_app_bytes },
        })
    }
}
