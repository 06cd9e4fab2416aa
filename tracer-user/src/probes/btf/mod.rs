//! The kernel's own description of its types: where a field is, which tracepoints exist.
//!
//! Our own reader, because the file may come from anywhere (`--btf FILE`) and must never bring us
//! down: `btf-rs` is LGPL (we are linked statically under MIT or Apache-2.0) and turns every name
//! into a string first, aya's reader hides members and indexes unchecked. This one borrows, checks
//! every bound, and follows only so many links.
//!
//! Format: `Documentation/bpf/btf.rst`, `include/uapi/linux/btf.h`.

mod edit;
mod layout;
mod member;
mod percpu;
mod prototype;
#[cfg(test)]
pub(crate) mod synth;

use std::{fs, io, path::Path};

pub use edit::rename;
pub use prototype::{Arg, Prototype};

use layout::{Kind, Types};

/// The running kernel's BTF.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// The most that is read: several times what any kernel has.
const MAX_BYTES: u64 = 256 << 20;

/// How many typedefs, qualifiers or nested anonymous types are followed before it must be a circle.
const MAX_DEPTH: usize = 32;

/// Why BTF could not be read, or did not have what was asked for.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum BtfError {
    /// The file can't be read.
    #[error("can't read BTF from {path}: {why}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        why: String,
    },
    /// It is not BTF, or not of this byte order, or cut short.
    #[error("not valid BTF: {0}")]
    Format(String),
    /// No struct or union has this name.
    #[error("no struct {0} in this kernel's BTF")]
    NoType(String),
    /// The struct has no such member.
    #[error("struct {ty} has no member {member} on this kernel")]
    NoMember {
        /// The struct, as far as the path was followed.
        ty: String,
        /// The member that is missing.
        member: String,
    },
    /// Several types of this name exist and disagree.
    #[error("{0} is ambiguous: several types of that name have it in different places")]
    Ambiguous(String),
    /// The member is there, but isn't what the programs load.
    #[error("{path} is {found}; the programs expect {expected} bytes")]
    Shape {
        /// The path asked for.
        path: String,
        /// What is there instead.
        found: String,
        /// What was expected.
        expected: u32,
    },
    /// Types refer to each other in a circle, or too deep.
    #[error("types around {0} refer to each other without end")]
    TooDeep(String),
}

impl BtfError {
    fn format(what: impl Into<String>) -> Self {
        Self::Format(what.into())
    }
}

/// A field, by its offset from the start of the outermost struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// In bytes.
    pub offset: u32,
    /// In bytes.
    pub size: u32,
}

/// A kernel's BTF, read and indexed.
pub struct Btf {
    types: Types,
    /// Named structs, unions and typedefs.
    named: Vec<Named>,
    /// Functions, which are many and seldom asked for.
    functions: Vec<Named>,
}

#[derive(Clone, Copy)]
struct Named {
    name: u32,
    id: u32,
    kind: Kind,
}

impl Btf {
    /// Reads `path`.
    ///
    /// # Errors
    /// [`BtfError::Read`] or [`BtfError::Format`].
    pub fn from_file(path: &Path) -> Result<Self, BtfError> {
        let failed = |why: &dyn ToString| BtfError::Read {
            path: path.display().to_string(),
            why: why.to_string(),
        };
        let file = fs::File::open(path).map_err(|error| failed(&error))?;
        let mut data = Vec::new();
        let read = io::Read::read_to_end(&mut io::Read::take(file, MAX_BYTES + 1), &mut data)
            .map_err(|error| failed(&error))?;
        if read as u64 > MAX_BYTES {
            return Err(failed(&"it is too large to be a kernel's BTF"));
        }
        Self::parse(data)
    }

    /// Reads BTF from memory.
    ///
    /// # Errors
    /// [`BtfError::Format`] if it isn't BTF, or is broken.
    pub fn parse(data: Vec<u8>) -> Result<Self, BtfError> {
        let types = Types::parse(data)?;
        let (mut named, mut functions) = (Vec::new(), Vec::new());
        for id in 1..types.count() {
            let ty = types.get(id)?;
            match ty.kind {
                _ if ty.name == 0 => {}
                Kind::Struct | Kind::Union | Kind::Typedef => {
                    named.push(Named { name: ty.name, id, kind: ty.kind });
                }
                Kind::Func => functions.push(Named { name: ty.name, id, kind: ty.kind }),
                _ => {}
            }
        }
        Ok(Self { types, named, functions })
    }

    /// Size of the whole, in bytes.
    pub fn bytes(&self) -> usize {
        self.types.bytes()
    }

    /// The types of this name, of the kinds that `wanted` picks.
    fn named<'a>(
        &'a self,
        name: &'a str,
        wanted: impl Fn(Kind) -> bool + 'a,
    ) -> impl Iterator<Item = u32> + 'a {
        self.named
            .iter()
            .filter(move |named| wanted(named.kind) && self.types.name_is(named.name, name))
            .map(|named| named.id)
    }
}

#[cfg(test)]
mod tests;
