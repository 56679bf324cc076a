//! Names that a build replaces: `define` of bundlers.

use oxc::allocator::Allocator;
use oxc::ast::ast::Program;
use oxc::semantic::Scoping;
use oxc::transformer_plugins::{ReplaceGlobalDefines, ReplaceGlobalDefinesConfig};

use crate::error::{BuildError, ErrorKind};

/// Checked replacements.
#[derive(Debug, Clone)]
pub(crate) struct Defines {
    config: ReplaceGlobalDefinesConfig,
    /// What a text that holds one of the names holds.
    words: Vec<String>,
}

impl Defines {
    /// `None` without any.
    pub(crate) fn new(define: &[(String, String)]) -> Result<Option<Self>, Vec<BuildError>> {
        if define.is_empty() {
            return Ok(None);
        }
        let words = define.iter().map(|(name, _)| word(name).to_string()).collect();
        let config = ReplaceGlobalDefinesConfig::new(define).map_err(|diagnostics| {
            let why = diagnostics.first().map(|first| first.message.to_string()).unwrap_or_default();
            let refused = |(name, value): &&(String, String)| {
                ReplaceGlobalDefinesConfig::new(&[(name.as_str(), value.as_str())]).is_err()
            };
            let name = define.iter().find(refused).map_or("", |(name, _)| name.as_str());
            let message = format!("`define` of {name}: {why}");
            let help =
                "a name is an identifier or a chain of members, a value an expression; a text is in quotes twice";
            vec![BuildError::new(ErrorKind::Config, "define", message).help(help)]
        })?;
        Ok(Some(Self { config, words }))
    }

    pub(crate) fn may_be_in(&self, text: &str) -> bool {
        self.words.iter().any(|word| text.contains(word.as_str()))
    }

    pub(crate) fn write<'a>(&self, allocator: &'a Allocator, program: &mut Program<'a>, scoping: &mut Scoping) {
        let known = std::mem::take(scoping);
        *scoping = ReplaceGlobalDefines::new(allocator, self.config.clone()).build(known, program).scoping;
    }
}

/// The last name of a chain, or the one before where that is a wildcard.
fn word(name: &str) -> &str {
    name.split('.').rfind(|part| *part != "*").unwrap_or(name)
}
