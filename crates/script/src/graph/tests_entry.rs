//! The entry of the worker that a file of tests becomes.

use super::*;
use crate::name::name_of;

/// The entry's name in stack traces; whatever begins so is the platform's own.
const NAME: &str = "selvedge:tests";

pub(crate) fn build_test(root: &Path, file: &Path, globals: bool, options: &Options) -> Result<Built, BuildErrors> {
    let (root, file) = read::entry(root, file)?;
    let name = name_of(&root, &file).unwrap_or_else(|| file.to_string_lossy().into_owned());
    let specifier = serde_json::Value::from(if name.starts_with("../") { name } else { format!("./{name}") });
    // The file is imported by the first event, not when the worker starts: a test may do at its top
    // what a worker may only do in a handler.
    let text = format!(
        "import {{ serve }} from \"selvedge:test/runner\";\n\
         export default serve(() => import({specifier}), {{ globals: {globals} }});\n"
    );
    let path = root.join(".selvedge-tests.mjs");
    let mut graph = Graph { tests: Some(file), ..Graph::new(root, options)? };
    let start = graph.push(NAME.into(), path, Body::Failed).and_then(|entry| {
        graph.fill_script(entry, SourceType::mjs(), text);
        let start = graph.walk(entry)?;
        graph.replace_mocked()?;
        Ok(start)
    });
    graph.finish(start)
}
