//! Which of a file's encodings a client gets, and for how long a name of a file stands for one
//! content. Pure functions.

use http::{HeaderMap, header};

/// The codings of files that lie beside another: its name, and the end of theirs.
pub(super) const CODINGS: [(&str, &str); 3] = [("br", ".br"), ("zstd", ".zst"), ("gzip", ".gz")];

/// The variant that a client wants most (RFC 9110, section 12.5.3), the smallest if it wants several as
/// much; `None` for the file as it is. Each variant is a coding and a size.
pub(super) fn coding(headers: &HeaderMap, variants: &[(&'static str, u64)]) -> Option<usize> {
    let fields: Vec<&str> =
        headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).collect();
    let listed = |name: &str| {
        let items = fields.iter().flat_map(|field| field.split(','));
        items.into_iter().find_map(|item| {
            let mut parts = item.split(';').map(str::trim);
            let coding = parts.next()?;
            let matches =
                coding.eq_ignore_ascii_case(name) || (name == "gzip" && coding.eq_ignore_ascii_case("x-gzip"));
            matches.then(|| weight(parts))
        })
    };
    let wanted = |name: &str| listed(name).or_else(|| listed("*")).unwrap_or(0);
    // Without a word, the file as it is will do; but it is not wished for.
    let plain = listed("identity").unwrap_or(0);
    let best =
        variants.iter().enumerate().map(|(at, (name, size))| (wanted(name), std::cmp::Reverse(*size), at)).max()?;
    (best.0 > 0 && best.0 >= plain).then_some(best.2)
}

/// A quality in thousandths; what can't be read is one.
fn weight<'p>(mut parameters: impl Iterator<Item = &'p str>) -> u32 {
    let value = parameters.find_map(|one| one.strip_prefix("q=").or_else(|| one.strip_prefix("Q=")));
    value.and_then(|text| text.trim().parse::<f32>().ok()).map_or(1_000, |q| (q.clamp(0.0, 1.0) * 1_000.0) as u32)
}

/// Whether a name holds a fingerprint of its content: `app.3f9a1c.js`, `index-BxK3z9aQ.js`. Only what is
/// hardly anything else counts: hexadecimal digits of both kinds (six between dots, eight behind a
/// hyphen), or eight and more characters with capitals, small letters and digits among them.
pub(super) fn is_fingerprinted(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut parts: Vec<&str> = name.split('.').collect();
    // Neither the name of the file nor its kind.
    if parts.len() < 2 || matches!(parts.pop(), Some("html" | "htm")) {
        return false;
    }
    let hyphened = parts.iter().filter_map(|part| part.rsplit_once('-').map(|(_, end)| (end, 8)));
    let dotted = parts.iter().skip(1).map(|part| (*part, 6));
    dotted.chain(hyphened).any(|(part, least)| is_hash(part, least))
}

fn is_hash(part: &str, least: usize) -> bool {
    let has = |kind: fn(&u8) -> bool| part.as_bytes().iter().any(|b| kind(b));
    let hex = part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if hex && part.len() >= least {
        return has(u8::is_ascii_digit) && has(u8::is_ascii_lowercase);
    }
    let word = part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    word && part.len() >= 8 && has(u8::is_ascii_digit) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase)
}

#[cfg(test)]
mod tests;
