//! What belongs to a host: an exact name, a wildcard for one label, or everything else. Pure.

use std::collections::HashMap;

/// Values by host name. An exact name comes before a wildcard, a wildcard before the default.
#[derive(Debug, Clone)]
pub struct NameMap<T> {
    exact: HashMap<Box<str>, T>,
    /// By what follows `*.`.
    wildcard: HashMap<Box<str>, T>,
    default: Option<T>,
}

/// Why a text is no name for a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a host is a name like example.com, or *.example.com for every name one label longer")]
pub struct BadName;

impl<T> Default for NameMap<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), wildcard: HashMap::new(), default: None }
    }
}

impl<T> NameMap<T> {
    /// What is found where no name matches.
    pub fn set_default(&mut self, value: T) {
        self.default = Some(value);
    }

    pub fn has_default(&self) -> bool {
        self.default.is_some()
    }

    /// The value that the name had before.
    pub fn insert(&mut self, name: &str, value: T) -> Result<Option<T>, BadName> {
        check_name(name)?;
        let name = name.to_ascii_lowercase();
        Ok(match name.strip_prefix("*.") {
            Some(parent) => self.wildcard.insert(parent.into(), value),
            None => self.exact.insert(name.into(), value),
        })
    }

    /// By a host name in any case, without port.
    pub fn find(&self, host: &str) -> Option<&T> {
        let host = host.strip_suffix('.').unwrap_or(host);
        let lower;
        let host = if host.bytes().any(|b| b.is_ascii_uppercase()) {
            lower = host.to_ascii_lowercase();
            &lower
        } else {
            host
        };
        let parent = || host.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
        self.exact.get(host).or_else(parent).or(self.default.as_ref())
    }

    pub fn len(&self) -> usize {
        self.exact.len() + self.wildcard.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0 && self.default.is_none()
    }
}

/// Whether a text names a host or a wildcard.
pub fn check_name(name: &str) -> Result<(), BadName> {
    let plain = name.strip_prefix("*.").unwrap_or(name);
    let label = |label: &str| {
        !label.is_empty() && label.len() <= 63 && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    if plain.len() <= 253 && plain.split('.').all(label) { Ok(()) } else { Err(BadName) }
}

#[cfg(test)]
mod tests;
