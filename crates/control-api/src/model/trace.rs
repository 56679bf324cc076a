//! What became of requests.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One request, as the node remembers it. The names are those of the access log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceEntry {
    /// Its place in the order in which requests were completed.
    pub number: u64,
    pub time_ms: u64,
    pub request_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The pattern of the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Where it led: `worker web`, `upstream shop`, `assets public`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Which of an upstream's servers answered, or was asked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// How often a server was asked.
    pub tries: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// `HTTP/1.1`, `HTTP/2` or `HTTP/3`.
    pub protocol: String,
    pub method: String,
    pub host: String,
    pub path: String,
    /// 0 if no response was sent.
    pub status: u16,
    /// What the cache did, as in `Cache-Status` (RFC 9211); empty if nothing was answered.
    pub cache: String,
    pub request_bytes: u64,
    pub response_bytes: u64,
    /// To the head of the response.
    pub head_us: u64,
    /// To its last byte.
    pub total_us: u64,
    /// The error that was answered, or that ended the response early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Which requests are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceOptions {
    pub app: Option<String>,
    /// The path begins so.
    pub path: Option<String>,
    /// A status, or a class such as `5xx`.
    pub status: Option<String>,
    /// It took so long at least.
    pub slow_ms: Option<u64>,
    pub request_id: Option<String>,
    /// Only those after this number.
    pub after: Option<u64>,
    /// The newest ones of so many.
    pub limit: Option<u64>,
}

/// Which way a URL goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceWay {
    pub host: String,
    pub path: String,
    /// None serves the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// All routes of the app, the one that matches first.
    pub routes: Vec<TraceRoute>,
    /// Under which its response is stored, for each way that it may go.
    pub cache_keys: Vec<String>,
}

/// A route, and why it is taken or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceRoute {
    pub pattern: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    pub matches: bool,
    pub why: String,
}
