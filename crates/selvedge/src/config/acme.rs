//! `[acme]`: the authority that certificates are asked of, and how hosts are proven to be here.

use std::path::{Path, PathBuf};

use base::Secret;
use base64::Engine as _;
use net::acme::{ExternalAccount, Proof};

use super::code;
use super::reader::{Reader, Table};

/// An authority as the operator names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeConfig {
    pub directory: String,
    /// To trust beside what the system trusts.
    pub ca: Option<PathBuf>,
    pub contact: Vec<String>,
    pub external: Option<ExternalAccount>,
    pub proof: Proof,
    /// Called to change a record, for proofs by DNS.
    pub dns_hook: Option<PathBuf>,
}

const FIELDS: &[&str] = &["directory", "ca", "contact", "terms_agreed", "challenge", "dns_hook", "external_account"];
const EXTERNAL_FIELDS: &[&str] = &["id", "key", "key_file"];
const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";

pub fn read(reader: &mut Reader<'_>, table: &Table, base: &Path) -> Option<AcmeConfig> {
    reader.check_fields(table, FIELDS, "[acme]");
    let directory = reader.string(table, "directory");
    if let Some(text) = directory.as_ref().filter(|text| !text.value.starts_with("https://")) {
        let help = "such as \"https://acme-v02.api.letsencrypt.org/directory\"";
        reader.problem(code::BAD_VALUE, &text.span, "the directory is no https URL".to_owned(), help);
    }
    if reader.bool(table, "terms_agreed") != Some(true) {
        let message = "an authority gives certificates to those who agree to its terms".to_owned();
        let help = "read them, and set terms_agreed = true";
        reader.problem(code::MISSING_FIELD, &table.key_span("terms_agreed"), message, help);
    }
    let contact = reader.strings(table, "contact");
    for text in contact.iter().filter(|text| !text.value.starts_with("mailto:")) {
        let message = format!("`{}` is no address of a person", text.value);
        reader.problem(code::BAD_VALUE, &text.span, message, "such as \"mailto:operator@example.com\"");
    }
    let dns_hook = reader.string(table, "dns_hook").map(|text| base.join(text.value));
    let proof = read_proof(reader, table, dns_hook.is_some());
    let external = reader.table(table, "external_account").and_then(|inner| read_external(reader, &inner, base));
    Some(AcmeConfig {
        directory: directory.map_or_else(|| DIRECTORY.to_owned(), |text| text.value),
        ca: reader.string(table, "ca").map(|text| base.join(text.value)),
        contact: contact.into_iter().map(|text| text.value).collect(),
        external,
        proof,
        dns_hook,
    })
}

fn read_proof(reader: &mut Reader<'_>, table: &Table, has_hook: bool) -> Proof {
    let text = reader.string(table, "challenge");
    let proof = match text.as_ref().map(|text| text.value.as_str()) {
        None | Some("http-01") => Proof::Http,
        Some("tls-alpn-01") => Proof::TlsAlpn,
        Some("dns-01") => Proof::Dns,
        Some(other) => {
            let message = format!("`{other}` is no way to prove a host");
            let help = "challenge is \"http-01\", \"tls-alpn-01\" or \"dns-01\"";
            reader.problem(code::BAD_VALUE, &table.key_span("challenge"), message, help);
            Proof::Http
        }
    };
    if proof == Proof::Dns && !has_hook {
        let help = "dns_hook names a program, called as: HOOK set|unset NAME VALUE";
        let message = "dns-01 needs somebody who changes records".to_owned();
        reader.problem(code::MISSING_FIELD, &table.key_span("challenge"), message, help);
    }
    proof
}

fn read_external(reader: &mut Reader<'_>, table: &Table, base: &Path) -> Option<ExternalAccount> {
    reader.check_fields(table, EXTERNAL_FIELDS, "`external_account`");
    let id = reader.required(table, "id", "the authority gives out an id and a key for accounts that it knows");
    let text = match reader.string(table, "key_file") {
        Some(file) => {
            let path = base.join(&file.value);
            let read = std::fs::read_to_string(&path);
            let problem = |error: &std::io::Error| format!("{} can't be read: {error}", path.display());
            if let Err(error) = &read {
                reader.problem(code::UNUSABLE, &file.span, problem(error), "it holds the key, in base64url");
            }
            Some((read.ok()?.trim().to_owned(), file.span))
        }
        None => reader.required(table, "key", "the key, in base64url; or key_file").map(|key| (key.value, key.span)),
    };
    let (text, span) = text?;
    let encoding = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    match encoding.decode(text.trim_end_matches('=')) {
        Ok(key) => Some(ExternalAccount { id: id?.value, key: Secret::new(key) }),
        Err(_) => {
            reader.problem(code::BAD_VALUE, &span, "the key is not base64url".to_owned(), "copy it as it was given");
            None
        }
    }
}
