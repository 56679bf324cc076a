//! What a request event says to the guest.

use http::header;
use worker::FetchEvent;

use super::ScriptInstance;
use crate::script::codec::Encoder;
use crate::script::host;
use crate::script::sandbox::Sandbox;

impl ScriptInstance {
    /// Writes the arguments of the FETCH event. A body that is not whole is put where the guest
    /// reads it, under the handle that this answers.
    pub(super) fn encode_fetch(&self, sandbox: &mut Sandbox, event: &mut FetchEvent, out: &mut Encoder) -> Option<u32> {
        let FetchEvent { method, url, headers, body, client: _, cf, entry } = event;
        out.0.reserve(256 + url.len() + headers.len() * 48);
        out.string(method.as_str()).string(url).string_with(|to| host::write_headers(headers, to));
        let mut handle = None;
        match body.whole() {
            Some([]) if !headers.contains_key(header::CONTENT_LENGTH) => {
                out.null().integer(0);
            }
            Some(whole) => {
                out.bytes(whole).integer(0);
            }
            None => {
                let fresh = sandbox.store.data_mut().fresh_id();
                self.bodies.borrow_mut().insert(fresh, std::mem::take(body));
                out.bool(true).integer(u64::from(fresh));
                handle = Some(fresh);
            }
        }
        out.optional_string(cf.as_deref());
        if let Some(entry) = entry {
            out.optional_string(entry.name.as_deref()).optional_string(entry.props.as_deref());
        }
        handle
    }
}
