//! The local authority of `selvedge dev --tls`: made once for each user, kept with the user's data,
//! and told how to be trusted.

use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use base::{Clock, NodeLimits};
use net::tls::{LocalCa, Source};
use net::{Tls, TlsOptions};

const CERTIFICATE: &str = "ca.pem";
const KEY: &str = "ca.key";

/// What the server shows, and what to tell the developer.
pub struct Authority {
    pub tls: Arc<Tls>,
    certificate: PathBuf,
    fresh: bool,
}

/// Opens the authority, and makes it the first time.
pub fn open(own: IpAddr, limits: &NodeLimits, clock: &Arc<dyn Clock>) -> Result<Authority> {
    let folder = folder()?;
    let (certificate, key) = (folder.join(CERTIFICATE), folder.join(KEY));
    let fresh = !certificate.exists() || !key.exists();
    if fresh {
        make(&folder, &**clock)?;
    }
    let read = |path: &Path| fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()));
    let mode = fs::metadata(&key).with_context(|| format!("can't read {}", key.display()))?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!(
            "others can read {}, the key of the local authority: delete {} and start again",
            key.display(),
            folder.display()
        );
    }
    let made_max = limits.local_certificates as usize;
    let opened = LocalCa::open(&read(&certificate)?, &read(&key)?, &[own], made_max, clock.clone());
    let ca = opened
        .with_context(|| format!("the local authority can't be used: delete {} and start again", folder.display()))?;
    let options = TlsOptions::new(vec![Source::Local(ca)], limits);
    let now = std::time::Duration::from_millis(clock.unix_ms());
    let tls = Tls::open(options, now).map_err(|problems| match problems.into_iter().next() {
        Some(problem) => anyhow::Error::new(problem),
        None => anyhow::anyhow!("no TLS"),
    })?;
    Ok(Authority { tls, certificate, fresh })
}

impl Authority {
    /// How to have browsers trust it.
    pub fn advice(&self) -> String {
        let path = self.certificate.display();
        if !self.fresh {
            return format!("  its certificates come from the local authority in {path}\n");
        }
        format!(
            "  its certificates come from a local authority that was made just now, for localhost and private addresses only.\n  \
               To trust it:\n    \
               Debian   sudo cp {path} /usr/local/share/ca-certificates/selvedge.crt && sudo update-ca-certificates\n    \
               Fedora   sudo trust anchor {path}\n    \
               macOS    sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {path}\n    \
               Chromium on Linux   certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n selvedge -i {path}\n    \
               curl     curl --cacert {path} https://…\n"
        )
    }
}

fn folder() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")));
    Ok(data
        .context("there is no home directory to keep the local authority in; set XDG_DATA_HOME")?
        .join("selvedge/ca"))
}

fn make(folder: &Path, clock: &dyn Clock) -> Result<()> {
    let made = LocalCa::make(clock).context("the local authority could not be made")?;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("can't make {}", folder.display()))?;
    let write = |name: &str, mode: u32, content: &str| -> Result<()> {
        let (path, temporary) = (folder.join(name), folder.join(format!("{name}.new")));
        let written = || -> std::io::Result<()> {
            let mut file =
                fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
            file.write_all(content.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, &path)
        };
        written().with_context(|| format!("can't write {}", path.display()))
    };
    write(KEY, 0o600, &made.key_pem)?;
    write(CERTIFICATE, 0o644, &made.certificate_pem)
}
