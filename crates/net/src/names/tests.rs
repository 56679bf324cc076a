use super::*;

fn map() -> NameMap<&'static str> {
    let mut map = NameMap::default();
    for name in ["example.com", "*.example.com", "api.example.com", "*.deep.example.com"] {
        map.insert(name, name).unwrap();
    }
    map
}

#[test]
fn an_exact_name_comes_before_a_wildcard_and_a_wildcard_is_one_label() {
    let map = map();
    let find = |host: &str| map.find(host).copied();
    assert_eq!(find("example.com"), Some("example.com"));
    assert_eq!(find("api.example.com"), Some("api.example.com"));
    assert_eq!(find("WWW.Example.COM."), Some("*.example.com"));
    assert_eq!(find("a.b.example.com"), None);
    assert_eq!(find("x.deep.example.com"), Some("*.deep.example.com"));
    assert_eq!(find(""), None);
}

#[test]
fn the_default_is_for_everything_else() {
    let mut map = map();
    map.set_default("default");
    assert_eq!(map.find("other.example").copied(), Some("default"));
    assert_eq!(map.find("").copied(), Some("default"));
    assert_eq!(map.find("example.com").copied(), Some("example.com"));
}

#[test]
fn what_is_no_host_is_no_name() {
    for bad in ["", "*", "*.", "a..b", "*.*.com", "a.*.com", "ex ample.com", "http://a", "a:80", ".a", "a."] {
        assert_eq!(check_name(bad), Err(BadName), "{bad}");
    }
    for good in ["localhost", "*.localhost", "xn--bcher-kva.example", "a_b.example"] {
        assert_eq!(check_name(good), Ok(()), "{good}");
    }
}
