//! The limits on a deployment and on what the API lists. They are fixed: each is far above what an
//! app needs, and there so that a file or a caller that means harm can't do any.

use base::limits::LimitRow;
use control_api::Message;

const fn fixed(
    name: &'static str,
    value: u64,
    unit: &'static str,
    code: &'static str,
    about: &'static str,
) -> LimitRow {
    LimitRow { name, default: value, min: value, max: value, unit, code, about }
}

pub static ASSET_FILES: LimitRow = fixed("asset_files", 100_000, "", "bad_deployment", "Files in one asset directory.");
pub static ASSET_PATH_BYTES: LimitRow =
    fixed("asset_path_bytes", 1_024, "bytes", "bad_deployment", "Path of an asset, from its directory.");
pub static MESSAGE_BYTES: LimitRow =
    fixed("message_bytes", Message::BYTES_MAX as u64, "bytes", "bad_request", "Message of a deployment.");
pub static RELEASES_LISTED: LimitRow = fixed("releases_listed", 1_000, "", "", "Releases in one list.");

pub static MIGRATIONS: LimitRow = fixed("migrations", 10_000, "", "bad_deployment", "Migrations of one database.");
pub static MIGRATION_BYTES: LimitRow =
    fixed("migration_bytes", 8 << 20, "bytes", "bad_deployment", "Migrations of one deployment, all together.");

/// Every limit of this file, for `selvedge limits`.
pub static CONTROL: &[&LimitRow] =
    &[&ASSET_FILES, &ASSET_PATH_BYTES, &MESSAGE_BYTES, &RELEASES_LISTED, &MIGRATIONS, &MIGRATION_BYTES];
