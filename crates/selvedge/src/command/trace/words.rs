//! A request in words: every parameter and detail of `Cache-Status` is a sentence here.

use control_api::{TraceEntry, TraceRun, TraceSent};

/// One request on one line.
pub fn line(entry: &TraceEntry) -> String {
    let ms = entry.total_us as f64 / 1_000.0;
    let target = entry.target.as_deref().unwrap_or("-");
    let server = entry.server.as_deref().map(|server| format!(" at {server}")).unwrap_or_default();
    let tries = if entry.tries > 1 { format!(" in {} tries", entry.tries) } else { String::new() };
    let code = entry.code.as_deref().map(|code| format!(" {code}")).unwrap_or_default();
    let status = if entry.status == 0 { "---".to_owned() } else { entry.status.to_string() };
    let cache = if entry.cache.is_empty() { String::new() } else { format!(" [{}]", entry.cache) };
    format!(
        "{} {status} {:>9.1} ms {:>9} bytes  {} {}{}  {target}{server}{tries}{cache}{code}",
        entry.request_id, ms, entry.response_bytes, entry.method, entry.host, entry.path
    )
}

/// The steps of a request that was sent, each with when it was and how long it was to the next.
pub fn timed(sent: &TraceSent) -> Vec<String> {
    let wide = sent.steps.iter().map(|step| step.phase.len()).max().unwrap_or_default();
    let ends = sent.steps.iter().skip(1).map(|step| step.at_us);
    let ends = ends.chain(sent.steps.last().map(|step| step.at_us));
    let line = |(step, end): (&control_api::TraceStep, u64)| {
        let (at, took) = (step.at_us as f64 / 1_000.0, end.saturating_sub(step.at_us) as f64 / 1_000.0);
        format!("{at:>9.3} ms {took:>+9.3}  {:<wide$}  {}", step.phase, step.text)
    };
    sent.steps.iter().zip(ends).map(line).collect()
}

/// What one run of a worker used.
pub fn run(run: &TraceRun) -> String {
    let ms = |us: u64| us as f64 / 1_000.0;
    let start = match run.cold_start_us {
        Some(us) => format!("a new instance after {:.1} ms", ms(us)),
        None => "an instance that was at hand".to_owned(),
    };
    let code = run.code.as_deref().map(|code| format!(", failed with {code}")).unwrap_or_default();
    let (worker, cpu, mib) = (&run.worker, ms(run.cpu_us), run.memory_bytes as f64 / f64::from(1 << 20));
    format!("{worker}: {start}, {cpu:.1} ms of CPU, {mib:.1} MiB, {} subrequests{code}", run.subrequests)
}

/// The steps of a request, in their order.
pub fn steps(entry: &TraceEntry) -> Vec<(&'static str, String)> {
    let client = entry.client.as_deref().unwrap_or("somebody");
    let mut steps = vec![
        ("request", format!("{} {}{} by {client} over {}", entry.method, entry.host, entry.path, entry.protocol)),
        ("id", entry.request_id.clone()),
    ];
    steps.push(match (&entry.app, &entry.route, &entry.target) {
        (None, ..) => ("app", "no app is served at this host".to_owned()),
        (Some(app), None, _) => ("app", format!("{app}; none of its routes matches")),
        (Some(app), Some(route), None) => ("route", format!("{route} of {app}, which the node answered itself")),
        (Some(app), Some(route), Some(target)) => ("route", format!("{route} of {app}, which leads to {target}")),
    });
    steps.extend(sentences(&entry.cache).into_iter().map(|text| ("cache", text)));
    if let Some(server) = &entry.server {
        let tries =
            if entry.tries == 1 { "at the first try".to_owned() } else { format!("after {} tries", entry.tries) };
        steps.push(("server", format!("{server}, {tries}")));
    }
    let ms = |us: u64| us as f64 / 1_000.0;
    steps.push(match entry.status {
        0 => ("answer", format!("none was sent; it ended after {:.1} ms", ms(entry.total_us))),
        status => {
            let (head, total) = (ms(entry.head_us), ms(entry.total_us));
            let bytes = entry.response_bytes;
            ("answer", format!("{status}, its head after {head:.1} ms, {bytes} bytes in {total:.1} ms"))
        }
    });
    if let Some(code) = &entry.code {
        let detail = entry.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
        steps.push(("error", format!("{code}{detail}")));
    }
    steps
}

/// What a member of `Cache-Status` says, a sentence for each parameter.
pub fn sentences(cache: &str) -> Vec<String> {
    cache.split(';').map(str::trim).filter(|text| !text.is_empty()).map(sentence).collect()
}

fn sentence(parameter: &str) -> String {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    let fixed = match (name, value) {
        ("hit", _) => "A stored response answered; no server was asked.",
        ("stored", _) => "The answer is stored for the next who asks.",
        ("collapsed", _) => "Another request was fetching the same, and this one waited for that.",
        ("fwd", "bypass") => "The cache was passed by.",
        ("fwd", "method") => "The method is one that the cache does not answer, so the request was passed on.",
        ("fwd", "uri-miss") => "Nothing was stored under this URL.",
        ("fwd", "vary-miss") => "What is stored under this URL is for requests with other fields (Vary).",
        ("fwd", "miss") => "Nothing that was stored could answer.",
        ("fwd", "request") => "What is stored is fresh, but the client asked for it to be validated.",
        ("fwd", "stale") => "What was stored is no longer fresh, or must be validated each time.",
        ("fwd", "partial") => "Only a part was stored, or asked for; the rest was fetched.",
        ("fwd-status", "304") => "The origin says that what is stored still holds.",
        ("fwd-status", status) => return format!("The origin answered with {status}."),
        ("ttl", seconds) => return ttl(seconds),
        ("detail", detail) => return self::detail(detail),
        _ => return parameter.to_owned(),
    };
    fixed.to_owned()
}

fn ttl(seconds: &str) -> String {
    match seconds.strip_prefix('-') {
        Some(past) => format!("It was stale for {past} s, which it is allowed to be."),
        None => format!("It is fresh for {seconds} s more."),
    }
}

/// The reasons that the cache and the node give; any other is the code of an error.
fn detail(detail: &str) -> String {
    let fixed = match detail {
        "worker" => "A worker answered; its answers are not stored unless it stores them itself.",
        "asset" => "A file of the deployment answered.",
        "blob" => "A public bucket answered.",
        "redirect" => "The route's rules sent the client elsewhere.",
        "maintenance" => "The route is closed for maintenance.",
        "node" => "The node answered itself.",
        "part" => "Stored parts were enough.",
        "stale-if-error" => "The origin is in trouble, so what is stored answered although it is stale.",
        "request-no-store" => "The client asked for nothing to be stored (Cache-Control: no-store).",
        "not-shared" => "The response that was waited for is for another client alone.",
        "not-shared-before" => "The last response under this URL was for one client alone, so nobody waits for it.",
        "too-large" => "It is larger than what the cache takes (cache_entry_bytes).",
        "vary" => "The response that was waited for is for requests with other fields (Vary).",
        other => match refusal(other) {
            Some(text) => text,
            None => return format!("It failed with {other}."),
        },
    };
    fixed.to_owned()
}

/// Why the policy stored nothing (`cache::Refusal`).
fn refusal(detail: &str) -> Option<&'static str> {
    Some(match detail {
        "method" => "It was not stored, for the method is not GET.",
        "partial" => "It was not stored, for it is a part, and of what is not known.",
        "vary-any" => "It was not stored, for it varies by what nobody can know (Vary: *).",
        "no-lifetime" => "It was not stored, for its status is stored only if it says how long it is fresh.",
        "not-final" => "It was not stored, for it is no final answer.",
        "no-store" => "It was not stored, for it says so (Cache-Control: no-store).",
        "private" => "It was not stored, for it is private (Cache-Control: private).",
        "no-cache" => {
            "It was not stored, for it must be validated each time (Cache-Control: no-cache), and has nothing to do that by."
        }
        "set-cookie" => "It was not stored, for it sets a cookie.",
        "stale" => "It was not stored, for it is stale already.",
        "too-many-tags" => "It was not stored, for it has more tags than a response may have.",
        "authorization" => "It was not stored, for the request was authorized and the answer is not marked as public.",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
