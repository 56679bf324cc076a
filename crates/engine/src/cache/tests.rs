use super::*;

struct Bench {
    folder: tempfile::TempDir,
    cache: Cache,
}

const NAME: &[u8] = b"an image";

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Self::open(folder.path());
        Self { folder, cache }
    }

    fn open(folder: &Path) -> Cache {
        Cache::open(&folder.join("cache"), &folder.join("keys/engine.key")).expect("a cache")
    }

    fn name(&self) -> Digest {
        Digest::of(NAME)
    }

    fn stored(bytes: usize) -> Self {
        let bench = Self::new();
        bench.cache.store(Kind::Image, &bench.name(), &content(bytes));
        bench
    }

    fn is_sound(&self) -> bool {
        self.cache.is_sound(Kind::Image, &self.name())
    }

    fn file(&self) -> PathBuf {
        self.cache.path(Kind::Image, &self.name())
    }

    fn change(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(path).expect("it is there");
        change(&mut bytes);
        fs::write(path, bytes).expect("it can be written");
    }
}

/// No two pieces are alike.
fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}

const SIZES: [usize; 6] = [1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES, 3 * PIECE_BYTES + 77];

#[test]
fn what_was_stored_is_sound_for_this_node_alone() {
    for bytes in SIZES {
        let bench = Bench::stored(bytes);
        assert!(bench.is_sound(), "{bytes}");
        let again = Bench::open(bench.folder.path());
        assert!(again.is_sound(Kind::Image, &bench.name()), "{bytes}: the key is kept");
        fs::remove_file(bench.folder.path().join("keys/engine.key")).expect("it is there");
        let stranger = Bench::open(bench.folder.path());
        assert!(!stranger.is_sound(Kind::Image, &bench.name()), "{bytes}: another key");
    }
}

#[test]
fn a_damaged_file_is_ignored() {
    for bytes in SIZES {
        for at in [0, bytes / 2, bytes - 1] {
            let bench = Bench::stored(bytes);
            bench.change(&bench.file(), |content| content[at] ^= 1);
            assert!(!bench.is_sound(), "{bytes}: byte {at} changed");
        }
        let bench = Bench::stored(bytes);
        bench.change(&bench.file(), |content| content.truncate(bytes - 1));
        assert!(!bench.is_sound(), "{bytes}: cut short");
        let bench = Bench::stored(bytes);
        bench.change(&bench.file(), |content| content.push(0));
        assert!(!bench.is_sound(), "{bytes}: longer");
    }
}

#[test]
fn a_damaged_seal_is_no_seal() {
    let changes: [fn(&mut Vec<u8>); 6] = [
        |seal| seal[0] ^= 1,
        |seal| seal[SEAL_BYTES - 1] ^= 1,
        |seal| seal.truncate(seal.len() - 1),
        |seal| seal.truncate(seal.len() - SEAL_BYTES),
        |seal| seal.push(0),
        Vec::clear,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let bench = Bench::stored(2 * PIECE_BYTES);
        bench.change(&seal_path(&bench.file()), change);
        assert!(!bench.is_sound(), "change {number}");
    }
}

#[test]
fn pieces_are_bound_to_their_place() {
    // Two pieces, and their authenticators with them, change places.
    let bench = Bench::stored(2 * PIECE_BYTES);
    bench.change(&bench.file(), |content| content.rotate_left(PIECE_BYTES));
    bench.change(&seal_path(&bench.file()), |seal| seal.rotate_left(SEAL_BYTES));
    assert!(!bench.is_sound(), "swapped");

    // The last piece goes, with its authenticator.
    let bench = Bench::stored(2 * PIECE_BYTES);
    bench.change(&bench.file(), |content| content.truncate(PIECE_BYTES));
    bench.change(&seal_path(&bench.file()), |seal| seal.truncate(SEAL_BYTES));
    assert!(!bench.is_sound(), "a whole piece less");

    // All of it goes.
    bench.change(&bench.file(), Vec::clear);
    bench.change(&seal_path(&bench.file()), Vec::clear);
    assert!(!bench.is_sound(), "nothing");
}

#[test]
fn a_file_is_not_another() {
    let bench = Bench::stored(100);
    for (kind, name) in [(Kind::Component, bench.name()), (Kind::Image, Digest::of(b"another"))] {
        let path = bench.cache.path(kind, &name);
        fs::copy(bench.file(), &path).expect("a copy");
        fs::copy(seal_path(&bench.file()), seal_path(&path)).expect("a copy");
        assert!(!bench.cache.is_sound(kind, &name), "{kind:?}");
    }
}
