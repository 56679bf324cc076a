//! From a bundle to a released deployment, through an [`Api`] that may be far away.

use std::path::PathBuf;

use base::{Digest, code};
use bytes::Bytes;
use control_api::{Api, ApiError, DeployRequest, Deployed, Message};

use crate::Bundle;
use crate::bundle::sources;

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadProgress {
    /// Blobs sent so far, and all that are to be sent.
    pub blobs: usize,
    pub blobs_total: usize,
    pub bytes: u64,
}

/// Sends what the node lacks, and nothing that it has; then deploys. `progress` is called before
/// the first blob and after each.
pub async fn upload(
    api: &dyn Api,
    bundle: &Bundle,
    message: Option<Message>,
    progress: &(dyn Fn(UploadProgress) + Sync),
) -> Result<Deployed, ApiError> {
    let bad = |error: &dyn std::error::Error| ApiError::new(&code::BAD_DEPLOYMENT, error.to_string());
    let document = bundle.document().map_err(|error| bad(&error))?;
    let missing = api.missing_blobs(document.blobs().into_iter().collect()).await?;
    let files = sources(bundle);
    let mut done = UploadProgress { blobs: 0, blobs_total: missing.len(), bytes: 0 };
    progress(done);
    for digest in missing {
        let worker = bundle.workers.iter().find(|worker| worker.digest == digest);
        let bytes = match (worker, files.get(&digest)) {
            (Some(worker), _) => worker.bytes.clone(),
            (None, Some(file)) => read_again(file.source.clone(), &file.path, digest).await?,
            (None, None) => {
                let detail = format!("the node asks for {digest}, which is no part of the deployment");
                return Err(ApiError::new(&code::NODE_UNREACHABLE, detail));
            }
        };
        done.bytes += bytes.len() as u64;
        api.put_blob(digest, bytes).await?;
        done.blobs += 1;
        progress(done);
    }
    let document = serde_json::to_value(&document).map_err(|error| bad(&error))?;
    api.deploy(DeployRequest { document, message }).await
}

/// Reads a file whose digest was taken when the bundle was built.
async fn read_again(source: PathBuf, path: &str, digest: Digest) -> Result<Bytes, ApiError> {
    let read = tokio::task::spawn_blocking(move || std::fs::read(source)).await;
    let changed = |what: String| ApiError::new(&code::DIGEST_MISMATCH, format!("the asset {path} {what}"));
    match read {
        Ok(Ok(bytes)) if Digest::of(&bytes) == digest => Ok(bytes.into()),
        Ok(Ok(_)) => Err(changed("changed after it was read for this deployment".into())),
        Ok(Err(error)) => Err(changed(format!("can't be read any more: {error}"))),
        Err(_) => Err(ApiError::new(&code::INTERNAL, format!("reading the asset {path} was given up"))),
    }
}
