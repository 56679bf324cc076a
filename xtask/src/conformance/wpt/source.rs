//! Brings the suite onto this machine: out of the source package of Node that Debian keeps, whose
//! `test/fixtures/wpt` is a part of the Web Platform Tests, pinned commit by commit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::repo::{self, Repo};

const VERSION: &str = "20.19.2";
const URL: &str = "http://deb.debian.org/debian/pool/main/n/nodejs/nodejs_20.19.2+dfsg.orig.tar.xz";
const SHA256: &str = "5e5559381ad031d245a8efa403458abbb73755f74c3e6380f185a4dd342b7949";

/// Where the suite lies in the package.
const INSIDE: &str = "test/fixtures/wpt";

/// Names a checkout of the suite to run instead.
const CHECKOUT: &str = "SELVEDGE_WPT";

/// The folder that holds the suite, fetched the first time.
pub fn bring(repo: &Repo) -> Result<PathBuf> {
    if let Some(checkout) = std::env::var_os(CHECKOUT) {
        return Ok(checkout.into());
    }
    let kept = repo.cache_folder().join("conformance");
    let root = kept.join(format!("wpt-{VERSION}"));
    if !root.is_dir() {
        fs::create_dir_all(&kept).with_context(|| format!("creating {}", kept.display()))?;
        let scratch = kept.join(format!("wpt-{}", std::process::id()));
        let brought = unpack(&scratch, &root);
        // What is left of it serves nobody.
        let _ = fs::remove_dir_all(&scratch);
        brought?;
    }
    Ok(root)
}

fn unpack(scratch: &Path, root: &Path) -> Result<()> {
    let archive = scratch.join("nodejs.tar.xz");
    fs::create_dir_all(scratch).with_context(|| format!("creating {}", scratch.display()))?;
    eprintln!("fetching {URL}");
    repo::run(&mut download(&archive)?)
        .with_context(|| format!("the suite could not be fetched; {CHECKOUT}=DIR names a folder that holds it"))?;
    let content = fs::read(&archive).with_context(|| format!("reading {}", archive.display()))?;
    if hex::encode(Sha256::digest(&content)) != SHA256 {
        bail!("{URL} is not what was pinned");
    }
    repo::run(Command::new("tar").arg("-xJf").arg(&archive).arg("-C").arg(scratch).args(["--strip-components=1"]))?;
    fs::rename(scratch.join(INSIDE), root).with_context(|| format!("{INSIDE} is not in the archive"))
}

/// apt knows the way out of a machine that has one; elsewhere curl will do.
fn download(to: &Path) -> Result<Command> {
    let apt = Path::new("/usr/lib/apt/apt-helper");
    let mut command;
    if apt.is_file() {
        command = Command::new(apt);
        command.args(["download-file", URL]).arg(to);
    } else if repo::on_path("curl").is_some() {
        command = Command::new("curl");
        command.args(["--fail", "--location", "--silent", "--show-error", URL, "--output"]).arg(to);
    } else {
        bail!("neither apt nor curl is here to fetch {URL}");
    }
    Ok(command)
}
