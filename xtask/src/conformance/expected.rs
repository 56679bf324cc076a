//! `expected.toml` of suites whose tests are requests or have names: those that are known to fail, each
//! with its reason.
//!
//! Of TOML only what the file needs is read: `[[known]]` tables of strings and arrays of strings,
//! a key a line.

use anyhow::{Context as _, Result, bail};

/// What became of one test.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its name; of a request, its place in its app and what it asks: `7 GET /users/42`.
    pub request: String,
    /// How it failed, if it did.
    pub difference: Option<String>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expected {
    known: Vec<Known>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Known {
    app: String,
    /// As an [`Outcome`] names them; `*` for all.
    requests: Vec<String>,
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
            let context = || format!("line {number}: the value of {key}");
            match key {
                "app" => last.app = serde_json::from_str(value).with_context(context)?,
                "reason" => last.reason = serde_json::from_str(value).with_context(context)?,
                "requests" => last.requests = serde_json::from_str(value).with_context(context)?,
                other => bail!("line {number}: there is no key {other:?}: app, requests or reason"),
            }
        }
        if let Some(known) = known.iter().find(|k| k.app.is_empty() || k.requests.is_empty() || k.reason.is_empty()) {
            bail!("a known difference has an app, requests and a reason: {known:?}");
        }
        Ok(Self { known })
    }

    /// What is not as it was expected, in words.
    pub fn judge(&self, app: &str, outcomes: &[Outcome]) -> Vec<String> {
        let mut complaints: Vec<String> = outcomes
            .iter()
            .filter_map(|outcome| match (&outcome.difference, self.is_known(app, &outcome.request)) {
                (Some(difference), false) => Some(format!("{}: {difference}", outcome.request)),
                (None, true) => Some(format!("{}: passes, against the record", outcome.request)),
                _ => None,
            })
            .collect();
        for request in self.of(app).flat_map(|known| &known.requests).filter(|request| *request != "*") {
            if !outcomes.iter().any(|outcome| outcome.request == *request) {
                complaints.push(format!("{request}: is in the record, and is no test of {app}"));
            }
        }
        complaints
    }

    pub fn is_known(&self, app: &str, request: &str) -> bool {
        self.of(app).any(|known| known.requests.iter().any(|r| r == "*" || r == request))
    }

    fn of(&self, app: &str) -> impl Iterator<Item = &Known> {
        self.known.iter().filter(move |known| known.app == app)
    }

    /// Records of apps that are gone.
    pub fn of_no_app(&self, apps: &[String]) -> impl Iterator<Item = String> {
        let gone = self.known.iter().filter(|known| !apps.contains(&known.app));
        gone.map(|known| format!("{}: is in the record, and there is no such app", known.app))
    }
}
