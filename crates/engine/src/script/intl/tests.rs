use super::locales::find;

#[test]
fn each_locale_has_all_its_sections() {
    for tag in ["en", "en-US", "de-AT", "zh-TW", "pt-BR", "ar"] {
        for section in ["dates", "zones", "numbers", "units", "relative", "lists", "names"] {
            let text = find(tag, section).unwrap_or_else(|| panic!("{tag} has no {section}"));
            assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{tag} {section}");
        }
    }
    assert_eq!(find("xx", "dates"), None);
    assert_eq!(find("en", "nothing"), None);
}
