use base::SystemRng;

use super::*;

fn sealed(size: usize) -> (Vec<u8>, Vec<u8>, PieceKey) {
    let (key, name) = (AppKey::create(&SystemRng), ContentId([7; 16]));
    let plain: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
    let mut sealer = Sealer::new(key.piece(name));
    let mut out = Vec::new();
    plain.chunks(10_007).for_each(|bytes| sealer.push(bytes, &mut out));
    sealer.finish(&mut out);
    (plain, out, key.piece(name))
}

fn open(sealed: &[u8], key: &PieceKey) -> Option<Vec<u8>> {
    let chunks = sealed.chunks(SEALED_CHUNK_BYTES);
    let count = chunks.len() as u64;
    let mut plain = Vec::new();
    for (n, chunk) in chunks.enumerate() {
        plain.extend_from_slice(key.open(n as u64, n as u64 + 1 == count, &mut chunk.to_vec())?);
    }
    Some(plain)
}

#[test]
fn what_was_sealed_opens_and_nothing_else_does() {
    for size in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 200_000] {
        let (plain, sealed, key) = sealed(size);
        assert_eq!(sealed.len() as u64, sealed_size(size as u64));
        assert_eq!(open(&sealed, &key).as_ref(), Some(&plain), "{size} bytes");
        for at in [0, sealed.len() / 2, sealed.len() - 1] {
            let mut rotten = sealed.clone();
            rotten[at] ^= 1;
            assert_eq!(open(&rotten, &key), None, "{size} bytes, rot at {at}");
        }
        if sealed.len() > SEALED_CHUNK_BYTES {
            assert_eq!(open(&sealed[..SEALED_CHUNK_BYTES], &key), None, "{size} bytes, cut off");
        }
    }
}

#[test]
fn an_app_key_opens_with_its_node_key_for_its_app_only() {
    let dir = tempfile::tempdir().expect("a directory");
    let (data, keys) = (dir.path().join("data"), dir.path().join("keys"));
    std::fs::create_dir(&data).expect("a directory");
    let node = |name: &str| NodeKey::load(&keys.join(name), &data, &SystemRng, None).ok().expect("a key");
    let app = |name: &str| {
        let (tenant, app) = (base::TenantName::parse("acme"), base::AppName::parse(name));
        AppId::new(tenant.expect("a name"), app.expect("a name"))
    };
    let key = AppKey::create(&SystemRng);
    let wrapped = key.wrap(&node("one"), &app("shop"), &SystemRng);
    assert!(AppKey::unwrap(wrapped.clone(), &node("one"), &app("shop")).is_some());
    assert!(AppKey::unwrap(wrapped.clone(), &node("two"), &app("shop")).is_none());
    assert!(AppKey::unwrap(wrapped, &node("one"), &app("blog")).is_none());
}
