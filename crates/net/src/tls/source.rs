//! Where certificates come from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;

use super::certificate::{Field, Files, Found, Pair, TlsProblem, pairs_in};
use super::local_ca::LocalCa;
use super::managed::Managed;

/// A source of certificates.
#[derive(Debug, Clone)]
pub enum Source {
    /// One certificate, as PEM files.
    Files {
        cert: PathBuf,
        key: PathBuf,
        /// A DER file with the OCSP response to staple.
        ocsp: Option<PathBuf>,
        /// The hosts that it is shown for; all that it names, if there are none.
        hosts: Vec<String>,
        /// It is shown to clients that name no host, or an unknown one. Without such a source, the
        /// first certificate is.
        default: bool,
    },
    /// Every pair in a directory: `NAME.pem` or `NAME.crt` with `NAME.key`, and folders as certbot
    /// and others make them, `NAME/fullchain.pem` with `NAME/privkey.pem`. A response to staple is
    /// `NAME.ocsp` or `NAME/ocsp.der`. A pair that can't be read is left out, with a warning: one
    /// customer's mistake must not keep a listener from starting.
    Directory(PathBuf),
    /// Made when they are asked for, under an authority of this machine.
    Local(Arc<LocalCa>),
    /// Those that the node got from an authority, as far as it has.
    Managed(Arc<Managed>),
}

impl Source {
    pub(super) fn read(&self, index: usize, files: &mut Files, provider: &CryptoProvider, found: &mut Found) {
        match self {
            Self::Files { cert, key, ocsp, hosts, default } => {
                let pair = Pair { source: index, cert, key, ocsp: ocsp.as_deref() };
                match pair.load(files, provider, found.now, &mut found.warnings) {
                    Ok(certificate) => found.add(index, cert, certificate, hosts, *default),
                    Err(problem) => found.problems.push(problem),
                }
            }
            Self::Directory(path) => read_directory(index, path, files, provider, found),
            Self::Local(ca) => found.local = Some(ca.clone()),
            Self::Managed(managed) => read_managed(index, managed, provider, found),
        }
    }
}

fn read_directory(index: usize, path: &Path, files: &mut Files, provider: &CryptoProvider, found: &mut Found) {
    files.note(path);
    let pairs = match pairs_in(path) {
        Ok(pairs) => pairs,
        Err(error) => {
            let message = format!("{} can't be read: {error}", path.display());
            let help = "directory names a folder with NAME.pem and NAME.key for each certificate";
            return found.problems.push(TlsProblem::new(index, Field::Directory, message, help));
        }
    };
    for (cert, key) in &pairs {
        let named = if cert.ends_with("fullchain.pem") { "ocsp.der".into() } else { stem(cert) + ".ocsp" };
        let ocsp = Some(cert.with_file_name(named)).filter(|path| path.is_file());
        let pair = Pair { source: index, cert, key, ocsp: ocsp.as_deref() };
        match pair.load(files, provider, found.now, &mut found.warnings) {
            Ok(certificate) => found.add(index, cert, certificate, &[], false),
            Err(problem) => found.warnings.push(problem),
        }
    }
}

fn read_managed(index: usize, managed: &Managed, provider: &CryptoProvider, found: &mut Found) {
    for (name, issued) in managed.all() {
        match issued.read(provider) {
            Ok(certificate) => found.add(index, Path::new(&name), certificate, &[], false),
            Err(error) => {
                let message = format!("the certificate {name} can't be used: {error}");
                found.warnings.push(TlsProblem::new(index, Field::Cert, message, "selvedge asks for another"));
            }
        }
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
