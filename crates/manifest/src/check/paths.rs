//! Paths in a manifest: relative to its directory, within it, with forward slashes on every system.

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathError {
    #[error("has an empty path")]
    Empty,
    #[error("has a path with backslashes")]
    Backslash,
    #[error("has an absolute path; paths are relative to the manifest's directory")]
    Absolute,
    #[error("has a path that leaves the manifest's directory")]
    Leaves,
    #[error("has a path with a character that no path can have")]
    Control,
}

impl PathError {
    pub fn help(self, path: &str) -> Option<String> {
        match self {
            Self::Backslash => Some(format!("write {:?}", path.replace('\\', "/"))),
            Self::Absolute if path.starts_with('/') => {
                Some(format!("did you mean {:?}?", path.trim_start_matches('/')))
            }
            Self::Leaves => Some("move the manifest up, so that all of its files lie below it".to_owned()),
            _ => None,
        }
    }
}

/// The path without `.` segments and a slash at its end; `.` for the directory itself.
pub(crate) fn normalise(path: &str) -> Result<String, PathError> {
    if path.trim().is_empty() {
        return Err(PathError::Empty);
    }
    if path.chars().any(char::is_control) {
        return Err(PathError::Control);
    }
    let drive = path.as_bytes()[0].is_ascii_alphabetic() && path.as_bytes().get(1) == Some(&b':');
    if path.starts_with('/') || drive {
        return Err(PathError::Absolute);
    }
    if path.contains('\\') {
        return Err(PathError::Backslash);
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop().ok_or(PathError::Leaves)?),
            _ => segments.push(segment),
        }
    }
    Ok(if segments.is_empty() { ".".to_owned() } else { segments.join("/") })
}
