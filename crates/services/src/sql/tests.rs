use super::*;
use crate::AppId;
use base::{AppName, TenantName};

fn migration(name: &str, text: &str) -> Migration {
    Migration { name: name.into(), text: text.into() }
}

fn applied(migration: &Migration) -> Applied {
    Applied { name: migration.name.clone(), checksum: migration.checksum(), applied_ms: 0 }
}

#[test]
fn only_what_was_not_applied_is_pending() {
    let all = [migration("0001_a.sql", "a"), migration("0002_b.sql", "b"), migration("0003_c.sql", "c")];
    let done: Vec<Applied> = all[..2].iter().map(applied).collect();
    assert_eq!(Migration::pending(&all, &done).unwrap(), &all[2..]);
    assert_eq!(Migration::pending(&all, &[]).unwrap(), &all);
}

#[test]
fn a_changed_a_missing_and_an_early_migration_are_errors() {
    let [a, b, c] = [migration("0001_a.sql", "a"), migration("0002_b.sql", "b"), migration("0003_c.sql", "c")];
    let done = [applied(&a), applied(&c)];
    let edited = [migration("0001_a.sql", "other"), c.clone()];
    let changed = Migration::pending(&edited, &done);
    assert_eq!(changed, Err(MigrationError::Changed { name: "0001_a.sql".into() }));
    let later = [a.clone(), migration("0004_d.sql", "d")];
    let missing = Migration::pending(&later, &done);
    assert_eq!(missing, Err(MigrationError::Missing { name: "0003_c.sql".into() }));
    assert_eq!(Migration::pending(&later[..1], &done), Ok(&[][..]), "the database may be ahead");
    let all = [a, b, c];
    let early = Migration::pending(&all, &done);
    assert_eq!(early, Err(MigrationError::OutOfOrder { name: "0002_b.sql".into(), last: "0003_c.sql".into() }));
}

#[test]
fn line_ends_change_no_checksum() {
    assert_eq!(migration("a", "x\r\ny").checksum(), migration("a", "x\ny").checksum());
}

#[test]
fn a_key_can_never_be_a_path() {
    let app = AppId::new(TenantName::parse("local").unwrap(), AppName::parse("shop").unwrap());
    let family = SqlFamily { app, prefix: "tenant-".into() };
    assert_eq!(family.database("acme").unwrap().to_string(), "local/shop/tenant-acme");
    assert_eq!(family.database("a@b.example+1").unwrap().name.as_str(), "tenant-a@b.example+1");
    for bad in ["", ".", "..", ".x", "a/b", "a\0", "ü", "a b", &"x".repeat(129)] {
        assert!(matches!(family.database(bad), Err(SqlError::BadName(_))), "{bad:?}");
        assert!(bad.len() == 129 || SqlName::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn limits_name_themselves() {
    let limits = SqlLimits { sql_bytes: 10, sql_parameters: 1, sql_value_bytes: 20, ..SqlLimits::default() };
    let check = |statement, expect: &str| {
        let error = limits.check(&statement).unwrap_err();
        assert_eq!(error.code().name, "sql_limit");
        assert!(error.to_string().contains(expect), "{error}");
    };
    check(SqlStatement::new("SELECT 12345"), "limits.sql_bytes is 10");
    check(SqlStatement::bind("S", vec![SqlValue::Null, SqlValue::Null]), "limits.sql_parameters is 1");
    check(SqlStatement::bind("S", vec![SqlValue::Text("x".repeat(21))]), "limits.sql_value_bytes is 20");
    assert!(limits.check(&SqlStatement::bind("SELECT ?1", vec![SqlValue::Text("x".into())])).is_ok());
}
