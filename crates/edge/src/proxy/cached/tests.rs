use bytes::Bytes;
use futures_util::FutureExt as _;

use super::*;

fn asking(url: &str) -> Asking {
    Asking {
        asked: Asked::default(),
        request: Forwarded {
            method: Method::GET,
            path_and_query: PathAndQuery::from_static("/"),
            headers: HeaderMap::new(),
            body: Body::empty(),
            client: std::net::IpAddr::from([127, 0, 0, 1]),
            interim: None,
            heard: Arc::default(),
        },
        key: Key { app: "app".into(), cache: None, url: url.into() },
        is_head: false,
        counts: Arc::default(),
    }
}

fn stored() -> Stored {
    Stored {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"one").into(),
        stored_at_ms: 0,
        initial_age_s: 0,
        lifetime_s: 60,
        vary: cache::VaryValues::default(),
        terms: cache::Terms::default(),
        tags: cache::Tags::default(),
        body_id: 0,
    }
}

#[test]
fn a_fetch_that_ended_since_the_store_was_asked_is_not_done_again() {
    let cache = crate::fixture::responses();
    // Both have found nothing in the store by now.
    let [first, late] = [(); 2].map(|()| asking("http://a.test/"));
    let Joined::Leads(filling) = cache.join(&first, 1_000) else { panic!("nobody leads") };
    assert!(matches!(cache.join(&late, 1_000), Joined::Follows(_)));
    let ticket = cache.responses.ticket();
    cache.responses.put(first.key.clone(), stored(), &ticket).now_or_never().expect("at once").expect("room");
    cache.leave(&first.key, &filling);
    assert!(matches!(cache.join(&late, 1_000), Joined::Ended(_)));
    assert!(matches!(cache.join(&late, 61_000), Joined::Leads(_)), "it is stale");
}
