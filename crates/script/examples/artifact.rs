//! Builds scripts and writes them as one artifact: `artifact OUT ROOT ENTRY [ENTRY …]`. The first
//! entry is the artifact's; the others bring modules that are loaded by name. The engine's prelude is
//! made with it (see `cargo xtask engine-guest`). Beside it, as `.exports`, goes what the modules of the
//! platform among them export: a line each, with the specifier and the names.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use base::Artifact;
use base::artifact::Script;
use base::builtin;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, root, entries @ ..] = arguments.as_slice() else {
        eprintln!("usage: artifact OUT ROOT ENTRY [ENTRY …]");
        return ExitCode::from(2);
    };
    let result = build(Path::new(root), entries).and_then(|(script, exports)| {
        let beside = Path::new(out).with_extension("exports");
        let written = write(Path::new(out), &Artifact::Script(script).encode());
        written.and_then(|()| write(&beside, exports.as_bytes())).map_err(|e| format!("{out}: {e}"))
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// A file that has this content already stays as it is: nearly every crate is compiled again after the exports changed.
fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    match std::fs::read(path) {
        Ok(found) if found == content => Ok(()),
        _ => std::fs::write(path, content),
    }
}

fn build(root: &Path, entries: &[String]) -> Result<(Script, String), String> {
    let options = selvedge_script::Options { source_maps: false, ..selvedge_script::Options::default() };
    let mut whole = Script { entry: 0, modules: Vec::new(), warm: None };
    let mut exports = String::new();
    let mut places = HashMap::new();
    for (number, entry) in entries.iter().enumerate() {
        let built = selvedge_script::build(root, Path::new(entry), &options).map_err(|errors| errors.to_string())?;
        let specifier = builtin::MODULES.iter().find(|specifier| builtin::module_file(specifier) == *entry);
        if let (Some(specifier), Some(names)) = (specifier, built.exports) {
            let names: Vec<String> = names.into_iter().collect();
            let _ = writeln!(exports, "{specifier} {}", names.join(" "));
        }
        let names: Vec<String> = built.script.modules.iter().map(|module| module.name.clone()).collect();
        let first = whole.modules.len();
        for module in built.script.modules {
            if !places.contains_key(&module.name) {
                places.insert(module.name.clone(), whole.modules.len() as u32);
                whole.modules.push(module);
            }
        }
        // Where a module lies in this build, it need not lie in the whole.
        for module in &mut whole.modules[first..] {
            for (_, target) in &mut module.imports {
                *target = places[&names[*target as usize]];
            }
        }
        if number == 0 {
            whole.entry = places[&names[built.script.entry as usize]];
        }
    }
    Ok((whole, exports))
}
