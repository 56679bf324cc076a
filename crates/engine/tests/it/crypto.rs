//! What scripts can do with `crypto`.

use base::Body;

use crate::fixture::*;

/// A script whose handler answers what `run` gives.
fn answering(run: &str) -> Setup {
    setup(&format!(
        "const {{ subtle }} = crypto;
         const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, '0')).join('');
         const utf8 = (text) => new TextEncoder().encode(text);
         const failure = (promise) => promise.then(() => 'none', (error) => error.name);
         export default {{ async fetch(request, env, ctx) {{ return new Response(String(await run())) }} }};
         async function run() {{ {run} }}"
    ))
}

async fn answer(run: &str) -> String {
    answering(run).start().text(get("http://a.test/")).await
}

#[test]
fn what_another_implementation_made_is_understood_and_made_alike() {
    on_core(async {
        let app = setup(include_str!("../fixtures/crypto/vectors.js")).limits(|limits| limits.cpu_ms = 100_000).start();
        let vectors = include_str!("../fixtures/crypto/vectors.json");
        assert_eq!(app.text(post("http://a.test/", Body::full(vectors))).await, "");
    });
}
