//! The prelude's modules: those of every image, and those that are loaded when a script wants them
//! (`base::builtin` names them).

use std::collections::HashMap;

use base::artifact::{Module, ModuleKind, Script};
use base::builtin::{self, FEATURES};

use super::codec::Encoder;

/// What stands before the names of the prelude's modules in the guest.
pub const PREFIX: &str = "selvedge:";

/// The feature that makes of a WebAssembly module what an import of it finds.
pub const WASM: &str = "webassembly";

pub struct Prelude {
    script: Script,
    /// Whether a module is part of every image, by its index.
    is_base: Vec<bool>,
    by_name: HashMap<String, u32>,
}

impl Prelude {
    pub fn new(script: Script) -> Self {
        let by_name = script.modules.iter().enumerate().map(|(i, m)| (m.name.clone(), i as u32)).collect();
        let mut prelude = Self { is_base: vec![false; script.modules.len()], script, by_name };
        for index in prelude.reachable(prelude.script.entry) {
            prelude.is_base[index as usize] = true;
        }
        prelude
    }

    /// The entry's name in the guest.
    pub fn entry(&self) -> String {
        self.name(self.script.entry)
    }

    pub fn base(&self) -> Vec<u32> {
        (0..self.script.modules.len() as u32).filter(|&i| self.is_base[i as usize]).collect()
    }

    pub fn module(&self, index: u32) -> &Module {
        &self.script.modules[index as usize]
    }

    /// A module's name in the guest.
    pub fn name(&self, index: u32) -> String {
        format!("{PREFIX}{}", self.module(index).name)
    }

    /// A file of the prelude and what it imports, but for what every image has; `None` if there is
    /// no such file.
    pub fn needed_by(&self, file: &str) -> Option<Vec<u32>> {
        self.by_name.get(file).map(|&index| self.reachable(index))
    }

    fn reachable(&self, from: u32) -> Vec<u32> {
        let mut found = Vec::new();
        let mut next = vec![from];
        while let Some(index) = next.pop() {
            if self.is_base[index as usize] || found.contains(&index) {
                continue;
            }
            found.push(index);
            next.extend(self.module(index).imports.iter().map(|&(_, target)| target));
        }
        found
    }

    /// Answers the guest's `load`: name, source, [specifier, name, …] of each module that it may lack.
    pub fn encode(&self, name: &str, out: &mut Encoder) -> bool {
        let Some(needed) = name.strip_prefix(PREFIX).and_then(|file| self.needed_by(file)) else { return false };
        out.array(needed.len() as u32 * 3);
        for index in needed {
            let module = self.module(index);
            out.string(&self.name(index)).string(&String::from_utf8_lossy(&module.source));
            out.array(module.imports.len() as u32 * 2);
            for (specifier, target) in &module.imports {
                out.string(specifier).string(&self.name(*target));
            }
        }
        true
    }
}

/// Features whose words a script's sources contain.
pub fn features_of(script: &Script) -> Vec<&'static str> {
    let is_code = |module: &&Module| matches!(module.kind, ModuleKind::Js | ModuleKind::Classic);
    let sources = || script.modules.iter().filter(is_code);
    let named = |word: &str| sources().any(|module| has_word(&module.source, word));
    let imports_wasm = script.modules.iter().any(|module| module.kind == ModuleKind::Wasm);
    let is_wanted =
        |feature: &&base::builtin::Feature| (imports_wasm && feature.name == WASM) || feature.triggers().any(named);
    FEATURES.iter().filter(is_wanted).map(|feature| feature.name).collect()
}

/// Whether a word stands in the source by itself: `Cache` is no part of `Cache-Control`.
fn has_word(source: &[u8], word: &str) -> bool {
    let inside = |byte: Option<&u8>| byte.is_some_and(|&b| b.is_ascii_alphanumeric() || b"_$-".contains(&b));
    memchr::memmem::find_iter(source, word.as_bytes()).any(|at| {
        let before = at.checked_sub(1).and_then(|at| source.get(at));
        // Words of the table may end in what is no letter; what follows those says nothing.
        let ends = word.ends_with(|c: char| c.is_ascii_alphanumeric());
        let alone = !ends || !inside(source.get(at + word.len()));
        alone && !inside(before)
    })
}

/// The name in the guest of a feature's module.
pub fn feature_name(feature: &str) -> String {
    format!("{PREFIX}features/{feature}.ts")
}

/// The name in the guest of a module that a script imports from the platform.
pub fn builtin_name(specifier: &str) -> String {
    format!("{PREFIX}{}", builtin::module_file(specifier))
}

/// [feature, [global, …], …]
pub fn encode_features(out: &mut Encoder) {
    out.array(FEATURES.len() as u32 * 2);
    for feature in FEATURES {
        out.string(feature.name).array(feature.globals.len() as u32);
        for global in feature.globals {
            out.string(global);
        }
    }
}

#[cfg(test)]
mod tests;
