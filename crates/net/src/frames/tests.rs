use base::NodeLimits;
use proptest::prelude::*;

use super::*;

const NOTHING: u8 = 0;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn gate() -> Frames {
    let limits =
        NodeLimits { h2_control_frames: 50, h2_window_updates: 60, h2_continuations: 4, ..NodeLimits::default() };
    let mut frames = Frames::new(&ServerLimits::from(&limits));
    frames.judge(&[b'x'; PREFACE_BYTES], 0, Instant::now()).unwrap();
    frames
}

/// How many of a frame get through at one moment, of so many.
fn through(frame: &[u8], times: usize) -> (usize, Option<Flood>) {
    let (mut gate, now) = (gate(), Instant::now());
    for passed in 0..times {
        if let Err(flood) = gate.judge(frame, 0, now) {
            return (passed, Some(flood));
        }
    }
    (times, None)
}

#[test]
fn each_kind_of_overhead_has_an_end() {
    for (what, flood) in [
        ("settings", frame(4, NOTHING, 0, &[])),
        ("ping", frame(6, NOTHING, 0, &[0; 8])),
        ("priority", frame(2, NOTHING, 1, &[0; 5])),
        ("reset", frame(3, NOTHING, 1, &[0; 4])),
        ("unknown", frame(0x42, NOTHING, 1, b"grease")),
        ("empty data", frame(DATA, NOTHING, 1, &[])),
        ("empty headers", frame(HEADERS, NOTHING, 1, &[])),
    ] {
        assert_eq!(through(&flood, 1000), (50, Some(Flood::Control(50))), "{what}");
    }
    assert_eq!(through(&frame(WINDOW_UPDATE, NOTHING, 0, &[0, 0, 0, 1]), 1000), (60, Some(Flood::Windows(60))));
    assert_eq!(through(&frame(CONTINUATION, NOTHING, 1, b"x"), 1000), (4, Some(Flood::Continuations(4))));
}

#[test]
fn requests_and_their_bodies_cost_nothing() {
    let request =
        [frame(HEADERS, END_HEADERS, 1, b"head"), frame(DATA, NOTHING, 1, b"body"), frame(DATA, END_STREAM, 1, b"")];
    assert_eq!(through(&request.concat(), 10_000), (10_000, None));
    let in_parts = [frame(HEADERS, NOTHING, 1, b"he"), frame(CONTINUATION, END_HEADERS, 1, b"ad")].concat();
    assert_eq!(through(&in_parts, 10_000), (10_000, None));
}

#[test]
fn who_is_sent_much_may_open_the_window_often() {
    let (mut gate, now) = (gate(), Instant::now());
    let update = frame(WINDOW_UPDATE, NOTHING, 0, &[0, 0, 1, 0]);
    for n in 1..=10_000 {
        gate.judge(&update, n * BYTES_PER_UPDATE, now).unwrap();
    }
}

#[test]
fn the_budget_comes_back_with_time() {
    let (mut gate, start) = (gate(), Instant::now());
    let ping = frame(6, NOTHING, 0, &[0; 8]);
    // Five in a second for an hour.
    for n in 0..18_000 {
        gate.judge(&ping, 0, start + Duration::from_millis(n * 200)).unwrap();
    }
    let later = start + Duration::from_secs(7200);
    for _ in 0..50 {
        gate.judge(&ping, 0, later).unwrap();
    }
    assert!(gate.judge(&ping, 0, later).is_err());
    assert!(gate.judge(&ping, 0, later + Duration::from_millis(400)).is_ok());
}

#[test]
fn the_last_word_names_the_last_stream() {
    let mut gate = gate();
    gate.judge(&frame(HEADERS, END_HEADERS, 7, b"x"), 0, Instant::now()).unwrap();
    assert_eq!(gate.goaway().to_vec(), frame(7, NOTHING, 0, &[0, 0, 0, 7, 0, 0, 0, 0xb]));
}

proptest! {
    #[test]
    fn it_does_not_matter_how_the_bytes_are_cut(
        kinds in proptest::collection::vec((0_u8..12, 0_u8..8, 0_usize..40), 1..40),
        cuts in proptest::collection::vec(1_usize..60, 1..30),
    ) {
        let bytes: Vec<u8> =
            kinds.iter().flat_map(|(kind, flags, length)| frame(*kind, *flags, 1, &vec![0; *length])).collect();
        let now = Instant::now();
        let whole = gate().judge(&bytes, 0, now);
        let (mut pieces, mut rest, mut cuts) = (gate(), &bytes[..], cuts.iter().cycle());
        let mut found = Ok(());
        while !rest.is_empty() && found.is_ok() {
            let (piece, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            found = pieces.judge(piece, 0, now);
            rest = after;
        }
        prop_assert_eq!(found, whole);
    }
}
