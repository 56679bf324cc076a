//! How many requests at once an upstream answers without growing slower, learnt from its latency.
//!
//! While answers take as long as they did, the limit grows by about its square root; as they take more
//! than [`TOLERANCE`] times what is usual, it shrinks by as much, at most by half at a time. What is usual
//! is measured anew from time to time, with half as many under way: under full load it would creep up
//! with the queue that it is there to prevent. The idea is that of TCP Vegas, in the form of a gradient.

/// Answers between two changes of the limit, which go by their mean.
const SAMPLES: u32 = 10;
const TOLERANCE: f64 = 1.5;
/// How far the limit moves towards what was computed.
const SMOOTHING: f64 = 0.2;
/// Changes between two measurements of what is usual.
const MEASURED_EVERY: u32 = 200;
/// Means that a measurement leaves out, since their answers were under way before.
const SETTLING: u32 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GradientSettings {
    pub start: u64,
    pub min: u64,
    pub max: u64,
}

#[derive(Debug, Clone)]
pub struct Gradient {
    settings: GradientSettings,
    limit: f64,
    usual_us: Option<f64>,
    sum_us: f64,
    samples: u32,
    /// The most that were under way at once since the last change.
    busy: u64,
    /// Means since the last measurement ended.
    means: u32,
}

impl Gradient {
    pub fn new(settings: GradientSettings) -> Self {
        let limit = settings.start.clamp(settings.min, settings.max) as f64;
        Self { settings, limit, usual_us: None, sum_us: 0.0, samples: 0, busy: 0, means: 0 }
    }

    pub fn limit(&self) -> u64 {
        let limit = if self.is_measuring() { self.limit / 2.0 } else { self.limit };
        (limit as u64).max(self.settings.min)
    }

    fn is_measuring(&self) -> bool {
        self.means >= MEASURED_EVERY
    }

    /// An answer came after so long, while so many were under way.
    pub fn sample(&mut self, latency_us: u64, in_flight: u64) {
        self.sum_us += latency_us as f64;
        self.samples += 1;
        self.busy = self.busy.max(in_flight);
        if self.samples < SAMPLES {
            return;
        }
        let mean_us = (self.sum_us / f64::from(self.samples)).max(1.0);
        let busy = std::mem::take(&mut self.busy);
        (self.sum_us, self.samples) = (0.0, 0);
        self.means += 1;
        if self.is_measuring() {
            if self.means > MEASURED_EVERY + SETTLING {
                self.usual_us = Some(mean_us);
                self.means = 0;
            }
            return;
        }
        let usual_us = self.usual_us.get_or_insert(mean_us);
        *usual_us = usual_us.min(mean_us);
        // One that is not needed in full says nothing about what could be borne.
        if (busy as f64) < self.limit / 2.0 {
            return;
        }
        let gradient = (TOLERANCE * *usual_us / mean_us).clamp(0.5, 1.0);
        let wanted = self.limit * gradient + if gradient < 1.0 { 0.0 } else { self.limit.sqrt() };
        let moved = self.limit + (wanted - self.limit) * SMOOTHING;
        self.limit = moved.clamp(self.settings.min as f64, self.settings.max as f64);
    }

    /// Something was too slow to be answered at all.
    pub fn overloaded(&mut self) {
        self.limit = (self.limit * 0.9).max(self.settings.min as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: GradientSettings = GradientSettings { start: 20, min: 2, max: 1_000 };

    /// A server that answers so many at once in 10 ms, and each beyond in turn.
    fn settle(bears: u64, rounds: usize) -> u64 {
        let mut gradient = Gradient::new(SETTINGS);
        for _ in 0..rounds {
            let in_flight = gradient.limit();
            let latency_us = 10_000 * in_flight.max(bears) / bears;
            gradient.sample(latency_us, in_flight);
        }
        gradient.limit()
    }

    #[test]
    fn it_comes_to_rest_near_what_a_server_bears() {
        for bears in [10, 50, 200] {
            let limit = settle(bears, 50_000);
            assert!((bears / 2..=bears * 2).contains(&limit), "{limit} for a server that bears {bears}");
        }
    }

    #[test]
    fn it_shrinks_when_answers_take_longer_and_grows_again() {
        let mut gradient = Gradient::new(SETTINGS);
        (0..1_500).for_each(|_| gradient.sample(10_000, 1_000));
        let before = gradient.limit();
        (0..200).for_each(|_| gradient.sample(200_000, 1_000));
        let under = gradient.limit();
        assert!(under < before / 2, "{under} after {before}");
        (0..20_000).for_each(|_| gradient.sample(10_000, 1_000));
        assert!(gradient.limit() > under * 2);
    }

    #[test]
    fn what_is_not_used_says_nothing() {
        let mut gradient = Gradient::new(SETTINGS);
        (0..10_000).for_each(|_| gradient.sample(10_000, 1));
        assert_eq!(gradient.limit(), 20);
    }
}
