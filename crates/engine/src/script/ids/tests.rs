use super::*;

#[test]
fn ids_that_follow_each_other_are_all_found() {
    let mut map = IdMap::default();
    let ids = || (1..2_000).chain(u32::MAX - 2_000..=u32::MAX);
    map.extend(ids().map(|id| (id, id)));
    assert!(ids().all(|id| map.remove(&id) == Some(id)));
    assert!(map.is_empty());
}

#[test]
fn neighbours_differ_in_what_a_map_looks_at() {
    let hash = |id: u32| {
        let mut hasher = IdHasher::default();
        hasher.write_u32(id);
        hasher.finish()
    };
    let places: std::collections::HashSet<u64> = (0..256).map(|id| hash(id) % 1_024).collect();
    let marks: std::collections::HashSet<u64> = (0..128).map(|id| hash(id) >> 57).collect();
    assert!(places.len() > 192 && marks.len() > 64, "{} places, {} marks", places.len(), marks.len());
}
