//! The one error of the API, and the problem document (RFC 9457) that it travels in.

use base::{Code, Fault, Problem, code};
use serde::Deserialize;

/// Why an operation failed. `Display` shows the detail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ApiError {
    /// The stable code. A newer server may send one that this version does not know.
    pub code: String,
    /// A sentence about this occurrence.
    pub detail: String,
    /// The HTTP status.
    pub status: u16,
    pub fault: Fault,
    /// The stack trace of a script that failed to start.
    pub stack: Option<String>,
}

/// What a problem document may hold. Only the code is a must.
#[derive(Deserialize)]
struct Document {
    code: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    fault: Option<String>,
    #[serde(default)]
    stack: Option<String>,
}

impl ApiError {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        // The status of a guest's fault is meant for visitors of the app. Here the guest's author
        // is the client.
        let status = if code.fault == Fault::Guest && code.status >= 500 { 422 } else { code.status };
        Self { code: code.name.into(), detail: detail.into(), status, fault: code.fault, stack: None }
    }

    pub fn with_stack(mut self, stack: Option<String>) -> Self {
        self.stack = stack;
        self
    }

    /// Whether the error has this code.
    pub fn is(&self, code: Code) -> bool {
        self.code == code.name
    }

    /// The row of the table of codes, if this version knows the code: its title, and what to do.
    pub fn row(&self) -> Option<Code> {
        code::ALL.iter().copied().find(|row| row.name == self.code)
    }

    /// The problem document.
    pub fn to_document(&self) -> serde_json::Value {
        let mut document = match self.row() {
            Some(row) => Problem::new(row).detail(&self.detail).document(""),
            None => serde_json::json!({ "code": self.code, "detail": self.detail }),
        };
        let fields = document.as_object_mut().expect("a problem document is an object");
        fields.insert("status".into(), self.status.into());
        fields.insert("fault".into(), self.fault.as_str().into());
        if let Some(stack) = &self.stack {
            fields.insert("stack".into(), stack.as_str().into());
        }
        document
    }

    /// Reads the body of an answer with this status. What is no problem document comes from
    /// something that is not the control plane.
    pub fn from_document(status: u16, body: &[u8]) -> Self {
        let Ok(document) = serde_json::from_slice::<Document>(body) else {
            let detail = format!(
                "the answer has status {status} and is no problem document; is this the admin address of a Selvedge node?"
            );
            return Self::new(&code::NODE_UNREACHABLE, detail);
        };
        let faults = [Fault::Client, Fault::Guest, Fault::Upstream, Fault::Node];
        let fault = faults.into_iter().find(|fault| Some(fault.as_str()) == document.fault.as_deref());
        let detail = document.detail.or(document.title).unwrap_or_else(|| document.code.clone());
        Self { code: document.code, detail, status, fault: fault.unwrap_or(Fault::Node), stack: document.stack }
    }
}

#[cfg(test)]
mod tests;
