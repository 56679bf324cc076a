//! What a disk may hold after the power went: everything that was flushed, and any part of what
//! was not.
//!
//! The model is harsher than most file systems. The bytes of a file are kept by a flush of that
//! file, its name by a flush of its directory, and each is worth nothing without the other. What is
//! not flushed is kept or lost write by write, in any combination; a large write may be torn at
//! sectors.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::trace::{Act, Step};

/// What a disk writes as a whole.
const SECTOR_BYTES: u64 = 512;

/// Which unflushed changes are lost.
#[derive(Clone, Copy, Debug)]
pub enum Dropped {
    All,
    Nothing,
    /// All that came after some moment.
    AfterPrefix,
    /// Each by the toss of a coin, and large ones sector by sector.
    Some,
}

/// The files and directories that remain.
#[derive(Default)]
pub struct Disk {
    dirs: BTreeSet<PathBuf>,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

type Inode = usize;

/// A change, and what it takes to keep it.
struct Change<'a> {
    began: u64,
    ended: u64,
    act: &'a Act,
    inode: Inode,
    /// Where a write went.
    offset: u64,
    /// What must be flushed: the file for bytes, the directory for names.
    keeper: Keeper,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Keeper {
    File(Inode),
    Dir(PathBuf),
}

impl Disk {
    pub fn after(steps: &[Step], moment: u64, way: Dropped, seed: u64) -> Self {
        let (changes, flushes) = replay(steps, moment);
        let mut coin = Coin(seed);
        let cut = moment - coin.below(moment.min(60) + 1);
        let mut disk = Self::default();
        let mut names: BTreeMap<PathBuf, Inode> = BTreeMap::new();
        let mut contents: BTreeMap<Inode, Vec<u8>> = BTreeMap::new();
        for change in &changes {
            let kept = |began: u64| flushes.iter().any(|(keeper, begin)| *keeper == change.keeper && began < *begin);
            let sure = kept(change.ended);
            let mut keep = || match way {
                _ if sure => true,
                Dropped::All => false,
                Dropped::Nothing => true,
                Dropped::AfterPrefix => change.began <= cut,
                Dropped::Some => coin.below(2) == 0,
            };
            match change.act {
                Act::Write { bytes, .. } => {
                    let file = contents.entry(change.inode).or_default();
                    let torn = matches!(way, Dropped::Some) && !sure;
                    for (at, piece) in pieces(change.offset, bytes, torn) {
                        if keep() {
                            write(file, at, piece);
                        }
                    }
                }
                Act::Truncate { length, .. } if keep() => {
                    contents.entry(change.inode).or_default().resize(*length as usize, 0);
                }
                Act::Reserve { length, .. } if keep() => {
                    let file = contents.entry(change.inode).or_default();
                    file.resize(file.len().max(*length as usize), 0);
                }
                Act::CreateFile { truncate: true, .. } if change.keeper == Keeper::File(change.inode) && keep() => {
                    contents.entry(change.inode).or_default().clear();
                }
                Act::CreateFile { path, .. } if matches!(change.keeper, Keeper::Dir(_)) && keep() => {
                    names.insert(path.clone(), change.inode);
                }
                Act::Rename { from, to } if keep() => {
                    if names.get(from) == Some(&change.inode) {
                        names.remove(from);
                    }
                    names.insert(to.clone(), change.inode);
                }
                Act::Remove(path) if keep() => drop(names.remove(path)),
                Act::CreateDir(path) if keep() => drop(disk.dirs.insert(path.clone())),
                _ => {}
            }
        }
        for (path, inode) in names {
            disk.files.insert(path, contents.get(&inode).cloned().unwrap_or_default());
        }
        disk
    }

    /// Builds the disk. What lies in a directory that is lost is lost with it.
    pub fn write_to(&self, root: &Path) {
        fs::create_dir(root).expect("the root");
        let there = |path: &Path| path.parent().is_some_and(|parent| root.join(parent).is_dir());
        for dir in self.dirs.iter().filter(|dir| !dir.as_os_str().is_empty()) {
            if there(dir) {
                fs::create_dir(root.join(dir)).expect("a directory");
            }
        }
        for (path, bytes) in &self.files {
            // The index of a log lies in memory that is shared, not on the disk.
            if there(path) && path.extension().is_none_or(|extension| extension != "db-shm") {
                fs::write(root.join(path), bytes).expect("a file");
            }
        }
    }
}

/// All changes begun by the moment, and all flushes ended by it: whose, and when they began.
fn replay(steps: &[Step], moment: u64) -> (Vec<Change<'_>>, Vec<(Keeper, u64)>) {
    let mut names: BTreeMap<PathBuf, Inode> = BTreeMap::new();
    let mut dirs: BTreeSet<PathBuf> = BTreeSet::from([PathBuf::new()]);
    // The end of each file, which is where a write without an offset goes: ours are made in order.
    let mut ends: Vec<u64> = Vec::new();
    let mut changes = Vec::new();
    let mut flushes = Vec::new();
    // A name is flushed with its directory; that of the data directory itself is not at stake.
    let dir_of = |path: &Path| Keeper::Dir(path.parent().map(Path::to_owned).unwrap_or_default());
    for step in steps.iter().filter(|step| step.began <= moment) {
        let mut change = |inode, offset, keeper| {
            changes.push(Change { began: step.began, ended: step.ended, act: &step.act, inode, offset, keeper });
        };
        match &step.act {
            Act::CreateFile { path, truncate } => match names.get(path) {
                Some(&inode) if *truncate => {
                    ends[inode] = 0;
                    change(inode, 0, Keeper::File(inode));
                }
                Some(_) => {}
                None => {
                    let inode = ends.len();
                    ends.push(0);
                    names.insert(path.clone(), inode);
                    change(inode, 0, dir_of(path));
                }
            },
            // A file that was removed while it was open is of no more consequence.
            Act::Write { path, offset, bytes } => {
                let Some(&inode) = names.get(path) else { continue };
                let offset = offset.unwrap_or(ends[inode]);
                ends[inode] = ends[inode].max(offset + bytes.len() as u64);
                change(inode, offset, Keeper::File(inode));
            }
            Act::Truncate { path, length } => {
                let Some(&inode) = names.get(path) else { continue };
                ends[inode] = *length;
                change(inode, 0, Keeper::File(inode));
            }
            Act::Reserve { path, length } => {
                let Some(&inode) = names.get(path) else { continue };
                ends[inode] = ends[inode].max(*length);
                change(inode, 0, Keeper::File(inode));
            }
            Act::Rename { from, to } => {
                let inode = names.remove(from).expect("a file is renamed");
                names.insert(to.clone(), inode);
                change(inode, 0, dir_of(to));
            }
            Act::Remove(path) => {
                let Some(inode) = names.remove(path) else { continue };
                change(inode, 0, dir_of(path));
            }
            Act::CreateDir(path) => {
                dirs.insert(path.clone());
                change(usize::MAX, 0, dir_of(path));
            }
            Act::Flush(path) if step.ended <= moment => {
                let keeper = match names.get(path) {
                    Some(&inode) => Keeper::File(inode),
                    None if dirs.contains(path) => Keeper::Dir(path.clone()),
                    None => continue,
                };
                flushes.push((keeper, step.began));
            }
            Act::Flush(_) | Act::Say(_) => {}
        }
    }
    (changes, flushes)
}

/// The parts of a write that may be lost apart from each other.
fn pieces(offset: u64, bytes: &[u8], torn: bool) -> Vec<(u64, &[u8])> {
    if !torn {
        return vec![(offset, bytes)];
    }
    let mut pieces = Vec::new();
    let (mut at, mut rest) = (offset, bytes);
    while !rest.is_empty() {
        let room = (SECTOR_BYTES - at % SECTOR_BYTES).min(rest.len() as u64);
        let (piece, tail) = rest.split_at(room as usize);
        pieces.push((at, piece));
        (at, rest) = (at + room, tail);
    }
    pieces
}

fn write(file: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (from, to) = (offset as usize, offset as usize + bytes.len());
    if file.len() < to {
        file.resize(to, 0);
    }
    file[from..to].copy_from_slice(bytes);
}

/// A coin that falls the same way for the same seed (SplitMix64).
struct Coin(u64);

impl Coin {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
