//! Names of modules: paths relative to the app, with forward slashes.

use std::path::{Component, Path};

/// The name of `path` for an app at `root`; both are absolute and free of symlinks. A file outside
/// the app gets a name with leading `../`, so that the same checkout gives the same name anywhere.
/// `None` if the path is not UTF-8.
pub(crate) fn name_of(root: &Path, path: &Path) -> Option<String> {
    let mut base: Vec<Component> = root.components().collect();
    let target: Vec<Component> = path.components().collect();
    let shared = base.iter().zip(&target).take_while(|(a, b)| a == b).count();
    base.drain(..shared);
    let mut parts = vec![".."; base.len()];
    for component in &target[shared..] {
        parts.push(component.as_os_str().to_str()?);
    }
    Some(parts.join("/"))
}

/// Whether the file belongs to an installed package rather than to the app's own code.
pub(crate) fn is_in_packages(path: &Path) -> bool {
    path.components().any(|c| c.as_os_str() == "node_modules")
}

#[cfg(test)]
mod tests;
