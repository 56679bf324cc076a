//! Whether bytes are a whole WebAssembly component, as far as its outer shape tells. What it
//! imports and exports is for the engine to judge.

/// Every binary of WebAssembly begins with these bytes.
const MAGIC: &[u8; 4] = b"\0asm";
/// Version and layer of the component model as it is (0.2): the layer tells components from modules.
const COMPONENT: [u16; 2] = [13, 1];
const CORE_MODULE: [u16; 2] = [1, 0];

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ComponentError {
    #[error("is not WebAssembly: it does not begin with \\0asm")]
    NotWasm,
    #[error("is WebAssembly as text; only its binary form is run")]
    Text,
    #[error("is a core module, and not a component")]
    CoreModule,
    #[error("is WebAssembly of version {0} and layer {1}, which this version does not know")]
    Version(u16, u16),
    #[error("was cut off: it ends within the section that begins at byte {0}")]
    Truncated(usize),
}

impl ComponentError {
    pub(crate) fn help(self) -> &'static str {
        match self {
            Self::NotWasm => "name the .wasm file that your toolchain builds for wasm32-wasip2 or wasi:http/proxy",
            Self::Text => "convert it with: wasm-tools parse -o app.wasm app.wat",
            Self::CoreModule => {
                "build for a component target (in Rust, --target wasm32-wasip2), or wrap it with: wasm-tools component new"
            }
            Self::Version(..) => "build it with a toolchain for WASI 0.2",
            Self::Truncated(_) => "build it again; the file may have been copied or written in part",
        }
    }
}

pub(crate) fn check(bytes: &[u8]) -> Result<(), ComponentError> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        let text = bytes.trim_ascii_start();
        let is_text = [&b"(component"[..], b"(module", b";;"].iter().any(|start| text.starts_with(start));
        let is_cut = !bytes.is_empty() && MAGIC.starts_with(bytes);
        return Err(if is_text {
            ComponentError::Text
        } else if is_cut {
            ComponentError::Truncated(0)
        } else {
            ComponentError::NotWasm
        });
    };
    let Some((&[v0, v1, l0, l1], sections)) = rest.split_first_chunk::<4>() else {
        return Err(ComponentError::Truncated(0));
    };
    match [u16::from_le_bytes([v0, v1]), u16::from_le_bytes([l0, l1])] {
        COMPONENT => check_sections(bytes.len(), sections),
        CORE_MODULE => Err(ComponentError::CoreModule),
        [version, layer] => Err(ComponentError::Version(version, layer)),
    }
}

/// Each section is an id, its length, and so many bytes; the last one ends where the file does.
fn check_sections(total: usize, mut rest: &[u8]) -> Result<(), ComponentError> {
    while let Some((_id, after_id)) = rest.split_first() {
        let truncated = ComponentError::Truncated(total - rest.len());
        let (length, body) = read_u32(after_id).ok_or(truncated)?;
        rest = body.get(length as usize..).ok_or(truncated)?;
    }
    Ok(())
}

/// An unsigned LEB128 of at most 32 bits, and what follows it.
fn read_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0u64;
    for (at, &byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((u32::try_from(value).ok()?, &bytes[at + 1..]));
        }
    }
    None
}
