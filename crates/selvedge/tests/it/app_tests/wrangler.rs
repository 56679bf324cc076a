//! What wrangler's file says about the build of a script holds for it and for its tests.

use super::says;
use crate::harness::Place;

const WRANGLER: &str = "{\n  // A comment.\n  \"name\": \"shaders\",\n  \"main\": \"src/index.ts\",\n  \
    \"define\": { \"VERSION\": \"'1.2'\", \"process.env.STAGE\": \"\\\"prod\\\"\", \"config\": \"{\\\"depth\\\":2}\" },\n  \
    \"alias\": { \"heavy\": \"./src/light.ts\", \"deep/er\": \"./src\" },\n  \
    \"rules\": [{ \"type\": \"Text\", \"globs\": [\"**/*.glsl\"], \"fallthrough\": true }, { \"type\": \"Data\", \"globs\": [\"*.dat\"] }]\n}\n";

const APP: &str = "import heavy from 'heavy';\nimport { light } from 'deep/er/light.ts';\n\
    import shader from './main.glsl';\nimport data from './some.dat';\n\
    declare const VERSION: string; declare const config: { depth: number };\n\
    export const local = (() => { const VERSION = 'own'; return VERSION; })();\n\
    export default {\n  fetch: () => Response.json([VERSION, process.env.STAGE, config.depth, heavy, light, shader, data.byteLength, local]),\n};\n";

fn files(wrangler: &str) -> [(&str, &str); 6] {
    [
        ("wrangler.jsonc", wrangler),
        ("src/index.ts", APP),
        ("src/light.ts", "export const light = 'l';\nexport default 'light';\n"),
        ("src/main.glsl", "void main() {}"),
        ("src/some.dat", "1234"),
        (
            "a.test.ts",
            "import { expect, SELF, test } from 'selvedge:test';\nimport heavy from 'heavy';\n\
             test('is built so', async () => {\n  \
             expect(await (await SELF.fetch('/')).json()).toEqual(['1.2', 'prod', 2, 'light', 'l', 'void main() {}', 4, 'own']);\n  \
             expect([heavy, VERSION]).toEqual(['light', '1.2']);\n});\n",
        ),
    ]
}

#[test]
fn names_are_defined_modules_stand_for_others_and_rules_tell_files() {
    let place = Place::new();
    let project = place.project("project", &files(WRANGLER));
    says(&place.test(&project, &[]), 0, &["1 passed (1)"]);
}

#[test]
fn what_can_not_be_built_so_is_said() {
    let place = Place::new();
    let project = place.project("one", &files(&WRANGLER.replace("'1.2'", "1 +")));
    says(&place.test(&project, &[]), 2, &["`define` of VERSION"]);
    let project = place.project("two", &files(&WRANGLER.replace("\"Text\"", "\"PythonModule\"")));
    says(&place.test(&project, &[]), 2, &["modules of the type `PythonModule` are not supported"]);
    let project = place.project("three", &files(&WRANGLER.replace("./src/light.ts", "./src/gone.ts")));
    says(&place.test(&project, &[]), 2, &["./src/gone.ts", "src/index.ts:1:19"]);
}
