use proptest::prelude::*;

use super::*;

fn check(text: &str, expect: Result<&str, EgressError>) {
    let found = EgressRule::parse(text).map(|rule| rule.to_string());
    assert_eq!(found, expect.map(str::to_owned), "{text}");
}

#[test]
fn a_rule_reads_as_its_plainest_form() {
    check("public", Ok("public"));
    check("API.Example.com", Ok("api.example.com"));
    check("api.example.com:8443", Ok("api.example.com:8443"));
    check("HTTPS://api.example.com/", Ok("https://api.example.com"));
    check("http://10.0.0.7:9000", Ok("http://10.0.0.7:9000"));
    check("http://[::1]:9000", Ok("http://[::1]:9000"));
    check("[0:0::1]:80", Ok("[::1]:80"));
    check("::1", Ok("::1"));
    check("10.1.2.3/8", Ok("10.0.0.0/8"));
    check("fd00::/8", Ok("fd00::/8"));
    check("redis", Ok("redis"));
    check("my_service:80", Ok("my_service:80"));
}

#[test]
fn what_is_no_rule_is_refused_with_its_reason() {
    use EgressError::*;
    check("", Err(Empty));
    check("ftp://a", Err(Scheme("ftp".to_owned())));
    check("https://a/b", Err(Path("/b".to_owned())));
    check("https://a?b", Err(Path("?b".to_owned())));
    check("a/b", Err(Path("/b".to_owned())));
    check("a:b@c", Err(Credentials));
    check("a:99999", Err(Port("99999".to_owned())));
    check("a:", Err(Port(String::new())));
    check("a:+1", Err(Port("+1".to_owned())));
    check("127.1", Err(Host("127.1".to_owned())));
    check("2130706433", Err(Host("2130706433".to_owned())));
    check("[::1", Err(Host("[:".to_owned())));
    check("10.0.0.0/33", Err(Network("10.0.0.0/33".to_owned())));
    check("*.example.com", Err(Wildcard));
}

#[test]
fn addresses_of_nobody_are_told_apart() {
    for host in ["0.0.0.0", "::", "255.255.255.255", "224.0.0.1", "ff02::1"] {
        assert!(is_unnameable(host), "{host}");
    }
    for host in ["127.0.0.1", "10.0.0.1", "::1", "example.com"] {
        assert!(!is_unnameable(host), "{host}");
    }
}

proptest! {
    #[test]
    fn a_rule_reads_back_as_it_is_written(text in "(https?://)?([a-z]{1,3}(\\.[a-z0-9]{1,3}){0,2}|[0-9.:/\\[\\]a-f]{1,20})(:[0-9]{1,5})?|\\PC{0,20}") {
        if let Ok(rule) = EgressRule::parse(&text) {
            prop_assert_eq!(EgressRule::parse(&rule.to_string()), Ok(rule));
        }
    }
}
