//! From the plan of an upstream to the settings of its pool.

use std::time::Duration;

use base::{SocketOptions, UpstreamLimits};
use manifest::{BalancePlan, HashKey, UpstreamPlan};
use upstream::{
    Balance, BreakerSettings, BudgetSettings, GradientSettings, Pool, PoolSettings, TargetPolicy, TargetSettings,
};

/// Requests under way at once where it is learnt how many there may be, at first and at least.
const ADAPTIVE_START: u64 = 20;
const ADAPTIVE_MIN: u64 = 1;

pub(super) fn pool(plan: &UpstreamPlan, seed: u64) -> Pool {
    let limits = &plan.limits;
    let adaptive = |max| GradientSettings { start: ADAPTIVE_START, min: ADAPTIVE_MIN, max };
    let settings = PoolSettings {
        balance: match plan.balance {
            BalancePlan::RoundRobin => Balance::RoundRobin,
            BalancePlan::LeastRequests => Balance::LeastRequests,
            BalancePlan::TwoChoices => Balance::TwoChoices,
            BalancePlan::Ketama(_) => Balance::Ketama,
            BalancePlan::Maglev(_) => Balance::Maglev,
        },
        target: TargetPolicy {
            failures: limits.eject_failures,
            eject_ms: limits.eject_ms,
            slow_start_ms: limits.slow_start_ms,
            checks_up: limits.checks_up,
            checks_down: limits.checks_down,
        },
        eject_percent: limits.eject_percent,
        budget: BudgetSettings { percent: limits.retry_percent, min_per_s: limits.retry_min_per_s },
        breaker: BreakerSettings {
            percent: limits.breaker_percent,
            requests_min: limits.breaker_requests,
            open_ms: limits.breaker_ms,
        },
        requests_max: limits.requests,
        waiting_max: limits.waiting,
        gradient: (limits.adaptive_max > 0).then(|| adaptive(limits.adaptive_max)),
    };
    let weights = plan.targets.iter().map(|target| u64::from(target.weight));
    let targets = names(plan).into_iter().zip(weights).map(|(name, weight)| TargetSettings { name, weight });
    Pool::new(settings, targets.collect(), seed)
}

pub(super) fn sockets(limits: &UpstreamLimits) -> SocketOptions {
    let bytes = |limit| usize::try_from(limit).unwrap_or(usize::MAX);
    SocketOptions {
        message_bytes: bytes(limits.socket_message_bytes),
        buffer_bytes: bytes(limits.socket_buffer_bytes),
        idle: Duration::from_millis(limits.socket_idle_ms),
        close: Duration::from_millis(limits.socket_close_ms),
        pings: limits.socket_pings,
    }
}

/// What the targets are called, as the manifest writes them.
pub(super) fn names(plan: &UpstreamPlan) -> Vec<String> {
    let name = |target: &manifest::TargetPlan| {
        if let Some(path) = &target.unix {
            return format!("{}unix:{path}", if target.h2c { "h2c+" } else { "" });
        }
        let url = target.server.to_string();
        let url = if target.h2c { url.replacen("http:", "h2c:", 1) } else { url };
        if target.srv { format!("srv+{url}") } else { url }
    };
    plan.targets.iter().map(name).collect()
}

pub(super) fn hash_key(balance: &BalancePlan) -> Option<HashKey> {
    match balance {
        BalancePlan::Ketama(key) | BalancePlan::Maglev(key) => Some(key.clone()),
        BalancePlan::RoundRobin | BalancePlan::LeastRequests | BalancePlan::TwoChoices => None,
    }
}
