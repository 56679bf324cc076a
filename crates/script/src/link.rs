//! Joins imports to exports: every name that an ES module imports must exist, once. The engine would
//! find out too, but without a line to show. For CommonJS the names are collected instead: what an
//! import asks for, its facade provides.

use std::collections::{BTreeSet, HashSet};

use base::builtin;

use crate::error::{BuildError, ErrorKind};
use crate::graph::{Body, Node};
use crate::scan::{Export, Import, ImportKind};

/// Names that a message lists.
const NAMES_MAX: usize = 8;

/// Where an export was found.
#[derive(PartialEq, Eq, Clone)]
enum Found {
    /// The module and its own name for the export.
    At(u32, String),
    Missing,
    /// Two modules, each reached by an `export *`.
    Twice(u32, u32),
}

pub(crate) fn link(nodes: &mut [Node]) -> Vec<BuildError> {
    let mut asked = Vec::new();
    let mut errors = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let (Body::Esm(compiled) | Body::CommonJs(compiled)) = &node.body else { continue };
        for import in &compiled.scan.imports {
            let Some(target) = node.edge(&import.specifier) else { continue };
            match &nodes[target as usize].body {
                Body::ImportFacade { .. } | Body::Mocked { .. } => {
                    let names = import.names.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
                    asked.push((target, names, import.namespace));
                }
                Body::JsonFacade { .. } => {
                    let names = import.names.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
                    asked.push((target, names, import.namespace));
                    errors.extend(check(nodes, index as u32, target, import));
                }
                _ => errors.extend(check(nodes, index as u32, target, import)),
            }
        }
    }
    for (facade, wanted, whole) in asked {
        if let Body::ImportFacade { names, namespace, .. }
        | Body::JsonFacade { names, namespace, .. }
        | Body::Mocked { names, namespace, .. } = &mut nodes[facade as usize].body
        {
            names.extend(wanted);
            *namespace |= whole;
        }
    }
    for index in 0..nodes.len() {
        let Body::ImportFacade { of, namespace: true, .. } = nodes[index].body else { continue };
        let found = commonjs_names(nodes, of, &mut HashSet::new());
        if let Body::ImportFacade { names, .. } = &mut nodes[index].body {
            names.extend(found);
        }
    }
    name_mocked(nodes);
    errors
}

/// What a test replaces has the names that are asked for, and where all are, those of the module itself.
fn name_mocked(nodes: &mut [Node]) {
    for index in 0..nodes.len() {
        let Body::Mocked { of, namespace: true, .. } = nodes[index].body else { continue };
        let found = export_names(nodes, of, &mut HashSet::new());
        if let Body::Mocked { names, .. } = &mut nodes[index].body {
            names.extend(found);
        }
    }
}

/// Checks the names of one import of an ES module or a data file.
fn check(nodes: &[Node], importer: u32, target: u32, import: &Import) -> Vec<BuildError> {
    let from = &nodes[importer as usize];
    let mut errors = Vec::new();
    for (name, span) in &import.names {
        let place = |message: String| {
            let error = BuildError::new(ErrorKind::Export, &from.name, message);
            error.at(&from.original, span.start as usize, span.end as usize)
        };
        let target_name = &nodes[target as usize].name;
        match find(nodes, target, name, &mut HashSet::new()) {
            Found::At(..) => {}
            Found::Missing => {
                let message = match name.as_str() {
                    "default" => format!("{target_name} has no default export"),
                    name => format!("{target_name} has no export \"{name}\""),
                };
                errors.push(place(message).help(missing_help(nodes, from, target, name)));
            }
            Found::Twice(a, b) => {
                let (a, b) = (&nodes[a as usize].name, &nodes[b as usize].name);
                let message = format!("\"{name}\" of {target_name} is ambiguous: {a} and {b} both export it");
                errors.push(place(message).help("export it by name instead of by export *"));
            }
        }
    }
    errors
}

fn missing_help(nodes: &[Node], importer: &Node, target: u32, name: &str) -> String {
    let all = export_names(nodes, target, &mut HashSet::new());
    let near = all.iter().map(|n| (strsim::damerau_levenshtein(n, name), n)).min();
    if let Some((_, near)) = near.filter(|(d, n)| *d <= 2 && *d < n.chars().count()) {
        return format!("did you mean \"{near}\"?");
    }
    let typed = [".ts", ".mts", ".tsx"].iter().any(|e| importer.name.ends_with(e));
    let mut help = match all.is_empty() {
        true => "it exports nothing".to_string(),
        false => {
            let more = if all.len() > NAMES_MAX { ", …" } else { "" };
            let names: Vec<_> = all.iter().take(NAMES_MAX).map(String::as_str).collect();
            format!("it exports {}{more}", names.join(", "))
        }
    };
    if typed && name != "default" {
        help += &format!("\nif {name} is a type, import or export it with the word type");
    }
    help
}

/// ResolveExport of the ECMAScript specification (16.2.1.7.2), for our kinds of modules.
fn find(nodes: &[Node], module: u32, name: &str, seen: &mut HashSet<(u32, String)>) -> Found {
    let node = &nodes[module as usize];
    let here = || Found::At(module, name.to_string());
    let compiled = match &node.body {
        Body::Esm(compiled) => compiled,
        // A facade of CommonJS has what is asked of it.
        Body::ImportFacade { .. } | Body::Mocked { .. } => return here(),
        Body::Builtin if !builtin::exports(&node.name).any(|known| known == name) => return Found::Missing,
        Body::JsonFacade { keys, .. } if name != "default" && !keys.contains(name) => return Found::Missing,
        Body::Data(..) | Body::Written(_) if name != "default" => return Found::Missing,
        _ => return here(),
    };
    if !seen.insert((module, name.to_string())) {
        return Found::Missing;
    }
    match compiled.scan.exports.get(name) {
        Some(Export::Local) => return here(),
        Some(Export::From { specifier, name }) => {
            return node.edge(specifier).map_or(Found::Missing, |target| find(nodes, target, name, seen));
        }
        None if name == "default" => return Found::Missing,
        None => {}
    }
    let mut found = Found::Missing;
    for target in stars(node) {
        if let Body::ImportFacade { of, .. } = nodes[target as usize].body
            && !commonjs_names(nodes, of, &mut HashSet::new()).contains(name)
        {
            continue;
        }
        if let Body::Mocked { of, .. } = nodes[target as usize].body
            && !export_names(nodes, of, &mut HashSet::new()).contains(name)
        {
            continue;
        }
        match (find(nodes, target, name, seen), &found) {
            (Found::Missing, _) => {}
            (other, Found::Missing) => found = other,
            (Found::At(a, name), Found::At(b, known)) if (a, &name) != (*b, known) => return Found::Twice(*b, a),
            (Found::Twice(a, b), _) => return Found::Twice(a, b),
            _ => {}
        }
    }
    found
}

fn stars(node: &Node) -> impl Iterator<Item = u32> {
    let imports = match &node.body {
        Body::Esm(compiled) => compiled.scan.imports.as_slice(),
        _ => &[],
    };
    imports.iter().filter(|i| i.kind == ImportKind::Star).filter_map(|i| node.edge(&i.specifier))
}

/// Every name that a module exports; `None` if its text does not tell all of them.
pub fn exports(nodes: &[Node], module: u32) -> Option<BTreeSet<String>> {
    let is_told = tells_its_exports(nodes, module, &mut HashSet::new());
    is_told.then(|| export_names(nodes, module, &mut HashSet::new()))
}

fn tells_its_exports(nodes: &[Node], module: u32, seen: &mut HashSet<u32>) -> bool {
    let node = &nodes[module as usize];
    match &node.body {
        Body::Esm(_) => !seen.insert(module) || stars(node).all(|target| tells_its_exports(nodes, target, seen)),
        Body::Builtin | Body::Data(..) | Body::JsonFacade { .. } | Body::Written(_) => true,
        _ => false,
    }
}

/// Every name that a module exports, `default` included.
fn export_names(nodes: &[Node], module: u32, seen: &mut HashSet<u32>) -> BTreeSet<String> {
    if !seen.insert(module) {
        return BTreeSet::new();
    }
    let node = &nodes[module as usize];
    match &node.body {
        Body::Esm(compiled) => {
            let mut names: BTreeSet<String> = compiled.scan.exports.keys().cloned().collect();
            for target in stars(node) {
                names.extend(export_names(nodes, target, seen).into_iter().filter(|n| n != "default"));
            }
            names
        }
        Body::ImportFacade { of, .. } => commonjs_names(nodes, *of, &mut HashSet::new()),
        Body::Builtin => builtin::exports(&node.name).map(String::from).collect(),
        Body::JsonFacade { keys, .. } => keys.iter().cloned().chain(["default".to_string()]).collect(),
        Body::RequireFacade { of } | Body::Mocked { of, .. } => export_names(nodes, *of, seen),
        _ => BTreeSet::from(["default".to_string()]),
    }
}

/// The names that the text of a CommonJS module shows, those of the modules that it passes on included.
fn commonjs_names(nodes: &[Node], module: u32, seen: &mut HashSet<u32>) -> BTreeSet<String> {
    let node = &nodes[module as usize];
    let Body::CommonJs(compiled) = &node.body else { return export_names(nodes, module, seen) };
    if !seen.insert(module) {
        return BTreeSet::new();
    }
    let mut names = compiled.scan.commonjs_names.clone();
    for specifier in &compiled.scan.commonjs_reexports {
        if let Some(target) = node.edge(&format!("{}{specifier}", crate::cjs::REQUIRE)) {
            names.extend(commonjs_names(nodes, target, seen).into_iter().filter(|n| n != "default"));
        }
    }
    names
}
