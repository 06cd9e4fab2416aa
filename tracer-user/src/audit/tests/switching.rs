//! `switch_mm_irqs_off`: is the store of `LOADED_MM_SWITCHING` before the read of the generation?

use iced_x86::code_asm::{
    al, byte_ptr, cr3, dl, eax, ebx, qword_ptr, r12, r13, rax, rbp, rbx, rcx, rdi, rdx, rsi, rsp,
};

use super::*;

/// How the function is built.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
struct Shape {
    /// The store stands before the read.
    before: bool,
    /// And behind it.
    after: bool,
    /// The one before stands on one of two ways.
    one_way: bool,
    /// `next` is kept on the stack, and the 1 in a register.
    spilled: bool,
    /// Unlazying compares the generation,
    compares: bool,
    /// and flushes if it is behind.
    flushes: bool,
    /// A real switch writes CR3.
    writes_cr3: bool,
    /// The read goes through a pointer to the generation.
    pointer: bool,
}

const RIGHT: Shape = Shape {
    before: true,
    after: false,
    one_way: false,
    spilled: false,
    compares: true,
    flushes: true,
    writes_cr3: true,
    pointer: false,
};

/// The kernel, with the offsets of its functions' accesses left to the audit.
fn switch_mm(shape: Shape) -> Kernel {
    let mut kernel = Kernel::new();
    let mut call = kernel.a.create_label();
    kernel.function(SWITCH_MM);
    let a = &mut kernel.a;
    let (mut same, mut out, mut load, mut skip) =
        (a.create_label(), a.create_label(), a.create_label(), a.create_label());
    a.push(rbp).unwrap();
    a.push(rbx).unwrap();
    a.sub(rsp, 0x10).unwrap();
    a.mov(rbx, rsi).unwrap();
    a.mov(rbp, qword_ptr(LOADED_MM).gs()).unwrap();
    a.mov(dl, byte_ptr(IS_LAZY).gs()).unwrap();
    a.cmp(rbp, rsi).unwrap();
    a.je(same).unwrap();
    if shape.spilled {
        a.mov(qword_ptr(rsp + 8), rsi).unwrap();
        a.mov(ebx, 1).unwrap();
    }
    a.call(call).unwrap();
    if shape.one_way {
        a.test(eax, eax).unwrap();
        a.je(skip).unwrap();
    }
    if shape.before && shape.spilled {
        a.mov(qword_ptr(LOADED_MM).gs(), rbx).unwrap();
    } else if shape.before {
        a.mov(qword_ptr(LOADED_MM).gs(), 1).unwrap();
    }
    a.set_label(&mut skip).unwrap();
    if shape.spilled {
        a.mov(rbx, qword_ptr(rsp + 8)).unwrap();
    }
    if shape.pointer {
        a.lea(r13, qword_ptr(rbx + TLB_GEN - 8)).unwrap();
        a.mov(r12, qword_ptr(r13 + 8)).unwrap();
    } else {
        a.mov(r12, qword_ptr(rbx + TLB_GEN)).unwrap();
    }
    if shape.after {
        a.mov(qword_ptr(LOADED_MM).gs(), 1).unwrap();
    }
    if !shape.writes_cr3 {
        a.test(al, al).unwrap();
        a.je(out).unwrap();
    }
    a.set_label(&mut load).unwrap();
    a.mov(rdi, qword_ptr(rbx + PGD)).unwrap();
    a.mov(cr3, rdi).unwrap();
    a.mov(qword_ptr(LOADED_MM).gs(), rbx).unwrap();
    // As the source has it at its end: next != prev.
    a.cmp(rbp, rbx).unwrap();
    a.je(out).unwrap();
    a.call(call).unwrap();
    a.set_label(&mut out).unwrap();
    a.add(rsp, 0x10).unwrap();
    a.pop(rbx).unwrap();
    a.pop(rbp).unwrap();
    a.ret().unwrap();
    a.set_label(&mut same).unwrap();
    a.test(dl, dl).unwrap();
    a.je(out).unwrap();
    if shape.compares {
        a.mov(rdx, qword_ptr(rbp + TLB_GEN)).unwrap();
        a.mov(rax, qword_ptr(rax + 0x312a8).gs()).unwrap();
        a.cmp(rdx, rax).unwrap();
        a.je(out).unwrap();
    }
    a.jmp(if shape.flushes { load } else { out }).unwrap();
    kernel.begin("helper", &mut call);
    kernel.a.xor(rcx, rcx).unwrap();
    kernel.a.ret().unwrap();
    kernel
}

fn order(shape: Shape) -> Switching {
    switch_mm(shape).audit().loaded_mm_switching
}

#[test]
fn the_store_before_the_read_is_right() {
    let found = order(RIGHT);
    assert_eq!(found.order, Order::BeforeTlbGen, "{found:?}");
    assert_eq!((found.stores.len(), found.reads.len(), found.early.len()), (1, 1, 0));
    assert!(found.stores[0] < found.reads[0]);
    assert_eq!(found.unlazy_checks_tlb_gen, Some(true));
    assert_eq!(found.real_switch_serializes, Some(true));
    assert_eq!(switch_mm(RIGHT).audit().promise(SWITCH_MM), Promise::Audited);
}

#[test]
fn the_store_after_the_read_is_the_bad_backport() {
    let found = order(Shape { before: false, after: true, ..RIGHT });
    assert_eq!(found.order, Order::AfterTlbGen, "{found:?}");
    assert_eq!(found.early, found.reads);
    assert!(found.stores[0] > found.reads[0]);
}

#[test]
fn the_store_on_one_way_only_is_not_enough() {
    let found = order(Shape { one_way: true, ..RIGHT });
    assert_eq!(found.order, Order::AfterTlbGen, "{found:?}");
}

#[test]
fn a_missing_store_is_not_found() {
    let found = order(Shape { before: false, ..RIGHT });
    assert_eq!(found.order, Order::NotFound, "{found:?}");
    assert!(found.why.contains("LOADED_MM_SWITCHING"), "{found:?}");
}

#[test]
fn neither_registers_nor_the_stack_nor_pointers_hide_it() {
    for (before, after, order_) in
        [(true, false, Order::BeforeTlbGen), (false, true, Order::AfterTlbGen)]
    {
        for (spilled, pointer) in [(true, false), (false, true), (true, true)] {
            let found = order(Shape { before, after, spilled, pointer, ..RIGHT });
            assert_eq!(found.order, order_, "{found:?}");
        }
    }
}

#[test]
fn without_the_symbol_the_variable_is_found_by_its_use() {
    for (before, after, order) in
        [(true, false, Order::BeforeTlbGen), (false, true, Order::AfterTlbGen)]
    {
        let sources = switch_mm(Shape { before, after, ..RIGHT }).sources();
        let fields = Ok(Fields { loaded_mm: None, tlb_gen: TLB_GEN.into() });
        let found = run(&Sources { fields, ..sources }).loaded_mm_switching;
        assert_eq!(found.order, order, "{found:?}");
    }
}

#[test]
fn with_wrong_offsets_nothing_is_claimed() {
    let other = Fields { loaded_mm: Some(LOADED_MM + 8), tlb_gen: TLB_GEN.into() };
    let found = run(&Sources { fields: Ok(other), ..switch_mm(RIGHT).sources() });
    assert_eq!(found.loaded_mm_switching.order, Order::Unreadable);
    let other = Fields { loaded_mm: Some(LOADED_MM), tlb_gen: i64::from(TLB_GEN) + 8 };
    let found = run(&Sources { fields: Ok(other), ..switch_mm(RIGHT).sources() });
    assert_eq!(found.loaded_mm_switching.order, Order::NotFound);
    assert_eq!(found.loaded_mm_switching.unlazy_checks_tlb_gen, Some(false));
}

#[test]
fn unlazying_without_a_look_at_the_generation_shows() {
    assert_eq!(order(Shape { flushes: false, ..RIGHT }).unlazy_checks_tlb_gen, Some(false));
    assert_eq!(order(Shape { compares: false, ..RIGHT }).unlazy_checks_tlb_gen, Some(false));
}

/// Broadcast flushes with a global ASID: a real switch may return early.
#[test]
fn a_switch_that_may_not_write_cr3_is_undecided() {
    let audit = switch_mm(Shape { writes_cr3: false, ..RIGHT }).audit();
    assert_eq!(audit.loaded_mm_switching.real_switch_serializes, Some(false));
    assert_eq!(audit.promise(SWITCH_MM), Promise::Undecided);
}
