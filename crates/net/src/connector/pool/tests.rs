use super::super::tests::{allow, connector, origin, run};
use super::super::{Connector, ConnectorOptions, Outgoing};
use super::*;

use base::NodeLimits;
use http::{HeaderMap, Method};
use std::rc::Rc;
use url::Url;

/// So many exchanges at once: none has its body before all of them have begun.
async fn at_once(connector: &Connector, url: &str, exchanges: usize) {
    let mut responses = Vec::new();
    for _ in 0..exchanges {
        let url = Url::parse(url).unwrap();
        let request = Outgoing { method: Method::GET, url, headers: HeaderMap::new(), body: Body::empty() };
        responses.push(connector.exchange(request, allow()).await.unwrap());
    }
    for response in responses {
        assert_eq!(response.into_body().collect(1 << 20).await.unwrap().len(), 300_000);
    }
}

#[test]
fn what_the_load_takes_is_kept_whatever_its_number_is() {
    run(async {
        let origin = origin(None, Rc::new(|_| http::Response::new(Body::full(vec![b'x'; 300_000])))).await;
        let options = ConnectorOptions { idle_per_target: 2, ..ConnectorOptions::from(&NodeLimits::default()) };
        let connector = Connector::new(options);
        let url = format!("http://{}/", origin.address);
        for _ in 0..5 {
            at_once(&connector, &url, 8).await;
        }
        assert_eq!(origin.connections.get(), 8, "opened once, and used again");
        let kept =
            |connector: &Connector| connector.pool.shelves().values().map(|shelf| shelf.links.len()).sum::<usize>();
        assert_eq!(kept(&connector), 8);
        // A second later there are more than are needed.
        tokio::time::pause();
        tokio::time::advance(JUST_NOW).await;
        tokio::time::resume();
        at_once(&connector, &url, 1).await;
        assert_eq!((kept(&connector), origin.connections.get()), (2, 8));
    });
}

#[test]
fn what_nobody_asks_for_any_more_is_closed_after_its_time() {
    run(async {
        let origin = origin(None, Rc::new(|_| http::Response::new(Body::full(vec![b'x'; 300_000])))).await;
        let connector = connector(5_000);
        at_once(&connector, &format!("http://{}/", origin.address), 3).await;
        assert_eq!(connector.pool.shelves().len(), 1);
        tokio::time::pause();
        tokio::time::advance(connector.options.idle).await;
        tokio::time::resume();
        while !connector.pool.shelves().is_empty() {
            tokio::task::yield_now().await;
        }
    });
}
