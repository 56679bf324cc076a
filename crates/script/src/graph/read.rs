//! Reading files, with every way in which that fails.

use std::collections::BTreeMap;

use oxc::syntax::identifier::is_identifier_name;

use super::*;
use crate::resolve::{nearest_in, without_place};

/// The app directory and the entry file, absolute and free of symlinks.
pub(super) fn entry(root: &Path, entry: &Path) -> Result<(PathBuf, PathBuf), BuildErrors> {
    let named = entry.to_string_lossy().replace('\\', "/");
    let fail = |message: String, help: Option<String>| {
        let error = BuildError::new(ErrorKind::Entry, named.clone(), message);
        BuildErrors::from(vec![match help {
            Some(help) => error.help(help),
            None => error,
        }])
    };
    let root = std::fs::canonicalize(root)
        .map_err(|e| fail(format!("the app directory {} can't be opened: {}", root.display(), why(&e)), None))?;
    let path = root.join(entry);
    let found = std::fs::canonicalize(&path).map_err(|e| {
        let near = path.parent().zip(path.file_name()).and_then(|(d, n)| nearest_in(d, &n.to_string_lossy()));
        let near = near.map(|n| format!("did you mean \"{}\"?", entry.with_file_name(n).to_string_lossy()));
        fail(format!("the entry file can't be opened: {}", why(&e)), near)
    })?;
    if found.is_dir() {
        let help =
            nearest_in(&found, "index").map(|n| format!("did you mean \"{}/{n}\"?", named.trim_end_matches('/')));
        return Err(fail("the entry is a directory".into(), help.or(Some("name the file".into()))));
    }
    Ok((root, found))
}

pub(super) fn file(path: &Path, name: &str, bytes_max: u64) -> Result<Vec<u8>, Box<BuildError>> {
    let failed = |why: String| Box::new(BuildError::new(ErrorKind::Read, name, format!("can't be read: {why}")));
    let metadata = std::fs::metadata(path).map_err(|e| failed(why(&e)))?;
    if !metadata.is_file() {
        return Err(failed("it is not a regular file".into()));
    }
    let too_large = |bytes: u64| {
        let message = format!("the file has {bytes} bytes, more than module_bytes_max ({bytes_max}) allows");
        Err(Box::new(BuildError::new(ErrorKind::Limit, name, message)))
    };
    if metadata.len() > bytes_max {
        return too_large(metadata.len());
    }
    let bytes = std::fs::read(path).map_err(|e| failed(why(&e)))?;
    // It may have grown since.
    if bytes.len() as u64 > bytes_max { too_large(bytes.len() as u64) } else { Ok(bytes) }
}

pub(super) fn text(name: &str, bytes: Vec<u8>) -> Result<String, Box<BuildError>> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let byte = error.as_bytes()[at];
        let lossy = String::from_utf8_lossy(error.as_bytes()).into_owned();
        // Up to the first bad byte the lossy text is the text.
        let message = format!("the file is not UTF-8: byte 0x{byte:02x} at offset {at}");
        let error = BuildError::new(ErrorKind::Utf8, name, message).at(&lossy, at, at);
        Box::new(error.help("save it as UTF-8; binary files can be imported with the extension .bin"))
    })
}

/// Checks that a JSON file parses; the engine parses it again.
pub(super) fn json(name: &str, text: String) -> Result<String, Box<BuildError>> {
    let text = match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_string(),
        None => text,
    };
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Ok(text),
        Err(error) => {
            let message = format!("not valid JSON: {}", without_place(&error.to_string()));
            let error = BuildError::new(ErrorKind::Json, name, message).at_line(&text, error.line(), error.column());
            Err(Box::new(error))
        }
    }
}

/// The members of a JSON object that an import can name.
pub(super) fn keys(json: &[u8]) -> BTreeSet<String> {
    let members: BTreeMap<String, serde::de::IgnoredAny> = serde_json::from_slice(json).unwrap_or_default();
    members.into_keys().filter(|key| key != "default" && is_identifier_name(key)).collect()
}

/// The system's reason, without its number.
fn why(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_string()
}
