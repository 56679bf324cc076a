//! Connections that nobody uses, and what must hold although nothing but their socket is kept.

use super::*;

fn rests_soon() -> NodeLimits {
    NodeLimits { rest_ms: 10, ..Default::default() }
}

impl Node {
    async fn until_resting(&self, connections: u64) {
        while self.counts.resting() != connections {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[test]
fn a_connection_that_rested_goes_on_as_before() {
    with_node(rests_soon(), async |node| {
        let mut stream = node.connect().await;
        for _ in 0..3 {
            stream.write_all(GET.as_bytes()).await.unwrap();
            assert!(read_one(&mut stream).await.ends_with("GET /a at h "));
            node.until_resting(1).await;
        }
        // All at once: two requests, a body, and a last one that is not whole.
        let post = "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody";
        stream.write_all(format!("{GET}{post}GET /c HTTP/1.1\r\n").as_bytes()).await.unwrap();
        assert!(read_one(&mut stream).await.ends_with("GET /a at h "));
        assert!(read_one(&mut stream).await.ends_with("POST /b at h body"));
        assert_eq!(node.counts.resting(), 0, "part of a head is there");
        stream.write_all(b"Host: h\r\n\r\n").await.unwrap();
        assert!(read_one(&mut stream).await.ends_with("GET /c at h "));
        node.until_resting(1).await;
        for byte in LAST.as_bytes() {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert!(read_all(&mut stream).await.contains("GET /last at h"));
    });
}

#[test]
fn what_is_under_way_keeps_a_connection_awake() {
    with_node(rests_soon(), async |node| {
        let mut never = node.connect().await;
        never.write_all(b"GET /never HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        // A client that takes nothing of an answer that was made in full.
        let mut slow = node.connect().await;
        slow.write_all(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        let mut partial = node.connect().await;
        partial.write_all(format!("{GET}GET /c HTTP/1.1\r\n").as_bytes()).await.unwrap();
        read_one(&mut partial).await;
        let mut used = node.connect().await;
        for _ in 0..3 {
            used.write_all(GET.as_bytes()).await.unwrap();
            read_one(&mut used).await;
            node.until_resting(1).await;
        }
        assert_eq!(node.counts.open(), 4);
        assert_eq!(read_one(&mut slow).await.len() >> 20, 32);
        node.until_resting(2).await;
    });
}

#[test]
fn a_resting_connection_has_the_deadlines_of_one_that_is_awake() {
    with_node(NodeLimits { idle_ms: 2_000, header_ms: 500, ..rests_soon() }, async |node| {
        let mut stream = node.connect().await;
        stream.write_all(GET.as_bytes()).await.unwrap();
        read_one(&mut stream).await;
        node.until_resting(1).await;
        assert_eq!(read_all(&mut stream).await, "", "closed when it was unused for idle_ms");
        assert_eq!(node.exchange(b"").await, "", "closed when it said nothing for header_ms");

        let mut stream = node.connect().await;
        stream.write_all(GET.as_bytes()).await.unwrap();
        read_one(&mut stream).await;
        node.until_resting(1).await;
        stream.write_all(b"GET /b").await.unwrap();
        let detail = "the head did not arrive within header_ms";
        is_problem(&read_all(&mut stream).await, 408, "request_timeout", detail);
    });
}

#[test]
fn what_a_resting_connection_is_sent_is_judged_as_ever() {
    with_node(rests_soon(), async |node| {
        let mut stream = node.connect().await;
        stream.write_all(GET.as_bytes()).await.unwrap();
        read_one(&mut stream).await;
        node.until_resting(1).await;
        let bad = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
        stream.write_all(format!("{bad}{SMUGGLED}").as_bytes()).await.unwrap();
        let detail = "the request has both Content-Length and Transfer-Encoding";
        is_problem(&read_all(&mut stream).await, 400, "bad_request", detail);
        assert_eq!(*node.seen.borrow(), ["GET /a at h"]);
    });
}

#[test]
fn a_drain_ends_resting_connections_and_answers_what_is_on_its_way() {
    with_node(rests_soon(), async |node| {
        let mut silent = node.connect().await;
        let mut used = node.connect().await;
        for stream in [&mut silent, &mut used] {
            stream.write_all(GET.as_bytes()).await.unwrap();
            read_one(stream).await;
        }
        node.until_resting(2).await;
        node.stop();
        used.write_all(GET.as_bytes()).await.unwrap();
        let answer = read_all(&mut used).await;
        assert!(answer.contains("connection: close\r\n") && answer.ends_with("GET /a at h "), "{answer}");
        assert_eq!(read_all(&mut silent).await, "");
        assert_eq!(node.drained().await, 0, "none was cut");
    });
}

#[test]
fn a_client_that_leaves_while_its_connection_rests_gives_up_its_place() {
    with_node(rests_soon(), async |node| {
        let mut stream = node.connect().await;
        stream.write_all(GET.as_bytes()).await.unwrap();
        read_one(&mut stream).await;
        node.until_resting(1).await;
        drop(stream);
        while node.counts.open() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(node.counts.resting(), 0);
    });
}

#[test]
fn a_session_of_tls_rests_and_is_who_it_was() {
    let (ca, tls) = secured::two_hosts();
    with_reception(rests_soon(), secured::reception(&tls), async |node| {
        let mut config = ca.client(None);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let config = Arc::new(config);
        let mut stream = secured::shake(&node, &config, "a.example").await.unwrap();
        node.until_resting(1).await;
        for _ in 0..2 {
            stream.write_all(b"GET /secured HTTP/1.1\r\nHost: a.example\r\n\r\n").await.unwrap();
            // Whatever comes until the connection rests is the answer.
            let mut answer = Vec::new();
            while !answer.ends_with(b")") {
                assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
            }
            assert!(String::from_utf8(answer).unwrap().contains("server_name: Some(\"a.example\")"));
            node.until_resting(1).await;
        }
        // Larger than what is read to find out that the connection is used.
        let body = "x".repeat(5000);
        let post =
            format!("POST /b HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5000\r\nConnection: close\r\n\r\n{body}");
        stream.write_all(post.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(String::from_utf8(answer).unwrap().ends_with(&body));
    });
}
