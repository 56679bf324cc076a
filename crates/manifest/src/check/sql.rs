//! Bindings to SQL databases.

use super::{Compiler, Spanned, bad_name, shorten};
use crate::origin::{PathRole, PathUse};
use crate::plan::{Databases, Grant};
use crate::raw::RawBinding;
use crate::report::code;

impl Compiler<'_, '_> {
    pub(super) fn sql(&mut self, raw: &RawBinding) -> Option<Grant> {
        let sql = match Databases::parse(&raw.target.value) {
            Ok(sql) => sql,
            Err(error) => {
                bad_name(self.problems, &raw.target, "a SQL database", &error);
                return None;
            }
        };
        let migrations = match &raw.migrations {
            Some(directory) => Some(self.migrations(&sql, directory)?),
            None => None,
        };
        Some(Grant::Sql { sql, migrations })
    }

    fn migrations(&mut self, sql: &Databases, directory: &Spanned<String>) -> Option<String> {
        let path = self.path(directory, "the directory of migrations")?;
        match self.migrations.get(sql) {
            Some((known, _)) if *known == path => return Some(path),
            Some((known, first)) => {
                let (known, first) = (shorten(known), first.clone());
                let message = format!("the database `{sql}` has its migrations in `{known}` already");
                let problem = self.problems.add(code::BAD_BINDING, &directory.span, message);
                problem.also = Some((first, "named here".to_owned()));
                problem.help = Some("a database has one directory of migrations".to_owned());
                return None;
            }
            None => {}
        }
        self.migrations.insert(sql.clone(), (path.clone(), directory.span.clone()));
        if !self.origins.paths.iter().any(|p| p.role == PathRole::Migrations && p.path == path) {
            let place = self.problems.file.place(directory.span.clone());
            self.origins.paths.push(PathUse { path: path.clone(), role: PathRole::Migrations, place });
        }
        Some(path)
    }
}
