//! `trace`: what became of requests, in words.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use control_api::{Api, TraceAsk, TraceEntry, TraceField, TraceOptions, TraceSent, TraceWay};

use super::{print, print_json};
use crate::admin::{Prepare, reach};
use crate::cli;

mod words;

/// How often a node is asked for what is new.
const LOOK: Duration = Duration::from_millis(500);
/// Requests for one URL that are told in full.
const TOLD: u64 = 3;

pub async fn run(args: cli::Trace, json: bool) -> Result<()> {
    let api = reach(&args.data.data, Prepare::No)?;
    if args.what.as_deref().is_some_and(|what| what.contains("://")) {
        return of_url(&*api, &args, json).await;
    }
    let is_about_one = args.send || args.method.is_some() || !args.header.is_empty() || args.client.is_some();
    ensure!(!is_about_one, "--send, --method, --header and --client are about a URL, which stands before them");
    let cli::Trace { what, path, status, slow, request, limit, follow, .. } = args;
    let is_one = request.is_some();
    let mut options = TraceOptions { app: what, path, status, slow_ms: slow, request_id: request, after: None, limit };
    loop {
        let entries = api.trace(options.clone()).await?;
        if !follow && json {
            return print_json(&serde_json::json!({ "items": entries }));
        }
        if !follow && entries.is_empty() {
            return print("the node remembers no such request");
        }
        for entry in &entries {
            match (json, is_one) {
                (true, _) => print(serde_json::to_string(entry)?)?,
                (false, true) => tell(entry)?,
                (false, false) => print(words::line(entry))?,
            }
        }
        if !follow {
            return Ok(());
        }
        // From the first look on, only what is new.
        let last = entries.last().map(|entry| entry.number);
        options.after = last.or(options.after).or(Some(0));
        tokio::time::sleep(LOOK).await;
    }
}

/// Which way a URL goes, what is stored under it, and what its last requests came to.
async fn of_url(api: &dyn Api, args: &cli::Trace, json: bool) -> Result<()> {
    let ask = ask(args)?;
    let url = ask.url.clone();
    let way = api.trace_way(ask).await?;
    if let Some(sent) = &way.sent {
        if json {
            return print_json(&way);
        }
        tell_way(&way)?;
        return tell_sent(sent, args.show_body);
    }
    let entries = match &way.app {
        Some(app) if !way.cache_keys.is_empty() => api.cache_entries(app.parse()?, url).await?,
        _ => Vec::new(),
    };
    let options = TraceOptions { app: way.app.clone(), path: Some(way.path.clone()), ..TraceOptions::default() };
    let mut requests = api.trace(options).await?;
    requests.retain(|entry| entry.path == way.path && entry.host == way.host);
    requests.drain(..requests.len().saturating_sub(TOLD as usize));
    if json {
        return print_json(&serde_json::json!({ "way": way, "stored": entries, "requests": requests }));
    }
    tell_way(&way)?;
    for entry in &entries {
        let left = if entry.ttl_s >= 0 { format!("fresh for {} s more", entry.ttl_s) } else { "stale".to_owned() };
        print(format!("stored    {} with {} bytes, {} s old, {left}", entry.status, entry.bytes, entry.age_s))?;
    }
    if entries.is_empty() && !way.cache_keys.is_empty() {
        print("stored    nothing: the next request is passed on to the upstream")?;
    }
    if requests.is_empty() {
        return print("requests  the node remembers none for this URL");
    }
    requests.iter().try_for_each(tell)
}

fn tell_way(way: &TraceWay) -> Result<()> {
    let Some(app) = &way.app else {
        return print(format!("host      no app is served at {}", way.host));
    };
    print(format!("app       {app}, deployment {}", way.deployment.as_deref().unwrap_or("unknown")))?;
    for route in &way.routes {
        let (mark, target) = (if route.matches { "route    " } else { "  not    " }, route.target.as_deref());
        print(format!("{mark} {} → {}: {}", route.pattern, target.unwrap_or("nothing"), route.why))?;
    }
    if !way.routes.iter().any(|route| route.matches) {
        print("route     none matches: the answer is 404 (no_route)")?;
    }
    way.cache_keys.iter().try_for_each(|key| print(format!("cache key {key}")))
}

/// The request that the arguments describe.
fn ask(args: &cli::Trace) -> Result<TraceAsk> {
    let field = |line: &String| {
        let (name, value) = line.split_once(':').with_context(|| format!("{line:?} is no field; it is NAME: VALUE"))?;
        Ok(TraceField { name: name.trim().to_owned(), value: value.trim().to_owned() })
    };
    let posted = || args.body.as_ref().map(|_| "POST".to_owned());
    Ok(TraceAsk {
        url: args.what.clone().unwrap_or_default(),
        method: args.method.clone().or_else(posted),
        headers: args.header.iter().map(field).collect::<Result<_>>()?,
        client: args.client.clone(),
        body: args.body.clone(),
        send: args.send,
    })
}

/// What came of a request that was sent: its steps with their times, its answer, and both in words.
fn tell_sent(sent: &TraceSent, shows_body: bool) -> Result<()> {
    print("")?;
    words::timed(sent).into_iter().try_for_each(print)?;
    tell(&sent.request)?;
    for run in &sent.runs {
        print(format!("{:<9} {}", "run", words::run(run)))?;
    }
    print("")?;
    print(format!("< {}", sent.status))?;
    sent.headers.iter().try_for_each(|field| print(format!("< {}: {}", field.name, field.value)))?;
    if let Some(cut) = &sent.cut {
        print(format!("cut       {cut}"))?;
    }
    match &sent.body {
        Some(body) if shows_body => print(format!("\n{body}")),
        None if shows_body => print("\nthe body is no text"),
        _ => Ok(()),
    }
}

/// One request, a line for each step.
fn tell(entry: &TraceEntry) -> Result<()> {
    print("")?;
    words::steps(entry).into_iter().try_for_each(|(step, text)| print(format!("{step:<9} {text}")))
}
