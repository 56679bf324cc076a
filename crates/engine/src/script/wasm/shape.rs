//! What a module is from outside: its imports and exports, as scripts see them, and what an
//! instance of it is made of.

use std::collections::BTreeMap;

use crate::script::codec::{Decoder, Encoder, Malformed, Value};

/// What a module imports or exports.
#[derive(Debug, Clone, PartialEq)]
pub enum Extern {
    Function(Signature),
    Table(Table),
    Memory(Memory),
    Global(Global),
}

/// Parameters and results, a letter for each ([`super::rewrite::letter`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    pub params: String,
    pub results: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// It holds values of JavaScript, not functions.
    pub refs: bool,
    pub min: u32,
    pub max: Option<u32>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Memory {
    /// In pages.
    pub min: u32,
    pub max: Option<u32>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Global {
    pub letter: char,
    pub mutable: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Import {
    pub module: String,
    pub name: String,
    pub ty: Extern,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    pub name: String,
    pub ty: Extern,
    /// Among those of its kind, imported ones first.
    pub index: u32,
}

/// A module from outside.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shape {
    pub imports: Vec<Import>,
    pub exports: Vec<Export>,
    /// Imported ones first, as everywhere.
    pub tables: Vec<Table>,
    pub memories: Vec<Memory>,
    pub globals: Vec<Global>,
    pub start: Option<u32>,
    /// Active data segments wait for a call of `init`.
    pub has_init: bool,
    /// Of the functions that scripts may get hold of: exported ones, and those of tables.
    pub functions: BTreeMap<u32, Signature>,
    pub sections: Vec<(String, Vec<u8>)>,
}

impl Shape {
    /// Writes it as it is kept in the cache, and as scripts ask for it.
    ///
    /// [imports, exports, tables, memories, globals, start or null, hasInit, sections, functions]
    pub fn encode(&self, out: &mut Encoder) {
        out.array(9);
        out.array(self.imports.len() as u32);
        for import in &self.imports {
            out.array(3).string(&import.module).string(&import.name);
            import.ty.encode(out);
        }
        out.array(self.exports.len() as u32);
        for export in &self.exports {
            out.array(3).string(&export.name).integer(u64::from(export.index));
            export.ty.encode(out);
        }
        out.array(self.tables.len() as u32);
        self.tables.iter().for_each(|table| Extern::Table(table.clone()).encode(out));
        out.array(self.memories.len() as u32);
        self.memories.iter().for_each(|memory| Extern::Memory(memory.clone()).encode(out));
        out.array(self.globals.len() as u32);
        self.globals.iter().for_each(|global| Extern::Global(global.clone()).encode(out));
        optional(out, self.start);
        out.bool(self.has_init);
        out.array(self.sections.len() as u32 * 2);
        for (name, content) in &self.sections {
            out.string(name).bytes(content);
        }
        out.array(self.functions.len() as u32 * 3);
        for (index, Signature { params, results }) in &self.functions {
            out.integer(u64::from(*index)).string(params).string(results);
        }
    }

    pub fn decode(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let parts = list(from.next()?)?;
        let [imports, exports, tables, memories, globals, start, has_init, sections, functions] =
            <[Value<'_>; 9]>::try_from(parts).map_err(|_| Malformed)?;
        let mut shape = Self { start: optional_u32(&start)?, has_init: has_init.as_bool()?, ..Self::default() };
        for import in list(imports)? {
            let [module, name, ty] = <[Value<'_>; 3]>::try_from(list(import)?).map_err(|_| Malformed)?;
            let (module, name) = (module.as_str()?.to_owned(), name.as_str()?.to_owned());
            shape.imports.push(Import { module, name, ty: Extern::decode(ty)? });
        }
        for export in list(exports)? {
            let [name, index, ty] = <[Value<'_>; 3]>::try_from(list(export)?).map_err(|_| Malformed)?;
            let (name, index) = (name.as_str()?.to_owned(), index.as_u32()?);
            shape.exports.push(Export { name, index, ty: Extern::decode(ty)? });
        }
        for table in list(tables)? {
            let Extern::Table(table) = Extern::decode(table)? else { return Err(Malformed) };
            shape.tables.push(table);
        }
        for memory in list(memories)? {
            let Extern::Memory(memory) = Extern::decode(memory)? else { return Err(Malformed) };
            shape.memories.push(memory);
        }
        for global in list(globals)? {
            let Extern::Global(global) = Extern::decode(global)? else { return Err(Malformed) };
            shape.globals.push(global);
        }
        for pair in list(sections)?.chunks_exact(2) {
            shape.sections.push((pair[0].as_str()?.to_owned(), pair[1].as_content()?.to_vec()));
        }
        for entry in list(functions)?.chunks_exact(3) {
            let (params, results) = (entry[1].as_str()?.to_owned(), entry[2].as_str()?.to_owned());
            shape.functions.insert(entry[0].as_u32()?, Signature { params, results });
        }
        Ok(shape)
    }

    /// How many tables of functions and numeric globals are imported.
    pub fn imported(&self) -> (usize, usize) {
        let tables = self.imports.iter().filter(|i| matches!(&i.ty, Extern::Table(t) if !t.refs)).count();
        let globals = self.imports.iter().filter(|i| matches!(&i.ty, Extern::Global(g) if g.letter != 'e')).count();
        (tables, globals)
    }
}

impl Extern {
    /// ["function", params, results], ["table", refs, min, max or null], ["memory", min, max or null],
    /// ["global", letter, mutable]
    fn encode(&self, out: &mut Encoder) {
        match self {
            Extern::Function(Signature { params, results }) => {
                out.array(3).string("function").string(params).string(results);
            }
            Extern::Table(Table { refs, min, max }) => {
                out.array(4).string("table").bool(*refs).integer(u64::from(*min));
                optional(out, *max);
            }
            Extern::Memory(Memory { min, max }) => {
                out.array(3).string("memory").integer(u64::from(*min));
                optional(out, *max);
            }
            Extern::Global(Global { letter, mutable }) => {
                out.array(3).string("global").string(letter.encode_utf8(&mut [0; 4])).bool(*mutable);
            }
        }
    }

    fn decode(from: Value<'_>) -> Result<Self, Malformed> {
        let parts = list(from)?;
        let [kind, rest @ ..] = parts.as_slice() else { return Err(Malformed) };
        Ok(match (kind.as_str()?, rest) {
            ("function", [params, results]) => {
                let (params, results) = (params.as_str()?.to_owned(), results.as_str()?.to_owned());
                Extern::Function(Signature { params, results })
            }
            ("table", [refs, min, max]) => {
                Extern::Table(Table { refs: refs.as_bool()?, min: min.as_u32()?, max: optional_u32(max)? })
            }
            ("memory", [min, max]) => Extern::Memory(Memory { min: min.as_u32()?, max: optional_u32(max)? }),
            ("global", [letter, mutable]) => {
                let letter = letter.as_str()?.chars().next().ok_or(Malformed)?;
                Extern::Global(Global { letter, mutable: mutable.as_bool()? })
            }
            _ => return Err(Malformed),
        })
    }
}

pub fn optional(out: &mut Encoder, value: Option<u32>) {
    match value {
        Some(value) => out.integer(u64::from(value)),
        None => out.null(),
    };
}

pub fn optional_u32(value: &Value<'_>) -> Result<Option<u32>, Malformed> {
    if value.is_nullish() { Ok(None) } else { value.as_u32().map(Some) }
}

pub fn list(value: Value<'_>) -> Result<Vec<Value<'_>>, Malformed> {
    if let Value::Array(values) = value { Ok(values) } else { Err(Malformed) }
}
