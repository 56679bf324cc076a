//! The folder in which a contender runs a case: the workload as it wants it, and its data.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, bail};

use super::cases::{Case, Kind};
use super::origin::Origin;
use super::peer::{Contender, Tools};
use super::process::Server;
use crate::repo::{self, Repo};

const WORKLOADS: &str = "bench/functions";
const APP: &str = "bench";

/// The core of the server; that of the load is the next.
pub const SERVER_CORE: &str = "0";
pub const LOAD_CORE: &str = "1";

/// Gone when dropped.
#[derive(Debug)]
pub struct Stage {
    contender: Contender,
    folder: PathBuf,
    /// The app that Selvedge serves.
    app: String,
    /// Where its worker fetches from.
    origin: Option<Origin>,
}

impl Stage {
    /// A folder with nothing in it.
    pub fn empty(contender: Contender) -> Result<Self> {
        Ok(Self { contender, folder: fresh_folder()?, app: APP.to_owned(), origin: None })
    }

    pub fn prepare(repo: &Repo, tools: &Tools, case: &Case, contender: Contender) -> Result<Self> {
        let mut stage = Self::empty(contender)?;
        if case.kind == Kind::Recipe {
            stage.deploy_recipe(repo, tools, case)?;
            return Ok(stage);
        }
        let source = repo.path(WORKLOADS).join(case.folder);
        let worker = stage.own_file(&source);
        if case.kind == Kind::Bundle {
            bundle(tools, &worker, &stage.folder)?;
        } else {
            copy(&worker, &stage.folder.join("worker.js"))?;
        }
        if case.kind == Kind::Proxy {
            let origin = Origin::start()?;
            replace(&stage.folder.join("worker.js"), "ORIGIN", &origin.address().to_string())?;
            stage.origin = Some(origin);
        }
        fs::create_dir_all(stage.folder.join("store"))?;
        copy(&repo.path(WORKLOADS).join("workerd.capnp"), &stage.folder.join("workerd.capnp"))?;
        if contender.is_selvedge() {
            write_manifest(repo, &stage.folder, APP, contender)?;
            if case.kind == Kind::Bundle {
                set(&stage.folder, "warm", &format!("{:?}", case.path))?;
            }
            if let Some(origin) = &stage.origin {
                set(&stage.folder, "egress", &format!("[\"http://{}\"]", origin.address()))?;
            }
            deploy(tools, contender, &stage.folder, &stage.data())?;
        }
        Ok(stage)
    }

    /// `deno.js` where Deno wants its own, and so on; `worker.js` else.
    fn own_file(&self, source: &Path) -> PathBuf {
        let own = source.join(format!("{}.js", self.contender.name()));
        if own.is_file() { own } else { source.join("worker.js") }
    }

    fn deploy_recipe(&mut self, repo: &Repo, tools: &Tools, case: &Case) -> Result<()> {
        let recipe = repo.path("recipes").join(case.folder);
        if !recipe.is_dir() {
            bail!("recipes/{} is not there", case.folder);
        }
        let manifest = fs::read_to_string(recipe.join("selvedge.toml")).context("reading the recipe's manifest")?;
        self.app = app_name(&manifest).context("the recipe's manifest has no name")?.to_owned();
        deploy(tools, self.contender, &recipe, &self.data())
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The `Host` of its requests.
    pub fn host(&self) -> String {
        format!("{}.localhost", self.app)
    }

    pub fn start(&self, tools: &Tools) -> Result<Server> {
        self.launch(tools, Stdio::null(), |command, address| self.arguments(command, address))
    }

    /// Selvedge, with its access log in a file.
    pub fn start_logging(&self, tools: &Tools) -> Result<Server> {
        let log = fs::File::create(self.access_log())?;
        self.launch(tools, log.into(), |command, address| self.serve(command, address))
    }

    pub fn access_log(&self) -> PathBuf {
        self.folder.join("access.log")
    }

    /// Selvedge, with a node configuration.
    pub fn start_configured(&self, tools: &Tools, config: &Path) -> Result<Server> {
        self.launch(tools, Stdio::null(), |command, address| {
            self.serve(command, address)?;
            command.arg("--quiet").arg("--config").arg(config);
            Ok(())
        })
    }

    /// `selvedge dev` in the folder.
    pub fn start_dev(&self, tools: &Tools) -> Result<Server> {
        self.launch(tools, Stdio::null(), |command, address| {
            command.arg("dev").arg(&self.folder).arg("--data").arg(self.folder.join("dev-data")).arg("--quiet");
            listen(command, address)
        })
    }

    fn launch(
        &self,
        tools: &Tools,
        stdout: Stdio,
        arguments: impl FnOnce(&mut Command, SocketAddr) -> Result<()>,
    ) -> Result<Server> {
        let address = free_address()?;
        let program = tools.program(self.contender)?;
        let mut command = if tools.pinned {
            let mut taskset = Command::new("taskset");
            taskset.args(["-c", SERVER_CORE]).arg(program);
            taskset
        } else {
            Command::new(program)
        };
        arguments(&mut command, address)?;
        command.current_dir(&self.folder).stdin(Stdio::null()).stdout(stdout);
        let log = fs::File::create(self.folder.join("server.log"))?;
        command.stderr(log);
        Server::start(command, address, self.folder.join("server.log"))
    }

    fn serve(&self, command: &mut Command, address: SocketAddr) -> Result<()> {
        command.arg("serve").arg("--data").arg(self.data());
        listen(command, address)
    }

    fn arguments(&self, command: &mut Command, address: SocketAddr) -> Result<()> {
        let port = address.port().to_string();
        match self.contender {
            Contender::SelvedgeShared | Contender::SelvedgeRequest => {
                self.serve(command, address)?;
                command.arg("--quiet");
            }
            Contender::Workerd => {
                command.args(["serve", "workerd.capnp", "--socket-addr", &format!("http={address}")]);
            }
            Contender::Deno => {
                command.args([
                    "serve",
                    "--quiet",
                    "--no-lock",
                    "--unstable-kv",
                    "--allow-read",
                    "--allow-write",
                    "--allow-net",
                ]);
                command.args(["--host", "127.0.0.1", "--port", &port, "worker.js"]);
                command.env("DENO_DIR", self.folder.join("deno")).env("DENO_NO_UPDATE_CHECK", "1");
            }
            Contender::Bun => {
                command.args(["run", "worker.js"]).env("PORT", &port);
            }
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// One core serves, as with the peers.
fn listen(command: &mut Command, address: SocketAddr) -> Result<()> {
    let admin = free_address()?.to_string();
    command.args(["--listen", &address.to_string(), "--admin", &admin, "--cores", "1"]);
    Ok(())
}

fn fresh_folder() -> Result<PathBuf> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("selvedge-bench-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let folder = std::env::temp_dir().join(name);
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    Ok(folder)
}

pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("finding a free port")?.local_addr()?)
}

/// What the cases that store something are granted.
const BINDINGS: &str = "[workers.web.bindings]\nSTORE = { kv = \"store\" }\n";

pub fn write_manifest(repo: &Repo, folder: &Path, app: &str, contender: Contender) -> Result<()> {
    let template = repo.path(WORKLOADS).join("selvedge.toml");
    let template = fs::read_to_string(&template).with_context(|| format!("reading {}", template.display()))?;
    let mut manifest = template.replace("\"APP\"", &format!("{app:?}")).replace("ISOLATION", contender.isolation());
    // A worker that never asks for its environment is deployed without one, as its author would.
    let worker = fs::read_to_string(folder.join("worker.js")).unwrap_or_default();
    if !worker.contains("env") {
        manifest = manifest.replace(BINDINGS, "");
    }
    fs::write(folder.join("selvedge.toml"), manifest).context("writing a manifest")
}

/// Gives the worker of a manifest another binding.
pub fn bind(folder: &Path, binding: &str) -> Result<()> {
    replace(&folder.join("selvedge.toml"), "STORE = { kv = \"store\" }", binding)
}

/// Gives the worker of a manifest one more key. For `warm`, that is what the author of a worker with a router would do.
fn set(folder: &Path, key: &str, value: &str) -> Result<()> {
    let entry = "entry = \"worker.js\"";
    replace(&folder.join("selvedge.toml"), entry, &format!("{entry}\n{key} = {value}"))
}

fn replace(file: &Path, from: &str, to: &str) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    fs::write(file, text.replace(from, to)).with_context(|| format!("writing {}", file.display()))
}

pub fn deploy(tools: &Tools, contender: Contender, project: &Path, data: &Path) -> Result<()> {
    let mut command = Command::new(tools.program(contender)?);
    repo::output(command.arg("deploy").arg(project).arg("--data").arg(data)).map(drop)
}

/// The value of the first `name = "…"` of a manifest.
pub fn app_name(manifest: &str) -> Option<&str> {
    let value = manifest.lines().find_map(|line| line.strip_prefix("name")?.trim_start().strip_prefix('='))?;
    value.trim().strip_prefix('"')?.split('"').next()
}

/// One file out of the worker and its packages, the same for everyone.
fn bundle(tools: &Tools, worker: &Path, to: &Path) -> Result<()> {
    let packages = tools
        .packages
        .as_ref()
        .context("the packages are missing; to get them: npm install --prefix PEERS hono react react-dom")?;
    let esbuild =
        tools.esbuild.as_ref().context("esbuild is missing; to get it: npm install --prefix PEERS esbuild")?;
    let out = format!("--outfile={}", to.join("worker.js").display());
    let mut command = Command::new(esbuild);
    command.arg(worker).args(["--bundle", "--format=esm", "--target=es2022", "--log-level=warning", &out]);
    command.arg("--define:process.env.NODE_ENV=\"production\"");
    repo::run(command.env("NODE_PATH", packages.join("node_modules")))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("copying {}", from.display())).map(drop)
}
