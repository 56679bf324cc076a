//! Builds a script and writes its artifact: `artifact ENTRY OUT`. The engine's prelude is made
//! with it (see `cargo xtask engine-guest`).

use std::path::Path;
use std::process::ExitCode;

use base::Artifact;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [entry, out] = arguments.as_slice() else {
        eprintln!("usage: artifact ENTRY OUT");
        return ExitCode::from(2);
    };
    let entry = Path::new(entry);
    let root = entry.parent().unwrap_or(Path::new("."));
    let name = Path::new(entry.file_name().unwrap_or_default());
    let options = selvedge_script::Options { source_maps: false, ..selvedge_script::Options::default() };
    match selvedge_script::build(root, name, &options) {
        Ok(built) => match std::fs::write(out, Artifact::Script(built.script).encode()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{out}: {error}");
                ExitCode::FAILURE
            }
        },
        Err(errors) => {
            eprintln!("{errors}");
            ExitCode::FAILURE
        }
    }
}
