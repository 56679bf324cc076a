//! CPU time of the current thread.

use std::time::Duration;

/// CPU time that this thread has used. Time in which the thread waited for the core does not
/// count, so a noisy neighbour costs a guest nothing of its allowance.
pub fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
