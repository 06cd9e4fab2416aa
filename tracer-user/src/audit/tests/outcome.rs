//! Always, conditional, none, unreadable.

use iced_x86::code_asm::{cr3, dword_ptr, eax, qword_ptr, rax, rbx, rdi, rsp};

use super::*;

/// The audit of an `ipi_sync_core` with this body.
fn ipi(body: impl FnOnce(&mut Kernel)) -> Audit {
    let mut kernel = Kernel::new();
    kernel.function(IPI_SYNC_CORE);
    body(&mut kernel);
    kernel.audit()
}

fn outcome(audit: &Audit) -> (Outcome, Promise, usize) {
    let function = audit.ipi_sync_core().unwrap();
    (function.outcome, function.promise, function.sites.len())
}

#[test]
fn always() {
    let audit = ipi(|kernel| {
        kernel.a.nop_1(dword_ptr(rax)).unwrap();
        kernel.iret_to_self();
        kernel.a.ret().unwrap();
    });
    assert_eq!(outcome(&audit), (Outcome::Always, Promise::Audited, 1));
    let site = &audit.ipi_sync_core().unwrap().sites[0];
    assert_eq!((site.instruction.as_str(), site.conditional), ("iretq", false));
}

#[test]
fn none_and_what_is_not_counted() {
    let audit = ipi(|kernel| {
        kernel.a.lock().add(dword_ptr(rsp), 0).unwrap();
        kernel.a.wrmsr().unwrap();
        kernel.a.ret().unwrap();
        // Not reachable.
        kernel.a.cpuid().unwrap();
        kernel.a.ret().unwrap();
    });
    assert_eq!(outcome(&audit), (Outcome::None, Promise::Never, 0));
    let not_counted = &audit.ipi_sync_core().unwrap().not_counted;
    assert_eq!(not_counted.len(), 1);
    assert_eq!(not_counted[0].instruction, "wrmsr");
}

#[test]
fn a_condition_of_its_own_leaves_it_undecided() {
    let audit = ipi(|kernel| {
        let mut out = kernel.a.create_label();
        kernel.a.test(dword_ptr(0x1fb40).gs(), 0x00ff_0000).unwrap();
        kernel.a.jne(out).unwrap();
        kernel.iret_to_self();
        kernel.a.set_label(&mut out).unwrap();
        kernel.a.ret().unwrap();
    });
    assert_eq!(outcome(&audit), (Outcome::Conditional, Promise::Undecided, 1));
    let function = audit.ipi_sync_core().unwrap();
    assert_eq!(function.guards.len(), 1);
    assert_eq!(function.guards[0].condition, Condition::Other);
}

/// Two ways, and each has one: a feature test that was not patched.
#[test]
fn one_on_each_way_is_always() {
    let audit = ipi(|kernel| {
        let (mut other, mut out) = (kernel.a.create_label(), kernel.a.create_label());
        kernel.a.test(dword_ptr(0x1234).gs(), 1).unwrap();
        kernel.a.je(other).unwrap();
        kernel.a.serialize().unwrap();
        kernel.a.jmp(out).unwrap();
        kernel.a.set_label(&mut other).unwrap();
        kernel.iret_to_self();
        kernel.a.set_label(&mut out).unwrap();
        kernel.a.ret().unwrap();
    });
    assert_eq!(outcome(&audit), (Outcome::Always, Promise::Audited, 2));
}

/// `static_cpu_has(X86_FEATURE_PTI)`: what it was patched to decides.
#[test]
fn a_patched_jump_counts_as_it_stands() {
    let patched = |jump: bool| {
        ipi(|kernel| {
            let mut out = kernel.a.create_label();
            if jump {
                kernel.a.jmp(out).unwrap();
            } else {
                kernel.a.nop_1(dword_ptr(rax) + rax * 1).unwrap();
            }
            kernel.iret_to_self();
            kernel.a.set_label(&mut out).unwrap();
            kernel.a.ret().unwrap();
        })
    };
    assert_eq!(outcome(&patched(true)), (Outcome::None, Promise::Never, 0));
    assert_eq!(outcome(&patched(false)), (Outcome::Always, Promise::Audited, 1));
}

#[test]
fn the_cold_part_belongs_to_the_function() {
    let mut kernel = Kernel::new();
    let mut cold = kernel.a.create_label();
    let mut back = kernel.a.create_label();
    kernel.function("ipi_sync_core.isra.0");
    kernel.a.jmp(cold).unwrap();
    kernel.a.set_label(&mut back).unwrap();
    kernel.a.ret().unwrap();
    kernel.function("another");
    kernel.a.ret().unwrap();
    kernel.begin("ipi_sync_core.isra.0.cold", &mut cold);
    kernel.iret_to_self();
    kernel.a.jmp(back).unwrap();
    let audit = kernel.audit();
    assert_eq!(outcome(&audit), (Outcome::Always, Promise::Audited, 1));
    let site = &audit.ipi_sync_core().unwrap().sites[0];
    assert_eq!(site.symbol, "ipi_sync_core.isra.0.cold");
    assert_eq!(site.probe_symbol.as_deref(), Some("ipi_sync_core.isra.0.cold"));
}

#[test]
fn callees_are_looked_into_and_tail_calls_too() {
    for tail in [false, true] {
        let mut kernel = Kernel::new();
        let mut helper = kernel.a.create_label();
        kernel.function(IPI_SYNC_CORE);
        kernel.a.push(rbx).unwrap();
        if tail {
            kernel.a.jmp(helper).unwrap();
        } else {
            kernel.a.call(helper).unwrap();
            kernel.a.ret().unwrap();
        }
        kernel.begin("sync_core_before_usermode", &mut helper);
        kernel.a.mov(cr3, rdi).unwrap();
        kernel.a.ret().unwrap();
        let audit = kernel.audit();
        assert_eq!(outcome(&audit), (Outcome::Always, Promise::Audited, 1), "tail {tail}");
        let site = &audit.ipi_sync_core().unwrap().sites[0];
        assert_eq!(site.instruction, "mov cr3, rdi");
        assert_eq!((site.symbol.as_str(), site.offset), (IPI_SYNC_CORE, 1));
        assert_eq!(site.via.as_deref(), Some("sync_core_before_usermode+0x0"));
        // The call is as good a place as any.
        assert_eq!(site.probe_symbol.as_deref(), Some(IPI_SYNC_CORE));
        assert_eq!(site.probe_offset, Some(1));
    }
}

#[test]
fn a_callee_that_sometimes_does_decides_nothing() {
    let mut kernel = Kernel::new();
    let mut helper = kernel.a.create_label();
    kernel.function(IPI_SYNC_CORE);
    kernel.a.call(helper).unwrap();
    kernel.a.ret().unwrap();
    kernel.begin("helper", &mut helper);
    let mut out = kernel.a.create_label();
    kernel.a.test(eax, eax).unwrap();
    kernel.a.je(out).unwrap();
    kernel.a.cpuid().unwrap();
    kernel.a.set_label(&mut out).unwrap();
    kernel.a.ret().unwrap();
    let audit = kernel.audit();
    assert_eq!(outcome(&audit), (Outcome::Conditional, Promise::Undecided, 1));
    let sites = audit.sync_sites();
    assert_eq!((sites[0].symbol.as_str(), sites[0].offset), ("helper", 4));
    assert_eq!(sites[0].function, IPI_SYNC_CORE);
}

/// A conditional jump out of the function to one that serializes.
#[test]
fn a_conditional_tail_call_is_conditional() {
    let mut kernel = Kernel::new();
    let mut helper = kernel.a.create_label();
    kernel.function(IPI_SYNC_CORE);
    kernel.a.test(eax, eax).unwrap();
    kernel.a.je(helper).unwrap();
    kernel.a.ret().unwrap();
    kernel.begin("helper", &mut helper);
    kernel.a.cpuid().unwrap();
    kernel.a.ret().unwrap();
    let audit = kernel.audit();
    assert_eq!(outcome(&audit), (Outcome::Conditional, Promise::Undecided, 1));
    assert_eq!(audit.sync_sites()[0].symbol, "helper");
}

#[test]
fn loops_and_recursion_end() {
    let mut kernel = Kernel::new();
    let this = kernel.function(IPI_SYNC_CORE);
    let mut again = kernel.a.create_label();
    kernel.a.set_label(&mut again).unwrap();
    kernel.a.dec(eax).unwrap();
    kernel.a.jne(again).unwrap();
    kernel.a.call(this).unwrap();
    kernel.iret_to_self();
    kernel.a.test(eax, eax).unwrap();
    kernel.a.jne(again).unwrap();
    kernel.a.ret().unwrap();
    assert_eq!(outcome(&kernel.audit()), (Outcome::Always, Promise::Audited, 1));
}

#[test]
fn what_control_is_lost_at_is_not_called_none() {
    let indirect = ipi(|kernel| {
        kernel.a.jmp(rax).unwrap();
    });
    assert_eq!(outcome(&indirect), (Outcome::Unreadable, Promise::Assumed, 0));
    let why = &indirect.ipi_sync_core().unwrap().why;
    assert!(why.contains("+0x0") && why.contains("indirect jump"), "{why}");
    let probed = ipi(|kernel| {
        kernel.a.push(rbx).unwrap();
        kernel.a.int3().unwrap();
        kernel.a.ret().unwrap();
    });
    assert_eq!(outcome(&probed), (Outcome::Unreadable, Promise::Assumed, 0));
    assert!(probed.ipi_sync_core().unwrap().why.contains("INT3"));
    // One way is lost, on another it is seen to serialize.
    let partly = ipi(|kernel| {
        let mut other = kernel.a.create_label();
        kernel.a.je(other).unwrap();
        kernel.a.cpuid().unwrap();
        kernel.a.ret().unwrap();
        kernel.a.set_label(&mut other).unwrap();
        kernel.a.jmp(qword_ptr(rax)).unwrap();
    });
    assert_eq!(outcome(&partly), (Outcome::Conditional, Promise::Undecided, 1));
    // What is lost after it doesn't matter.
    let after = ipi(|kernel| {
        kernel.a.cpuid().unwrap();
        kernel.a.jmp(rax).unwrap();
    });
    assert_eq!(outcome(&after), (Outcome::Always, Promise::Audited, 1));
}

/// WARN comes back behind its trap; a call that never returns does not.
#[test]
fn warnings_come_back_and_panics_dont() {
    let warns = ipi(|kernel| {
        let mut warn = kernel.a.create_label();
        kernel.a.je(warn).unwrap();
        kernel.a.cpuid().unwrap();
        kernel.a.ret().unwrap();
        kernel.a.set_label(&mut warn).unwrap();
        kernel.a.ud2().unwrap();
        kernel.a.ret().unwrap();
    });
    assert_eq!(outcome(&warns), (Outcome::Conditional, Promise::Undecided, 1));
    let mut kernel = Kernel::new();
    let (mut fail, mut stack) = (kernel.a.create_label(), kernel.a.create_label());
    kernel.function(IPI_SYNC_CORE);
    kernel.a.jne(stack).unwrap();
    kernel.a.cpuid().unwrap();
    kernel.a.ret().unwrap();
    kernel.a.set_label(&mut stack).unwrap();
    kernel.a.call(fail).unwrap();
    kernel.begin("__stack_chk_fail", &mut fail);
    kernel.a.ret().unwrap();
    assert_eq!(outcome(&kernel.audit()), (Outcome::Always, Promise::Audited, 1));
}

/// `jmp __x86_return_thunk`, as it stands where the CPU needs it.
#[test]
fn a_return_thunk_returns() {
    let mut kernel = Kernel::new();
    let mut thunk = kernel.a.create_label();
    kernel.function(IPI_SYNC_CORE);
    kernel.a.jmp(thunk).unwrap();
    kernel.begin("srso_return_thunk", &mut thunk);
    kernel.a.cpuid().unwrap();
    kernel.a.ret().unwrap();
    assert_eq!(outcome(&kernel.audit()), (Outcome::None, Promise::Never, 0));
}
