//! Times as the server writes them with `DateStyle = ISO`: `2024-01-02 03:04:05.678901+02`.

/// Milliseconds since 1970, cut to whole ones; infinite for `infinity`. `None` for what is no time.
pub fn instant_ms(text: &str) -> Option<f64> {
    match text {
        "infinity" => return Some(f64::INFINITY),
        "-infinity" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    let (text, before_christ) = match text.strip_suffix(" BC") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (date, time) = text.split_once(' ')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let year = if before_christ { 1 - year } else { year };
    let (time, offset_s) = split_zone(time)?;
    let mut time = time.splitn(3, ':');
    let (hour, minute) = (time.next()?.parse::<i64>().ok()?, time.next()?.parse::<i64>().ok()?);
    let (second, fraction) = time.next().map(|text| text.split_once('.').unwrap_or((text, "")))?;
    let second = second.parse::<i64>().ok()?;
    let ms: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset_s;
    Some((seconds * 1_000 + ms) as f64)
}

/// `+02`, `-03:30`, `+00:19:32`: east of Greenwich is ahead.
fn split_zone(time: &str) -> Option<(&str, i64)> {
    let Some(at) = time.find(['+', '-']) else { return Some((time, 0)) };
    let (time, zone) = time.split_at(at);
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let mut offset_s = 0;
    for (part, unit_s) in zone[1..].splitn(3, ':').zip([3_600, 60, 1]) {
        offset_s += part.parse::<i64>().ok()? * unit_s;
    }
    Some((time, sign * offset_s))
}

/// Days since 1970 in the Gregorian calendar, years of four hundred as one era whose year begins in
/// March, so that the leap day is its last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    // The first of January 1970 is day 719,468 of the eras.
    era * 146_097 + day_of_era - 719_468
}
