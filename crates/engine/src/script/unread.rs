//! Responses that no script has looked into.
//!
//! What another worker or an object answers within the call is mostly answered on, as it is. So it stays here, and the
//! guest's `Response` has but the number of its place. What it says is written for the guest when a script first asks;
//! one that is answered with before that goes out as it came in.

use worker::Response;

use super::abi::call;
use super::codec::{Decoder, Encoder};
use super::guest::{Effect, Guest, Responded, ResponseBody};
use super::host::Refusal;
use super::nested;

/// What a guest may have here at a time: it is no part of its memory.
const PLACES: usize = 16;
const BODY_BYTES: usize = 16 << 10;

#[derive(Default)]
pub struct Unread {
    /// Each with its URL.
    places: Vec<Option<(Response, String)>>,
}

impl Unread {
    /// Keeps a response that is all there; gives it back where there is no room for it.
    pub fn keep(&mut self, response: Response, url: String) -> Result<u32, (Response, String)> {
        if response.body().whole().is_none_or(|body| body.len() > BODY_BYTES) {
            return Err((response, url));
        }
        let place = self.places.iter().position(Option::is_none).unwrap_or(self.places.len());
        if place == PLACES {
            return Err((response, url));
        }
        if place == self.places.len() {
            self.places.push(None);
        }
        self.places[place] = Some((response, url));
        Ok(place as u32)
    }

    fn take(&mut self, place: u32) -> Result<(Response, String), Refusal> {
        let kept = self.places.get_mut(place as usize).and_then(Option::take);
        kept.ok_or_else(|| Refusal::type_error("this response was taken already"))
    }
}

/// TAKE(place) → the state of a `Response`; ANSWER(place, request, pending); DROP(place)
pub fn answer(guest: &mut Guest, code: i32, args: &mut Decoder<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let (mut response, url) = guest.unread.take(args.next()?.as_u32()?)?;
    match code {
        call::UNREAD_TAKE => nested::encode(response, Some(&url), out),
        call::UNREAD_ANSWER => {
            let (request, pending) = (args.next()?.as_u32()?, args.next()?.as_bool()?);
            let body = ResponseBody::Whole(response.body_mut().take_whole().unwrap_or_default());
            let (head, _) = response.into_parts();
            let (status, headers) = (head.status.as_u16(), head.headers);
            guest.effects.push(Effect::Respond(Responded { request, status, headers, body, pending }));
        }
        _ => {}
    }
    Ok(())
}
