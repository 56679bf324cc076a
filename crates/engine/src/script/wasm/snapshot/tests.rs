use proptest::prelude::*;

use super::*;

fn made() -> impl Strategy<Value = Made> {
    let ids = || proptest::collection::vec(any::<u32>(), 0..4);
    let recipe = (any::<u32>(), ids(), ids(), ids(), ids()).prop_map(|(module, memories, tables, globals, refs)| {
        Made::Instance(Recipe { module, memories, tables, globals, refs })
    });
    let table = (any::<u32>(), any::<Option<u32>>()).prop_map(|(min, max)| Made::Table { min, max });
    let global = (prop::sample::select(vec!['i', 'I', 'f', 'd']), any::<bool>())
        .prop_map(|(letter, mutable)| Made::Global { letter, mutable });
    prop_oneof![recipe, table, global]
}

proptest! {
    #[test]
    fn a_snapshot_is_read_as_it_was_written(
        made in proptest::collection::vec(made(), 0..8),
        globals in proptest::collection::vec(any::<(u32, u128)>(), 0..4),
        changed in proptest::collection::vec(any::<(u32, Option<(u32, u32)>)>(), 0..4),
        windows in proptest::collection::vec(any::<(u32, u32)>(), 0..4),
    ) {
        let tables = vec![TableState { length: 7, changed }, TableState::default()];
        let windows = windows.into_iter().map(|(base, bytes)| Window { base, bytes }).collect();
        let snapshot = Snapshot { made, globals, tables, windows };
        let mut out = Encoder::default();
        snapshot.encode(&mut out);
        prop_assert_eq!(Snapshot::decode(&mut Decoder::new(&out.0)).unwrap(), snapshot);
    }

    #[test]
    fn nonsense_is_no_snapshot_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = Snapshot::decode(&mut Decoder::new(&bytes));
    }
}

#[test]
fn values_keep_their_bits() {
    for value in [Val::I32(-5), Val::I64(i64::MIN), Val::F32(f32::NAN.to_bits()), Val::F64(0.1f64.to_bits())] {
        let (letter, bits) = state::bits(&value).unwrap();
        assert_eq!(state::bits(&state::value(letter, bits).unwrap()), Some((letter, bits)));
    }
}
