//! Where a database is: the URL that people have for it, read once.

use std::fmt;

use base::Secret;
use percent_encoding::percent_decode_str;

use super::Tls;

/// A database's place, and who logs in there.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// A name, or an address without brackets.
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: Option<Secret<String>>,
    pub database: String,
    /// Settings of the session, as `application_name` or `options`.
    pub settings: Vec<(String, String)>,
}

/// Why a text is no address. Nothing of the text is part of the message, for it holds a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("the URL of the database does not begin with postgres:// or postgresql://")]
    Scheme,
    #[error("the URL of the database names no host; sockets of the file system can't be reached")]
    Host,
    #[error("the URL of the database names no user")]
    User,
    #[error("the port in the URL of the database is no number from 1 to 65535")]
    Port,
    #[error("the URL of the database has an escape (%) that makes no text")]
    Escape,
    #[error("the URL of the database has the parameter {0:?}; known are sslmode, application_name and options")]
    Parameter(String),
    #[error("the URL of the database says sslmode=disable; write tls = \"off\" in the manifest if that is meant")]
    SslMode,
}

const PORT: u16 = 5432;

impl Address {
    /// Reads `postgres://user:password@host:port/database?parameter=value`. The password begins after
    /// the first colon and ends at the last `@`, as libpq has it.
    pub fn parse(url: &str, tls: &Tls) -> Result<Self, AddressError> {
        let url = url.trim();
        let rest = ["postgres://", "postgresql://"].iter().find_map(|scheme| url.strip_prefix(scheme));
        let rest = rest.ok_or(AddressError::Scheme)?;
        let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let at = rest.rfind('@').ok_or(AddressError::User)?;
        let (login, place) = (&rest[..at], &rest[at + 1..]);
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (decode(user)?, Some(Secret::new(decode(password)?))),
            None => (decode(login)?, None),
        };
        if user.is_empty() {
            return Err(AddressError::User);
        }
        let (host, port) = host_and_port(authority)?;
        let database = decode(database)?;
        let database = if database.is_empty() { user.clone() } else { database };
        let mut settings = Vec::new();
        for pair in parameters.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "sslmode" if value == "disable" && *tls != Tls::Off => return Err(AddressError::SslMode),
                // The manifest decides; what a URL asks for beside it is never less.
                "sslmode" => {}
                "application_name" | "options" => settings.push((name.to_owned(), decode(value)?)),
                _ => return Err(AddressError::Parameter(name.chars().take(64).collect())),
            }
        }
        Ok(Self { host, port, user, password, database, settings })
    }
}

fn host_and_port(authority: &str) -> Result<(String, u16), AddressError> {
    let after_host = authority.rfind(']').map_or(0, |at| at + 1);
    let (host, port) = match authority[after_host..].split_once(':') {
        Some((head, port)) => (&authority[..after_host + head.len()], parse_port(port)?),
        None => (authority, PORT),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let host = decode(host)?;
    // A list of hosts, and a directory of sockets, are libpq's own.
    if host.is_empty() || host.contains(['/', ',']) {
        return Err(AddressError::Host);
    }
    Ok((host, port))
}

fn parse_port(text: &str) -> Result<u16, AddressError> {
    match text.parse() {
        Ok(port) if port > 0 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(port),
        _ => Err(AddressError::Port),
    }
}

fn decode(text: &str) -> Result<String, AddressError> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| AddressError::Escape)?;
    if decoded.contains('\0') { Err(AddressError::Escape) } else { Ok(decoded.into_owned()) }
}

impl fmt::Display for Address {
    /// Without the password, for the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let brackets = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{}{}{}:{}/{}", brackets.0, self.host, brackets.1, self.port, self.database)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}
