//! New inputs from old ones.

const BYTES_MAX: usize = 64 << 10;

/// Numbers at the edges of their types.
const EDGES: [u32; 12] = [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
const NUMBERS: [&str; 10] =
    ["0", "-1", "1", "255", "65536", "2147483648", "4294967295", "9007199254740993", "1e400", "18446744073709551616"];

/// Makes inputs, the same ones for the same seed and corpus.
#[derive(Debug)]
pub struct Mutator<'a> {
    state: u64,
    words: &'a [&'a str],
}

impl<'a> Mutator<'a> {
    pub fn new(seed: u64, words: &'a [&'a str]) -> Self {
        Self { state: seed, words }
    }

    /// One of the corpus, which is not empty, changed in one to eight places.
    pub fn mutate(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[self.below(corpus.len())].clone();
        let changes = 1 << self.below(4);
        for _ in 0..changes {
            self.change(&mut input, corpus);
        }
        input.truncate(BYTES_MAX);
        input
    }

    pub fn byte(&mut self) -> u8 {
        self.next() as u8
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        match self.below(13) {
            0 => self.replace(input, at, 1, |this, old| vec![old.first().unwrap_or(&0) ^ 1 << this.below(8)]),
            1 => self.replace(input, at, 1, |this, _| vec![this.next() as u8]),
            2 => self.replace(input, at, 4, |this, _| EDGES[this.below(EDGES.len())].to_le_bytes().to_vec()),
            3 | 4 => self.replace(input, at, 0, |this, _| this.word()),
            5 => self.replace(input, at, 4, |this, _| this.word()),
            6 => {
                let count = self.run();
                self.replace(input, at, count, |_, _| Vec::new());
            }
            7 => {
                let count = self.run();
                self.replace(input, at, count, |_, old| [old, old].concat());
            }
            8 => {
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            9 => input.truncate(at),
            10 => {
                let count = self.run();
                self.replace(input, at, 0, |this, _| (0..count).map(|_| this.next() as u8).collect());
            }
            11 => {
                let (count, times) = (self.run(), 1 << self.below(8));
                self.replace(input, at, count, |_, old| old.repeat(times));
            }
            _ => replace_number(input, at, NUMBERS[self.below(NUMBERS.len())]),
        }
    }

    /// Replaces up to `count` bytes from `at` on.
    fn replace(
        &mut self,
        input: &mut Vec<u8>,
        at: usize,
        count: usize,
        make: impl FnOnce(&mut Self, &[u8]) -> Vec<u8>,
    ) {
        let end = (at + count).min(input.len());
        let new = make(self, &input[at..end]);
        input.splice(at..end, new);
    }

    fn word(&mut self) -> Vec<u8> {
        if self.words.is_empty() {
            return EDGES[self.below(EDGES.len())].to_le_bytes().to_vec();
        }
        self.words[self.below(self.words.len())].as_bytes().to_vec()
    }

    /// The length of a run of bytes: short ones are likelier.
    fn run(&mut self) -> usize {
        let most = 1 << self.below(9);
        1 + self.below(most)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

/// Puts a number in place of the next decimal digits.
fn replace_number(input: &mut Vec<u8>, at: usize, number: &str) {
    let Some(start) = input[at..].iter().position(u8::is_ascii_digit).map(|found| at + found) else { return };
    let digits = input[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    input.splice(start..start + digits, number.bytes());
}
