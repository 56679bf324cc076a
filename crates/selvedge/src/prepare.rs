//! Brings what was built to the point where it can be served from memory: `dev` and `test` deploy
//! nothing to a store.

use std::sync::Arc;

use base::{Artifact, WorkerLimits, code};
use control::BuiltWorker;
use futures_util::FutureExt as _;
use manifest::Plan;
use script::SourceMaps;
use worker::{Engine, Failure, Frame};

use crate::site::Code;
use crate::source_map::Loaded;
use crate::terminal;

/// Prepares every worker of a plan; what they wrote while they started goes to the terminal.
pub async fn workers(engine: &Arc<dyn Engine>, plan: &Plan, built: Vec<BuiltWorker>) -> Result<Vec<Code>, Failure> {
    let mut workers = Vec::with_capacity(built.len());
    for (plan, built) in plan.workers.iter().zip(built) {
        let prepared = worker(engine, built, &plan.limits).await?;
        for line in prepared.console {
            terminal::say(&format!("{} (at start) {line}", plan.name));
        }
        workers.push(prepared.code);
    }
    Ok(workers)
}

/// A worker that is ready, and what it wrote to the console meanwhile.
pub struct Prepared {
    pub code: Code,
    pub console: Vec<String>,
}

pub async fn worker(engine: &Arc<dyn Engine>, built: BuiltWorker, limits: &WorkerLimits) -> Result<Prepared, Failure> {
    let maps = match &built.artifact {
        Artifact::Script(script) => Some(Arc::new(Loaded(SourceMaps::new(script)))),
        Artifact::Component(_) => None,
    };
    let (engine, artifact, limits) = (engine.clone(), Arc::new(built.artifact), limits.clone());
    let preparing = artifact.clone();
    let prepared = tokio::task::spawn_blocking(move || engine.prepare(&preparing, &limits)).await;
    let report = match prepared {
        Ok(Ok(report)) => report,
        Ok(Err(failure)) => return Err(located(failure, maps.as_deref())),
        Err(_) => return Err(Failure::new(&code::INTERNAL, "preparing the worker panicked")),
    };
    let original = |line: String| maps.as_ref().map_or(line.clone(), |maps| maps.0.map_stack(&line));
    let console = report.console.into_iter();
    let console = console.map(|(level, line)| format!("{}: {}", level.as_str(), original(line))).collect();
    let source: dispatch::ArtifactSource = Arc::new(move || {
        let artifact = artifact.clone();
        async move { Ok(Some(Artifact::clone(&artifact))) }.boxed()
    });
    let source_map = maps.map(|maps| maps as Arc<dyn worker::SourceMap>);
    Ok(Prepared { code: Code { digest: built.digest, source, source_map }, console })
}

fn located(failure: Failure, maps: Option<&Loaded>) -> Failure {
    let (Some(stack), Some(maps)) = (&failure.stack, maps) else { return failure };
    let stack = maps.0.map_stack(stack);
    let frame = Frame::first(&stack);
    Failure { stack: Some(stack), frame, ..failure }
}
