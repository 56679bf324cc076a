use super::last;

#[test]
fn the_last_statement_is_what_follows_the_others() {
    let check = |text: &str, expect: Option<(&str, &str)>| assert_eq!(last(text), expect, "{text}");
    check("", None);
    check(" ; -- nothing\n;", None);
    check("SELECT 1", None);
    check("SELECT 1; -- done", None);
    check("SELECT 1;; ;\u{feff}", None);
    check("SELECT 1;SELECT 2", Some(("SELECT 1;", "SELECT 2")));
    check("A 1; B 2; C 3 ;\n", Some(("A 1; B 2;", " C 3 ;\n")));
    check("A ';'; B \";\"';''' /* ; */ -- ;\n, [;], `;`;", Some(("A ';';", " B \";\"';''' /* ; */ -- ;\n, [;], `;`;")));
    check("A 'never ends; B", None);
    check("A /* never ends; B", None);
    let trigger = "create temp trigger t after insert on a begin select case when 1 then 2 end; delete from b; end;";
    check(trigger, None);
    check(&format!("{trigger} SELECT 1"), Some((trigger, " SELECT 1")));
    check(&format!("A; {trigger}"), Some(("A;", &format!(" {trigger}"))));
    check("CREATE TABLE trigger_x (a); END; B", Some(("CREATE TABLE trigger_x (a); END;", " B")));
}
