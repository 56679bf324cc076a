//! Names of tenants, apps, workers, bindings and resources. A name is checked once, when it is
//! parsed, and never again.

use std::fmt;
use std::sync::Arc;

/// The longest name, in bytes: what fits a DNS label, since an app's name becomes a host.
pub const NAME_BYTES_MAX: usize = 63;

/// Why a string is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a name can't be empty")]
    Empty,
    #[error("a name has at most {NAME_BYTES_MAX} characters, this one has {0}")]
    TooLong(usize),
    #[error("{found:?} can't stand at position {at}; a name is made of {allowed}")]
    BadCharacter { at: usize, found: char, allowed: &'static str },
}

const LABEL: &str = "lower-case letters, digits and inner hyphens";
const IDENTIFIER: &str = "letters, digits and underscores, not starting with a digit";

fn check_label(s: &str) -> Result<(), NameError> {
    check_length(s)?;
    let last = s.len() - 1;
    match s
        .char_indices()
        .find(|&(i, c)| !(c.is_ascii_lowercase() || c.is_ascii_digit() || (c == '-' && i != 0 && i != last)))
    {
        Some((at, found)) => Err(NameError::BadCharacter { at, found, allowed: LABEL }),
        None => Ok(()),
    }
}

fn check_identifier(s: &str) -> Result<(), NameError> {
    check_length(s)?;
    match s.char_indices().find(|&(i, c)| !(c.is_ascii_alphabetic() || c == '_' || (c.is_ascii_digit() && i != 0))) {
        Some((at, found)) => Err(NameError::BadCharacter { at, found, allowed: IDENTIFIER }),
        None => Ok(()),
    }
}

fn check_length(s: &str) -> Result<(), NameError> {
    match s.len() {
        0 => Err(NameError::Empty),
        n if n > NAME_BYTES_MAX => Err(NameError::TooLong(n)),
        _ => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn parse(s: &str) -> Result<Self, NameError> {
                $check(s)?;
                Ok(Self(s.into()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(s: &str) -> Result<Self, NameError> {
                Self::parse(s)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let s = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                Self::parse(&s).map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// Who owns apps. A laptop has one tenant, `local`.
    TenantName, check_label
);
name!(
    /// An application: the unit of deployment, and a DNS label, since it becomes `<app>.localhost`.
    AppName, check_label
);
name!(
    /// A worker within an app.
    WorkerName, check_label
);
name!(
    /// A resource within an app: a KV namespace, a database, a bucket, a queue, a secret.
    ResourceName, check_label
);
name!(
    /// The name under which code sees a binding: a JavaScript identifier such as `GUESTS`.
    BindingName, check_identifier
);

name!(
    /// A class of durable objects: the name of an export.
    ClassName, check_identifier
);

#[cfg(test)]
mod tests;
