//! Changes to a text, and where what was kept has gone.

/// Replacements of ranges, in the order in which they were asked for.
#[derive(Default)]
pub(super) struct Edits(Vec<(usize, usize, String)>);

impl Edits {
    pub(super) fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at, at, text);
    }

    /// Inserts before whatever else is inserted there.
    pub(super) fn insert_first(&mut self, at: usize, text: String) {
        self.0.insert(0, (at, at, text));
    }

    /// Replaces `from..to`. The line ends in there are kept.
    pub(super) fn replace(&mut self, from: usize, to: usize, text: impl Into<String>) {
        self.0.push((from, to, text.into()));
    }

    pub(super) fn apply(mut self, text: &str) -> (String, Moves) {
        // A stable sort: what is inserted at one place keeps its order.
        self.0.sort_by_key(|(from, _, _)| *from);
        let mut out = String::with_capacity(text.len() * 2);
        let mut kept = Vec::new();
        let mut at = 0;
        for (from, to, new) in self.0 {
            if from > at {
                kept.push((at, from, out.len()));
                out.push_str(&text[at..from]);
            }
            out.push_str(&new);
            let lines = text[from.max(at)..to.max(at)].bytes().filter(|byte| *byte == b'\n').count();
            out.extend(std::iter::repeat_n('\n', lines.saturating_sub(new.matches('\n').count())));
            at = at.max(to);
        }
        kept.push((at, text.len(), out.len()));
        out.push_str(&text[at..]);
        (out, Moves { kept })
    }
}

/// The parts of a text that were kept: from, to, and where they begin now, in bytes.
pub(crate) struct Moves {
    kept: Vec<(usize, usize, usize)>,
}

impl Moves {
    /// Of parts that were kept, in whatever order they stand now.
    pub(crate) fn of(mut kept: Vec<(usize, usize, usize)>) -> Self {
        kept.sort_by_key(|(from, _, _)| *from);
        Self { kept }
    }

    /// Where a byte of the old text is in the new one, if it was kept.
    pub(crate) fn to(&self, offset: usize) -> Option<usize> {
        let index = self.kept.partition_point(|(from, _, _)| *from <= offset).checked_sub(1)?;
        let (from, to, new) = self.kept[index];
        (offset < to).then(|| new + (offset - from))
    }
}
