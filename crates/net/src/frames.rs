//! The gate of HTTP/2: it looks at the head of every frame that a client sends, and at nothing
//! else, and ends a connection that is all overhead. A pure state machine over bytes and time.
//!
//! Each frame costs its receiver more than its sender, so every kind that a client may send
//! without making a request has been a way to keep a server busy (CVE-2019-9511 to 9518,
//! CVE-2023-44487, CVE-2024-27316). What is behind the gate bounds what it remembers; the gate
//! bounds how often it is made to work for nothing:
//!
//! - SETTINGS, PING, PRIORITY, RST_STREAM, GOAWAY, frames of unknown kinds, and HEADERS,
//!   CONTINUATION and DATA that carry nothing and end nothing: `h2_control_frames` in ten seconds;
//! - WINDOW_UPDATE: `h2_window_updates` in ten seconds, and one more for every 256 bytes that the
//!   client was sent, since whoever reads a lot must say so often;
//! - CONTINUATION: `h2_continuations` for each head.
//!
//! Whether frames are in order is not looked at here; h2 does that.

use std::time::Duration;

use tokio::time::Instant;

use crate::ServerLimits;

const PREFACE_BYTES: usize = 24;
const HEAD_BYTES: usize = 9;

/// The time in which a budget comes back.
const REFILL: Duration = Duration::from_secs(10);
/// What a client is sent for each WINDOW_UPDATE that costs it nothing.
const BYTES_PER_UPDATE: u64 = 256;

// RFC 9113, section 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// Which limit a client has broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flood {
    #[error("the client sent more than {0} frames that carry nothing within ten seconds (h2_control_frames)")]
    Control(u64),
    #[error("the client sent more than {0} window updates within ten seconds for nothing (h2_window_updates)")]
    Windows(u64),
    #[error("the client sent a head in more than {0} continuations (h2_continuations)")]
    Continuations(u64),
}

/// What flows back at an even rate, and is never more than `max`.
struct Budget {
    max: u64,
    /// In parts of one, of which [`REFILL`] has as many as it has milliseconds.
    used: u64,
    at: Option<Instant>,
}

impl Budget {
    const PARTS: u64 = REFILL.as_millis() as u64;

    fn new(max: u64) -> Self {
        Self { max, used: 0, at: None }
    }

    /// False if there is none left.
    fn take(&mut self, now: Instant) -> bool {
        let at = *self.at.get_or_insert(now);
        let elapsed_ms = now.saturating_duration_since(at).as_millis().min(u128::from(Self::PARTS)) as u64;
        if elapsed_ms > 0 {
            // `max` ones in the time of a refill are `max` parts in a millisecond.
            self.used = self.used.saturating_sub(elapsed_ms * self.max);
            self.at = Some(now);
        }
        self.used += Self::PARTS;
        self.used <= self.max * Self::PARTS
    }
}

/// Where in the stream of frames a connection is.
pub(crate) struct Frames {
    preface: usize,
    head: [u8; HEAD_BYTES],
    known: usize,
    payload: usize,
    continuations: u64,
    continuations_max: u64,
    control: Budget,
    windows: Budget,
    /// Bytes sent that have paid for updates already.
    paid: u64,
    /// The highest stream that the client opened.
    last_stream: u32,
}

impl Frames {
    pub fn new(limits: &ServerLimits) -> Self {
        Self {
            preface: PREFACE_BYTES,
            head: [0; HEAD_BYTES],
            known: 0,
            payload: 0,
            continuations: 0,
            continuations_max: limits.h2_continuations,
            control: Budget::new(limits.h2_control_frames),
            windows: Budget::new(limits.h2_window_updates),
            paid: 0,
            last_stream: 0,
        }
    }

    /// Looks at what the client sent next. `sent` is how many bytes it was sent so far.
    pub fn judge(&mut self, mut bytes: &[u8], sent: u64, now: Instant) -> Result<(), Flood> {
        let skip = |bytes: &mut &[u8], left: &mut usize| {
            let n = bytes.len().min(*left);
            *left -= n;
            *bytes = &bytes[n..];
        };
        skip(&mut bytes, &mut self.preface);
        while !bytes.is_empty() {
            if self.payload > 0 {
                skip(&mut bytes, &mut self.payload);
                continue;
            }
            let n = bytes.len().min(HEAD_BYTES - self.known);
            self.head[self.known..self.known + n].copy_from_slice(&bytes[..n]);
            self.known += n;
            bytes = &bytes[n..];
            if self.known == HEAD_BYTES {
                self.known = 0;
                self.judge_head(sent, now)?;
            }
        }
        Ok(())
    }

    fn judge_head(&mut self, sent: u64, now: Instant) -> Result<(), Flood> {
        let [a, b, c, kind, flags, stream @ ..] = self.head;
        self.payload = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        let empty = self.payload == 0;
        let costs = match kind {
            DATA => empty && flags & END_STREAM == 0,
            HEADERS => {
                self.continuations = 0;
                self.last_stream = self.last_stream.max(u32::from_be_bytes(stream) & (u32::MAX >> 1));
                empty && flags & END_HEADERS == 0
            }
            CONTINUATION => {
                self.continuations += 1;
                if self.continuations > self.continuations_max {
                    return Err(Flood::Continuations(self.continuations_max));
                }
                empty && flags & END_HEADERS == 0
            }
            WINDOW_UPDATE => {
                if sent.saturating_sub(self.paid) >= BYTES_PER_UPDATE {
                    self.paid += BYTES_PER_UPDATE;
                } else if !self.windows.take(now) {
                    return Err(Flood::Windows(self.windows.max));
                }
                false
            }
            _ => true,
        };
        if costs && !self.control.take(now) {
            return Err(Flood::Control(self.control.max));
        }
        Ok(())
    }

    /// The frame with which the connection ends: GOAWAY with ENHANCE_YOUR_CALM (RFC 9113, section 7).
    pub fn goaway(&self) -> [u8; HEAD_BYTES + 8] {
        let mut frame = [0; HEAD_BYTES + 8];
        frame[..HEAD_BYTES].copy_from_slice(&[0, 0, 8, 7, 0, 0, 0, 0, 0]);
        frame[HEAD_BYTES..HEAD_BYTES + 4].copy_from_slice(&self.last_stream.to_be_bytes());
        frame[HEAD_BYTES + 7] = 0xb;
        frame
    }
}

#[cfg(test)]
mod tests;
