use std::sync::Arc;

use super::*;
use crate::conformance;
use crate::{MemoryStore, MemoryStoreLimits};

const LIMITS: MemoryStoreLimits = MemoryStoreLimits { bytes: 8 << 20, app_bytes: 8 << 20, entry_bytes: 100_000 };

/// The tier below is a memory of its own here; what a disk does is shown with the one on disk.
#[test]
fn two_tiers_keep_the_promises_of_one() {
    conformance::store(|| Tiered::new(MemoryStore::new(LIMITS), Arc::new(MemoryStore::new(LIMITS))));
}
