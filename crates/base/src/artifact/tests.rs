use super::*;

fn script() -> Artifact {
    Artifact::Script(Script {
        entry: 0,
        modules: vec![Module {
            name: "src/index.ts".into(),
            kind: ModuleKind::Js,
            source: b"export default {}".to_vec(),
            imports: vec![],
            source_map: None,
        }],
        warm: None,
    })
}

#[test]
fn encoding_round_trips_and_is_stable() {
    let bytes = script().encode();
    assert_eq!(Artifact::decode(&bytes), Ok(script()));
    assert_eq!(bytes, script().encode());
}

#[test]
fn strangers_bytes_are_refused() {
    assert_eq!(Artifact::decode(b"hello"), Err(ArtifactError::NotAnArtifact));
    let mut bytes = script().encode();
    bytes.truncate(bytes.len() - 3);
    assert_eq!(Artifact::decode(&bytes), Err(ArtifactError::Damaged));
}

#[test]
fn an_index_out_of_range_is_damage() {
    let Artifact::Script(mut s) = script() else { unreachable!() };
    s.entry = 7;
    assert_eq!(Artifact::decode(&Artifact::Script(s).encode()), Err(ArtifactError::Damaged));
}
