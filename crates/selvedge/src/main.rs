//! The `selvedge` binary: the command line, and what joins the crates into a node.
//!
//! [`wire`] is the only file that names an engine or a provider. [`config`] reads what the operator
//! decides, [`listeners`] opens what that says about listeners, [`node`] starts the cores,
//! [`site`] makes of a plan what the edge serves, [`dev`] and [`serve`] decide what is served, [`test`]
//! runs an app's tests in the same engine, and [`admin`] lets the other commands reach a node that runs.

mod acme;
mod admin;
mod bucket;
mod cli;
mod command;
mod config;
mod dev;
mod geo;
mod listeners;
mod live;
mod node;
mod open_files;
mod outbound;
mod prepare;
mod reload;
mod s3;
mod serve;
mod site;
mod small_pages;
mod source_map;
mod start_code;
mod takeover;
mod terminal;
mod test;
mod traced;
mod upstreams;
mod watch;
mod wire;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser as _;

use crate::cli::{Cli, Command};

/// Many small allocations per request, each freed on the core that made it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(terminal::stderr_color())
        .with_target(false)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("SELVEDGE_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,selvedge=info")),
        )
        .init();
    net::tls::install_provider();
    open_files::allow_all();
    small_pages::keep_to();
    let json = cli.json;
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            command::report(&error, json);
            ExitCode::FAILURE
        }
    }
}

/// How long a server's end waits for work that may block.
const ENDING: Duration = Duration::from_secs(1);

fn run(cli: Cli) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut succession = None;
    let code = tokio::task::LocalSet::new().block_on(&runtime, async {
        let json = cli.json;
        match cli.command {
            Command::Test(args) => return Ok(test::run(args, json).await),
            Command::Init(args) => command::init::run(&args),
            Command::Dev(args) => dev::run(args).await,
            Command::Serve(args) => serve::run(args).await.map(|left| succession = left),
            Command::Check(args) => command::project::check(&args, json),
            Command::Types(args) => command::project::types(&args),
            Command::Limits(args) => command::project::limits(&args, json),
            Command::Deploy(args) => command::release::deploy(args, json).await,
            Command::Releases(args) => command::release::list(args, json).await,
            Command::Rollback(args) => command::release::rollback(args, json).await,
            Command::Secret(args) => command::secret::run(args, json).await,
            Command::Config(args) => command::config::run(args, json).await,
            Command::Usage(args) => command::usage::run(args, json).await,
            Command::Sql(args) => command::sql::run(args, json).await,
            Command::Purge(args) => command::cache::purge(args, json).await,
            Command::Mirrors(args) => command::mirrors::run(args, json).await,
            Command::Trace(args) => command::trace::run(args, json).await,
            Command::Cache(args) => command::cache::run(args, json).await,
            Command::Objects(args) => command::objects::run(args, json).await,
            Command::Kv(args) => command::kv::run(args, json).await,
            Command::Blob(args) => command::blob::run(args, json).await,
            Command::Upstreams(args) => command::upstreams::list(&args, json).await,
            Command::Backup(args) => command::care::backup(args, json).await,
            Command::Restore(args) => command::care::restore(&args, json),
            Command::Recover(args) => command::care::recover(args, json),
            Command::Certs(args) => command::certs::run(args, json).await,
            Command::Reload(args) => command::care::reload(args, json).await,
            Command::Fsck(args) => command::care::fsck(args, json).await,
        }?;
        Ok(ExitCode::SUCCESS)
    });
    if let Some(succession) = succession {
        // With the runtime goes whatever of the stores its tasks still hold.
        runtime.shutdown_timeout(ENDING);
        succession.finish()?;
    }
    code
}
