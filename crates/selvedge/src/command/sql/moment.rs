//! Moments as people write them.

use anyhow::{Context as _, Result, bail};

/// Milliseconds since 1970 of `2026-11-26T10:00:00Z` (with a space instead of the T as well), of a number
/// of milliseconds, or of how long ago it is: `30s`, `10m`, `2h`, `3d`.
pub fn parse(text: &str, now_ms: u64) -> Result<u64> {
    let wrong = || format!("{text:?} is no moment: write 2026-11-26T10:00:00Z, milliseconds since 1970, or 10m");
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().with_context(wrong);
    }
    let units = [("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    let ago = units.iter().find_map(|(unit, ms)| Some(text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(*ms)));
    if let Some(ago) = ago {
        return now_ms.checked_sub(ago.unwrap_or(u64::MAX)).with_context(wrong);
    }
    let (date, time) = text.strip_suffix('Z').and_then(|text| text.split_once(['T', ' '])).with_context(wrong)?;
    let numbers =
        |text: &str, by: char| text.split(by).map(|part| part.parse::<u64>().ok()).collect::<Option<Vec<_>>>();
    let (Some(date), Some(time)) = (numbers(date, '-'), numbers(time, ':')) else { bail!(wrong()) };
    let ([year, month @ 1..=12, day @ 1..=31], [hour @ 0..=23, minute @ 0..=59, second @ 0..=59]) =
        (&date[..], &time[..])
    else {
        bail!(wrong())
    };
    if !(1970..=9999).contains(year) {
        bail!(wrong());
    }
    // A civil date to days since 1970 (Howard Hinnant's algorithm).
    let y = year - u64::from(*month <= 2);
    let (era, year_of_era) = (y / 400, y % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    Ok((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000)
}

#[cfg(test)]
mod tests;
