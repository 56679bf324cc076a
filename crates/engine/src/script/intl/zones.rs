//! Time zones: which there are, and what their clocks show at an instant.

use jiff::Timestamp;
use jiff::tz::{Dst, TimeZone};

use crate::script::codec::{Decoder, Encoder};
use crate::script::host::Refusal;

/// ZONES() → the names of all zones, with spaces between them.
pub fn names(out: &mut Encoder) {
    let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    out.string(&names.join(" "));
}

/// ZONE(name) → the name as the database spells it, or null.
pub fn name(args: &mut Decoder<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let name = args.next()?;
    let zone = TimeZone::get(name.as_str()?).ok();
    out.optional_string(zone.as_ref().and_then(TimeZone::iana_name));
    Ok(())
}

/// OFFSET(name, milliseconds) → [seconds east of UTC, whether it is summer time, since, until]: from
/// when to when that holds, in milliseconds, null where it always has, or will.
pub fn offset(args: &mut Decoder<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let (name, at) = (args.next()?, args.next()?.as_f64()?);
    let Ok(zone) = TimeZone::get(name.as_str()?) else {
        return Err(Refusal::type_error("there is no such time zone"));
    };
    // Dates of scripts go further than the database's rules do.
    let (first, last) = (Timestamp::MIN.as_millisecond() as f64, Timestamp::MAX.as_millisecond() as f64);
    let at = Timestamp::from_millisecond(at.clamp(first, last) as i64).unwrap_or(Timestamp::UNIX_EPOCH);
    let info = zone.to_offset_info(at);
    let next = jiff::SignedDuration::from_millis(1);
    let since = zone.preceding(at.saturating_add(next).unwrap_or(at)).next();
    let until = zone.following(at).next();
    out.array(4).number(f64::from(info.offset().seconds())).bool(info.dst() == Dst::Yes);
    for edge in [since, until] {
        match edge {
            Some(transition) => out.number(transition.timestamp().as_millisecond() as f64),
            None => out.null(),
        };
    }
    Ok(())
}
