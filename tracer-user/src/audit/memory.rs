//! Where the running kernel's text is read.

use std::{
    fs::File,
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
};

use object::{
    Endianness,
    elf::{self, FileHeader64},
    read::elf::{FileHeader as _, ProgramHeader as _},
};

/// The kernel's memory as an ELF core file (`fs/proc/kcore.c`).
const KCORE: &str = "/proc/kcore";

/// More program headers than any machine's memory map gives.
const MAX_HEADERS: usize = 1 << 20;

/// Something that kernel text can be read from.
pub trait Memory {
    /// What it is, for the report.
    fn name(&self) -> &'static str;

    /// Fills `into` from `address` on.
    ///
    /// # Errors
    /// If any of it can't be read.
    fn read(&self, address: u64, into: &mut [u8]) -> io::Result<()>;
}

/// Why [`KCore`] can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KCoreError {
    /// The kernel has none.
    #[error("this kernel has no {KCORE}: it was built without CONFIG_PROC_KCORE")]
    Absent,
    /// Opening it is refused (`fs/proc/kcore.c:open_kcore`).
    #[error("{KCORE} can't be opened: {why}; {remedy}")]
    Refused {
        /// What the system said.
        why: io::Error,
        /// What to do about it.
        remedy: &'static str,
    },
    /// It can be opened, but not read.
    #[error("{KCORE} can't be read: {0}")]
    Read(#[from] io::Error),
    /// It isn't what it should be.
    #[error("{KCORE} is not an ELF core file of a 64-bit kernel: {0}")]
    Format(#[from] object::read::Error),
}

/// `/proc/kcore`: live text, after every patching of alternatives, static calls and jump labels.
#[derive(Debug)]
pub struct KCore {
    file: File,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, Copy)]
struct Segment {
    address: u64,
    bytes: u64,
    at: u64,
}

impl KCore {
    /// Opens it and reads its headers.
    ///
    /// # Errors
    /// Says why it can't be used, and what to do.
    pub fn open() -> Result<Self, KCoreError> {
        let file = File::open(KCORE).map_err(|why| match why.kind() {
            io::ErrorKind::NotFound => KCoreError::Absent,
            _ => KCoreError::Refused { remedy: remedy(), why },
        })?;
        // Some container runtimes put an empty file or a device in its place.
        if file.metadata()?.mode() & libc::S_IFMT != libc::S_IFREG {
            return Err(KCoreError::Read(io::Error::other("something else is mounted over it")));
        }
        Self::parse(file)
    }

    fn parse(file: File) -> Result<Self, KCoreError> {
        let mut header = [0; size_of::<FileHeader64<Endianness>>()];
        file.read_exact_at(&mut header, 0)?;
        let elf = FileHeader64::<Endianness>::parse(&header[..])?;
        let endian = elf.endian()?;
        if elf.e_type.get(endian) != elf::ET_CORE {
            return Err(KCoreError::Read(io::Error::other("it is an ELF file of another type")));
        }
        let (at, each) = (elf.e_phoff.get(endian), u64::from(elf.e_phentsize.get(endian)));
        let count = usize::from(elf.e_phnum.get(endian));
        // All of the headers, and the file header before them, as `object` wants them.
        let end = (count as u64).checked_mul(each).and_then(|bytes| bytes.checked_add(at));
        let end = end.filter(|&end| count < MAX_HEADERS && end < 64 * MAX_HEADERS as u64);
        let end = end.ok_or_else(|| io::Error::other("its headers have an impossible size"))?;
        let mut headers = vec![0; end as usize];
        file.read_exact_at(&mut headers, 0)?;
        let segments = elf
            .program_headers(endian, &headers[..])?
            .iter()
            .filter(|segment| segment.p_type(endian) == elf::PT_LOAD)
            .map(|segment| Segment {
                address: segment.p_vaddr(endian),
                bytes: segment.p_memsz(endian),
                at: segment.p_offset(endian),
            })
            .collect();
        Ok(Self { file, segments })
    }
}

impl Memory for KCore {
    fn name(&self) -> &'static str {
        KCORE
    }

    fn read(&self, address: u64, into: &mut [u8]) -> io::Result<()> {
        let inside = |segment: &&Segment| {
            address.checked_sub(segment.address).is_some_and(|offset| {
                offset.checked_add(into.len() as u64).is_some_and(|end| end <= segment.bytes)
            })
        };
        let segment = self.segments.iter().find(inside).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, "no segment of it holds that address")
        })?;
        self.file.read_exact_at(into, segment.at + (address - segment.address))
    }
}

/// What can be done if opening is refused.
fn remedy() -> &'static str {
    let lockdown = std::fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    if lockdown.contains("[confidentiality]") {
        "the kernel is locked down for confidentiality: boot with lockdown=integrity, or without"
    } else {
        "run as root, with CAP_SYS_RAWIO"
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// A core file with one segment at `address`.
    fn core(kind: u16, address: u64, content: &[u8]) -> File {
        let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0];
        bytes.resize(16, 0);
        bytes.extend(kind.to_le_bytes());
        bytes.extend(62_u16.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        for word in [0_u64, 64, 0] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(0_u32.to_le_bytes());
        for half in [64_u16, 56, 1, 0, 0, 0] {
            bytes.extend(half.to_le_bytes());
        }
        bytes.extend(elf::PT_LOAD.to_le_bytes());
        bytes.extend(7_u32.to_le_bytes());
        let len = content.len() as u64;
        for word in [120, address, 0, len, len, 0] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(content);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        file
    }

    #[test]
    fn what_a_segment_holds_can_be_read_and_nothing_else() {
        let base = 0xffff_ffff_8100_0000;
        let kcore = KCore::parse(core(elf::ET_CORE, base, b"kernel text")).unwrap();
        let mut bytes = [0; 4];
        kcore.read(base + 7, &mut bytes).unwrap();
        assert_eq!(&bytes, b"text");
        assert!(kcore.read(base + 8, &mut bytes).is_err());
        assert!(kcore.read(base - 1, &mut bytes).is_err());
        assert!(kcore.read(u64::MAX - 1, &mut bytes).is_err());
    }

    #[test]
    fn what_is_no_core_file_is_refused() {
        let mut empty = tempfile::tempfile().unwrap();
        assert!(matches!(KCore::parse(empty.try_clone().unwrap()), Err(KCoreError::Read(_))));
        empty.write_all(&[b'x'; 64]).unwrap();
        assert!(matches!(KCore::parse(empty), Err(KCoreError::Format(_))));
        let executable = core(elf::ET_EXEC, 0, b"");
        assert!(matches!(KCore::parse(executable), Err(KCoreError::Read(_))));
    }
}
