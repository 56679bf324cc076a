//! From an address to a connection that is ready: TLS, login, settings of the session.

use std::io;
use std::time::Duration;

use fallible_iterator::FallibleIterator as _;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;
use services::postgres::{DatabaseOptions, PostgresError, ServerError, Tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::wire::{Wire, error_of, unexpected};
use crate::network::{Check, Link, LinkError, Network};

/// What the protocol needs besides rows, in one message.
const MESSAGE_BYTES_MIN: usize = 1 << 20;

/// A connection that is ready, and what names it to whoever wants a statement of it cancelled.
pub struct Ready {
    pub wire: Wire,
    pub key: Option<(i32, i32)>,
}

/// Within `connect_ms`.
pub async fn connect(network: &dyn Network, options: &DatabaseOptions, check: Check) -> Result<Ready, PostgresError> {
    let ms = options.limits.connect_ms;
    let opening = async {
        let link = open(network, options, check).await?;
        let message_bytes_max = MESSAGE_BYTES_MIN.max(options.limits.result_bytes as usize);
        let mut wire = Wire::new(link, message_bytes_max);
        let key = log_in(&mut wire, options).await?;
        Ok(Ready { wire, key })
    };
    match tokio::time::timeout(Duration::from_millis(ms), opening).await {
        Ok(outcome) => outcome,
        Err(_) => Err(PostgresError::Unreachable(format!(
            "{} gave no connection within {ms} ms (limits.connect_ms of the database)",
            options.address
        ))),
    }
}

/// A connection of bytes, with TLS if it is to have it.
pub async fn open(network: &dyn Network, options: &DatabaseOptions, check: Check) -> Result<Link, PostgresError> {
    let address = &options.address;
    let mut link = network.connect(&address.host, address.port, check).await.map_err(refused)?;
    let Tls::Verify { ca } = &options.tls else { return Ok(link) };
    let gone = |error: io::Error| PostgresError::Unreachable(format!("{address}: {error}"));
    let mut request = bytes::BytesMut::new();
    frontend::ssl_request(&mut request);
    link.stream.write_all(&request).await.map_err(gone)?;
    link.stream.flush().await.map_err(gone)?;
    // One byte and no more: whatever stood behind it in clear would be taken for the server's word.
    let mut answer = [0];
    link.stream.read_exact(&mut answer).await.map_err(gone)?;
    match answer[0] {
        b'S' => network.secure(link, &address.host, ca.as_deref()).await.map_err(refused),
        _ => Err(PostgresError::Tls(format!("{address} offers no TLS; write tls = \"off\" if that is meant"))),
    }
}

fn refused(error: LinkError) -> PostgresError {
    match error {
        LinkError::Denied(reason) => PostgresError::Denied(reason),
        LinkError::Unreachable(reason) => PostgresError::Unreachable(reason),
        LinkError::Tls(reason) => PostgresError::Tls(reason),
    }
}

/// Logs in; the key for cancelling, if the server gave one.
async fn log_in(wire: &mut Wire, options: &DatabaseOptions) -> Result<Option<(i32, i32)>, PostgresError> {
    let gone = |error: io::Error| PostgresError::Unreachable(format!("{}: {error}", options.address));
    let statement_ms = options.limits.statement_ms.to_string();
    let mut settings: Vec<(&str, &str)> = vec![
        ("user", &options.address.user),
        ("database", &options.address.database),
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO"),
        ("TimeZone", "UTC"),
        // The server's own end of a statement that nobody is left to cancel.
        ("statement_timeout", &statement_ms),
    ];
    let name = format!("selvedge/{}", options.app.app);
    if !options.address.settings.iter().any(|(setting, _)| setting == "application_name") {
        settings.push(("application_name", &name));
    }
    settings.extend(options.address.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    frontend::startup_message(settings, &mut wire.outgoing).map_err(gone)?;
    wire.flush().await.map_err(gone)?;
    authenticate(wire, options).await?;
    let mut key = None;
    loop {
        match wire.next().await.map_err(gone)? {
            Message::BackendKeyData(body) => key = Some((body.process_id(), body.secret_key())),
            Message::ReadyForQuery(_) => break,
            Message::ErrorResponse(body) => return Err(login_error(options, &error_of(&body).map_err(gone)?)),
            other => return Err(gone(unexpected(&other))),
        }
    }
    wire.settings_changed = false;
    Ok(key)
}

async fn authenticate(wire: &mut Wire, options: &DatabaseOptions) -> Result<(), PostgresError> {
    let address = &options.address;
    let gone = |error: io::Error| PostgresError::Unreachable(format!("{address}: {error}"));
    let refused = |reason: &str| PostgresError::Login(format!("{address}: {reason}"));
    let password = || {
        let password = address.password.as_ref().map(|password| password.expose().as_bytes());
        password.ok_or_else(|| refused("the server asks for a password, and the URL has none"))
    };
    let mut scram = None;
    loop {
        match wire.next().await.map_err(gone)? {
            Message::AuthenticationOk => return Ok(()),
            Message::AuthenticationCleartextPassword => {
                if options.tls == Tls::Off {
                    return Err(refused("the server asks for the password in clear, which goes over TLS only"));
                }
                frontend::password_message(password()?, &mut wire.outgoing).map_err(gone)?;
            }
            Message::AuthenticationMd5Password(body) => {
                let hash = md5_hash(address.user.as_bytes(), password()?, body.salt());
                frontend::password_message(hash.as_bytes(), &mut wire.outgoing).map_err(gone)?;
            }
            Message::AuthenticationSasl(body) => {
                let known = body.mechanisms().any(|mechanism| Ok(mechanism == SCRAM_SHA_256)).map_err(gone)?;
                if !known {
                    return Err(refused("the server wants a way to log in other than SCRAM-SHA-256"));
                }
                let begun = ScramSha256::new(password()?, ChannelBinding::unsupported());
                let sent = frontend::sasl_initial_response(SCRAM_SHA_256, begun.message(), &mut wire.outgoing);
                sent.map_err(gone)?;
                scram = Some(begun);
            }
            Message::AuthenticationSaslContinue(body) => {
                let scram = scram.as_mut().ok_or_else(|| refused("the server's part of SCRAM came out of order"))?;
                scram.update(body.data()).map_err(|error| refused(&error.to_string()))?;
                frontend::sasl_response(scram.message(), &mut wire.outgoing).map_err(gone)?;
            }
            Message::AuthenticationSaslFinal(body) => {
                let scram = scram.as_mut().ok_or_else(|| refused("the server's part of SCRAM came out of order"))?;
                scram.finish(body.data()).map_err(|error| refused(&error.to_string()))?;
                continue;
            }
            Message::ErrorResponse(body) => return Err(login_error(options, &error_of(&body).map_err(gone)?)),
            _ => {
                return Err(refused(
                    "the server wants a way to log in that is not supported: Kerberos, GSSAPI or SSPI",
                ));
            }
        }
        wire.flush().await.map_err(gone)?;
    }
}

fn login_error(options: &DatabaseOptions, error: &ServerError) -> PostgresError {
    let said = format!("{}: {error}", options.address);
    match error.sqlstate.as_str() {
        "28000" | "28P01" | "3D000" | "42501" | "42704" | "22023" => PostgresError::Login(said),
        // Too many connections, starting up, shutting down: of another moment.
        _ => PostgresError::Unreachable(said),
    }
}
