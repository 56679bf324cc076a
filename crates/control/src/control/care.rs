//! Backups and the check of everything.

use std::path::Path;

use base::code;
use control_api::{ApiError, ArchiveCopied, BackupMade, BackupRequest, Checked, Damage};
use services::care::{ArchiveCopy, BackupOptions};

use super::{Control, failed};

impl Control {
    pub(super) async fn make_backup(&self, request: BackupRequest) -> Result<BackupMade, ApiError> {
        let to = Path::new(&request.to);
        if !to.is_absolute() {
            let detail = format!("{:?} is not an absolute path of the node's machine", request.to);
            return Err(ApiError::new(&code::BAD_BACKUP, detail));
        }
        let keep = request.keep.map(|keep| usize::try_from(keep).unwrap_or(usize::MAX));
        let options = BackupOptions { verify: request.verify, keep };
        let made = self.parts.care.back_up(to, options).await.map_err(failed)?;
        Ok(BackupMade {
            id: made.id,
            files: made.files,
            bytes: made.bytes,
            new_bytes: made.new_bytes,
            verified: made.verified,
            removed: made.removed,
        })
    }

    pub(super) async fn check_all(&self) -> Result<Checked, ApiError> {
        let report = self.parts.care.check().await.map_err(failed)?;
        let damage = report.damage.into_iter().map(|damage| Damage { place: damage.place, what: damage.what });
        let copied = |copy: ArchiveCopy| ArchiveCopied {
            place: copy.place,
            behind_ms: copy.behind_ms,
            failures: copy.failures,
            problem: copy.problem,
        };
        Ok(Checked {
            databases: report.databases,
            files: report.files,
            bytes: report.bytes,
            damage: damage.collect(),
            archive: report.archive.map(copied),
        })
    }
}
