//! What `Intl` asks the host for: data of locales, offsets of time zones, the order of text, and where
//! its parts end. The classes themselves, which are made of these, are the prelude's
//! (`features/intl.ts`): formatting is patterns and digits, which cross the sandbox's border only to
//! come back.
//!
//! The data of locales is CLDR's, in sections that the guest gets as JSON when it first needs one
//! (`engine-guest/intl/extract.mjs` makes the file). Zones are those of the IANA database that jiff
//! brings, whatever the machine has: so a deployment says the same everywhere. Each answer depends on
//! its arguments alone, and what it takes is linear in their length.

mod locales;
mod order;
#[cfg(test)]
mod tests;
mod zones;

use base::WorkerLimits;

use super::abi::intl as code;
use super::codec::{Decoder, Encoder};
use super::host::Refusal;

pub fn answer(code: i32, mut args: Decoder<'_>, limits: &WorkerLimits, out: &mut Encoder) -> Result<(), Refusal> {
    match code {
        code::TAGS => locales::tags(out),
        code::DATA => locales::section(&mut args, out)?,
        code::ZONES => zones::names(out),
        code::ZONE => zones::name(&mut args, out)?,
        code::OFFSET => zones::offset(&mut args, out)?,
        code::COMPARE => order::compare(&mut args, out)?,
        _ => order::segments(&mut args, limits, out)?,
    }
    Ok(())
}
