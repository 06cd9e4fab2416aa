//! Which instructions serialize a core.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

/// What an instruction does to a core's instruction stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// It serializes on every CPU.
    Counts,
    /// It serializes on some CPUs, or for some operands: nothing may rely on it.
    Doubtful,
}

/// Intel's list (SDM 3A, "Serializing Instructions") as far as AMD's (APM 2, "Serializing
/// Instructions") has it too; `SERIALIZE` where it exists. `SYSRET` and `SYSEXIT` are on neither.
pub(super) fn class(instruction: &Instruction) -> Option<Class> {
    match instruction.mnemonic() {
        Mnemonic::Iret
        | Mnemonic::Iretd
        | Mnemonic::Iretq
        | Mnemonic::Rsm
        | Mnemonic::Serialize
        | Mnemonic::Cpuid
        | Mnemonic::Invlpg
        | Mnemonic::Invd
        | Mnemonic::Wbinvd
        | Mnemonic::Lgdt
        | Mnemonic::Lidt
        | Mnemonic::Lldt
        | Mnemonic::Ltr => Some(Class::Counts),
        Mnemonic::Mov if instruction.op0_kind() == OpKind::Register => {
            let to = instruction.op0_register();
            match to {
                Register::CR0 | Register::CR3 | Register::CR4 => Some(Class::Counts),
                // MOV to CR2 is on Intel's list alone, MOV to CR8 on none.
                Register::CR2 => Some(Class::Doubtful),
                _ if to.is_dr() => Some(Class::Counts),
                _ => None,
            }
        }
        // Not every MSR; INVPCID and WBNOINVD by AMD's word alone, INVEPT and INVVPID by Intel's.
        Mnemonic::Wrmsr
        | Mnemonic::Wrmsrns
        | Mnemonic::Invpcid
        | Mnemonic::Wbnoinvd
        | Mnemonic::Invept
        | Mnemonic::Invvpid => Some(Class::Doubtful),
        _ => None,
    }
}

/// An IRET, whether back to user space or to the next instruction (`iret_to_self`).
pub(super) fn is_iret(instruction: &Instruction) -> bool {
    matches!(instruction.mnemonic(), Mnemonic::Iret | Mnemonic::Iretd | Mnemonic::Iretq)
}
