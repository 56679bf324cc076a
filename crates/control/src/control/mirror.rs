//! Mirrors, of which the node in this process counts what becomes.

use base::{AppName, code};
use control_api::{Answer, ApiError, MirrorApi, MirrorEntry};

use super::Control;

impl MirrorApi for Control {
    fn mirrors(&self, app: AppName) -> Answer<'_, Vec<MirrorEntry>> {
        Box::pin(async move {
            let stopped = || ApiError::new(&code::NODE_STOPPED, "no node runs on this data, so nothing is mirrored");
            let metrics = self.parts.metrics.as_ref().ok_or_else(stopped)?;
            let entry =
                |(route, [same, other_status, other_body, failed, skipped]): (std::sync::Arc<str>, [u64; 5])| {
                    MirrorEntry { route: route.to_string(), same, other_status, other_body, failed, skipped }
                };
            Ok(metrics.mirrored(app.as_str()).into_iter().map(entry).collect())
        })
    }
}
