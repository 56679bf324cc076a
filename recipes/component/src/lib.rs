//! A small JSON API as a WebAssembly component.
//!
//! `GET /hello/NAME` greets, with the word in the variable GREETING; `POST /stats` counts the
//! bytes, lines and words of a body of any size, piece by piece.

mod http;

use http::{Request, Response};
use serde_json::json;

fn handle(request: &mut Request) -> Response {
    match (request.method(), request.path()) {
        ("GET", "/") => Response::json(200, &json!({ "try": ["GET /hello/NAME", "POST /stats"] })),
        ("GET", path) if path.starts_with("/hello/") => hello(&path["/hello/".len()..]),
        ("POST", "/stats") => stats(request),
        (_, "/stats") => Response::json(405, &json!({ "error": "POST something to count" })).with("allow", "POST"),
        _ => Response::json(404, &json!({ "error": "there is nothing at this path" })),
    }
}

fn hello(name: &str) -> Response {
    if name.is_empty() || name.contains('/') {
        return Response::json(400, &json!({ "error": "give one name: /hello/NAME" }));
    }
    let greeting = std::env::var("GREETING").unwrap_or_else(|_| "Hello".to_owned());
    Response::json(200, &json!({ "message": format!("{greeting}, {name}!") }))
}

fn stats(request: &mut Request) -> Response {
    let (mut bytes, mut lines, mut words, mut in_word) = (0u64, 0u64, 0u64, false);
    let read = request.read_body(|piece| {
        bytes += piece.len() as u64;
        for &byte in piece {
            lines += u64::from(byte == b'\n');
            let blank = byte.is_ascii_whitespace();
            words += u64::from(in_word && blank);
            in_word = !blank;
        }
    });
    words += u64::from(in_word);
    match read {
        Ok(()) => Response::json(200, &json!({ "bytes": bytes, "lines": lines, "words": words })),
        Err(error) => {
            eprintln!("the body did not arrive whole: {error}");
            Response::json(400, &json!({ "error": "the body did not arrive whole" }))
        }
    }
}
