//! Takes settings out of TOML, with their places, and collects what is wrong with them.

use std::ops::Range;

use manifest::{Diagnostic, Report, SourceFile};
use toml_edit::{Document, Item, TableLike, Value};

use super::code;

pub struct Reader<'a> {
    file: &'a SourceFile,
    problems: Vec<Diagnostic>,
}

/// A table as it stands in the file.
pub struct Table {
    entries: Vec<Entry>,
    /// The table, or its header.
    pub span: Range<usize>,
}

struct Entry {
    key: String,
    key_span: Range<usize>,
    item: Item,
}

impl Table {
    fn of(table: &dyn TableLike, span: Range<usize>) -> Self {
        let keyed = table.iter().filter_map(|(name, item)| {
            let key = table.key(name)?;
            let key_span = key.span().unwrap_or_default();
            Some(Entry { key: name.to_owned(), key_span, item: item.clone() })
        });
        Self { entries: keyed.collect(), span }
    }

    fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub fn is_table(&self, key: &str) -> bool {
        self.get(key).is_some_and(|entry| entry.item.is_table_like())
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.key.as_str())
    }

    /// Where a setting's name stands.
    pub fn key_span(&self, key: &str) -> Range<usize> {
        self.get(key).map_or(self.span.clone(), |entry| entry.key_span.clone())
    }
}

impl Entry {
    fn span(&self) -> Range<usize> {
        self.item.span().unwrap_or_else(|| self.key_span.clone())
    }
}

/// A text and where it stands.
#[derive(Debug, Clone)]
pub struct Text {
    pub value: String,
    pub span: Range<usize>,
}

impl<'a> Reader<'a> {
    pub fn new(file: &'a SourceFile) -> Self {
        Self { file, problems: Vec::new() }
    }

    /// The root of the file; `None` if it can't be parsed.
    pub fn parse(&mut self) -> Option<Table> {
        match Document::parse(self.file.text()) {
            Ok(document) => Some(Table::of(document.as_table(), 0..0)),
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                let message = format!("this is not TOML: {}", error.message().trim());
                self.problem(code::SYNTAX, &span, message, "");
                None
            }
        }
    }

    pub fn problem(&mut self, code: &'static str, span: &Range<usize>, message: String, help: &str) {
        let problem = Diagnostic::new(code, message).at(self.file.place(span.clone()));
        self.problems.push(if help.is_empty() { problem } else { problem.help(help) });
    }

    /// Everything that was wrong, in the order of the file.
    pub fn finish(mut self) -> Report {
        self.problems.sort_by_key(|problem| problem.place.as_ref().map(|place| place.span.start));
        Report { problems: self.problems }
    }

    /// Reports what nobody reads, with the nearest name that somebody does.
    pub fn check_fields(&mut self, table: &Table, known: &[&str], place: &str) {
        for entry in table.entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let near = known.iter().map(|name| (strsim::damerau_levenshtein(&entry.key, name), name)).min();
            let help = match near {
                Some((distance, name)) if distance <= 1 + entry.key.len() / 4 => format!("did you mean `{name}`?"),
                _ if known.len() <= 12 => format!("it has {}", known.join(", ")),
                _ => "selvedge limits prints every limit".to_owned(),
            };
            let message = format!("{place} has no setting `{}`", entry.key);
            self.problem(code::UNKNOWN_FIELD, &entry.key_span, message, &help);
        }
    }

    fn wrong_type<T>(&mut self, entry: &Entry, wanted: &str) -> Option<T> {
        let found = match &entry.item {
            Item::Value(Value::String(_)) => "a string",
            Item::Value(Value::Integer(_)) => "an integer",
            Item::Value(Value::Boolean(_)) => "a boolean",
            Item::Value(Value::Array(_)) => "an array",
            Item::Value(Value::InlineTable(_)) | Item::Table(_) => "a table",
            Item::ArrayOfTables(_) => "an array of tables",
            _ => "something else",
        };
        let message = format!("`{}` is {found}; it must be {wanted}", entry.key);
        self.problem(code::WRONG_TYPE, &entry.span(), message, "");
        None
    }

    pub fn string(&mut self, table: &Table, key: &str) -> Option<Text> {
        let entry = table.get(key)?;
        match entry.item.as_str() {
            Some(value) => Some(Text { value: value.to_owned(), span: entry.span() }),
            None => self.wrong_type(entry, "a string"),
        }
    }

    /// A setting without which the table makes no sense.
    pub fn required(&mut self, table: &Table, key: &str, help: &str) -> Option<Text> {
        if !table.has(key) {
            self.problem(code::MISSING_FIELD, &table.span, format!("`{key}` is missing here"), help);
        }
        self.string(table, key)
    }

    pub fn bool(&mut self, table: &Table, key: &str) -> Option<bool> {
        let entry = table.get(key)?;
        match entry.item.as_bool() {
            Some(value) => Some(value),
            None => self.wrong_type(entry, "true or false"),
        }
    }

    /// A number that is not negative.
    pub fn integer(&mut self, table: &Table, key: &str) -> Option<(u64, Range<usize>)> {
        let entry = table.get(key)?;
        match entry.item.as_integer().and_then(|value| u64::try_from(value).ok()) {
            Some(value) => Some((value, entry.span())),
            None => self.wrong_type(entry, "an integer that is not negative"),
        }
    }

    pub fn strings(&mut self, table: &Table, key: &str) -> Vec<Text> {
        let Some(entry) = table.get(key) else { return Vec::new() };
        let texts = entry.item.as_array().and_then(|items| {
            let text = |item: &Value| {
                let span = item.span().unwrap_or_else(|| entry.span());
                Some(Text { value: item.as_str()?.to_owned(), span })
            };
            items.iter().map(text).collect::<Option<Vec<_>>>()
        });
        texts.unwrap_or_else(|| self.wrong_type::<Vec<_>>(entry, "an array of strings").unwrap_or_default())
    }

    pub fn table(&mut self, table: &Table, key: &str) -> Option<Table> {
        let entry = table.get(key)?;
        match entry.item.as_table_like() {
            Some(inner) => Some(Table::of(inner, entry.span())),
            None => self.wrong_type(entry, "a table"),
        }
    }

    pub fn tables(&mut self, table: &Table, key: &str) -> Vec<Table> {
        let Some(entry) = table.get(key) else { return Vec::new() };
        let tables = match &entry.item {
            Item::ArrayOfTables(tables) => {
                let one = |table: &toml_edit::Table| Table::of(table, table.span().unwrap_or_else(|| entry.span()));
                Some(tables.iter().map(one).collect())
            }
            Item::Value(Value::Array(items)) => {
                let one = |item: &Value| {
                    let span = item.span().unwrap_or_else(|| entry.span());
                    Some(Table::of(item.as_inline_table()?, span))
                };
                items.iter().map(one).collect::<Option<Vec<_>>>()
            }
            _ => None,
        };
        tables.unwrap_or_else(|| self.wrong_type::<Vec<_>>(entry, "an array of tables").unwrap_or_default())
    }
}
