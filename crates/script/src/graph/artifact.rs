//! The modules of the artifact.

use base::artifact::{Module, ModuleKind};

use super::{Body, Node};
use crate::cjs;

/// A module per node, under the node's number; the bodies of CommonJS files follow them.
pub(super) fn modules(nodes: Vec<Node>) -> Vec<Module> {
    let mut bodies = Vec::new();
    let first = nodes.len() as u32;
    let mut modules: Vec<Module> = nodes.into_iter().map(|node| module(node, first, &mut bodies)).collect();
    modules.append(&mut bodies);
    modules
}

fn module(node: Node, first_body: u32, bodies: &mut Vec<Module>) -> Module {
    let js = |name, source: String, source_map, imports| Module {
        name,
        kind: ModuleKind::Js,
        source: source.into_bytes(),
        imports,
        source_map,
    };
    match node.body {
        Body::Esm(compiled) => js(node.name, compiled.text, compiled.map, node.edges),
        Body::CommonJs(compiled) => {
            let body = first_body + bodies.len() as u32;
            let (mut requires, imports): (Vec<_>, Vec<_>) =
                node.edges.into_iter().partition(|(specifier, _)| specifier.starts_with(cjs::REQUIRE));
            requires.insert(0, (cjs::BODY.into(), body));
            let source = cjs::module(&node.name, &node.requires);
            let name = format!("{}{}", node.name, cjs::MODULE_SUFFIX);
            bodies.push(Module {
                name: node.name,
                kind: ModuleKind::Classic,
                source: cjs::wrap_body(&compiled.text).into_bytes(),
                imports,
                source_map: compiled.map,
            });
            js(name, source, None, requires)
        }
        Body::ImportFacade { interop, names, .. } => {
            js(node.name, cjs::import_facade(&names, interop), None, node.edges)
        }
        Body::Mocked { specifiers, names, .. } => {
            let source = super::mocked::facade(&specifiers, &names, node.edges.len() > 2);
            js(node.name, source, None, node.edges)
        }
        Body::JsonFacade { keys, names, namespace } => {
            let named = keys.into_iter().filter(|key| namespace || names.contains(key)).collect();
            js(node.name, cjs::json_facade(&named), None, node.edges)
        }
        Body::RequireFacade { .. } => js(node.name, cjs::require_facade(), None, node.edges),
        Body::Builtin => Module {
            name: node.name,
            kind: ModuleKind::Builtin,
            source: Vec::new(),
            imports: node.edges,
            source_map: None,
        },
        Body::Written(text) => js(node.name, text, None, node.edges),
        Body::Data(kind, bytes) => {
            Module { name: node.name, kind, source: bytes, imports: node.edges, source_map: None }
        }
        Body::Failed => unreachable!("a failed file is an error of the build"),
    }
}
