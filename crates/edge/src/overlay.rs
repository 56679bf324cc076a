//! What a developer sees in the browser when a worker fails: the message, the place in the
//! source, the stack. For `dev` only; everything in it is escaped.

use std::fmt::Write as _;
use std::path::{Component, Path};

use base::Body;
use http::{HeaderMap, HeaderValue, Response, header};
use worker::{Failure, Frame};

/// Lines shown before and after the one that failed.
const AROUND: u32 = 4;

/// True if the client is a browser that shows pages.
pub(crate) fn wants_html(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().any(|value| value.as_bytes().windows(9).any(|part| part == b"text/html"))
}

/// The page, in place of the problem document.
pub(crate) fn page(failure: &Failure, request_id: &str, sources: &Path) -> Response<Body> {
    let title = escape(failure.code.title);
    let mut html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>\
         body{{font:16px/1.5 system-ui,sans-serif;margin:0;background:#1b1b1f;color:#eee}}\
         main{{max-width:60rem;margin:0 auto;padding:2rem}}h1{{color:#ff8a80;font-size:1.4rem}}\
         pre{{background:#26262b;padding:1rem;overflow-x:auto;border-radius:6px}}\
         mark{{background:#5c2b29;color:inherit;display:block}}small{{color:#999}}</style>\
         <main><h1>{title}</h1><p>{}</p>",
        escape(&failure.detail)
    );
    if let Some(frame) = &failure.frame {
        let place = format!("{}:{}:{}", frame.file, frame.line, frame.column);
        let _ = write!(html, "<p><code>{}</code></p>", escape(&place));
        if let Some(excerpt) = excerpt(frame, sources) {
            let _ = write!(html, "<pre>{excerpt}</pre>");
        }
    }
    if let Some(stack) = &failure.stack {
        let _ = write!(html, "<pre>{}</pre>", escape(stack));
    }
    let (code, remedy) = (failure.code.name, escape(failure.code.remedy));
    let _ = write!(html, "<p>{remedy}</p><small>{code} · request {}</small></main>", escape(request_id));
    let mut response = Response::new(Body::full(html));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // The page is text about code that may be hostile; it needs no script and gets none.
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// The lines around the place, the line itself marked. Only from below the sources' directory.
fn excerpt(frame: &Frame, sources: &Path) -> Option<String> {
    let file = Path::new(&frame.file);
    if !file.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return None;
    }
    let text = std::fs::read_to_string(sources.join(file)).ok()?;
    let first = frame.line.saturating_sub(AROUND).max(1);
    let mut out = String::new();
    for (line, number) in text.lines().skip(first as usize - 1).zip(first..=frame.line.saturating_add(AROUND)) {
        let line = escape(line);
        let _ = if number == frame.line {
            write!(out, "<mark>{number:>5} {line}</mark>")
        } else {
            writeln!(out, "{number:>5} {line}")
        };
    }
    Some(out).filter(|out| !out.is_empty())
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests;
