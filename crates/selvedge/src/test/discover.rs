//! Finds the files of tests in a project.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use base::TestLimits;

/// Endings of a file of tests, behind `.test` or `.spec`.
const EXTENSIONS: [&str; 8] = ["ts", "tsx", "mts", "cts", "js", "jsx", "mjs", "cjs"];

/// Directories that hold what others wrote, or what was built.
const PASSED_OVER: [&str; 3] = ["node_modules", "dist", "target"];

pub struct Found {
    /// Relative to the project, with forward slashes, sorted.
    pub files: Vec<String>,
    /// Every directory that was looked into, absolute: a new file may come about in any.
    pub directories: Vec<PathBuf>,
}

/// Looks through a project. Links are not followed, so that no loop is.
pub fn find(dir: &Path, limits: &TestLimits) -> Result<Found> {
    let mut found = Found { files: Vec::new(), directories: Vec::new() };
    let mut entries_left = limits.test_entries;
    let mut next = vec![(dir.to_path_buf(), String::new())];
    while let Some((directory, prefix)) = next.pop() {
        let entries = fs::read_dir(&directory).with_context(|| format!("can't read {}", directory.display()))?;
        found.directories.push(directory);
        for entry in entries {
            let entry = entry?;
            let Some(left) = entries_left.checked_sub(1) else {
                bail!("{} holds more than test_entries ({}) files", dir.display(), limits.test_entries);
            };
            entries_left = left;
            // What is no text can't be imported either.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let kind = entry.file_type()?;
            if kind.is_dir() && !name.starts_with('.') && !PASSED_OVER.contains(&name.as_str()) {
                next.push((entry.path(), format!("{prefix}{name}/")));
            } else if kind.is_file() && is_test(&name) {
                found.files.push(format!("{prefix}{name}"));
            }
        }
        if found.files.len() as u64 > limits.test_files {
            bail!("{} holds more than test_files ({}) files of tests", dir.display(), limits.test_files);
        }
    }
    found.files.sort();
    Ok(found)
}

/// `name.test.ts`, `name.spec.mjs`; a name may be all that stands in front, `test.ts` is none.
fn is_test(name: &str) -> bool {
    let Some((rest, extension)) = name.rsplit_once('.') else { return false };
    let Some((_, kind)) = rest.rsplit_once('.') else { return false };
    EXTENSIONS.contains(&extension) && matches!(kind, "test" | "spec")
}

/// Those whose path holds one of the filters; all if there are none.
pub fn filter(files: Vec<String>, filters: &[String]) -> Vec<String> {
    let wanted = |file: &String| {
        let meant = |filter: &String| file.contains(filter.strip_prefix("./").unwrap_or(filter));
        filters.is_empty() || filters.iter().any(meant)
    };
    files.into_iter().filter(wanted).collect()
}

/// What to tell if no file is left.
pub fn nothing_found(dir: &Path, filters: &[String]) -> String {
    match filters {
        [] => format!(
            "no tests in {}: a file of tests ends in .test.ts or .spec.ts (or .tsx, .mts, .js, .jsx, .mjs)",
            dir.display()
        ),
        filters => format!("no file of tests in {} has {} in its path", dir.display(), filters.join(" or ")),
    }
}

#[cfg(test)]
mod tests;
