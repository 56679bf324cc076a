//! The time in words, as fields have it (RFC 9110, section 5.6.7), made once a second.

use std::cell::RefCell;
use std::time::{Duration, UNIX_EPOCH};

/// Of one core.
#[derive(Default)]
pub(crate) struct Dates(RefCell<(u64, String)>);

impl Dates {
    pub fn with<T>(&self, unix_ms: u64, tell: impl FnOnce(&str) -> T) -> T {
        let (mut last, second) = (self.0.borrow_mut(), unix_ms / 1_000);
        if last.0 != second || last.1.is_empty() {
            *last = (second, httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second)));
        }
        tell(&last.1)
    }
}

#[cfg(test)]
mod tests;
