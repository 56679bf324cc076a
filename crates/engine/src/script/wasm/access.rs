//! Instructions that load from a memory or store to one, as they are encoded (WebAssembly 2.0,
//! section 5.4.6).

use wasm_encoder::{Encode as _, ValType};

/// A load or a store.
pub struct Access<'a> {
    opcode: &'a [u8],
    /// How many bytes it touches.
    pub bytes: u64,
    /// What is on the stack above the address.
    pub value: Option<ValType>,
    pub memory: u32,
    align: u32,
    pub offset: u64,
    /// The number of a lane, where there is one.
    rest: &'a [u8],
}

/// The prefix of vector instructions.
const VECTOR: u8 = 0xfd;

/// Of `memarg`: the memory's index follows.
const HAS_MEMORY: u32 = 1 << 6;

impl<'a> Access<'a> {
    /// `None` if these bytes are another instruction. They are valid.
    pub fn parse(raw: &'a [u8]) -> Option<Self> {
        let (opcode_len, (bytes, value)) = match *raw.first()? {
            VECTOR => {
                let (code, len) = leb(raw.get(1..)?)?;
                (1 + len, vector(u32::try_from(code).ok()?)?)
            }
            code => (1, plain(code)?),
        };
        let (opcode, mut rest) = raw.split_at(opcode_len);
        let mut next = || -> Option<u64> {
            let (value, len) = leb(rest)?;
            rest = &rest[len..];
            Some(value)
        };
        let flags = next()? as u32;
        let memory = if flags & HAS_MEMORY == 0 { 0 } else { next()? as u32 };
        let offset = next()?;
        Some(Self { opcode, bytes, value, memory, align: flags & !HAS_MEMORY, offset, rest })
    }

    /// Writes it again, for memory 0.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.opcode);
        self.align.encode(out);
        self.offset.encode(out);
        out.extend_from_slice(self.rest);
    }
}

fn plain(code: u8) -> Option<(u64, Option<ValType>)> {
    Some(match code {
        0x2c | 0x2d | 0x30 | 0x31 => (1, None),
        0x2e | 0x2f | 0x32 | 0x33 => (2, None),
        0x28 | 0x2a | 0x34 | 0x35 => (4, None),
        0x29 | 0x2b => (8, None),
        0x3a => (1, Some(ValType::I32)),
        0x3b => (2, Some(ValType::I32)),
        0x36 => (4, Some(ValType::I32)),
        0x3c => (1, Some(ValType::I64)),
        0x3d => (2, Some(ValType::I64)),
        0x3e => (4, Some(ValType::I64)),
        0x37 => (8, Some(ValType::I64)),
        0x38 => (4, Some(ValType::F32)),
        0x39 => (8, Some(ValType::F64)),
        _ => return None,
    })
}

fn vector(code: u32) -> Option<(u64, Option<ValType>)> {
    Some(match code {
        0 => (16, None),
        1..=6 | 10 | 93 => (8, None),
        7 => (1, None),
        8 => (2, None),
        9 | 92 => (4, None),
        11 => (16, Some(ValType::V128)),
        // Lanes: loads into a vector have it on the stack, too.
        84 | 88 => (1, Some(ValType::V128)),
        85 | 89 => (2, Some(ValType::V128)),
        86 | 90 => (4, Some(ValType::V128)),
        87 | 91 => (8, Some(ValType::V128)),
        _ => return None,
    })
}

/// An unsigned number in LEB128, and its length.
fn leb(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (i, &byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((value, i + 1));
        }
    }
    None
}
