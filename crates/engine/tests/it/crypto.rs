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

#[test]
fn keys_of_every_kind_are_generated_and_used() {
    on_core(async {
        let app = answering(
            "const rsa = { modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' };
             const data = utf8('a message');
             const said = [];
             for (const [algorithm, params] of [
               [{ name: 'RSASSA-PKCS1-v1_5', ...rsa }, {}], [{ name: 'RSA-PSS', ...rsa }, { saltLength: 32 }],
               [{ name: 'ECDSA', namedCurve: 'P-256' }, { hash: 'SHA-256' }],
               [{ name: 'ECDSA', namedCurve: 'P-384' }, { hash: 'SHA-1' }],
               [{ name: 'ECDSA', namedCurve: 'P-521' }, { hash: 'SHA-512' }], [{ name: 'Ed25519' }, {}],
             ]) {
               const { privateKey, publicKey } = await subtle.generateKey(algorithm, false, ['sign', 'verify']);
               const use = { name: algorithm.name, ...params };
               const signature = await subtle.sign(use, privateKey, data);
               said.push(signature.byteLength, await subtle.verify(use, publicKey, signature, data), publicKey.extractable);
             }
             for (const algorithm of [{ name: 'ECDH', namedCurve: 'P-384' }, { name: 'X25519' }]) {
               const [a, b] = [await subtle.generateKey(algorithm, true, ['deriveBits']), await subtle.generateKey(algorithm, true, ['deriveBits'])];
               const one = await subtle.deriveBits({ name: algorithm.name, public: b.publicKey }, a.privateKey, 256);
               const other = await subtle.deriveBits({ name: algorithm.name, public: a.publicKey }, b.privateKey, 256);
               said.push(hex(one) === hex(other), one.byteLength);
             }
             for (const name of ['AES-CBC', 'AES-CTR', 'AES-GCM', 'AES-KW', 'HMAC']) {
               const usages = name === 'HMAC' ? ['sign'] : ['wrapKey'];
               const key = await subtle.generateKey({ name, length: 192, hash: 'SHA-384' }, true, usages);
               said.push((await subtle.exportKey('raw', key)).byteLength, key.type);
             }
             return said.join(' ');",
        );
        let app = app.limits(|limits| limits.cpu_ms = 100_000).start();
        assert_eq!(
            app.text(get("http://a.test/")).await,
            "256 true true 256 true true 64 true true 96 true true 132 true true 64 true true true 32 true 32 \
             24 secret 24 secret 24 secret 24 secret 24 secret"
        );
    });
}

#[test]
fn keys_are_derived_wrapped_and_unwrapped() {
    on_core(async {
        let run = "const secret = await subtle.importKey('raw', utf8('correct horse'), 'PBKDF2', false, ['deriveKey']);
            const wrapping = await subtle.deriveKey(
              { name: 'PBKDF2', hash: 'SHA-256', salt: utf8('salt'), iterations: 10 }, secret,
              { name: 'AES-GCM', length: 256 }, false, ['wrapKey', 'unwrapKey']);
            const key = await subtle.generateKey({ name: 'HMAC', hash: 'SHA-256' }, true, ['sign', 'verify']);
            const use = { name: 'AES-GCM', iv: utf8('twelve bytes') };
            const said = [wrapping.type, wrapping.extractable, wrapping.usages, wrapping.algorithm.length];
            for (const format of ['raw', 'jwk']) {
              const wrapped = await subtle.wrapKey(format, key, wrapping, use);
              const again = await subtle.unwrapKey(format, wrapped, wrapping, use, { name: 'HMAC', hash: 'SHA-256' }, true, ['verify']);
              said.push(await subtle.verify('HMAC', again, await subtle.sign('HMAC', key, utf8('x')), utf8('x')));
            }
            return said.join(' ')";
        assert_eq!(answer(run).await, "secret false wrapKey,unwrapKey 256 true true");
    });
}

#[test]
fn what_a_key_may_not_do_fails_by_the_name_that_the_standard_has() {
    on_core(async {
        let run = "const key = await subtle.generateKey({ name: 'AES-GCM', length: 128 }, false, ['encrypt']);
            const iv = utf8('twelve bytes');
            const gcm = { name: 'AES-GCM', iv };
            return [
              await failure(subtle.decrypt(gcm, key, utf8('x'))),
              await failure(subtle.encrypt({ name: 'AES-CBC', iv: new Uint8Array(16) }, key, utf8('x'))),
              await failure(subtle.encrypt({ name: 'AES-GCM', iv, tagLength: 100 }, key, utf8('x'))),
              await failure(subtle.encrypt({ name: 'AES-GCM' }, key, utf8('x'))),
              await failure(subtle.encrypt(gcm, {}, utf8('x'))),
              await failure(subtle.exportKey('raw', key)),
              await failure(subtle.generateKey({ name: 'AES-GCM', length: 100 }, true, ['encrypt'])),
              await failure(subtle.generateKey({ name: 'AES-GCM', length: 128 }, true, ['sign'])),
              await failure(subtle.generateKey({ name: 'AES-GCM', length: 128 }, true, [])),
              await failure(subtle.generateKey({ name: 'AES-GCM', length: 128 }, true, ['paint'])),
              await failure(subtle.generateKey('DES', true, ['encrypt'])),
              await failure(subtle.importKey('raw', new Uint8Array(5), 'AES-GCM', true, ['encrypt'])),
              await failure(subtle.importKey('spki', new Uint8Array(5), { name: 'ECDSA', namedCurve: 'P-256' }, true, ['verify'])),
              await failure(subtle.importKey('raw', new Uint8Array(65), { name: 'ECDSA', namedCurve: 'P-256' }, true, ['verify'])),
              await failure(subtle.importKey('jwk', { kty: 'oct', k: 'AAA=' }, { name: 'HMAC', hash: 'SHA-256' }, true, ['sign'])),
              await failure(subtle.digest('SHA-3', utf8('x'))),
              await failure(subtle.digest('SHA-256', 'x')),
            ].join(' ')";
        assert_eq!(
            answer(run).await,
            "InvalidAccessError InvalidAccessError OperationError TypeError TypeError InvalidAccessError OperationError \
             SyntaxError SyntaxError TypeError NotSupportedError DataError DataError DataError DataError \
             NotSupportedError TypeError"
        );
    });
}

#[test]
fn data_that_was_changed_is_neither_opened_nor_verified() {
    on_core(async {
        let run = "const said = [];
            for (const [iv, tagLength] of [[12, 128], [12, 96], [32, 128], [16, 32]]) {
              const key = await subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
              const use = { name: 'AES-GCM', iv: new Uint8Array(iv), tagLength, additionalData: utf8('head') };
              const sealed = new Uint8Array(await subtle.encrypt(use, key, utf8('a message')));
              said.push(new TextDecoder().decode(await subtle.decrypt(use, key, sealed)));
              said.push(await failure(subtle.decrypt({ ...use, additionalData: utf8('Head') }, key, sealed)));
              sealed[3] ^= 1;
              said.push(await failure(subtle.decrypt(use, key, sealed)));
            }
            return said.join(' ')";
        let once = "a message OperationError OperationError";
        assert_eq!(answer(run).await, [once; 4].join(" "));
    });
}

#[test]
fn a_key_survives_a_structured_clone() {
    on_core(async {
        let run = "const key = await subtle.generateKey({ name: 'HMAC', hash: 'SHA-1' }, false, ['sign', 'verify']);
            const { copy, again } = structuredClone({ copy: key, again: key });
            key.algorithm.name = 'changed'; key.usages.length = 0;
            const signature = await subtle.sign('HMAC', key, utf8('x'));
            return [copy instanceof CryptoKey, copy === again, copy === key, copy.algorithm.name, copy.usages,
              await subtle.verify('HMAC', copy, signature, utf8('x'))].join(' ')";
        assert_eq!(answer(run).await, "true true false HMAC sign,verify true");
    });
}

#[test]
fn modules_may_digest_and_import_keys_while_they_are_evaluated_but_not_draw_randomness() {
    on_core(async {
        let app = setup(
            "const { subtle } = crypto;
             const digest = new Uint8Array(await subtle.digest('SHA-256', new Uint8Array(0)))[0];
             const key = await subtle.importKey('raw', new Uint8Array(32), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
             const refused = await subtle.generateKey('Ed25519', true, ['sign']).catch((error) => error.code);
             export default { async fetch() {
               return new Response([digest, refused, (await subtle.sign('HMAC', key, new Uint8Array(1))).byteLength].join(' ')) } }",
        )
        .start();
        assert_eq!(app.text(get("http://a.test/")).await, "227 io_at_start 32");
    });
}

#[test]
fn a_stream_is_digested_as_it_passes() {
    on_core(async {
        let run = "const bytes = Uint8Array.from({ length: 150_000 }, (_, i) => i);
            const said = [];
            for (const algorithm of ['SHA-256', 'SHA-512', 'SHA-1', 'MD5']) {
              const stream = new crypto.DigestStream(algorithm);
              await new Blob([bytes]).stream().pipeTo(stream);
              said.push(hex(await stream.digest) === hex(await subtle.digest(algorithm, bytes)), stream.bytesWritten);
            }
            const stream = new crypto.DigestStream('SHA-256');
            const writer = stream.getWriter();
            await writer.write('a');
            await writer.abort(new Error('enough'));
            said.push(await failure(stream.digest));
            return said.join(' ')";
        assert_eq!(answer(run).await, "true 150000 true 150000 true 150000 true 150000 Error");
    });
}

#[test]
fn bytes_are_compared_in_constant_time() {
    on_core(async {
        let run = "const bytes = crypto.getRandomValues(new Uint8Array(40_000));
            const other = bytes.slice(); other[39_999] ^= 1;
            let refused; try { subtle.timingSafeEqual(bytes, bytes.slice(1)) } catch (error) { refused = error.name }
            return [subtle.timingSafeEqual(bytes, bytes.slice()), subtle.timingSafeEqual(bytes, other),
              subtle.timingSafeEqual(new ArrayBuffer(0), new Uint8Array(0)), refused].join(' ')";
        assert_eq!(answer(run).await, "true false true TypeError");
    });
}

const DERIVE: &str = "const key = await subtle.importKey('raw', utf8('password'), 'PBKDF2', false, ['deriveBits']);
    const derive = (iterations, bits) => subtle.deriveBits({ name: 'PBKDF2', hash: 'SHA-512', salt: utf8('salt'), iterations }, key, bits);";

#[test]
fn iterations_of_pbkdf2_are_bounded() {
    on_core(async {
        let run = format!(
            "{DERIVE} const code = (promise) => promise.then(() => 'done', (error) => `${{error.name}} ${{error.code}}`);
             return [await code(derive(1000, 512)), await code(derive(1001, 512)), await code(derive(501, 1024))].join()"
        );
        let app = answering(&run).limits(|limits| limits.pbkdf2_iterations = 1000).start();
        let refused = "OperationError too_many_iterations";
        assert_eq!(app.text(get("http://a.test/")).await, format!("done,{refused},{refused}"));
    });
}

#[test]
fn computations_off_the_core_are_charged_to_their_request() {
    on_core(async {
        let run = format!("{DERIVE} for (let i = 0; i < 3; i++) await derive(20_000, 512); return 'done'");
        let app = answering(&run).start();
        assert_eq!(app.text(get("http://a.test/")).await, "done");
        let records = app.kept.records.lock().unwrap();
        let cpu = records[0].invocations[0].usage.cpu;
        assert!(cpu > std::time::Duration::from_millis(10), "{cpu:?}");
    });
}

#[test]
fn a_request_whose_computations_used_up_its_time_starts_no_more() {
    on_core(async {
        let run = format!(
            "{DERIVE} const all = await Promise.allSettled(Array.from({{ length: 50 }}, () => derive(20_000, 512)));
             const refused = all.filter(({{ reason }}) => reason?.code === 'cpu_exceeded').length;
             return refused > 0 && refused < 50"
        );
        let app = answering(&run).limits(|limits| limits.cpu_ms = 40).start();
        // Either the script hears of it, or it was ended by then.
        let ended = match app.run(get("http://a.test/")).await {
            Ok(response) => collect(response).await == "true",
            Err(failure) => failure.code.name == "cpu_exceeded",
        };
        assert!(ended);
    });
}
