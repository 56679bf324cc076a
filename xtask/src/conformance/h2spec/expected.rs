//! `expected.toml`: the cases that are known to fail, each with its reason.
//!
//! Of TOML only what the file needs is read: `[[known]]` tables of strings, a key a line.

use anyhow::{Context as _, Result, bail};

use super::Outcome;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expected {
    known: Vec<Known>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Known {
    /// As an [`Outcome`] names it.
    case: String,
    reason: String,
}

impl Expected {
    pub fn parse(text: &str) -> Result<Self> {
        let mut known: Vec<Known> = Vec::new();
        let lines = text.lines().map(str::trim).enumerate();
        for (index, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let number = index + 1;
            if line == "[[known]]" {
                known.push(Known::default());
                continue;
            }
            let (key, value) = line.split_once(" = ").with_context(|| format!("line {number}: a key has a value"))?;
            let last = known.last_mut().with_context(|| format!("line {number}: {key} is in no [[known]]"))?;
            let value: String = serde_json::from_str(value).with_context(|| format!("line {number}: {key}"))?;
            match key {
                "case" => last.case = value,
                "reason" => last.reason = value,
                other => bail!("line {number}: there is no key {other:?}: case or reason"),
            }
        }
        if let Some(known) = known.iter().find(|known| known.case.is_empty() || known.reason.is_empty()) {
            bail!("a known failure has a case and a reason: {known:?}");
        }
        Ok(Self { known })
    }

    /// What is not as it was expected, in words. `whole` says that every case was run.
    pub fn judge(&self, outcomes: &[Outcome], whole: bool) -> Vec<String> {
        let mut complaints = Vec::new();
        for Outcome { case, failure } in outcomes {
            match (failure, self.known.iter().any(|known| known.case == *case)) {
                (Some(failure), false) => complaints.push(format!("{case}: {failure}")),
                (None, true) => complaints.push(format!("{case}: passes, against the record")),
                _ => {}
            }
        }
        let gone = self.known.iter().filter(|known| !outcomes.iter().any(|outcome| outcome.case == known.case));
        complaints.extend(gone.filter(|_| whole).map(|known| format!("{}: there is no such case", known.case)));
        complaints
    }
}
