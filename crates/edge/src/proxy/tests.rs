use std::sync::Arc;

use base::Body;

use super::filling::{Ends, Filling, Head};

fn whole(body: Body) -> impl Future<Output = Result<Vec<u8>, base::BodyError>> {
    async move { body.collect(usize::MAX).await.map(|bytes| bytes.to_vec()) }
}

#[tokio::test]
async fn who_joins_late_misses_nothing() {
    let filling = Arc::<Filling>::default();
    filling.tell(Head::Alone);
    let first = filling.body(None).expect("a body");
    filling.push("one ".into());
    filling.push("two".into());
    let second = filling.body(None).expect("the beginning is there");
    filling.end(Ok(()));
    assert_eq!(whole(first).await.expect("whole"), b"one two");
    assert_eq!(whole(second).await.expect("whole"), b"one two");
    assert_eq!(filling.whole(), "one two");
}

#[tokio::test]
async fn what_is_kept_no_more_waits_for_its_readers_and_is_let_go() {
    let filling = Arc::<Filling>::default();
    filling.tell(Head::Alone);
    let reader = filling.body(None).expect("a body");
    filling.keep_no_more();
    let fetch = filling.clone();
    let pour = async move {
        for n in 0..1_000_u32 {
            fetch.push(n.to_string().into());
            if !fetch.room().await {
                return n;
            }
        }
        fetch.end(Ok(()));
        1_000
    };
    let (poured, read) = tokio::join!(pour, whole(reader));
    assert_eq!(poured, 1_000);
    assert_eq!(read.expect("whole"), (0..1_000).map(|n: u32| n.to_string()).collect::<String>().into_bytes());
    assert!(filling.body(None).is_none(), "its beginning is gone");
    assert!(!filling.room().await, "nobody reads any more");
}

#[tokio::test]
async fn a_fetch_that_is_given_up_leaves_nobody_waiting() {
    let filling = Arc::<Filling>::default();
    let body = filling.body(None).expect("a body");
    drop(Ends(filling.clone()));
    assert!(matches!(filling.head().await, Head::Failed(_)));
    whole(body).await.expect_err("it broke off");
}

#[tokio::test]
async fn a_part_is_read_as_soon_as_it_is_here() {
    let filling = Arc::<Filling>::default();
    filling.tell(Head::Alone);
    let whole = filling.held(10).expect("its beginning is here");
    filling.push("0123".into());
    filling.push("45".into());
    assert_eq!(whole.slice(2..5).read().await.expect("it is here"), "234");
    assert!(filling.arrived().is_none());
    let rest = whole.slice(5..10);
    let (rest, ()) = tokio::join!(rest.read(), async {
        filling.push("6789".into());
        filling.end(Ok(()));
    });
    assert_eq!(rest.expect("it has come"), "56789");
    assert_eq!(filling.arrived().expect("whole"), "0123456789");
    let short = filling.held(11).expect("a body");
    short.read().await.expect_err("it is shorter than was told");
}
