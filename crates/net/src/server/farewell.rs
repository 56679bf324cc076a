//! The last word on a connection: the answer to what was refused, and a close that does not
//! destroy it.

use std::time::Duration;

use base::Body;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::head::{Refusal, put_fields};

/// How long a closing connection goes on reading. If it closed with unread input, the kernel would
/// answer with a reset, and the client could lose the response it was about to read.
const LINGER: Duration = Duration::from_secs(2);
/// How much it reads in that time.
const LINGER_BYTES: usize = 4 << 20;

/// Answers with a problem document and closes.
pub(super) async fn refuse(mut stream: impl AsyncRead + AsyncWrite + Unpin, refusal: &Refusal) {
    let answer = render(refusal.response());
    let write = async {
        stream.write_all(&answer).await?;
        stream.flush().await
    };
    let written = tokio::time::timeout(LINGER, write).await;
    if matches!(written, Ok(Ok(()))) {
        linger(stream).await;
    }
}

/// Closes our side, and reads on for a while.
pub(super) async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    if !matches!(tokio::time::timeout(LINGER, stream.shutdown()).await, Ok(Ok(()))) {
        return;
    }
    let read_on = async {
        // Not within the future, for every connection has room for that from its start.
        let mut space = vec![0; 16 << 10];
        let mut total = 0;
        while total < LINGER_BYTES {
            match stream.read(&mut space).await {
                Ok(0) | Err(_) => return,
                Ok(n) => total += n,
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, read_on).await;
}

/// The answer as bytes of HTTP/1.1.
fn render(mut response: http::Response<Body>) -> Vec<u8> {
    let body = response.body_mut().take_whole().unwrap_or_default();
    let mut out = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
    put_fields(&mut out, response.headers());
    out.extend_from_slice(format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len()).as_bytes());
    out.extend_from_slice(&body);
    out
}
