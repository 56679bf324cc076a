//! Migrations of databases: the files `NNNN_name.sql` of the directories that bindings name.

use std::fs;

use manifest::Plan;

use super::{Build, FileFault, code, unreadable};
use crate::document::{MigrationText, Migrations};

impl Build<'_> {
    /// A directory that is missing was reported with its place in the manifest.
    pub(super) fn migrations(&mut self, plan: &Plan) -> Migrations {
        let mut all = Migrations::new();
        for (databases, directory) in plan.migrations() {
            if self.dir.join(directory).is_dir() {
                let files = self.migrations_in(directory);
                all.insert(databases.clone(), files);
            }
        }
        all
    }

    fn migrations_in(&mut self, directory: &str) -> Vec<MigrationText> {
        let path = self.dir.join(directory);
        self.inputs.insert(path.clone());
        let names = fs::read_dir(&path).and_then(|entries| {
            let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
            names.collect::<std::io::Result<Vec<String>>>()
        });
        let names = match names {
            Ok(names) => names,
            Err(error) => {
                self.faults.push(unreadable(directory, &error).into());
                return Vec::new();
            }
        };
        let mut numbered = Vec::new();
        for name in names.into_iter().filter(|name| name.ends_with(".sql")) {
            match number_of(&name) {
                Some(number) => numbered.push((number, name)),
                None => {
                    let message = format!("{directory}/{name} has no number, so it has no place among the migrations");
                    let fault = FileFault::new(code::BAD_MIGRATION, message).file(&format!("{directory}/{name}"));
                    self.faults.push(fault.help("name it NNNN_name.sql, for example 0001_users.sql").into());
                }
            }
        }
        numbered.sort();
        if let Some(pair) = numbered.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let message = format!("{directory} has two migrations of one number: {} and {}", pair[0].1, pair[1].1);
            let fault = FileFault::new(code::BAD_MIGRATION, message).file(directory);
            self.faults.push(fault.help("give the later one the next number").into());
        }
        let texts = numbered.into_iter().filter_map(|(_, name)| {
            let text = self.read_text(&format!("{directory}/{name}"))?;
            Some(MigrationText { name, text })
        });
        texts.collect()
    }
}

fn number_of(name: &str) -> Option<u64> {
    let digits = name.bytes().take_while(u8::is_ascii_digit).count();
    name[..digits].parse().ok()
}
