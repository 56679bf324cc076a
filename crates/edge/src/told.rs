//! What `Cache-Status` (RFC 9211) says of an answer that the cache had no part in.
//!
//! A cache in front of an upstream speaks for itself ([`proxy`](crate::proxy)). Every other answer gets one
//! member here, so that whoever reads the field knows which part of the node answered. What was made by
//! running or reading something behind the cache went past it: `fwd=bypass`. What the node made of nothing (a
//! redirect, a page of maintenance, a refusal) was forwarded nowhere and is no hit, so the member has neither
//! parameter (section 2.2), only a `detail`: for failures, the code of the error.
//!
//! Members of others stay before it. All values but those of failures are constants.

use std::borrow::Cow;

use base::{Body, Code, Fault};
use http::{HeaderMap, HeaderName, HeaderValue, Response};

/// How this node's member begins.
const OURS: &str = "selvedge; ";
pub(crate) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Who gave an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Giver {
    /// An upstream, or the cache before it, which has said so already.
    Upstream {
        cached: bool,
    },
    Worker,
    /// A worker around another target, whose member may be there.
    Middleware,
    Asset,
    Blob,
    Redirect,
    Maintenance,
    /// The node itself.
    Node,
}

impl Giver {
    /// What a listener answers with itself: where else to go, or what an authority asks.
    pub fn of_door(response: &Response<Body>) -> Self {
        if response.status().is_redirection() { Self::Redirect } else { Self::Node }
    }

    /// The member of an answer; `None` if it has one.
    fn member(self) -> Option<&'static str> {
        match self {
            Self::Upstream { .. } => None,
            Self::Worker | Self::Middleware => Some("selvedge; fwd=bypass; detail=worker"),
            Self::Asset => Some("selvedge; fwd=bypass; detail=asset"),
            Self::Blob => Some("selvedge; fwd=bypass; detail=blob"),
            Self::Redirect => Some("selvedge; detail=redirect"),
            Self::Maintenance => Some("selvedge; detail=maintenance"),
            Self::Node => Some("selvedge; detail=node"),
        }
    }
}

/// Says who gave an answer.
pub(crate) fn tell(headers: &mut HeaderMap, giver: Giver) {
    let Some(member) = giver.member() else { return };
    if giver == Giver::Middleware && ours(headers).is_some() {
        return;
    }
    headers.append(CACHE_STATUS, HeaderValue::from_static(member));
}

/// Says why there is an error in place of an answer.
pub(crate) fn tell_failure(headers: &mut HeaderMap, code: Code, giver: Giver) {
    let forward = match giver {
        Giver::Upstream { cached } if code.fault == Fault::Upstream => {
            if cached {
                "fwd=miss; "
            } else {
                "fwd=bypass; "
            }
        }
        Giver::Worker | Giver::Middleware if code.fault != Fault::Client => "fwd=bypass; ",
        _ => "",
    };
    if let Ok(value) = HeaderValue::try_from(format!("selvedge; {forward}detail={}", code.name)) {
        headers.append(CACHE_STATUS, value);
    }
}

/// What this node's member says, without its name.
pub(crate) fn ours(headers: &HeaderMap) -> Option<&str> {
    headers.get_all(CACHE_STATUS).iter().next_back()?.to_str().ok()?.strip_prefix(OURS)
}

/// The same for a record, which makes no text of what is a constant.
pub(crate) fn ours_kept(headers: &HeaderMap) -> Cow<'static, str> {
    const CONSTANT: [Giver; 6] =
        [Giver::Worker, Giver::Asset, Giver::Blob, Giver::Redirect, Giver::Maintenance, Giver::Node];
    let Some(told) = ours(headers) else { return Cow::Borrowed("") };
    let mut constants = CONSTANT.iter().filter_map(|giver| giver.member()?.strip_prefix(OURS));
    constants.find(|constant| *constant == told).map_or_else(|| told.to_owned().into(), Cow::Borrowed)
}

/// Whether the answer comes out of the cache.
pub(crate) fn is_hit(headers: &HeaderMap) -> bool {
    ours(headers).is_some_and(|told| told.starts_with("hit"))
}

#[cfg(test)]
mod tests;
