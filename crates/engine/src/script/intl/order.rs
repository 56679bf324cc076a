//! The order of text in a language, and where characters, words and sentences end.

use icu_collator::options::{AlternateHandling, CaseLevel, CollatorOptions, Strength};
use icu_collator::preferences::{CollationCaseFirst, CollationNumericOrdering};
use icu_collator::{CollatorBorrowed, CollatorPreferences};
use icu_locale_core::Locale;
use icu_segmenter::options::{SentenceBreakInvariantOptions, WordBreakInvariantOptions};
use icu_segmenter::{GraphemeClusterSegmenter, SentenceSegmenter, WordSegmenter};

use base::WorkerLimits;

use crate::script::codec::{Decoder, Encoder};
use crate::script::host::Refusal;

/// COMPARE(locale, sensitivity, numeric, caseFirst, ignorePunctuation, a, b) → -1, 0 or 1
pub fn compare(args: &mut Decoder<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let (locale, sensitivity, numeric) = (args.next()?, args.next()?, args.next()?.as_bool()?);
    let (case_first, ignores) = (args.next()?, args.next()?.as_bool()?);
    let (a, b) = (args.next()?, args.next()?);
    let locale: Locale = locale.as_str()?.parse().unwrap_or(Locale::UNKNOWN);
    let mut preferences = CollatorPreferences::from(&locale);
    if numeric {
        preferences.numeric_ordering = Some(CollationNumericOrdering::True);
    }
    preferences.case_first = match case_first.as_str()? {
        "upper" => Some(CollationCaseFirst::Upper),
        "lower" => Some(CollationCaseFirst::Lower),
        _ => preferences.case_first,
    };
    let mut options = CollatorOptions::default();
    options.strength = Some(match sensitivity.as_str()? {
        "base" | "case" => Strength::Primary,
        "accent" => Strength::Secondary,
        _ => Strength::Tertiary,
    });
    if sensitivity.as_str()? == "case" {
        options.case_level = Some(CaseLevel::On);
    }
    if ignores {
        options.alternate_handling = Some(AlternateHandling::Shifted);
    }
    let collator = CollatorBorrowed::try_new(preferences, options)
        .or_else(|_| CollatorBorrowed::try_new(CollatorPreferences::default(), options))
        .map_err(|_| Refusal::type_error("there is no order of text"))?;
    let order = collator.compare(a.as_str()?, b.as_str()?);
    out.number(f64::from(order as i8));
    Ok(())
}

/// SEGMENTS(granularity, text) → for each part a number of 32 bits: its length in UTF-16 units, and the
/// highest bit if it is like a word.
pub fn segments(args: &mut Decoder<'_>, limits: &WorkerLimits, out: &mut Encoder) -> Result<(), Refusal> {
    let (granularity, text) = (args.next()?, args.next()?);
    let text = text.as_str()?;
    if text.len() as u64 > limits.segmenter_bytes {
        let message = format!("the text is longer than {} bytes (limits.segmenter_bytes)", limits.segmenter_bytes);
        return Err(Refusal { name: "RangeError", message: message.into(), code: "" });
    }
    let ends: Vec<(usize, bool)> = match granularity.as_str()? {
        "word" => {
            let words = WordSegmenter::new_auto(WordBreakInvariantOptions::default());
            words.segment_str(text).iter_with_word_type().map(|(at, kind)| (at, kind.is_word_like())).collect()
        }
        "sentence" => {
            let sentences = SentenceSegmenter::new(SentenceBreakInvariantOptions::default());
            sentences.segment_str(text).map(|at| (at, false)).collect()
        }
        _ => GraphemeClusterSegmenter::new().segment_str(text).map(|at| (at, false)).collect(),
    };
    let mut lengths = Vec::with_capacity(ends.len() * 4);
    let mut start = 0;
    for (end, is_word) in ends.into_iter().filter(|(end, _)| *end > 0) {
        let units = text.get(start..end).map_or(0, |part| part.encode_utf16().count()) as u32;
        lengths.extend_from_slice(&(units | u32::from(is_word) << 31).to_le_bytes());
        start = end;
    }
    out.bytes(&lengths);
    Ok(())
}
