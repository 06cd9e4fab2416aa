//! What a witness in the emulator tells: which CPU executed which instruction, and when.
//!
//! The witness sees instructions as the emulator translates them, and knows nothing of the kernel or
//! of unlazy. What it writes is held against what unlazy concludes in the same machine.

/// An instruction that nobody executes by chance: a NOP with a number in its displacement. The guest
/// executes it between two looks at its clock, so that both clocks can be laid side by side.
pub const MARK: [u8; 8] = [0x0f, 0x1f, 0x84, 0x00, b'U', b'N', b'L', b'Z'];

/// Another such: the guest asks that what was told be in the files, for it is about to be killed.
pub const WRITE_DOWN: [u8; 8] = [0x0f, 0x1f, 0x84, 0x00, b'U', b'N', b'L', b'W'];

/// What is worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// IRET is about to be executed, to whatever mode.
    Iret = 1,
    /// MOV to CR3.
    Cr3 = 2,
    /// MOV to another control register, or to a debug register.
    Control = 3,
    /// INVLPG, INVPCID.
    Invalidate = 4,
    /// CPUID.
    Cpuid = 5,
    /// WRMSR; it serializes but for a few registers.
    Wrmsr = 6,
    /// SERIALIZE.
    Serialize = 7,
    /// Another that serializes: LGDT, LIDT, LLDT, LTR, INVD, WBINVD, RSM.
    Other = 8,
    /// SYSRET or SYSEXIT is about to be executed. It does not serialize.
    Sysret = 9,
    /// User code runs; the last of the above took the CPU there.
    User = 10,
    /// [`MARK`]
    Mark = 11,
    /// [`WRITE_DOWN`]
    WriteDown = 12,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::Iret,
        Self::Cr3,
        Self::Control,
        Self::Invalidate,
        Self::Cpuid,
        Self::Wrmsr,
        Self::Serialize,
        Self::Other,
        Self::Sysret,
        Self::User,
        Self::Mark,
        Self::WriteDown,
    ];

    /// The kind with this number.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|&kind| kind as u8 == number)
    }

    /// Whether the instruction is one of those that serialize on any CPU (Intel's manual, volume 3,
    /// "Serializing Instructions"; AMD's agrees but for SERIALIZE).
    #[must_use]
    pub const fn serializes(self) -> bool {
        !matches!(self, Self::Sysret | Self::User | Self::Mark | Self::WriteDown)
    }
}

/// What an instruction is, if it is worth telling.
#[must_use]
pub fn classify(instruction: &[u8]) -> Option<Kind> {
    if instruction == MARK {
        return Some(Kind::Mark);
    }
    if instruction == WRITE_DOWN {
        return Some(Kind::WriteDown);
    }
    let is_prefix = |byte: &u8| matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3);
    let opcode = instruction.iter().position(|byte| !is_prefix(byte))?;
    let (prefixes, opcode) = instruction.split_at(opcode);
    // ModRM: which register, and whether the operand is memory.
    let reg = |modrm: u8| modrm >> 3 & 7;
    let memory = |modrm: u8| modrm >> 6 != 3;
    Some(match *opcode {
        [0xcf, ..] => Kind::Iret,
        [0x0f, 0x07 | 0x35, ..] => Kind::Sysret,
        // REX.R would make it CR8 and up, which does not serialize.
        [0x0f, 0x22, ..] if prefixes.iter().any(|rex| matches!(rex, 0x44..=0x47 | 0x4c..=0x4f)) => {
            return None;
        }
        [0x0f, 0x22, modrm, ..] if reg(modrm) == 3 => Kind::Cr3,
        [0x0f, 0x22 | 0x23, ..] => Kind::Control,
        [0x0f, 0x01, modrm, ..] if memory(modrm) && reg(modrm) == 7 => Kind::Invalidate,
        [0x0f, 0x38, 0x82, ..] if prefixes.contains(&0x66) => Kind::Invalidate,
        [0x0f, 0xa2, ..] => Kind::Cpuid,
        [0x0f, 0x30, ..] => Kind::Wrmsr,
        [0x0f, 0x01, 0xe8, ..] => Kind::Serialize,
        [0x0f, 0x01, modrm, ..] if memory(modrm) && matches!(reg(modrm), 2 | 3) => Kind::Other,
        [0x0f, 0x00, modrm, ..] if matches!(reg(modrm), 2 | 3) => Kind::Other,
        [0x0f, 0x08 | 0x09 | 0xaa, ..] => Kind::Other,
        _ => return None,
    })
}

/// One thing that was told: when, in nanoseconds of the host's clock since the machine was switched
/// on, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// When.
    pub ts: u64,
    /// What.
    pub kind: Kind,
}

impl Told {
    /// The length of [`to_bytes`](Self::to_bytes).
    pub const LEN: usize = 9;

    /// As it stands in a CPU's file.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [self.kind as u8; Self::LEN];
        bytes[..8].copy_from_slice(&self.ts.to_le_bytes());
        bytes
    }

    /// All of a CPU's file, up to what can't be read.
    pub fn all(bytes: &[u8]) -> impl Iterator<Item = Self> {
        bytes.chunks_exact(Self::LEN).map_while(|one| {
            let (ts, kind) = one.split_first_chunk()?;
            let kind = Kind::from_u8(*kind.first()?)?;
            Some(Self { ts: u64::from_le_bytes(*ts), kind })
        })
    }
}

/// The file of a CPU, in the witness's folder.
#[must_use]
pub fn file(cpu: u32) -> String {
    format!("cpu{cpu}.witness")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_told_apart() {
        let known: [(&[u8], Option<Kind>); 25] = [
            (&[0x48, 0xcf], Some(Kind::Iret)),
            (&[0xcf], Some(Kind::Iret)),
            (&[0x48, 0x0f, 0x07], Some(Kind::Sysret)),
            (&[0x0f, 0x07], Some(Kind::Sysret)),
            // mov %rdi,%cr3; mov %rax,%cr4; mov %rax,%cr8; mov %cr3,%rax
            (&[0x0f, 0x22, 0xdf], Some(Kind::Cr3)),
            (&[0x0f, 0x22, 0xe0], Some(Kind::Control)),
            (&[0x44, 0x0f, 0x22, 0xc0], None),
            (&[0x41, 0x0f, 0x22, 0xdc], Some(Kind::Cr3)),
            (&[0x0f, 0x20, 0xd8], None),
            // mov %rax,%dr7
            (&[0x0f, 0x23, 0xf8], Some(Kind::Control)),
            // invlpg (%rax); swapgs; lgdt (%rax); sgdt (%rax); stac
            (&[0x0f, 0x01, 0x38], Some(Kind::Invalidate)),
            (&[0x0f, 0x01, 0xf8], None),
            (&[0x0f, 0x01, 0x10], Some(Kind::Other)),
            (&[0x0f, 0x01, 0x00], None),
            (&[0x0f, 0x01, 0xcb], None),
            // invpcid (%rsp),%rax; the same opcode without its prefix is none
            (&[0x66, 0x0f, 0x38, 0x82, 0x04, 0x24], Some(Kind::Invalidate)),
            (&[0x0f, 0x38, 0x82, 0x04, 0x24], None),
            (&[0x0f, 0xa2], Some(Kind::Cpuid)),
            (&[0x0f, 0x30], Some(Kind::Wrmsr)),
            (&[0x0f, 0x01, 0xe8], Some(Kind::Serialize)),
            (&[0x0f, 0x05], None),
            (&MARK, Some(Kind::Mark)),
            (&WRITE_DOWN, Some(Kind::WriteDown)),
            (&[0x0f, 0x1f, 0x84, 0x00, 0, 0, 0, 0], None),
            (&[], None),
        ];
        for (bytes, kind) in known {
            assert_eq!(classify(bytes), kind, "{bytes:02x?}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let told = [Told { ts: 1, kind: Kind::Iret }, Told { ts: u64::MAX, kind: Kind::User }];
        let mut bytes: Vec<u8> = told.iter().flat_map(|one| one.to_bytes()).collect();
        bytes.extend([1, 2, 3]);
        assert_eq!(Told::all(&bytes).collect::<Vec<_>>(), told);
        assert_eq!(Told::all(&[0; 9]).count(), 0, "there is no kind 0");
    }
}
