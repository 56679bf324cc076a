use base::Artifact;
use base::builtin::{self, FEATURES, MODULES};

use super::{PREFIX, Prelude, feature_name, has_word};

fn committed() -> Prelude {
    match Artifact::decode(include_bytes!("../../../../../engine-guest/dist/prelude.artifact")) {
        Ok(Artifact::Script(script)) => Prelude::new(script),
        _ => panic!("the prelude is a script"),
    }
}

#[test]
fn what_is_named_is_there_and_in_no_image() {
    let prelude = committed();
    let features = FEATURES.iter().map(|f| feature_name(f.name).replace(PREFIX, ""));
    for file in features.chain(MODULES.iter().map(|m| builtin::module_file(m))) {
        let needed = prelude.needed_by(&file).unwrap_or_else(|| panic!("{file} is missing"));
        assert!(needed.iter().any(|&i| prelude.module(i).name == file), "{file} is part of the base");
    }
}

#[test]
fn what_is_there_is_named() {
    let prelude = committed();
    for file in (0..prelude.script.modules.len() as u32).map(|i| prelude.module(i).name.clone()) {
        let named = match file.split_once('/') {
            Some(("features", rest)) if !rest.contains('/') => {
                FEATURES.iter().any(|f| format!("{}.ts", f.name) == rest)
            }
            Some(("cloudflare", _)) => MODULES.iter().any(|m| builtin::module_file(m) == file),
            _ => true,
        };
        assert!(named, "{file} is named nowhere");
    }
}

#[test]
fn a_word_is_found_where_it_stands_alone() {
    for found in ["Cache", "(Cache)", "x.Cache;", "CacheX Cache"] {
        assert!(has_word(found.as_bytes(), "Cache"), "{found}");
    }
    for other in ["Cache-Control", "CacheStorage", "MyCache", "x-Cache", "Cache_", "cache", ""] {
        assert!(!has_word(other.as_bytes(), "Cache"), "{other}");
    }
    assert!(has_word(b"import 'node:fs'", "node:"));
}
