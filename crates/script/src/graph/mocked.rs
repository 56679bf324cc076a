//! Modules that a file of tests replaces: whoever imports one gets a facade, which asks the runner
//! what to give when it is evaluated. Only what is imported as the actual module goes past it.

use std::fmt::Write as _;

use oxc::syntax::identifier::is_identifier_name;

use super::*;

/// The specifier by which the facade imports the file that stands beside the module for this.
const MANUAL: &str = "facade:manual";
/// After the name of the module in the name of its facade.
const SUFFIX: &str = "?mocked";
/// Where the runner's part of it is.
const RUNNER: &str = "selvedge:test/runner";
/// Vitest and Jest look here for what stands for a module of the same folder.
const MANUAL_DIRECTORY: &str = "__mocks__";

impl Graph<'_> {
    pub(super) fn replace_mocked(&mut self) -> Result<(), Stop> {
        let Some(tests) = self.tests.clone().and_then(|path| self.files.get(&(path, None)).copied()) else {
            return Ok(());
        };
        let Body::Esm(compiled) = &self.nodes[tests as usize].body else { return Ok(()) };
        let mut replaced: Vec<(u32, BTreeSet<String>)> = Vec::new();
        for specifier in compiled.mocked.clone() {
            let Some(seen) = self.nodes[tests as usize].edge(&specifier) else { continue };
            match replaced.iter_mut().find(|(known, _)| *known == seen) {
                Some((_, specifiers)) => drop(specifiers.insert(specifier)),
                None => replaced.push((seen, BTreeSet::from([specifier]))),
            }
        }
        for (seen, specifiers) in replaced {
            self.replace(seen, specifiers)?;
        }
        Ok(())
    }

    /// Puts a facade between what the tests see of a module and everybody who imports it.
    fn replace(&mut self, seen: u32, specifiers: BTreeSet<String>) -> Result<(), Stop> {
        let file = self.file_of(seen);
        let manual = self.manual(file)?;
        let name = format!("{}{SUFFIX}", self.nodes[file as usize].name);
        let body = Body::Mocked { of: seen, specifiers, names: BTreeSet::new(), namespace: manual.is_some() };
        let facade = self.push(name, PathBuf::new(), body)?;
        for importer in 0..facade {
            let is_facade = matches!(
                self.nodes[importer as usize].body,
                Body::ImportFacade { .. } | Body::JsonFacade { .. } | Body::RequireFacade { .. } | Body::Mocked { .. }
            );
            if is_facade {
                continue;
            }
            for edge in 0..self.nodes[importer as usize].edges.len() {
                let (specifier, target) = &self.nodes[importer as usize].edges[edge];
                let goes_past = specifier.starts_with(mocks::ACTUAL) || specifier.starts_with(cjs::REQUIRE);
                if !goes_past && self.file_of(*target) == file {
                    self.nodes[importer as usize].edges[edge].1 = facade;
                }
            }
        }
        let runner = self.builtin(RUNNER)?;
        let edges = &mut self.nodes[facade as usize].edges;
        edges.push((cjs::SELF.into(), seen));
        edges.push((RUNNER.into(), runner));
        edges.extend(manual.map(|manual| (MANUAL.to_string(), manual)));
        Ok(())
    }

    /// The module of the file behind a facade.
    fn file_of(&self, node: u32) -> u32 {
        let known = self.facades.iter().find(|(_, facade)| **facade == node);
        known.map_or(node, |((file, _), _)| *file)
    }

    /// The module in `__mocks__` beside a file.
    fn manual(&mut self, file: u32) -> Result<Option<u32>, Stop> {
        let path = &self.nodes[file as usize].path;
        let Some((directory, name)) = path.parent().zip(path.file_name()) else { return Ok(None) };
        let manual = directory.join(MANUAL_DIRECTORY).join(name);
        if !manual.is_file() {
            return Ok(None);
        }
        let node = self.file(&manual, None, None)?;
        self.walk(node).map(Some)
    }
}

/// The facade's text.
pub(super) fn facade(specifiers: &BTreeSet<String>, names: &BTreeSet<String>, has_manual: bool) -> String {
    let quote = |value: serde_json::Value| value.to_string();
    let manual = if has_manual { format!("() => import(\"{MANUAL}\")") } else { "null".to_string() };
    let names: Vec<&String> = names.iter().filter(|name| is_identifier_name(name)).collect();
    let mut out = format!(
        "import {{ replaced as $replaced }} from \"{RUNNER}\";\n\
         const $m = await $replaced({}, () => import(\"{}\"), {manual}, {});\n",
        quote(specifiers.iter().cloned().collect()),
        cjs::SELF,
        quote(names.iter().copied().cloned().collect()),
    );
    for (i, name) in names.iter().enumerate() {
        let _ = writeln!(out, "const $e{i} = $m.{name};\nexport {{ $e{i} as {name} }};");
    }
    out
}
