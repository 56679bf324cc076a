use std::net::IpAddr;
use std::sync::Arc;

use base::Body;
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt as _;

use super::alone::Whom;
use super::binding::Binding;
use super::filling::{Ends, Filling, Head};
use super::forwarded::text_of;
use super::spool::spool;

fn whole(body: Body) -> impl Future<Output = Result<Vec<u8>, base::BodyError>> {
    async move { body.collect(usize::MAX).await.map(|bytes| bytes.to_vec()) }
}

#[test]
fn an_address_is_written_as_it_is_displayed() {
    for octet in 0..=u8::MAX {
        let address = IpAddr::from([octet, 255 - octet, 10, octet / 2]);
        assert_eq!(text_of(address), address.to_string());
    }
    let address: IpAddr = "2001:db8::1".parse().expect("an address");
    assert_eq!(text_of(address), "2001:db8::1");
}

#[tokio::test]
async fn who_joins_late_misses_nothing() {
    let filling = Arc::<Filling>::default();
    filling.tell(Head::Alone(Whom::All));
    let first = filling.body(None, None).expect("a body");
    filling.push("one ".into());
    filling.push("two".into());
    let second = filling.body(None, None).expect("the beginning is there");
    filling.end(Ok(()));
    assert_eq!(whole(first).await.expect("whole"), b"one two");
    assert_eq!(whole(second).await.expect("whole"), b"one two");
    assert_eq!(filling.whole(), "one two");
}

#[tokio::test]
async fn what_is_kept_no_more_waits_for_its_readers_and_is_let_go() {
    let filling = Arc::<Filling>::default();
    filling.tell(Head::Alone(Whom::All));
    let reader = filling.body(None, None).expect("a body");
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
    assert!(filling.body(None, None).is_none(), "its beginning is gone");
    assert!(!filling.room().await, "nobody reads any more");
}

#[tokio::test]
async fn nobody_waits_for_a_slower_reader() {
    let filling = Arc::<Filling>::default();
    filling.tell(Head::Alone(Whom::All));
    let bodies = [(); 3].map(|()| filling.body(None, None).expect("a body"));
    let [mut slow, fast, mut near] = bodies;
    filling.keep_no_more();
    let fetch = filling.clone();
    let pour = async move {
        for _ in 0..256 {
            fetch.push(vec![b'x'; 64 << 10].into());
            assert!(fetch.room().await);
        }
        fetch.end(Ok(()));
    };
    let follow = async move {
        let mut bytes = 0;
        while let Some(frame) = near.frame().await {
            bytes += frame.expect("it is near enough").into_data().expect("data").len();
        }
        bytes
    };
    let (first, (), read, followed) = tokio::join!(slow.frame(), pour, whole(fast), follow);
    assert_eq!((read.expect("whole").len(), followed), (16 << 20, 16 << 20));
    assert!(first.expect("a frame").is_ok(), "it had the beginning");
    let left = slow.frame().await.expect("a frame").expect_err("it is left behind");
    assert_eq!(left.code.name, "client_too_slow");
    assert!(slow.frame().await.is_none());
}

#[tokio::test]
async fn who_falls_behind_goes_on_alone_from_where_it_is() {
    let filling = Arc::<Filling>::default();
    filling.tell(Head::Alone(Whom::All));
    let rest = |from: u64| -> futures_util::future::BoxFuture<'static, Option<Body>> {
        Box::pin(async move { Some(Body::full(format!("the rest from {from}"))) })
    };
    let mut slow = filling.body(None, Some(Box::new(rest))).expect("a body");
    let fast = filling.body(None, None).expect("a body");
    filling.keep_no_more();
    let fetch = filling.clone();
    let pour = async move {
        for _ in 0..256 {
            fetch.push(vec![b'x'; 64 << 10].into());
            assert!(fetch.room().await);
        }
        fetch.end(Ok(()));
    };
    let (first, (), read) = tokio::join!(slow.frame(), pour, whole(fast));
    assert_eq!(read.expect("whole").len(), 16 << 20);
    let had = first.expect("a frame").expect("it had the beginning").into_data().expect("data").len();
    assert_eq!(whole(slow).await.expect("the rest"), format!("the rest from {had}").into_bytes());
}

#[tokio::test]
async fn a_fetch_that_is_given_up_leaves_nobody_waiting() {
    let filling = Arc::<Filling>::default();
    let body = filling.body(None, None).expect("a body");
    drop(Ends(filling.clone()));
    assert!(matches!(filling.head().await, Head::Failed(_)));
    whole(body).await.expect_err("it broke off");
}

#[tokio::test]
async fn a_part_is_read_as_soon_as_it_is_here() {
    let filling = Arc::<Filling>::default();
    filling.tell(Head::Alone(Whom::All));
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

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_str(value).expect("a value"));
    }
    headers
}

#[test]
fn a_cookie_names_a_target_and_nothing_else_does() {
    let binding = Binding::new("home", &["http://a".to_owned(), "http://b".to_owned()]);
    let mut answered = HeaderMap::new();
    binding.bind(1, &mut answered);
    let cookie = answered["set-cookie"].to_str().expect("text").split(';').next().expect("a pair").to_owned();
    assert_eq!(binding.of(&headers(&[("cookie", &format!("x=1; {cookie}"))])), Some(1));
    assert_eq!(binding.of(&headers(&[("cookie", "x=1"), ("cookie", &cookie)])), Some(1));
    for other in ["home=b", "home=", "xhome=1", "home", ";;;=;"] {
        assert_eq!(binding.of(&headers(&[("cookie", other)])), None, "{other}");
    }
}

#[test]
fn what_others_may_keep_gets_no_cookie() {
    let binding = Binding::new("home", &["http://a".to_owned()]);
    for (control, binds) in [
        ("private, no-cache", true),
        ("no-store", true),
        ("max-age=60", false),
        ("Public", false),
        ("private, s-maxage=5", false),
    ] {
        let mut answered = headers(&[("cache-control", control)]);
        binding.bind(0, &mut answered);
        assert_eq!(answered.contains_key("set-cookie"), binds, "{control}");
    }
}

#[tokio::test]
async fn a_spooled_body_is_the_same_each_time_and_a_large_one_passes() {
    let folder = tempfile::tempdir().expect("a folder");
    let chunks = |count: usize| {
        let (mut sender, body) = http_body_util::channel::Channel::<bytes::Bytes, base::BodyError>::new(1);
        tokio::spawn(async move {
            for n in 0..count {
                if sender.send_data(vec![n as u8; 100_000].into()).await.is_err() {
                    return;
                }
            }
        });
        Body::stream(body)
    };
    let expected = |count: usize| (0..count).flat_map(|n| vec![n as u8; 100_000]).collect::<Vec<_>>();
    for count in [0, 1, 2, 3, 10, 20] {
        let kept = spool(chunks(count), 2_000_000, folder.path(), &base::SystemRng).await.expect("it is read");
        let Ok(replay) = kept else { panic!("{count} pieces fit") };
        for _ in 0..2 {
            assert!(whole(replay.body()).await.expect("a body") == expected(count), "{count}");
        }
    }
    let passed = spool(chunks(30), 2_000_000, folder.path(), &base::SystemRng).await.expect("it is read");
    let Err(body) = passed else { panic!("it is too large") };
    assert!(whole(body).await.expect("a body") == expected(30));
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
}
