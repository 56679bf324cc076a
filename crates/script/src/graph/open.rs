//! Dynamic imports of which nothing is known when the app is built: `import(name)`. They find, under
//! the specifiers that would have led there, the modules of the app that are in the script anyway.

use super::*;
use crate::name::name_of;

impl Graph<'_> {
    pub(super) fn open_imports(&mut self) -> Result<(), Stop> {
        let count = self.nodes.len() as u32;
        let is_own = |node: &Node| !node.path.as_os_str().is_empty() && !is_in_packages(&node.path);
        let importers: Vec<u32> = (0..count).filter(|&i| is_own(&self.nodes[i as usize]) && self.is_open(i)).collect();
        if importers.is_empty() {
            return Ok(());
        }
        let own: Vec<u32> = (0..count).filter(|&i| is_own(&self.nodes[i as usize])).collect();
        for importer in importers {
            let directory = self.nodes[importer as usize].path.parent().map(Path::to_path_buf).unwrap_or_default();
            let mut more: Vec<(String, u32)> = Vec::new();
            for &target in &own {
                let path = self.nodes[target as usize].path.clone();
                let Some(name) = name_of(&directory, &path) else { continue };
                let relative = if name.starts_with("../") { name } else { format!("./{name}") };
                let (seen, _) = self.seen_by(importer, Asked::Import, target)?;
                if let Body::ImportFacade { namespace, .. } = &mut self.nodes[seen as usize].body {
                    *namespace = true;
                }
                let (folder, file) = relative.rsplit_once('/').unwrap_or((".", &relative));
                more.extend(pattern::spellings(file).map(|file| (format!("{folder}/{file}"), seen)));
            }
            // What the app's own modules import by name, every one of them may.
            for &other in &own {
                let named = self.nodes[other as usize].edges.iter().filter(|(specifier, _)| is_bare(specifier));
                more.extend(named.cloned());
            }
            let node = &mut self.nodes[importer as usize];
            for (specifier, target) in more {
                if node.edge(&specifier).is_none() {
                    node.edges.push((specifier, target));
                }
            }
        }
        Ok(())
    }

    fn is_open(&self, node: u32) -> bool {
        match &self.nodes[node as usize].body {
            Body::Esm(compiled) | Body::CommonJs(compiled) => compiled.scan.has_open_import,
            _ => false,
        }
    }
}

/// A package's name or an alias, as opposed to a path and to what the build writes.
fn is_bare(specifier: &str) -> bool {
    let is_written = [cjs::REQUIRE, cjs::SELF, compile::HELPERS].iter().any(|prefix| specifier.starts_with(prefix));
    !specifier.starts_with('.') && !is_written && attributes::split(specifier).1.is_none()
}
