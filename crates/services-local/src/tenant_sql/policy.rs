//! What a tenant's statement may do: a pure function of what SQLite says it is about to compile.

use rusqlite::hooks::{AuthAction, AuthContext, TransactionOperation};

use super::Mode;

/// Tables whose names begin so are the provider's: no statement of a tenant reads, writes, makes
/// or removes one.
pub const RESERVED_PREFIX: &str = "_selvedge";

/// Triggers of the change feed begin so.
pub const FEED_PREFIX: &str = "_selvedge_feed_";

/// Why there is no ATTACH, which VACUUM is made of, too.
pub const NO_OTHER_DATABASE: &str =
    "ATTACH, DETACH and VACUUM are not available: a statement reaches its own database only";

/// Why nothing gets such a name.
pub const RESERVED: &str = "names that begin with _selvedge are the platform's";

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    /// Nothing happens, and nothing is said.
    Ignore,
    Refuse(String),
}

/// Pragmas that tell about the database, whatever their argument.
const PRAGMAS_THAT_TELL: &[&str] = &[
    "collation_list",
    "compile_options",
    "data_version",
    "foreign_key_check",
    "foreign_key_list",
    "freelist_count",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "module_list",
    "page_count",
    "pragma_list",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
];

/// Pragmas that may be read, and not set.
const PRAGMAS_TO_READ: &[&str] = &[
    "application_id",
    "auto_vacuum",
    "encoding",
    "journal_mode",
    "max_page_count",
    "page_size",
    "schema_version",
    "user_version",
];

/// Modules that a virtual table may be made of.
const MODULES: &[&str] = &["fts5", "fts5vocab", "rtree", "rtree_i32"];

/// Functions that reach out of the database.
const FUNCTIONS_REFUSED: &[&str] = &["load_extension", "fts3_tokenizer"];

/// Looks at one thing that a statement wants.
pub fn judge(context: &AuthContext<'_>, mode: Mode) -> Verdict {
    if mode == Mode::Trusted {
        return Verdict::Allow;
    }
    // What a table of the tenant's tells the feed, and what goes with a table.
    let of_the_feed = |name: &str| name.starts_with(FEED_PREFIX);
    if context.accessor.is_some_and(of_the_feed)
        || matches!(context.action, AuthAction::DropTrigger { trigger_name, .. } if of_the_feed(trigger_name))
    {
        return Verdict::Allow;
    }
    if let Some(name) = tables(&context.action).into_iter().flatten().find(|name| is_reserved(name)) {
        return Verdict::Refuse(format!("{name} is a table of the platform's"));
    }
    match context.action {
        AuthAction::Attach { .. } | AuthAction::Detach { .. } => refuse(NO_OTHER_DATABASE),
        // A dump begins one and commits it (which has no name here); what it makes is a part of the one that is there.
        AuthAction::Transaction { operation: TransactionOperation::Begin | TransactionOperation::Unknown }
            if mode == Mode::Import =>
        {
            Verdict::Ignore
        }
        AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => refuse(
            "BEGIN, COMMIT, ROLLBACK and SAVEPOINT are not statements here; use batch() or transaction() instead",
        ),
        AuthAction::Pragma { pragma_name, pragma_value } => pragma(pragma_name, pragma_value, mode),
        AuthAction::Function { function_name } => match contains(FUNCTIONS_REFUSED, function_name) {
            true => Verdict::Refuse(format!("the function {function_name} is not available")),
            false => Verdict::Allow,
        },
        AuthAction::CreateVtable { module_name, .. } => match contains(MODULES, module_name) {
            true => Verdict::Allow,
            false => Verdict::Refuse(format!(
                "virtual tables of {module_name} are not available; there are {}",
                MODULES.join(", ")
            )),
        },
        AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempView { .. }
        | AuthAction::CreateTempTrigger { .. } => {
            refuse("there are no temporary tables, views or triggers, for a connection is not yours alone")
        }
        AuthAction::Unknown { code, .. } => Verdict::Refuse(format!("action {code} is not known")),
        _ => Verdict::Allow,
    }
}

/// Judges a statement by its text, where SQLite asks too little: `VACUUM` names nothing before it runs; to drop
/// a table drops the feed's triggers too, and SQLite asks the same for one of them; and of a table that is
/// renamed it tells the old name alone. A name stands in the text as it is, for SQL escapes none of its letters.
pub fn judge_text(sql: &str) -> Verdict {
    let word = first_word(sql);
    let is = |known: &str| word.eq_ignore_ascii_case(known);
    if is("VACUUM") {
        return refuse(NO_OTHER_DATABASE);
    }
    if is("DROP") && names(sql, FEED_PREFIX) {
        return refuse("a trigger of this name is the platform's");
    }
    if is("ALTER") && names(sql, RESERVED_PREFIX) {
        return refuse(RESERVED);
    }
    Verdict::Allow
}

/// Whether a text names what begins with this.
pub fn names(sql: &str, prefix: &str) -> bool {
    let within_a_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$') || !c.is_ascii();
    // Every such prefix begins with it.
    sql.match_indices('_').any(|(at, _)| {
        let found = sql.as_bytes()[at..].get(..prefix.len());
        found.is_some_and(|found| found.eq_ignore_ascii_case(prefix.as_bytes())) && !sql[..at].ends_with(within_a_name)
    })
}

/// The word that a statement begins with, after what SQLite passes over: spaces, comments, empty statements
/// and marks of byte order.
pub fn first_word(sql: &str) -> &str {
    let mut rest = skip(sql);
    loop {
        let comment = match (rest.strip_prefix("--"), rest.strip_prefix("/*")) {
            (Some(comment), _) => comment.split_once('\n'),
            (None, Some(comment)) => comment.split_once("*/"),
            (None, None) => break,
        };
        rest = skip(comment.map_or("", |(_, after)| after));
    }
    rest.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or("")
}

fn skip(sql: &str) -> &str {
    sql.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ';' | '\u{feff}'))
}

fn refuse(reason: &str) -> Verdict {
    Verdict::Refuse(reason.into())
}

fn contains(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn pragma(name: &str, value: Option<&str>, mode: Mode) -> Verdict {
    let on = value.is_none_or(|value| ["on", "true", "yes", "1"].iter().any(|word| word.eq_ignore_ascii_case(value)));
    match name.to_ascii_lowercase().as_str() {
        lower if PRAGMAS_THAT_TELL.contains(&lower) => Verdict::Allow,
        lower if PRAGMAS_TO_READ.contains(&lower) && value.is_none() => Verdict::Allow,
        // Ends with the transaction, so it is nobody else's.
        "defer_foreign_keys" => Verdict::Allow,
        // SQLite ignores it within a transaction, and every migration runs in one.
        "foreign_keys" if matches!(mode, Mode::Migration | Mode::Import) && value.is_some() => Verdict::Ignore,
        "foreign_keys" if on => Verdict::Allow,
        "foreign_keys" => {
            refuse("foreign keys are always checked; use PRAGMA defer_foreign_keys = ON to check them at the end")
        }
        // What it would do to the file, the provider does.
        "optimize" => Verdict::Ignore,
        _ => Verdict::Refuse(format!("PRAGMA {name} is not available")),
    }
}

fn is_reserved(name: &str) -> bool {
    name.len() >= RESERVED_PREFIX.len()
        && name.is_char_boundary(RESERVED_PREFIX.len())
        && name[..RESERVED_PREFIX.len()].eq_ignore_ascii_case(RESERVED_PREFIX)
}

/// The names that an action gives, but for what is analysed: that is every table, and tells of none.
fn tables<'a>(action: &AuthAction<'a>) -> [Option<&'a str>; 2] {
    match *action {
        AuthAction::CreateTable { table_name }
        | AuthAction::Delete { table_name }
        | AuthAction::DropTable { table_name }
        | AuthAction::Insert { table_name }
        | AuthAction::Read { table_name, .. }
        | AuthAction::Update { table_name, .. }
        | AuthAction::AlterTable { table_name, .. }
        | AuthAction::CreateVtable { table_name, .. }
        | AuthAction::DropVtable { table_name, .. } => [Some(table_name), None],
        AuthAction::CreateIndex { index_name, table_name } | AuthAction::DropIndex { index_name, table_name } => {
            [Some(index_name), Some(table_name)]
        }
        AuthAction::CreateTrigger { trigger_name, table_name }
        | AuthAction::DropTrigger { trigger_name, table_name } => [Some(trigger_name), Some(table_name)],
        AuthAction::CreateView { view_name } | AuthAction::DropView { view_name } => [Some(view_name), None],
        // What a pragma tells of a table.
        AuthAction::Pragma { pragma_value, .. } => [pragma_value, None],
        _ => [None, None],
    }
}
