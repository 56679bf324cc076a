//! Clients of HTTP/2 that are all overhead: each kind has an end, and a neighbour notices nothing.

use super::raw_h2::*;
use super::*;

/// ENHANCE_YOUR_CALM.
const CALM: u32 = 0xb;

fn limits() -> NodeLimits {
    NodeLimits {
        h2_control_frames: 200,
        h2_window_updates: 300,
        h2_continuations: 8,
        h2_resets: 50,
        ..NodeLimits::default()
    }
}

/// Sends without end until the server has had enough; a neighbour is served meanwhile.
#[track_caller]
fn flood(frames: impl Fn(u32) -> Vec<u8>, refusal: &str) {
    flood_with(limits(), frames, refusal);
}

#[track_caller]
fn flood_with(limits: NodeLimits, frames: impl Fn(u32) -> Vec<u8>, refusal: &str) {
    with_node(limits, async |node| {
        let mut neighbour = RawH2::connect(&node, &[]).await;
        let client = RawH2::connect(&node, &[]).await;
        let (mut reading, mut writing) = client.0.into_split();
        let read = async {
            let mut bytes = Vec::new();
            let _ = reading.read_to_end(&mut bytes).await;
            bytes
        };
        let write = async {
            for n in 0..200_000 {
                if writing.write_all(&frames(n)).await.is_err() {
                    return;
                }
            }
            panic!("the server takes everything");
        };
        let (bytes, ()) = tokio::join!(read, write);
        assert!(neighbour.send(&get(1)).await);
        assert!(matches!(neighbour.outcome(1).await, Ended::Answered(_)), "the neighbour");
        if !refusal.is_empty() {
            assert!(node.refusals.borrow().iter().any(|told| told.contains(refusal)), "{:?}", node.refusals);
        }
        // The last word, if it was not lost with the reset.
        if let Some(at) = bytes.windows(9).position(|head| head == [0, 0, 8, GOAWAY, 0, 0, 0, 0, 0]) {
            assert_eq!(bytes[at + 13..at + 17], CALM.to_be_bytes());
        }
    });
}

const CONTROL: &str =
    "protocol_flood: the client sent more than 200 frames that carry nothing within ten seconds (h2_control_frames)";

#[test]
fn settings() {
    flood(|_| frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]), CONTROL);
}

#[test]
fn pings() {
    flood(|_| frame(PING, 0, 0, &[0; 8]), CONTROL);
}

#[test]
fn priorities() {
    flood(|_| frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 9]), CONTROL);
}

#[test]
fn unknown_frames() {
    flood(|_| frame(0xfa, 0, 0, b"grease"), CONTROL);
}

#[test]
fn empty_data() {
    let post = [(&b":method"[..], &b"POST"[..]), (b":scheme", b"http"), (b":authority", b"h"), (b":path", b"/a")];
    let begin = frame(HEADERS, END_HEADERS, 1, &block(&post));
    flood(|n| if n == 0 { begin.clone() } else { frame(DATA, 0, 1, &[]) }, CONTROL);
}

#[test]
fn window_updates() {
    let refusal = "the client sent more than 300 window updates within ten seconds for nothing (h2_window_updates)";
    flood(|_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]), refusal);
}

#[test]
fn continuations() {
    let refusal = "the client sent a head in more than 8 continuations (h2_continuations)";
    let part = block(&[(b"x", b"y")]);
    flood(
        |n| if n == 0 { frame(HEADERS, 0, 1, &block(&GET_FIELDS)) } else { frame(CONTINUATION, 0, 1, &part) },
        refusal,
    );
}

#[test]
fn rapid_resets() {
    let one = |n: u32| [get(2 * n + 1), frame(RST_STREAM, 0, 2 * n + 1, &8_u32.to_be_bytes())].concat();
    flood(one, "");
    // Those that get as far as the service have a limit of their own.
    let never = [(&b":method"[..], &b"GET"[..]), (b":scheme", b"http"), (b":authority", b"h"), (b":path", b"/never")];
    let head = |n: u32| frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1, &block(&never));
    let slow = move |n: u32| match n.checked_sub(20) {
        None => head(n),
        Some(earlier) => [head(n), frame(RST_STREAM, 0, 2 * earlier + 1, &8_u32.to_be_bytes())].concat(),
    };
    flood_with(NodeLimits { h2_control_frames: 1_000_000, ..limits() }, slow, "");
}

#[test]
fn a_window_that_stays_closed_ends_the_connection() {
    let limits = NodeLimits { write_idle_ms: 100, header_ms: 50, ..NodeLimits::default() };
    with_node(limits, async |node| {
        // SETTINGS_INITIAL_WINDOW_SIZE of 10 bytes.
        let mut client = RawH2::connect(&node, &[0, 4, 0, 0, 0, 10]).await;
        let large =
            [(&b":method"[..], &b"GET"[..]), (b":scheme", b"http"), (b":authority", b"h"), (b":path", b"/large")];
        assert!(client.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&large))).await);
        let mut received = 0;
        while let Some((kind, _, payload)) = client.frame().await {
            received += if kind == DATA { payload.len() } else { 0 };
        }
        assert_eq!(received, 10);
        let told = "client_gone: the client took nothing of an answer within write_idle_ms";
        assert_eq!(*node.refusals.borrow(), [told]);
    });
}

#[test]
fn a_large_answer_is_read_in_full_by_who_opens_the_window() {
    with_node(NodeLimits::default(), async |node| {
        let mut client = RawH2::connect(&node, &[]).await;
        let large =
            [(&b":method"[..], &b"GET"[..]), (b":scheme", b"http"), (b":authority", b"h"), (b":path", b"/large")];
        assert!(client.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&large))).await);
        let mut received = 0;
        while received < 32 << 20 {
            let (kind, _, payload) = client.frame().await.expect("the rest");
            if kind == DATA && !payload.is_empty() {
                received += payload.len();
                let more = u32::try_from(payload.len()).unwrap().to_be_bytes();
                assert!(
                    client.send(&[frame(WINDOW_UPDATE, 0, 0, &more), frame(WINDOW_UPDATE, 0, 1, &more)].concat()).await
                );
            }
        }
        assert_eq!(received, 32 << 20);
        assert!(node.refusals.borrow().is_empty(), "{:?}", node.refusals);
    });
}
