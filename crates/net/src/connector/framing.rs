//! How long the body of a response is, where its fields could be read in two ways.
//!
//! RFC 9112, section 6.3, lets a client read a body under an unknown transfer coding up to the end of the
//! connection, and keep the coding that stands before `chunked`. What is passed on, or stored, is then not what
//! the server meant, and who reads the same fields otherwise sees another response. So one coding alone is taken.

use http::{HeaderMap, header};

/// Why nobody should read the body of a response with these fields.
pub(super) fn fault(headers: &HeaderMap) -> Option<&'static str> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let coding = codings.next()?;
    if codings.next().is_some() || !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") {
        return Some("the response has another Transfer-Encoding than chunked alone");
    }
    headers.contains_key(header::CONTENT_LENGTH).then_some("the response has Transfer-Encoding and Content-Length")
}

#[cfg(test)]
mod tests;
