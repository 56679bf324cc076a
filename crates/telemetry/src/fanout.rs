//! Several sinks behind one.

use std::sync::Arc;

use crate::{GuestLine, Mirrored, Record, Sink};

/// Gives every record and line to each of its sinks, in order.
#[derive(Clone, Default)]
pub struct Fanout {
    sinks: Vec<Arc<dyn Sink>>,
}

impl Fanout {
    pub fn new(sinks: Vec<Arc<dyn Sink>>) -> Self {
        Self { sinks }
    }
}

impl Sink for Fanout {
    fn record(&self, mut record: Record) {
        self.take(&mut record);
    }

    fn take(&self, record: &mut Record) {
        let Some((last, others)) = self.sinks.split_last() else { return };
        // Those that only look come first and cost no copy.
        for sink in others {
            sink.observe(record);
        }
        last.take(record);
    }

    fn mirrored(&self, mirrored: Mirrored) {
        for sink in &self.sinks {
            sink.mirrored(mirrored.clone());
        }
    }

    fn line(&self, line: GuestLine) {
        let Some((last, others)) = self.sinks.split_last() else { return };
        for sink in others {
            sink.line(line.clone());
        }
        last.line(line);
    }
}
