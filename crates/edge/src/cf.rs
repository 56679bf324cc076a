//! `request.cf`: what is known of a client's connection, as JSON. Few connections differ in it, so
//! it is made once for each kind and shared by all requests of the core.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use net::{Protocol, Request, Secured};

pub(crate) struct Cf {
    plain: [Arc<str>; 4],
    /// By protocol, version of TLS and cipher suite, all of which are the node's to choose.
    secured: RefCell<HashMap<(Protocol, &'static str, String), Arc<str>>>,
}

impl Cf {
    pub fn new() -> Self {
        let describe = |protocol: Protocol| format!("{{\"httpProtocol\":\"{}\"}}", protocol.as_str()).into();
        let all = [Protocol::Http10, Protocol::Http11, Protocol::Http2, Protocol::Http3];
        Self { plain: all.map(describe), secured: RefCell::default() }
    }

    pub fn of(&self, request: &Request) -> Arc<str> {
        let Some(secured) = &request.secured else { return self.plain[request.protocol as usize].clone() };
        if secured.client.is_some() {
            return describe(request.protocol, secured);
        }
        let kind = (request.protocol, secured.version, secured.cipher.clone());
        let mut known = self.secured.borrow_mut();
        known.entry(kind).or_insert_with(|| describe(request.protocol, secured)).clone()
    }
}

fn describe(protocol: Protocol, secured: &Secured) -> Arc<str> {
    let Secured { version, cipher, .. } = secured;
    let client = match &secured.client {
        Some(client) => {
            format!(r#"{{"certPresented":"1","certVerified":"SUCCESS","certFingerprintSHA256":"{}"}}"#, client.sha256)
        }
        None => r#"{"certPresented":"0","certVerified":"NONE"}"#.to_owned(),
    };
    let protocol = protocol.as_str();
    let text = format!(
        r#"{{"httpProtocol":"{protocol}","tlsVersion":"{version}","tlsCipher":"{cipher}","tlsClientAuth":{client}}}"#
    );
    text.into()
}
