//! The bytes of BTF: header, types, strings. Every access is checked.

use std::ops::Range;

use super::{BtfError, MAX_DEPTH};

const MAGIC: u16 = 0xeb9f;
const HEADER_LEN: usize = 24;
/// `struct btf_type`.
const TYPE_LEN: usize = 12;

/// `BTF_KIND_*`, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Void,
    Int,
    Ptr,
    Array,
    Struct,
    Union,
    Enum,
    Fwd,
    Typedef,
    /// `const`, `volatile`, `restrict`, and type tags: they qualify another type.
    Qualifier,
    Func,
    FuncProto,
    Var,
    DataSec,
    Float,
    DeclTag,
    Enum64,
}

impl Kind {
    fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Int,
            2 => Self::Ptr,
            3 => Self::Array,
            4 => Self::Struct,
            5 => Self::Union,
            6 => Self::Enum,
            7 => Self::Fwd,
            8 => Self::Typedef,
            9..=11 | 18 => Self::Qualifier,
            12 => Self::Func,
            13 => Self::FuncProto,
            14 => Self::Var,
            15 => Self::DataSec,
            16 => Self::Float,
            17 => Self::DeclTag,
            19 => Self::Enum64,
            _ => return None,
        })
    }

    /// Bytes that follow the `struct btf_type`.
    fn tail(self, vlen: usize) -> usize {
        match self {
            Self::Int | Self::Var | Self::DeclTag => 4,
            Self::Array => 12,
            Self::Struct | Self::Union | Self::DataSec | Self::Enum64 => 12 * vlen,
            Self::Enum | Self::FuncProto => 8 * vlen,
            _ => 0,
        }
    }
}

/// One type's head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Type {
    pub(super) name: u32,
    pub(super) kind: Kind,
    pub(super) vlen: usize,
    /// Members carry bitfield sizes.
    pub(super) flag: bool,
    /// The size, or the type referred to.
    pub(super) word: u32,
    /// Where what follows begins.
    tail: usize,
}

/// All types and their names.
pub(super) struct Types {
    data: Vec<u8>,
    strings: Range<usize>,
    /// Where each type begins; the first entry stands for `void`.
    starts: Vec<u32>,
}

fn read_u32(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

impl Types {
    pub(super) fn parse(data: Vec<u8>) -> Result<Self, BtfError> {
        let (types, strings) = sections(&data)?;
        let mut starts = vec![0];
        let mut at = types.start;
        while at < types.end {
            let id = starts.len();
            let ty = read_type(&data, at).ok_or_else(|| {
                BtfError::format(format!("type {id} is cut short or of a kind unknown here"))
            })?;
            let next = ty.tail + ty.kind.tail(ty.vlen);
            if next > types.end {
                return Err(BtfError::format(format!("type {id} reaches past the end")));
            }
            // At most MAX_BYTES are read, far below what 32 bits can name.
            starts.push(at as u32);
            at = next;
        }
        Ok(Self { data, strings, starts })
    }

    pub(super) fn bytes(&self) -> usize {
        self.data.len()
    }

    /// One more than the highest type id.
    pub(super) fn count(&self) -> u32 {
        self.starts.len() as u32
    }

    pub(super) fn get(&self, id: u32) -> Result<Type, BtfError> {
        if id == 0 {
            return Ok(Type { name: 0, kind: Kind::Void, vlen: 0, flag: false, word: 0, tail: 0 });
        }
        self.starts
            .get(id as usize)
            .and_then(|&at| read_type(&self.data, at as usize))
            .ok_or_else(|| BtfError::format(format!("there is no type {id}")))
    }

    /// Follows typedefs and qualifiers to what is meant.
    pub(super) fn resolve(&self, mut id: u32) -> Result<(u32, Type), BtfError> {
        let first = id;
        for _ in 0..MAX_DEPTH {
            let ty = self.get(id)?;
            match ty.kind {
                Kind::Typedef | Kind::Qualifier => id = ty.word,
                _ => return Ok((id, ty)),
            }
        }
        Err(BtfError::TooDeep(self.name(self.get(first)?.name).to_owned()))
    }

    /// The words of the `index`th entry after `ty`, `N` of them.
    pub(super) fn entry<const N: usize>(
        &self,
        ty: &Type,
        index: usize,
    ) -> Result<[u32; N], BtfError> {
        let mut words = [0; N];
        for (word, at) in words.iter_mut().zip((ty.tail + index * N * 4..).step_by(4)) {
            *word =
                read_u32(&self.data, at).ok_or_else(|| BtfError::format("a type is cut short"))?;
        }
        Ok(words)
    }

    /// The name at this offset; empty if there is none or it isn't readable.
    pub(super) fn name(&self, offset: u32) -> &str {
        self.raw_name(offset).and_then(|name| str::from_utf8(name).ok()).unwrap_or_default()
    }

    pub(super) fn name_is(&self, offset: u32, name: &str) -> bool {
        let rest = self.data.get(self.strings.clone()).and_then(|all| all.get(offset as usize..));
        rest.and_then(|rest| rest.strip_prefix(name.as_bytes()))
            .is_some_and(|rest| rest.first() == Some(&0))
    }

    fn raw_name(&self, offset: u32) -> Option<&[u8]> {
        let rest = self.data.get(self.strings.clone())?.get(offset as usize..)?;
        rest.split(|&byte| byte == 0).next()
    }
}

/// Where the types and the strings are.
pub(super) fn sections(data: &[u8]) -> Result<(Range<usize>, Range<usize>), BtfError> {
    let cut = || BtfError::format("the header is cut short");
    let magic = data.get(..2).ok_or_else(cut)?;
    if magic == MAGIC.to_be_bytes() {
        return Err(BtfError::format("it is of the other byte order; unlazy is for x86-64"));
    }
    if magic != MAGIC.to_le_bytes() {
        return Err(BtfError::format("it doesn't begin with BTF's magic number"));
    }
    let version = *data.get(2).ok_or_else(cut)?;
    if version != 1 {
        return Err(BtfError::format(format!("version {version} is unknown here")));
    }
    let word = |at| read_u32(data, at).map(|word| word as usize).ok_or_else(cut);
    let header = word(4)?;
    if header < HEADER_LEN {
        return Err(cut());
    }
    let section = |offset: usize, len: usize, what: &str| {
        let start = header + offset;
        let end = start + len;
        if end > data.len() {
            return Err(BtfError::format(format!("the {what} reach past the end of the file")));
        }
        Ok(start..end)
    };
    Ok((section(word(8)?, word(12)?, "types")?, section(word(16)?, word(20)?, "names")?))
}

fn read_type(data: &[u8], at: usize) -> Option<Type> {
    let info = read_u32(data, at + 4)?;
    Some(Type {
        name: read_u32(data, at)?,
        kind: Kind::from_number(info >> 24 & 0x1f)?,
        vlen: (info & 0xffff) as usize,
        flag: info >> 31 != 0,
        word: read_u32(data, at + 8)?,
        tail: at + TYPE_LEN,
    })
}
