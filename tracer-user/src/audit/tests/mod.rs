//! Small kernels, assembled here, in the shapes that compilers and patching give real ones.

mod exit;
mod guards;
mod outcome;
mod probe;
mod switching;

use std::{fmt::Write as _, io};

use iced_x86::{
    BlockEncoderOptions,
    code_asm::{CodeAssembler, CodeLabel},
};

use super::*;

/// Where the text begins: in the upper 2 GiB, as a kernel's does.
const BASE: u64 = 0xffff_ffff_8100_0000;

/// Members' offsets in these kernels.
const PREV_MM: i32 = 0x980;
const TASK_MM: i32 = 0x8e0;
const STATE: i32 = 0x50;
const TLB_GEN: i32 = 0x308;
const PGD: i32 = 0x48;
/// `%gs:` addresses.
const CURRENT: u64 = 0x1fb80;
const LOADED_MM: u64 = 0x31280;
const IS_LAZY: u64 = 0x31340;

/// A kernel in the making.
struct Kernel {
    a: CodeAssembler,
    symbols: Vec<(String, CodeLabel)>,
    data: String,
}

/// What was assembled, with INT3 all around it.
struct Image(Vec<u8>);

impl Memory for Image {
    fn name(&self) -> &'static str {
        "an image"
    }

    fn read(&self, address: u64, into: &mut [u8]) -> io::Result<()> {
        for (byte, at) in into.iter_mut().zip(address.wrapping_sub(BASE)..) {
            *byte = self.0.get(at as usize).copied().unwrap_or(0xcc);
        }
        Ok(())
    }
}

impl Kernel {
    fn new() -> Self {
        Self {
            a: CodeAssembler::new(64).unwrap(),
            symbols: Vec::new(),
            data: format!("{LOADED_MM:016x} A cpu_tlbstate\n"),
        }
    }

    /// Begins a function; the label stands for it in calls.
    fn function(&mut self, name: &str) -> CodeLabel {
        let mut label = self.a.create_label();
        self.begin(name, &mut label);
        label
    }

    /// Begins a function that was referred to before.
    fn begin(&mut self, name: &str, label: &mut CodeLabel) {
        self.a.set_label(label).unwrap();
        self.symbols.push((name.to_owned(), *label));
        // A label of its own may stand on the first instruction.
        self.a.zero_bytes().unwrap();
    }

    /// `arch/x86/include/asm/sync_core.h:iret_to_self`.
    fn iret_to_self(&mut self) {
        use iced_x86::code_asm::{cs, eax, qword_ptr, rax, rsp, ss};
        let a = &mut self.a;
        a.mov(eax, ss).unwrap();
        a.push(rax).unwrap();
        a.push(rsp).unwrap();
        a.add(qword_ptr(rsp), 8).unwrap();
        a.pushfq().unwrap();
        a.mov(eax, cs).unwrap();
        a.push(rax).unwrap();
        a.push(0x1234).unwrap();
        a.iretq().unwrap();
    }

    fn sources(mut self) -> Sources {
        self.function("_etext");
        self.a.ret().unwrap();
        let options = BlockEncoderOptions::RETURN_NEW_INSTRUCTION_OFFSETS;
        let built = self.a.assemble_options(BASE, options).unwrap();
        let mut table = self.data;
        for (name, label) in &self.symbols {
            writeln!(table, "{:016x} t {name}", built.label_ip(label).unwrap()).unwrap();
        }
        Sources {
            memory: Ok(Box::new(Image(built.inner.code_buffer))),
            symbols: SymbolTable::parse(table.as_bytes()).map_err(|error| error.to_string()),
            tested: Tested {
                prev_mm: Some(PREV_MM.into()),
                mm: Some(TASK_MM.into()),
                membarrier_state: Some(STATE.into()),
            },
            fields: Ok(Fields { loaded_mm: Some(LOADED_MM), tlb_gen: TLB_GEN.into() }),
        }
    }

    fn audit(self) -> Audit {
        run(&self.sources())
    }
}

#[test]
fn what_cant_be_read_says_why_and_is_assumed() {
    let mut kernel = Kernel::new();
    kernel.function("schedule");
    kernel.a.ret().unwrap();
    let audit = kernel.audit();
    for name in [FINISH_TASK_SWITCH, IPI_SYNC_CORE, SWITCH_MM] {
        assert_eq!(audit.promise(name), Promise::Assumed, "{name}");
    }
    let why = &audit.ipi_sync_core().unwrap().why;
    assert!(why.contains("no symbol ipi_sync_core"), "{why}");
    let refused = Sources { memory: Err("it is locked".to_owned()), ..Kernel::new().sources() };
    let audit = run(&refused);
    assert_eq!((audit.source, audit.why.as_str()), (None, "it is locked"));
    assert!(audit.functions.iter().all(|function| function.why == "it is locked"));
    assert_eq!(audit.loaded_mm_switching.order, Order::Unreadable);
    assert!(audit.sync_sites().is_empty());
    assert!(lines(&audit, false)[0].1.contains("it is locked"));
}

#[test]
fn the_running_kernel_is_audited_or_says_why_not() {
    let audit = run(&Sources::live(None));
    assert_eq!(audit.source.is_none(), !audit.why.is_empty());
    for function in &audit.functions {
        let unreadable = function.outcome == Outcome::Unreadable;
        assert_eq!(unreadable, !function.why.is_empty(), "{function:?}");
        assert_eq!(unreadable, function.promise == Promise::Assumed, "{function:?}");
    }
}
