//! The checkout: where it is, which files it holds, and how its programs are run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// Folders that hold nothing of ours.
const FOREIGN: [&str; 5] = [".git", "target", "node_modules", ".selvedge", "__pycache__"];

#[derive(Debug)]
pub struct Repo {
    root: PathBuf,
}

impl Repo {
    pub fn find() -> Result<Self> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").context("run this as `cargo xtask …`")?;
        let root = Path::new(&manifest).parent().context("xtask has no folder above it")?;
        Ok(Self { root: root.to_owned() })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The folder for what is kept between runs: the user's, or one that git ignores.
    pub fn cache_folder(&self) -> PathBuf {
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_dir());
        home.map_or_else(|| self.path("target/cache"), |home| home.join(".cache/selvedge"))
    }

    /// The cargo that runs us, at the root.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root);
        command
    }

    /// What `cargo metadata` says of the workspace's own packages. Nothing is resolved or fetched.
    pub fn metadata(&self) -> Result<serde_json::Value> {
        let text = output(self.cargo().args(["metadata", "--format-version", "1", "--no-deps"]))?;
        serde_json::from_str(&text).context("cargo metadata gave something that is not JSON")
    }

    /// Builds what is installed and measured, and answers where it lies: `selection` says to cargo what to
    /// build, `name` how it is called below the profile's folder.
    pub fn build_dist(&self, selection: &[&str], name: &str) -> Result<PathBuf> {
        run(self.cargo().args(["build", "--profile", "dist"]).args(selection))?;
        Ok(self.target_folder()?.join("dist").join(name))
    }

    /// Where cargo puts what it builds.
    pub fn target_folder(&self) -> Result<PathBuf> {
        let metadata = self.metadata()?;
        let target = metadata["target_directory"].as_str().context("cargo metadata names no target_directory")?;
        Ok(target.into())
    }

    /// Every text file of the checkout, by its path from the root with `/` between the parts,
    /// sorted.
    pub fn texts(&self) -> Result<Vec<Text>> {
        let mut texts = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
                let entry = entry?;
                let path = entry.path();
                let kind = entry.file_type()?;
                // In a second work tree of the repository, .git is a file.
                if is_foreign(&path) {
                    continue;
                }
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file()
                    && let Some(content) = text_of(&path)?
                {
                    texts.push(Text { path: self.relative(&path), content });
                }
            }
        }
        texts.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(texts)
    }

    fn relative(&self, path: &Path) -> String {
        let relative = path.strip_prefix(&self.root).unwrap_or(path);
        relative.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
    }
}

#[derive(Debug)]
pub struct Text {
    pub path: String,
    pub content: String,
}

fn is_foreign(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default();
    FOREIGN.iter().any(|foreign| name == *foreign) || folder.join("CACHEDIR.TAG").exists()
}

/// `None` for what is not text, or is gone: an editor's temporary file may leave under our feet.
fn text_of(path: &Path) -> Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) if bytes.contains(&0) => Ok(None),
        Ok(bytes) => Ok(String::from_utf8(bytes).ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

/// Runs a program to its end, its output on ours.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("starting {}", words(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", words(command));
    }
    Ok(())
}

/// Runs a program to its end and takes what it printed.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("starting {}", words(command)))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed ({})\n{}", words(command), output.status, complaint.trim_end());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} printed something that is not text", words(command)))
}

/// Whether a program runs at all; what it prints is not shown.
pub fn runs(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// The first file of this name on `PATH`.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn words(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(command.get_args().map(|word| word.to_string_lossy()));
    words.join(" ")
}
