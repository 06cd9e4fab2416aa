//! Where a kprobe can sit.

use iced_x86::code_asm::{cr3, dword_ptr, eax, r12, rax};

use super::*;

#[test]
fn before_the_iret_on_a_plain_instruction() {
    let mut kernel = Kernel::new();
    kernel.function(IPI_SYNC_CORE);
    kernel.a.nop_1(dword_ptr(rax) + rax * 1).unwrap();
    kernel.iret_to_self();
    kernel.a.ret().unwrap();
    let audit = kernel.audit();
    let site = audit.ipi_sync_core().unwrap().sites[0].clone();
    // PUSH imm32 is five bytes long, and right before it.
    assert_eq!(site.probe_offset, Some(site.offset - 5));
    assert_eq!(
        audit.sync_sites(),
        [SyncSite {
            function: IPI_SYNC_CORE,
            symbol: IPI_SYNC_CORE.to_owned(),
            offset: site.offset - 5,
        }]
    );
}

#[test]
fn not_before_a_place_that_others_jump_to() {
    let mut kernel = Kernel::new();
    kernel.function(IPI_SYNC_CORE);
    let mut middle = kernel.a.create_label();
    kernel.a.test(eax, eax).unwrap();
    kernel.a.je(middle).unwrap();
    kernel.a.push(r12).unwrap();
    kernel.a.set_label(&mut middle).unwrap();
    kernel.a.pushfq().unwrap();
    kernel.a.iretq().unwrap();
    kernel.a.ret().unwrap();
    let audit = kernel.audit();
    let function = audit.ipi_sync_core().unwrap();
    assert_eq!((function.sites.len(), function.sites[0].probe_offset), (1, None));
    assert!(audit.sync_sites().is_empty());
}

/// Nothing before the IRET but what kprobes refuse, or what is not certain to come to it.
#[test]
fn not_on_the_entry_nor_on_flags_or_nops() {
    let mut kernel = Kernel::new();
    kernel.function(IPI_SYNC_CORE);
    kernel.a.push(rax).unwrap();
    kernel.a.pushfq().unwrap();
    kernel.a.nop_1(dword_ptr(rax)).unwrap();
    kernel.a.iretq().unwrap();
    kernel.a.ret().unwrap();
    let audit = kernel.audit();
    assert_eq!(audit.ipi_sync_core().unwrap().sites[0].probe_offset, None);
}

#[test]
fn others_on_themselves() {
    let mut kernel = Kernel::new();
    kernel.function(IPI_SYNC_CORE);
    kernel.a.push(rax).unwrap();
    kernel.a.mov(cr3, rax).unwrap();
    kernel.a.ret().unwrap();
    let audit = kernel.audit();
    let site = &audit.ipi_sync_core().unwrap().sites[0];
    assert_eq!((site.offset, site.probe_offset), (1, Some(1)));
}
