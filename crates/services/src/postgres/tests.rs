use std::borrow::Cow;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::value::instant_ms;
use super::*;

fn parsed(url: &str) -> Result<Address, AddressError> {
    Address::parse(url, &Tls::Verify { ca: None })
}

#[test]
fn a_url_says_where_and_who() {
    let check = |url: &str, expect: (&str, u16, &str, Option<&str>, &str)| {
        let a = parsed(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        let password = a.password.as_ref().map(|password| password.expose().as_str());
        assert_eq!((a.host.as_str(), a.port, a.user.as_str(), password, a.database.as_str()), expect, "{url}");
    };
    check("postgres://u:p@db.example/shop", ("db.example", 5432, "u", Some("p"), "shop"));
    check("postgresql://u@db.example:6432", ("db.example", 6432, "u", None, "u"));
    check("postgres://u:a%40b%3A@h/d?sslmode=require", ("h", 5432, "u", Some("a@b:"), "d"));
    check("postgres://u:a@b@h/d\n", ("h", 5432, "u", Some("a@b"), "d"));
    check("postgres://u:p@[::1]:5433/d", ("::1", 5433, "u", Some("p"), "d"));
    let with = parsed("postgres://u@h/d?application_name=a%20b&options=-c%20search_path%3Dx").unwrap();
    assert_eq!(with.settings[1], ("options".to_owned(), "-c search_path=x".to_owned()));
}

#[test]
fn a_bad_url_is_refused_and_its_password_never_told() {
    let check = |url: &str, expect: AddressError| {
        let error = parsed(url).expect_err(url);
        assert_eq!(error, expect, "{url}");
        assert!(!error.to_string().contains("secret"), "{error}");
    };
    check("mysql://u:secret@h/d", AddressError::Scheme);
    check("host=h password=secret", AddressError::Scheme);
    check("postgres://:secret@h/d", AddressError::User);
    check("postgres://h/d", AddressError::User);
    check("postgres://u:secret@/d", AddressError::Host);
    check("postgres://u:secret@%2Frun%2Fpostgresql/d", AddressError::Host);
    check("postgres://u:secret@a,b/d", AddressError::Host);
    check("postgres://u:secret@h:0/d", AddressError::Port);
    check("postgres://u:secret@h:+5/d", AddressError::Port);
    check("postgres://u:secret@h:99999/d", AddressError::Port);
    check("postgres://u:%ff@h/d", AddressError::Escape);
    check("postgres://u:secret@h/d?sslmode=disable", AddressError::SslMode);
    check("postgres://u:secret@h/d?host=x", AddressError::Parameter("host".to_owned()));
    assert!(Address::parse("postgres://u:s@h/d?sslmode=disable", &Tls::Off).is_ok());
    assert!(!format!("{:?}", parsed("postgres://u:secret@h/d")).contains("secret"));
}

fn read(type_oid: u32, text: &str) -> Value<'static> {
    match Column::new("c".to_owned(), type_oid).read(Some(text.as_bytes())) {
        Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
        Value::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
        Value::Null => Value::Null,
        Value::Bool(value) => Value::Bool(value),
        Value::Number(value) => Value::Number(value),
        // Elements own what they hold.
        Value::Array(items) => Value::Array(items.iter().map(own).collect()),
    }
}

fn own(value: &Value<'_>) -> Value<'static> {
    match value {
        Value::Null => Value::Null,
        Value::Bool(value) => Value::Bool(*value),
        Value::Number(value) => Value::Number(*value),
        Value::Text(text) => Value::Text(Cow::Owned(text.to_string())),
        Value::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.to_vec())),
        Value::Array(items) => Value::Array(items.iter().map(own).collect()),
    }
}

fn text(text: &'static str) -> Value<'static> {
    Value::Text(text.into())
}

#[test]
fn values_are_read_by_their_types() {
    assert_eq!(read(16, "t"), Value::Bool(true));
    assert_eq!(read(23, "-7"), Value::Number(-7.0));
    assert_eq!(read(20, "9007199254740991"), Value::Number(9_007_199_254_740_991.0));
    assert_eq!(read(20, "9007199254740992"), text("9007199254740992"), "beyond what a number holds exactly");
    assert_eq!(read(701, "Infinity"), Value::Number(f64::INFINITY));
    assert_eq!(read(1700, "1.10"), text("1.10"));
    assert_eq!(read(114, "{\"a\":1}"), text("{\"a\":1}"));
    assert_eq!(read(3220, "0/0"), text("0/0"));
    assert_eq!(read(16, "maybe"), text("maybe"));
    let bytes = Column::new("b".to_owned(), 17);
    assert_eq!(bytes.read(Some(&[0, 255])), Value::Bytes(Cow::Borrowed(&[0, 255])));
    assert_eq!(bytes.read(None), Value::Null);
}

#[test]
fn arrays_are_read_with_what_stands_in_them() {
    let numbers = |items: &[f64]| Value::Array(items.iter().map(|n| Value::Number(*n)).collect());
    assert_eq!(read(1007, "{1,2}"), numbers(&[1.0, 2.0]));
    assert_eq!(read(1007, "{{1},{2}}"), Value::Array(vec![numbers(&[1.0]), numbers(&[2.0])]));
    assert_eq!(read(1007, "[0:1]={1,2}"), numbers(&[1.0, 2.0]));
    assert_eq!(read(1007, "{}"), Value::Array(vec![]));
    let expect = vec![text("a,\"b\\"), Value::Null, text("NULL"), text("ä}")];
    assert_eq!(read(1009, "{\"a,\\\"b\\\\\",NULL,\"NULL\",\"ä}\"}"), Value::Array(expect));
    assert_eq!(read(1001, "{\"\\\\x00ff\"}"), Value::Array(vec![Value::Bytes(Cow::Borrowed(&[0, 255]))]));
    for broken in ["{", "{1", "{1,", "{\"a}", "{\"a\\", "}", "", "{1}x", "{{{{{{{1}}}}}}}", "[0:1]"] {
        assert_eq!(read(1009, broken), Value::Text(broken.into()), "{broken:?}");
    }
}

#[test]
fn times_are_read_in_every_zone_and_age() {
    let check = |text: &str, expect: f64| assert_eq!(instant_ms(text), Some(expect), "{text}");
    check("1970-01-01 00:00:00", 0.0);
    check("2024-02-29 12:34:56.789012+00", 1_709_210_096_789.0);
    check("2024-02-29 12:34:56.7+02", 1_709_202_896_700.0);
    check("1999-12-31 23:59:59-03:30", 946_697_399_000.0);
    check("1969-12-31 23:59:59.5", -500.0);
    check("0044-03-15 12:00:00+00 BC", -63_517_780_800_000.0);
    check("12024-01-01 00:00:00+00", 317_273_587_200_000.0);
    check("infinity", f64::INFINITY);
    for broken in ["", "x", "2024-01-01", "2024-01-01 00", "2024-01-01 00:00:xx"] {
        assert_eq!(instant_ms(broken), None, "{broken}");
    }
}

#[test]
fn parameters_are_written_as_the_server_reads_them() {
    let check = |param: Param, oid: u32, expect: (i16, Option<&[u8]>)| {
        let (format, content) = param.encode(oid);
        assert_eq!((format, content.as_deref()), expect);
    };
    check(Param::Null, 23, (0, None));
    check(Param::Text("42".into()), 23, (0, Some(b"42")));
    check(Param::Bytes(Bytes::from_static(&[1, 254])), 17, (1, Some(&[1, 254])));
    check(Param::Bytes(Bytes::from_static(&[1, 254])), 25, (0, Some(b"\\x01fe")));
    check(Param::Json("[1,2]".into()), 3802, (0, Some(b"[1,2]")));
    check(Param::Json("[1,null,[2]]".into()), 1007, (0, Some(b"{1,NULL,{2}}")));
    check(
        Param::Json("[\"a\\\"\\\\\",true,{\"b\":1}]".into()),
        1009,
        (0, Some(b"{\"a\\\"\\\\\",true,\"{\\\"b\\\":1}\"}")),
    );
    check(Param::Json("{\"a\":1}".into()), 1009, (0, Some(b"{\"a\":1}")));
}

#[test]
fn a_statement_shows_what_it_leaves_behind() {
    for clean in ["SELECT 1", "UPDATE t SET template = 1", "SELECT pg_advisory_xact_lock(1)", "select contemporary"] {
        assert!(!effects(clean).session, "{clean}");
    }
    for dirty in ["CREATE TEMP TABLE t ()", "select set_config('a','b',false)", "SELECT pg_advisory_lock(1)"] {
        assert!(effects(dirty).session, "{dirty}");
    }
    assert!(effects("set x = 1").and_tag("SET").session);
    assert!(!effects("SELECT 1").and_tag("SELECT").session);
    assert_eq!(quoted_name("a\"b"), "\"a\"\"b\"");
}

#[test]
fn a_statement_that_is_too_large_is_refused_before_it_is_sent() {
    let limits = PostgresLimits { statement_bytes: 10, parameter_bytes: 3, ..PostgresLimits::default() };
    let check = |query: Query, expect: &str| {
        let error = query.check(&limits).expect_err(expect);
        assert!(error.to_string().contains(expect), "{error}");
        assert_eq!(error.code().name, "postgres_refused");
    };
    assert!(Query::new("SELECT 123").bind(Param::Text("abc".into())).check(&limits).is_ok());
    check(Query::new("SELECT 1234"), "limits.statement_bytes allows 10");
    check(Query::new("SELECT $1").bind(Param::Bytes(vec![0; 4].into())), "limits.parameter_bytes allows 3");
    check(Query::new("SELECT $1").bind(Param::Text("\0".into())), "NUL");
    let many = Query { params: vec![Param::Null; 65_536], ..Query::new("SELECT $1") };
    check(many, "room for 65535");
}

#[test]
fn rows_end_where_their_layout_does() {
    let row = Row(Bytes::from_static(b"\0\0\0\x01a\xff\xff\xff\xff\0\0\0\0"));
    let cells: Vec<_> = row.cells().collect();
    assert_eq!(cells, [Some(&b"a"[..]), None, Some(&b""[..])]);
    let broken = Row(Bytes::from_static(b"\0\0\0\x09a"));
    assert_eq!(broken.cells().count(), 0);
}

proptest! {
    #[test]
    fn what_is_written_as_an_array_is_read_as_the_same(items in vec(option::of(any::<String>()), 0..6)) {
        // PostgreSQL's text has no NUL.
        let items: Vec<Option<String>> = items.into_iter().map(|item| item.map(|text| text.replace('\0', ""))).collect();
        let literal = array_literal(&serde_json::to_string(&items).unwrap()).unwrap();
        let expect = items.iter().map(|item| item.clone().map_or(Value::Null, |text| Value::Text(text.into()))).collect();
        prop_assert_eq!(read(1009, &literal), Value::Array(expect), "{}", literal);
    }

    #[test]
    fn nothing_that_a_server_sends_as_text_is_too_much(oid in prop_oneof![Just(1009_u32), Just(1184), Just(1001), any::<u32>()], text in "[{}\"\\\\,0-9:+ -]{0,24}") {
        read(oid, &text);
    }

    #[test]
    fn no_text_is_too_odd_to_be_no_address(text in any::<String>(), tail in "[:@/?%&=a0\\[\\]]{0,16}") {
        let _ = (parsed(&text), parsed(&format!("postgres://{tail}")), effects(&text), Row(Bytes::from(text)).cells().count());
    }
}
