//! What every bench takes: `--json`, `--quick`, `--alone`, and `--only CASE` any number of times.

use anyhow::{Context as _, Result, bail};

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub json: bool,
    pub quick: bool,
    /// Selvedge without its peers.
    pub alone: bool,
    /// Empty for every case.
    only: Vec<String>,
}

impl Options {
    pub fn parse(bench: &str, arguments: &[&str], cases: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match *argument {
                "--json" => options.json = true,
                "--quick" => options.quick = true,
                "--alone" => options.alone = true,
                "--only" => {
                    let name = *rest.next().context("--only wants the name of a case")?;
                    if !cases.contains(&name) {
                        bail!("no case is called {name:?}; there are {}", cases.join(", "));
                    }
                    options.only.push(name.to_owned());
                }
                other => bail!(
                    "`cargo xtask bench {bench}` has no {other:?}: it takes --json, --quick, --alone, --only CASE"
                ),
            }
        }
        Ok(options)
    }

    pub fn wants(&self, case: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == case)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_are_read_and_a_case_that_is_not_there_is_told_with_those_that_are() {
        let parse = |arguments: &[&str]| Options::parse("data", arguments, &["hit", "put"]);
        let only = vec!["hit".to_owned(), "put".to_owned()];
        let options = parse(&["--quick", "--only", "hit", "--alone", "--only", "put", "--json"]).expect("options");
        assert_eq!(options, Options { json: true, quick: true, alone: true, only });
        assert!(options.wants("put") && !options.wants("get"));
        assert!(parse(&["--only", "get"]).expect_err("no such case").to_string().contains("hit, put"));
        assert!(parse(&["--fast"]).is_err() && parse(&["--only"]).is_err());
    }
}
