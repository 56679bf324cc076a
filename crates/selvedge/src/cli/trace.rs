//! The arguments of `trace`.

use clap::Args;

use super::Data;

#[derive(Debug, Args)]
pub struct Trace {
    /// An app, whose last requests are listed, or a URL, of which each step is told.
    #[arg(value_name = "APP|URL")]
    pub what: Option<String>,
    /// Sends the request to the node, and tells each step of it.
    #[arg(long)]
    pub send: bool,
    /// Of the request for the URL; GET unless it says otherwise, or POST with --body.
    #[arg(long, short = 'X', value_name = "METHOD")]
    pub method: Option<String>,
    /// A field of it; may stand there more than once.
    #[arg(long, short = 'H', value_name = "NAME: VALUE")]
    pub header: Vec<String>,
    /// Its body.
    #[arg(long, value_name = "TEXT", requires = "send")]
    pub body: Option<String>,
    /// The address that it is said to come from.
    #[arg(long, value_name = "ADDRESS")]
    pub client: Option<String>,
    /// Shows the body of the answer too.
    #[arg(long, requires = "send")]
    pub show_body: bool,
    /// Only requests whose path begins so.
    #[arg(long)]
    pub path: Option<String>,
    /// Only those with this status, or of this class, such as 5xx.
    #[arg(long)]
    pub status: Option<String>,
    /// Only those that took so many milliseconds at least.
    #[arg(long, value_name = "MS")]
    pub slow: Option<u64>,
    /// The one whose answer had this X-Request-Id, step by step.
    #[arg(long, value_name = "ID")]
    pub request: Option<String>,
    /// The newest ones of so many.
    #[arg(long)]
    pub limit: Option<u64>,
    /// Go on with what comes, until it is interrupted.
    #[arg(long)]
    pub follow: bool,
    #[command(flatten)]
    pub data: Data,
}
