use base::Body;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::channel::Channel;
use http_body_util::{BodyExt as _, Full};

use super::{SMALL_BYTES, whole_if_at_hand};

#[tokio::test]
async fn what_has_arrived_becomes_whole() {
    let streamed = Body::stream(Full::new(Bytes::from_static(b"all of it")).map_err(|never| match never {}));
    let mut body = whole_if_at_hand(streamed).await;
    assert_eq!(body.take_whole().as_deref(), Some(&b"all of it"[..]));
}

#[tokio::test]
async fn a_large_body_streams() {
    let large = Bytes::from(vec![0; SMALL_BYTES as usize + 1]);
    let streamed = Body::stream(Full::new(large).map_err(|never| match never {}));
    assert_eq!(whole_if_at_hand(streamed).await.take_whole(), None);
}

/// A body that says how long it is and comes in pieces.
struct Pieces(Channel<Bytes, base::BodyError>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = base::BodyError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, base::BodyError>>> {
        std::pin::Pin::new(&mut self.0).poll_frame(cx)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(8)
    }
}

#[tokio::test]
async fn a_body_of_which_a_part_has_arrived_is_not_waited_for() {
    let (mut sender, channel) = Channel::new(4);
    sender.send_data(Bytes::from_static(b"half")).await.unwrap();
    let mut body = whole_if_at_hand(Body::stream(Pieces(channel))).await;
    assert_eq!(body.take_whole(), None);
    let mut rest = Box::pin(body.collect(100));
    assert!(rest.as_mut().now_or_never().is_none());
    sender.send_data(Bytes::from_static(b"rest")).await.unwrap();
    drop(sender);
    assert_eq!(rest.await.unwrap(), "halfrest");
}
