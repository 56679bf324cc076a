//! `Intl`: what a script gets of locales, zones and the order of text. What is expected is what Node says.

use crate::fixture::{get, on_core, setup};

/// What a script answers that joins the values of these expressions, a line each.
async fn check(cases: &[(&str, &str)]) {
    let list = cases.iter().map(|(expression, _)| format!("() => {expression}")).collect::<Vec<_>>().join(",\n");
    let app = setup(&format!(
        "const t = new Date('2026-11-27T14:05:09.123Z');
        const cases = [{list}];
        const said = (f) => {{ try {{ return String(f()) }} catch (e) {{ return String(e) }} }};
        export default {{ fetch() {{ return new Response(cases.map(said).join('\\n')) }} }}"
    ));
    let text = app.limits(|limits| limits.cpu_ms = 20_000).start().text(get("http://a.test/")).await;
    let said: Vec<&str> = text.lines().collect();
    assert_eq!(said.len(), cases.len(), "{text}");
    for ((expression, expect), said) in cases.iter().zip(said) {
        assert_eq!(said, *expect, "{expression}");
    }
}

#[test]
fn dates_are_written_in_languages_and_zones() {
    on_core(check(&[
        ("t.toLocaleString('en-US', { timeZone: 'America/New_York' })", "11/27/2026, 9:05:09 AM"),
        ("t.toLocaleDateString('de', { dateStyle: 'full' })", "Freitag, 27. November 2026"),
        (
            "new Intl.DateTimeFormat('fr', { dateStyle: 'long', timeStyle: 'short', timeZone: 'Europe/Paris' }).format(t)",
            "27 novembre 2026 à 15:05",
        ),
        ("new Intl.DateTimeFormat('ja', { dateStyle: 'long' }).format(t)", "2026年11月27日"),
        (
            "new Intl.DateTimeFormat('en', { timeZone: 'america/new_york', hour: 'numeric', timeZoneName: 'long' }).format(t)",
            "9 AM Eastern Standard Time",
        ),
        (
            "['2026-03-08T06:59:59Z', '2026-03-08T07:00:00Z'].map((at) => new Date(at).toLocaleTimeString('en', { timeZone: 'America/New_York', timeZoneName: 'short' })).join(' ')",
            "1:59:59 AM EST 3:00:00 AM EDT",
        ),
        (
            "new Intl.DateTimeFormat('en-US', { dateStyle: 'short' }).formatToParts(t).map((part) => part.type + part.value).join('')",
            "month11literal/day27literal/year26",
        ),
        ("new Intl.DateTimeFormat().resolvedOptions().timeZone", "UTC"),
        ("new Date(NaN).toLocaleString()", "Invalid Date"),
        ("new Intl.DateTimeFormat('en', { timeZone: 'Mars/X' })", "RangeError: Invalid time zone specified: Mars/X"),
        ("new Date(8.64e15).toLocaleDateString('en', { timeZone: 'Asia/Tokyo' })", "9/13/275760"),
    ]));
}

#[test]
fn numbers_and_words_are_written_in_languages() {
    on_core(check(&[
        ("(1234567.891).toLocaleString()", "1,234,567.891"),
        ("new Intl.NumberFormat('de', { style: 'currency', currency: 'EUR' }).format(-1234.5)", "-1.234,50\u{a0}€"),
        ("new Intl.NumberFormat('en-IN').format(12345678)", "1,23,45,678"),
        ("new Intl.NumberFormat('en', { notation: 'compact' }).format(999999)", "1M"),
        ("new Intl.NumberFormat('en', { style: 'percent', maximumFractionDigits: 1 }).format(0.1234)", "12.3%"),
        ("(123456789012345678901n).toLocaleString('en')", "123,456,789,012,345,678,901"),
        (
            "new Intl.NumberFormat('en', { style: 'currency' })",
            "TypeError: Currency code is required with currency style.",
        ),
        ("[1, 2, 5, 1.5].map((n) => new Intl.PluralRules('ru').select(n)).join()", "one,few,many,other"),
        ("new Intl.PluralRules('en', { type: 'ordinal' }).select(22)", "two"),
        ("new Intl.RelativeTimeFormat('de', { numeric: 'auto' }).format(-1, 'day')", "gestern"),
        ("new Intl.RelativeTimeFormat('en').format(3, 'months')", "in 3 months"),
        ("new Intl.ListFormat('en').format(['a', 'b', 'c'])", "a, b, and c"),
        ("new Intl.DisplayNames('fr', { type: 'region' }).of('DE')", "Allemagne"),
        ("Intl.getCanonicalLocales(['EN-us', 'zh-hans-cn'])", "en-US,zh-Hans-CN"),
        ("new Intl.NumberFormat('x_y')", "RangeError: Incorrect locale information provided"),
        ("Intl.supportedValuesOf('timeZone').includes('Europe/Berlin')", "true"),
    ]));
}

#[test]
fn text_has_an_order_and_ends() {
    on_core(check(&[
        ("['z', 'ä', 'a', 'Z', 'é', 'e'].sort(new Intl.Collator('de').compare).join('')", "aäeézZ"),
        ("['z', 'ä', 'a'].sort((a, b) => a.localeCompare(b, 'sv')).join('')", "azä"),
        ("['a10', 'a9'].sort(new Intl.Collator('en', { numeric: true }).compare).join()", "a9,a10"),
        ("'a'.localeCompare('Á', 'en', { sensitivity: 'base' })", "0"),
        (
            "[...new Intl.Segmenter('en', { granularity: 'word' }).segment('Hé, you!')].filter((s) => s.isWordLike).map((s) => s.index + s.segment).join()",
            "0Hé,4you",
        ),
        ("[...new Intl.Segmenter('en').segment('👨‍👩‍👧é')].map((s) => s.segment.length).join()", "8,1"),
        (
            "[...new Intl.Segmenter('en').segment('x'.repeat(2 ** 20 + 1))].length",
            "RangeError: the text is longer than 1048576 bytes (limits.segmenter_bytes)",
        ),
    ]));
}

/// A name that no search of the source finds loads the feature when it is touched.
#[test]
fn intl_is_loaded_when_it_is_touched() {
    on_core(check(&[("new globalThis['In' + 'tl'].NumberFormat('de').format(1234.5)", "1.234,5")]));
}
