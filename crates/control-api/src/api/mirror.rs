//! Mirrors: copies of requests for a shadow target.

use base::AppName;

use super::Answer;
use crate::model::MirrorEntry;

/// The part of [`Api`](super::Api) that is about mirrors. Only a node that runs answers it.
pub trait MirrorApi: Send + Sync {
    /// How the answers of shadows compare with the real ones since the node started, by route.
    fn mirrors(&self, app: AppName) -> Answer<'_, Vec<MirrorEntry>>;
}
