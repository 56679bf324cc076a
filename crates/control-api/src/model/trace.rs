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

/// A request: which way it goes, and if it is sent, what comes of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TraceAsk {
    /// As clients name it.
    pub url: String,
    /// GET if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<TraceField>,
    /// The address of who sends it; that of this machine if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The node sends it to itself, with all that follows from it.
    #[serde(default)]
    pub send: bool,
}

/// A header field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceField {
    pub name: String,
    pub value: String,
}

/// What came of a request that the node sent to itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceSent {
    pub status: u16,
    pub headers: Vec<TraceField>,
    /// The beginning of its body, if that is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    pub body_bytes: u64,
    /// Why the body was not read to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<String>,
    /// What happened, in its order.
    pub steps: Vec<TraceStep>,
    /// Each run of a worker.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<TraceRun>,
    /// As the node remembers it; its number is 0.
    pub request: TraceEntry,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceStep {
    /// Since the request was there.
    pub at_us: u64,
    /// Which part of the node says it: `route`, `cache`, `upstream`.
    pub phase: String,
    pub text: String,
}

/// A run of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceRun {
    pub worker: String,
    /// How long it took to make an instance; none if one was at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold_start_us: Option<u64>,
    pub cpu_us: u64,
    pub memory_bytes: u64,
    pub subrequests: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// Which way a request goes.
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
    /// What came of it, if it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<Box<TraceSent>>,
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
