//! Databases of PostgreSQL.

use std::collections::BTreeMap;

use base::limits::POSTGRES;
use base::{PostgresLimits, ResourceName};

use super::{Compiler, shorten};
use crate::bounds::{CA_BYTES, DATABASES};
use crate::plan::{Grant, PostgresPlan, PostgresTls};
use crate::raw::{RawManifest, RawPostgres, Spanned};
use crate::report::{code, suggest};

impl Compiler<'_, '_> {
    /// None if one of them could not be made; that is reported.
    pub(super) fn postgres(&mut self, raw: &RawManifest) -> Option<BTreeMap<ResourceName, PostgresPlan>> {
        if raw.postgres.len() as u64 > DATABASES.max {
            let count = raw.postgres.len();
            let message = format!("the app has {count} databases; at most {} (databases)", DATABASES.max);
            self.problems.add(code::TOO_MANY, &raw.postgres[DATABASES.max as usize].name.span, message);
            return None;
        }
        let databases: Vec<_> = raw.postgres.iter().map(|database| self.database(database)).collect();
        databases.into_iter().collect()
    }

    fn database(&mut self, raw: &RawPostgres) -> Option<(ResourceName, PostgresPlan)> {
        let name = self.resource(&raw.name, "a database");
        // A URL that is not there was reported by the reader.
        let url = raw.url.as_ref().and_then(|secret| self.resource(secret, "a secret"));
        let tls = self.tls(raw);
        let ca = self.ca(raw, tls);
        let mut limits = PostgresLimits::default();
        self.limits(&raw.limits, POSTGRES, None, |name, value| limits.set(name, value));
        Some((name?, PostgresPlan { url: url?, tls: tls?, ca: ca?, limits }))
    }

    fn tls(&mut self, raw: &RawPostgres) -> Option<PostgresTls> {
        let Some(text) = &raw.tls else { return Some(PostgresTls::Verify) };
        match text.value.as_str() {
            "verify" => Some(PostgresTls::Verify),
            "off" => Some(PostgresTls::Off),
            other => {
                let message = format!("`{}` is no way to use TLS", shorten(other));
                self.problems.add(code::BAD_VALUE, &text.span, message).help =
                    suggest(other, ["verify", "off"], "it is one of");
                None
            }
        }
    }

    fn ca(&mut self, raw: &RawPostgres, tls: Option<PostgresTls>) -> Option<Option<String>> {
        let Some(pem) = &raw.ca else { return Some(None) };
        if tls == Some(PostgresTls::Off) {
            self.problems.add(code::BAD_VALUE, &pem.span, "`ca` has no meaning without TLS").help =
                Some("leave out `ca`, or tls = \"off\"".to_owned());
            return None;
        }
        self.authorities(pem).map(Some)
    }

    /// The text of a field `ca`.
    pub(super) fn authorities(&mut self, pem: &Spanned<String>) -> Option<String> {
        let (message, help) = if pem.value.len() as u64 > CA_BYTES.max {
            let (bytes, max) = (pem.value.len(), CA_BYTES.max);
            (format!("`ca` has {bytes} bytes; at most {max} (ca_bytes)"), "name the authority itself, not a bundle")
        } else if pem.value.contains("PRIVATE KEY") {
            ("`ca` holds a private key".to_owned(), "a certificate is public, its key never stands in a manifest")
        } else if !pem.value.contains("-----BEGIN CERTIFICATE-----") {
            ("`ca` is no certificate in PEM".to_owned(), "write ca = \"\"\"-----BEGIN CERTIFICATE----- … \"\"\"")
        } else {
            return Some(pem.value.clone());
        };
        self.problems.add(code::BAD_VALUE, &pem.span, message).help = Some(help.to_owned());
        None
    }

    /// What a binding to a database opens.
    pub(super) fn postgres_grant(&mut self, target: &Spanned<String>) -> Option<Grant> {
        if !self.databases.contains(&target.value) {
            let message = format!("there is no database `{}`", shorten(&target.value));
            let known = self.databases.iter().map(String::as_str);
            let help = suggest(&target.value, known, "the databases are").unwrap_or_else(|| {
                format!("describe it: [postgres.{}] url = {{ secret = \"database-url\" }}", shorten(&target.value))
            });
            self.problems.add(code::BAD_BINDING, &target.span, message).help = Some(help);
            return None;
        }
        // A name that is no proper one was reported where the database is described.
        let database = ResourceName::parse(&target.value).ok()?;
        Some(Grant::Postgres { database, dev_url: None })
    }
}
