//! The clocks that components see: they tick in milliseconds, so that they tell little of what
//! else the machine does.

use std::sync::Arc;
use std::time::Duration;

use base::Clock;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

const TICK: Duration = Duration::from_millis(1);

pub struct Ticking(pub Arc<dyn Clock>);

impl HostWallClock for Ticking {
    fn resolution(&self) -> Duration {
        TICK
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.unix_ms())
    }
}

impl HostMonotonicClock for Ticking {
    fn resolution(&self) -> u64 {
        TICK.as_nanos() as u64
    }

    fn now(&self) -> u64 {
        let ticks = self.0.monotonic().as_nanos() / TICK.as_nanos();
        (ticks * TICK.as_nanos()) as u64
    }
}
