//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod care;
mod trace;

pub use care::{Backup, Recover, Restore};
pub use trace::Trace;

/// An edge and serverless backend that people own.
#[derive(Debug, Parser)]
#[command(name = "selvedge", version, propagate_version = true)]
pub struct Cli {
    /// Print JSON instead of text for people.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a new project.
    Init(Init),
    /// Build and serve a project, and again at every change.
    Dev(Dev),
    /// Serve what is released.
    Serve(Serve),
    /// Check a project and print its compiled plan.
    Check(Project),
    /// Run a project's tests.
    Test(Test),
    /// Print TypeScript declarations of a project's environment.
    Types(Types),
    /// Print every limit, its value, and where it is set.
    Limits(Project),
    /// Build a project and release it.
    Deploy(Deploy),
    /// List the releases of an app.
    Releases(AppArgs),
    /// Release an earlier deployment again.
    Rollback(Rollback),
    /// Set, list or delete secrets.
    #[command(subcommand)]
    Secret(Secret),
    /// Set, show or delete configuration that changes without a deployment.
    Config(Config),
    /// Show what an app stores in each service, and how much it may.
    Usage(Usage),
    /// Look into SQL databases, and change them.
    #[command(subcommand)]
    Sql(Sql),
    /// Read and write KV entries.
    #[command(subcommand)]
    Kv(Kv),
    /// Read and write blobs, look after buckets, and make access keys.
    #[command(subcommand)]
    Blob(Blob),
    /// Remove responses of an app from the cache, or make them stale.
    Purge(Purge),
    /// Look into the cache.
    #[command(subcommand)]
    Cache(Cache),
    /// How the answers of shadow targets compare with the real ones.
    Mirrors(AppArgs),
    /// What became of the last requests, or which way a URL goes.
    Trace(Trace),
    /// List, inspect, move and delete durable objects.
    Objects(Objects),
    /// Show the state of each target of the upstreams that a node serves.
    Upstreams(Data),
    /// Copy all data of a node, running or not, to a directory of backups.
    Backup(Backup),
    /// Certificates that a running node asks an authority for.
    Certs(Certs),
    /// Let a running node read its configuration again, without dropping a connection.
    Reload(Data),
    /// Make a data directory of a backup.
    Restore(Restore),
    /// Make databases and durable objects anew from a copy of the archive.
    Recover(Recover),
    /// Read all data of a node, running or not, and tell what is damaged.
    Fsck(Data),
}

#[derive(Debug, Args)]
pub struct Init {
    /// The directory to write to; made if it is missing.
    pub dir: PathBuf,
    #[arg(long, value_enum, default_value_t = Template::TypescriptApi)]
    pub template: Template,
    /// The app's name; that of the directory if left out.
    #[arg(long)]
    pub name: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Template {
    /// A JSON API in TypeScript.
    TypescriptApi,
    /// Pages with an API behind them.
    Site,
    /// A WebAssembly component in Rust.
    RustComponent,
}

#[derive(Debug, Args)]
pub struct Project {
    /// The project's directory.
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// The environment of the manifest to use.
    #[arg(long)]
    pub env: Option<String>,
}

#[derive(Debug, Args)]
pub struct Test {
    /// The project's directory, and parts of the paths of the files to run.
    ///
    /// The first is the project if it is a directory; without one, it is the current directory.
    #[arg(value_name = "DIR] [FILTER")]
    pub paths: Vec<String>,
    /// Run only tests whose full name holds this text.
    #[arg(long = "test-name-pattern", short = 't', value_name = "NAME")]
    pub name: Option<String>,
    /// Run again what depends on a file when it changes.
    #[arg(long, short)]
    pub watch: bool,
    /// Write inline snapshots that differ anew; those that are not there yet are written anyway, unless
    /// the variable CI is set.
    #[arg(long, short)]
    pub update: bool,
    #[arg(long, value_enum)]
    pub reporter: Option<Reporter>,
    /// Write the report to this file; the terminal still shows the one for people.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Milliseconds that a test may take; 5000 if left out.
    #[arg(long, value_name = "MS")]
    pub timeout: Option<u64>,
    /// Make describe, test, expect and the others global.
    #[arg(long)]
    pub globals: bool,
    /// The worker whose bindings tests get, and which SELF calls; if left out, the one that answers /,
    /// and SELF goes by the routes.
    #[arg(long, value_name = "NAME")]
    pub worker: Option<String>,
    /// The environment of the manifest to use.
    #[arg(long)]
    pub env: Option<String>,
    /// Files to run at the same time.
    #[arg(long)]
    pub cores: Option<usize>,
    /// Where compiled code is kept between runs; .selvedge/test in the project if left out. No data is.
    #[arg(long)]
    pub data: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Reporter {
    /// For people.
    Pretty,
    /// One JSON document, in the shape of Jest's.
    Json,
    /// The XML that build servers read.
    Junit,
}

#[derive(Debug, Args)]
pub struct Types {
    #[command(flatten)]
    pub project: Project,
    /// Write to this file instead of the terminal.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Declare selvedge:test too, which files of tests import.
    #[arg(long)]
    pub tests: bool,
}

#[derive(Debug, Args)]
pub struct Listening {
    /// Where to serve in the clear; 127.0.0.1:8787 if left out, and if the configuration has no
    /// listener.
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// Where the admin API listens.
    #[arg(long, default_value = "127.0.0.1:8788")]
    pub admin: SocketAddr,
    /// Where the S3 protocol is served; 127.0.0.1:8789 if left out and free.
    #[arg(long)]
    pub s3: Option<SocketAddr>,
    /// Cores to serve on; all of the machine's if left out.
    #[arg(long)]
    pub cores: Option<usize>,
    /// Write no access log.
    #[arg(long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct Dev {
    #[command(flatten)]
    pub project: Project,
    #[command(flatten)]
    pub listening: Listening,
    /// Where data is kept; .selvedge/data in the project if left out.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Serve with TLS, with certificates of an authority of this machine.
    #[arg(long)]
    pub tls: bool,
}

#[derive(Debug, Args)]
pub struct Serve {
    /// The node's configuration.
    #[arg(long)]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub listening: Listening,
    /// The data directory.
    #[arg(long, default_value = "data")]
    pub data: PathBuf,
    /// Take the place of the node that runs on this data, without refusing a connection.
    #[arg(long)]
    pub takeover: bool,
}

#[derive(Debug, Args)]
pub struct Certs {
    #[command(subcommand)]
    pub command: CertsCommand,
}

#[derive(Debug, Subcommand)]
pub enum CertsCommand {
    /// Their hosts, when they expire, and when they are asked for next.
    List(Data),
    /// Ask for them now.
    Renew {
        /// Those for this host only.
        #[arg(long)]
        host: Option<String>,
        #[command(flatten)]
        data: Data,
    },
}

#[derive(Debug, Args)]
pub struct Data {
    /// The data directory, of a running node or of none.
    #[arg(long, default_value = "data")]
    pub data: PathBuf,
}

#[derive(Debug, Args)]
pub struct Deploy {
    #[command(flatten)]
    pub project: Project,
    #[command(flatten)]
    pub data: Data,
    /// A note that stands in the list of releases.
    #[arg(long, short)]
    pub message: Option<String>,
}

#[derive(Debug, Args)]
pub struct AppArgs {
    pub app: String,
    #[command(flatten)]
    pub data: Data,
}

#[derive(Debug, Args)]
pub struct Rollback {
    pub app: String,
    /// The deployment to go back to; the one before the current one if left out.
    pub deployment: Option<String>,
    #[command(flatten)]
    pub data: Data,
}

#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = false, args = ["url", "prefix", "tag", "all"])]
pub struct Purge {
    pub app: String,
    /// Everything under this URL, as clients name it.
    #[arg(long)]
    pub url: Option<String>,
    /// Everything whose URL begins so.
    #[arg(long)]
    pub prefix: Option<String>,
    /// Everything with this Cache-Tag or Surrogate-Key.
    #[arg(long)]
    pub tag: Option<String>,
    /// Everything of the app.
    #[arg(long)]
    pub all: bool,
    /// Make it stale, so that it answers while it is validated, instead of removing it.
    #[arg(long)]
    pub soft: bool,
    #[command(flatten)]
    pub data: Data,
}

#[derive(Debug, Subcommand)]
pub enum Cache {
    /// How much an app has in the cache, and how its requests fared.
    Stats(AppArgs),
    /// What is stored under a URL.
    Get(CacheGet),
}

#[derive(Debug, Args)]
pub struct CacheGet {
    pub app: String,
    /// As clients name it.
    pub url: String,
    #[command(flatten)]
    pub data: Data,
}

#[derive(Debug, Args)]
pub struct Objects {
    pub app: String,
    /// The class, as the app exports it.
    pub class: String,
    /// The data directory, of a running node or of none.
    #[arg(long, default_value = "data", global = true)]
    pub data: PathBuf,
    #[command(subcommand)]
    pub what: Option<ObjectsWhat>,
}

/// An object is named by its id or by its name.
#[derive(Debug, Subcommand)]
pub enum ObjectsWhat {
    /// The ids of those that store something, in their order.
    List {
        /// Only ids behind this one.
        #[arg(long)]
        after: Option<String>,
        #[arg(long)]
        limit: Option<u64>,
    },
    /// Its size, its tables, its alarm.
    Inspect { object: String },
    /// The whole object, as a SQLite file.
    Export {
        object: String,
        /// Standard output if left out, or `-`.
        file: Option<PathBuf>,
    },
    /// Put an export in the place of what it has; it has to sleep.
    Import {
        object: String,
        /// Standard input if left out.
        file: Option<PathBuf>,
    },
    /// Put it back to what it was at a moment; it has to sleep.
    Restore {
        object: String,
        /// The moment: 2026-11-26T10:00:00Z, milliseconds since 1970, or how long ago: 30s, 10m, 2h, 3d.
        #[arg(long)]
        at: String,
    },
    /// Remove all that it has; it has to sleep.
    Delete { object: String },
}

#[derive(Debug, Subcommand)]
pub enum Secret {
    /// Set a secret; the value is read from standard input.
    Put {
        #[command(flatten)]
        of: OfSecret,
        /// Seconds that the version before stays readable, by bindings with `previous = true`.
        #[arg(long, value_name = "SECONDS")]
        overlap: Option<u64>,
        #[command(flatten)]
        data: Data,
    },
    /// List the versions that are kept; values are never shown.
    Versions {
        #[command(flatten)]
        of: OfSecret,
        #[command(flatten)]
        data: Data,
    },
    /// Set a secret to what an earlier version was.
    Rollback {
        #[command(flatten)]
        of: OfSecret,
        /// As `secret versions` numbers them.
        #[arg(value_name = "VERSION")]
        to: u64,
        #[command(flatten)]
        data: Data,
    },
    /// List the names; values are never shown.
    List {
        app: String,
        #[command(flatten)]
        data: Data,
    },
    /// Delete a secret, with all its versions.
    Delete {
        #[command(flatten)]
        of: OfSecret,
        #[command(flatten)]
        data: Data,
    },
}

#[derive(Debug, Args)]
pub struct Usage {
    /// Every app that was deployed if left out.
    pub app: Option<String>,
    #[command(flatten)]
    pub data: Data,
}

#[derive(Debug, Args)]
pub struct Config {
    /// The data directory, of a running node or of none.
    #[arg(long, default_value = "data", global = true)]
    pub data: PathBuf,
    #[command(subcommand)]
    pub what: ConfigWhat,
}

#[derive(Debug, Subcommand)]
pub enum ConfigWhat {
    /// Set a value: the argument, or standard input.
    Put {
        #[command(flatten)]
        of: OfSecret,
        value: Option<String>,
    },
    /// Print a value.
    Get {
        #[command(flatten)]
        of: OfSecret,
    },
    /// List the names, with their values.
    List { app: String },
    /// List the versions that are kept.
    History {
        #[command(flatten)]
        of: OfSecret,
    },
    /// Set a value to what an earlier version was.
    Rollback {
        #[command(flatten)]
        of: OfSecret,
        /// As `config history` numbers them.
        #[arg(value_name = "VERSION")]
        to: u64,
    },
    /// Delete a value, with all its versions.
    Delete {
        #[command(flatten)]
        of: OfSecret,
    },
}

#[derive(Debug, Args)]
pub struct OfSecret {
    pub app: String,
    pub name: String,
    /// The value in this environment of the manifest; without it, in all that have none of their own.
    #[arg(long)]
    pub env: Option<String>,
}

/// Whose database, and where its node is.
#[derive(Debug, Args)]
pub struct Database {
    pub app: String,
    /// Its name in the manifest; of a family, the name with the key: tenant-acme.
    pub database: String,
    #[command(flatten)]
    pub data: Data,
}

#[derive(Debug, Subcommand)]
pub enum Sql {
    /// List the databases of an app.
    List {
        app: String,
        #[command(flatten)]
        data: Data,
    },
    /// Run one statement.
    Query {
        #[command(flatten)]
        database: Database,
        sql: String,
        /// The values of its parameters, as a JSON array.
        #[arg(long)]
        params: Option<String>,
    },
    /// Run statements from standard input, each when it is complete.
    Shell {
        #[command(flatten)]
        database: Database,
    },
    /// Apply the migrations of a directory that are missing.
    Migrate {
        #[command(flatten)]
        database: Database,
        /// The directory, with files NNNN_name.sql.
        migrations: PathBuf,
    },
    /// List the migrations that were applied.
    Migrations {
        #[command(flatten)]
        database: Database,
    },
    /// Run a text of statements from standard input, in one transaction.
    Import {
        #[command(flatten)]
        database: Database,
    },
    /// Write the database to standard output, as statements that make it anew.
    Export {
        #[command(flatten)]
        database: Database,
    },
    /// Print which rows are written, a line for each, until it is stopped.
    Changes {
        #[command(flatten)]
        database: Database,
        /// Begin after this position; with what is written from now on if left out.
        #[arg(long)]
        after: Option<u64>,
        /// End when there is nothing more to tell.
        #[arg(long)]
        once: bool,
    },
    /// Make a new database of what this one is.
    Branch {
        #[command(flatten)]
        database: Database,
        /// The name of the new one.
        to: String,
    },
    /// Delete a database that nobody uses; `sql restore` brings its past back.
    Delete {
        #[command(flatten)]
        database: Database,
        /// Yes, this database.
        #[arg(long)]
        yes: bool,
    },
    /// Make a new database of what this one was at a moment, or put this one back.
    Restore {
        #[command(flatten)]
        database: Database,
        /// The name of the new one; left out, this one is put back, which nobody may use meanwhile.
        to: Option<String>,
        /// Yes, put this one back.
        #[arg(long)]
        yes: bool,
        /// The moment: 2026-11-26T10:00:00Z, milliseconds since 1970, or how long ago: 30s, 10m, 2h, 3d.
        #[arg(long)]
        at: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Kv {
    /// Write a value to standard output.
    Get {
        app: String,
        namespace: String,
        key: String,
        #[command(flatten)]
        data: Data,
    },
    /// Store a value: the argument, or standard input.
    Put {
        app: String,
        namespace: String,
        key: String,
        value: Option<String>,
        /// Seconds until the entry expires.
        #[arg(long)]
        ttl: Option<u64>,
        /// JSON to keep with the value.
        #[arg(long)]
        metadata: Option<String>,
        #[command(flatten)]
        data: Data,
    },
    /// Delete an entry.
    Delete {
        app: String,
        namespace: String,
        key: String,
        #[command(flatten)]
        data: Data,
    },
    /// List keys.
    List {
        app: String,
        namespace: String,
        #[arg(long)]
        prefix: Option<String>,
        #[arg(long)]
        cursor: Option<String>,
        #[arg(long)]
        limit: Option<u64>,
        #[command(flatten)]
        data: Data,
    },
    /// Show what an app stores, and how much it may.
    Usage {
        app: String,
        #[command(flatten)]
        data: Data,
    },
    /// Print what changes, a line for each, until it is stopped.
    Watch {
        app: String,
        namespace: String,
        #[arg(long)]
        prefix: Option<String>,
        /// Begin after this revision; with what changes from now on if left out.
        #[arg(long)]
        since: Option<u64>,
        /// End when there is nothing more to tell.
        #[arg(long)]
        once: bool,
        #[command(flatten)]
        data: Data,
    },
    /// Write the entries of a namespace to standard output, a line of JSON for each.
    Export {
        app: String,
        namespace: String,
        #[arg(long)]
        prefix: Option<String>,
        #[command(flatten)]
        data: Data,
    },
    /// Store the entries that standard input holds, as export writes them.
    Import {
        app: String,
        namespace: String,
        #[command(flatten)]
        data: Data,
    },
}

#[derive(Debug, Subcommand)]
pub enum Blob {
    /// Write a blob to standard output.
    Get {
        app: String,
        bucket: String,
        key: String,
        #[command(flatten)]
        data: Data,
    },
    /// Store a file, or standard input. Large ones go through an S3 client.
    Put {
        app: String,
        bucket: String,
        key: String,
        file: Option<PathBuf>,
        #[arg(long)]
        content_type: Option<String>,
        #[command(flatten)]
        data: Data,
    },
    /// Print what is known of a blob.
    Head {
        app: String,
        bucket: String,
        key: String,
        #[command(flatten)]
        data: Data,
    },
    /// Delete a blob.
    Delete {
        app: String,
        bucket: String,
        key: String,
        #[command(flatten)]
        data: Data,
    },
    /// List blobs.
    List {
        app: String,
        bucket: String,
        #[arg(long)]
        prefix: Option<String>,
        #[arg(long)]
        cursor: Option<String>,
        #[arg(long)]
        limit: Option<u64>,
        #[command(flatten)]
        data: Data,
    },
    /// Read every blob of a bucket and say what is damaged.
    Scrub {
        app: String,
        bucket: String,
        #[command(flatten)]
        data: Data,
    },
    /// Print a URL that lets its bearer read or write one blob for a while.
    ///
    /// It is signed here, with the access key in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
    Presign {
        bucket: String,
        key: String,
        #[arg(long, default_value = "GET")]
        method: String,
        /// Seconds for which the URL is good.
        #[arg(long, default_value_t = 3_600)]
        expires: u64,
        #[arg(long)]
        access_key: Option<String>,
        #[arg(long, default_value = "http://127.0.0.1:8789")]
        endpoint: String,
    },
    /// Make, list or delete access keys of the S3 protocol.
    #[command(subcommand)]
    Key(BlobKey),
}

#[derive(Debug, Subcommand)]
pub enum BlobKey {
    /// Make an access key and print it with its secret, this once.
    Create {
        app: String,
        /// A bucket that it opens, and no other; may be repeated. Every bucket if left out.
        #[arg(long)]
        bucket: Vec<String>,
        /// It may read. Without any of these three, it may do all.
        #[arg(long)]
        read: bool,
        #[arg(long)]
        write: bool,
        #[arg(long)]
        list: bool,
        #[command(flatten)]
        data: Data,
    },
    /// List the access keys of an app.
    List {
        app: String,
        #[command(flatten)]
        data: Data,
    },
    /// Delete an access key.
    Delete {
        app: String,
        id: String,
        #[command(flatten)]
        data: Data,
    },
}
