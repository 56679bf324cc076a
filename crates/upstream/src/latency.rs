//! How long answers take: a running mean that a target is chosen by, and a distribution that says what
//! is late.

/// The mean forgets what is older than a few of these.
const DECAY_MS: f64 = 10_000.0;

/// A mean that jumps up with a slow answer and comes down with time, so that a target in trouble is
/// noticed with its first slow answer.
#[derive(Debug, Clone, Default)]
pub struct PeakMean {
    mean_us: f64,
    at_ms: u64,
}

impl PeakMean {
    pub fn add(&mut self, latency_us: u64, now_ms: u64) {
        let latency_us = latency_us as f64;
        // Even answers of one moment move it a little, or a busy target would never be forgiven.
        let keeps = self.keeps(now_ms).min(0.95);
        self.mean_us =
            if latency_us > self.mean_us { latency_us } else { self.mean_us * keeps + latency_us * (1.0 - keeps) };
        self.at_ms = now_ms;
    }

    /// Microseconds; 0 if nothing is known. Who is not asked is forgiven with time.
    pub fn us(&self, now_ms: u64) -> f64 {
        self.mean_us * self.keeps(now_ms)
    }

    fn keeps(&self, now_ms: u64) -> f64 {
        (-(now_ms.saturating_sub(self.at_ms) as f64) / DECAY_MS).exp()
    }
}

/// Steps of about 19 percent, from a microsecond to half an hour.
const STEPS: usize = 128;
/// So many answers, and the older half of them weighs half.
const FADE: u64 = 4_096;
/// Fewer say nothing.
const SAMPLES_MIN: u64 = 20;

/// How answers were spread lately.
#[derive(Debug, Clone)]
pub struct Spread {
    counts: [u64; STEPS],
    all: u64,
}

impl Default for Spread {
    fn default() -> Self {
        Self { counts: [0; STEPS], all: 0 }
    }
}

impl Spread {
    pub fn add(&mut self, latency_us: u64) {
        self.counts[step(latency_us)] += 1;
        self.all += 1;
        if self.all >= FADE {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.all = self.counts.iter().sum();
        }
    }

    /// So many of a hundred answers took no longer; `None` as long as too few are known.
    pub fn percentile_us(&self, percent: u64) -> Option<u64> {
        if self.all < SAMPLES_MIN {
            return None;
        }
        let wanted = (self.all * percent).div_ceil(100);
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        at.map(upper_us)
    }
}

/// Four steps to an octave.
fn step(us: u64) -> usize {
    let us = us.max(1);
    let octave = us.ilog2();
    let quarter = if octave >= 2 { (us >> (octave - 2)) & 3 } else { 0 };
    (octave as usize * 4 + quarter as usize).min(STEPS - 1)
}

fn upper_us(step: usize) -> u64 {
    let (octave, quarter) = (step / 4, step as u64 % 4);
    ((1_u64 << octave) * (5 + quarter)).div_ceil(4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_mean_jumps_up_and_comes_down_with_time() {
        let mut mean = PeakMean::default();
        mean.add(1_000, 0);
        mean.add(50_000, 1);
        assert_eq!(mean.us(1) as u64, 50_000);
        mean.add(1_000, 20_000);
        assert!(mean.us(20_000) < 10_000.0, "{}", mean.us(20_000));
    }

    #[test]
    fn a_few_answers_say_nothing() {
        let mut spread = Spread::default();
        (0..19).for_each(|_| spread.add(1_000));
        assert_eq!(spread.percentile_us(95), None);
        spread.add(1_000);
        assert!(spread.percentile_us(95).is_some_and(|us| (1_000..=1_300).contains(&us)));
    }

    proptest! {
        #[test]
        fn a_percentile_is_at_most_a_step_above_the_true_one(
            mut answers in proptest::collection::vec(4_u64..100_000_000, 20..2_000), percent in 1_u64..100,
        ) {
            let mut spread = Spread::default();
            answers.iter().for_each(|us| spread.add(*us));
            answers.sort_unstable();
            let exact = answers[(answers.len() as u64 * percent).div_ceil(100) as usize - 1];
            let found = spread.percentile_us(percent).expect("enough answers");
            prop_assert!(found >= exact && found <= exact + exact / 4 + 2, "{found} for {exact}");
        }
    }
}
