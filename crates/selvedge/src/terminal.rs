//! What the binary shares with the terminal and the machine it runs on.

use std::future::Future;
use std::io::IsTerminal as _;

use anyhow::Result;
use futures_util::stream::{self, Stream};
use telemetry::Format;
use tokio::signal::unix::{SignalKind, signal};

/// Whether to write colours: only to a terminal, and not where `NO_COLOR` is set.
pub fn color(stream_is_terminal: bool) -> bool {
    stream_is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

pub fn stderr_color() -> bool {
    color(std::io::stderr().is_terminal())
}

/// The access log's form: for people at a terminal, JSON for everything else.
pub fn log_format() -> Format {
    if std::io::stdout().is_terminal() { Format::Human { color: color(true) } } else { Format::Json }
}

/// A sentence for the person who started the process.
pub fn say(text: &str) {
    eprintln!("{text}");
}

/// Cores to serve on.
pub fn cores(wanted: Option<usize>) -> usize {
    wanted.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1)
}

/// Each time the process is told to read its files again.
pub fn hangup_signal() -> Result<impl Stream<Item = ()> + Unpin> {
    let hangup = signal(SignalKind::hangup())?;
    Ok(Box::pin(stream::unfold(hangup, |mut hangup| async move { hangup.recv().await.map(|()| ((), hangup)) })))
}

/// Resolves when the process is asked to stop.
pub fn stop_signal() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
