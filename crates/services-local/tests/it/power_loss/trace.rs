//! Reads the record that `strace -f -y -xx` made: what the process did to the files below one
//! directory, and when.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// One thing done. It began and ended at these lines of the record; nothing is known of the time
/// between.
#[derive(Debug)]
pub struct Step {
    pub began: u64,
    pub ended: u64,
    pub act: Act,
}

/// Paths are relative to the directory.
#[derive(Debug)]
pub enum Act {
    CreateDir(PathBuf),
    /// Made if it was not there.
    CreateFile {
        path: PathBuf,
        truncate: bool,
    },
    /// Without an offset: at the end.
    Write {
        path: PathBuf,
        offset: Option<u64>,
        bytes: Vec<u8>,
    },
    Truncate {
        path: PathBuf,
        length: u64,
    },
    /// Made at least so long.
    Reserve {
        path: PathBuf,
        length: u64,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Remove(PathBuf),
    Flush(PathBuf),
    /// A line on the standard output.
    Say(String),
}

impl Step {
    pub fn is_promise(&self) -> bool {
        matches!(self.act, Act::Flush(_) | Act::Say(_))
    }
}

/// Reads the record; what failed, and what lies elsewhere, is left out.
pub fn read(record: &Path, root: &Path) -> Vec<Step> {
    let text = std::fs::read_to_string(record).expect("the record");
    let mut unfinished: HashMap<&str, (u64, &str)> = HashMap::new();
    let mut steps = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let (thread, rest) = line.split_once(' ').expect("a thread and a call");
        let rest = rest.trim_start();
        let (began, call) = if let Some(begin) = rest.strip_suffix(" <unfinished ...>") {
            unfinished.insert(thread, (number, begin));
            continue;
        } else if rest.starts_with("<... ") {
            let (_, end) = rest.split_once("resumed>").expect("the end of a call");
            let (began, begin) = unfinished.remove(thread).expect("the begin of a call");
            (began, format!("{begin}{end}"))
        } else if rest.starts_with("+++") || rest.starts_with("---") {
            continue;
        } else {
            (number, rest.to_owned())
        };
        steps.extend(Call::read(&call).and_then(|call| call.act(root)).map(|act| Step { began, ended: number, act }));
    }
    // What never ended was begun nevertheless: it may or may not have happened.
    for (_, (began, call)) in unfinished {
        let call = format!("{call}) = 0");
        steps.extend(Call::read(&call).and_then(|call| call.act(root)).map(|act| Step { began, ended: u64::MAX, act }));
    }
    steps.sort_by_key(|step| step.ended);
    steps
}

/// A call that succeeded.
struct Call<'a> {
    name: &'a str,
    arguments: Vec<&'a str>,
    /// The path of a file descriptor that it answered.
    answer: &'a str,
    value: u64,
}

impl<'a> Call<'a> {
    fn read(call: &'a str) -> Option<Self> {
        let (name, rest) = call.split_once('(')?;
        let (arguments, answer) = rest.rsplit_once(" = ")?;
        let arguments = arguments.trim_end().strip_suffix(')')?;
        if answer.starts_with('-') || answer.starts_with('?') {
            return None;
        }
        let digits = answer.split(|c: char| !c.is_ascii_digit()).next()?;
        // Strings are hexadecimal throughout, so that a comma always parts two arguments.
        Some(Self { name, arguments: arguments.split(", ").collect(), answer, value: digits.parse().ok()? })
    }

    fn act(&self, root: &Path) -> Option<Act> {
        let below = |path: PathBuf| path.strip_prefix(root).ok().map(Path::to_owned);
        let named = |at: usize| below(PathBuf::from(text(self.arguments.get(at)?)?));
        let open = |at: usize| below(PathBuf::from(descriptor(self.arguments.get(at)?)?));
        let number = |at: usize| self.arguments.get(at)?.parse::<u64>().ok();
        match self.name {
            "openat" | "open" => {
                let path = below(PathBuf::from(descriptor(self.answer)?))?;
                let flags = self.arguments.iter().find(|argument| argument.starts_with("O_"))?;
                let truncate = flags.contains("O_TRUNC");
                (flags.contains("O_CREAT") || truncate).then_some(Act::CreateFile { path, truncate })
            }
            "write" if self.arguments[0].starts_with("1<") => {
                Some(Act::Say(String::from_utf8_lossy(&bytes(self.arguments[1])?).into_owned()))
            }
            "write" | "pwrite64" => {
                let bytes = bytes(self.arguments.get(1)?)?;
                assert_eq!(bytes.len() as u64, self.value, "a write is whole, and so is its record");
                Some(Act::Write { path: open(0)?, offset: number(3), bytes })
            }
            "ftruncate" => Some(Act::Truncate { path: open(0)?, length: number(1)? }),
            "fallocate" => {
                assert_eq!(self.arguments[1..3], ["0", "0"], "space is reserved, and nothing else");
                Some(Act::Reserve { path: open(0)?, length: number(3)? })
            }
            "fsync" | "fdatasync" => Some(Act::Flush(open(0)?)),
            "rename" => Some(Act::Rename { from: named(0)?, to: named(1)? }),
            "renameat" | "renameat2" => Some(Act::Rename { from: named(1)?, to: named(3)? }),
            "unlink" => Some(Act::Remove(named(0)?)),
            "unlinkat" => Some(Act::Remove(named(1)?)),
            "mkdir" => Some(Act::CreateDir(named(0)?)),
            "mkdirat" => Some(Act::CreateDir(named(1)?)),
            other => {
                let touches = (0..self.arguments.len()).any(|at| open(at).is_some() || named(at).is_some());
                assert!(!touches, "{other} is not part of the model");
                None
            }
        }
    }
}

/// A string in quotes: `"\x2f\x74"`.
fn bytes(quoted: &str) -> Option<Vec<u8>> {
    hexadecimal(quoted.strip_prefix('"')?.strip_suffix('"')?)
}

fn text(quoted: &str) -> Option<String> {
    String::from_utf8(bytes(quoted)?).ok()
}

/// The path of a file descriptor: `5<\x2f\x74>`.
fn descriptor(argument: &str) -> Option<String> {
    let (_, path) = argument.split_once('<')?;
    let path = path.strip_suffix('>').or_else(|| path.split_once('>').map(|(path, _)| path))?;
    String::from_utf8(hexadecimal(path)?).ok()
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| (c as char).to_digit(16).map(|digit| digit as u8);
    let byte = |b: &[u8]| match b {
        [b'\\', b'x', high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    if !text.len().is_multiple_of(4) {
        return None;
    }
    text.as_bytes().chunks(4).map(byte).collect()
}
