//! `finish_task_switch`: on what its serialization depends.

use iced_x86::code_asm::{CodeLabel, al, eax, qword_ptr, r12, r14, rax, rdi};

use super::*;

/// What the body does between the tests and the serialization.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    /// As the source has it.
    Source,
    /// The serialization is left out in an interrupt.
    NotInInterrupt,
    /// For mms that are *not* registered.
    OtherWayRound,
    /// The registration is tested with another bit.
    OtherBit,
    /// Nothing.
    Dropped,
    /// `membarrier_mm_sync_core_before_usermode` was not inlined.
    OutOfLine,
    /// A callee at the end serializes sometimes.
    Noise,
}

fn finish_task_switch(shape: Shape) -> Audit {
    let mut kernel = Kernel::new();
    let mut helper = kernel.a.create_label();
    let mut out = kernel.a.create_label();
    kernel.function("finish_task_switch.isra.0");
    let a = &mut kernel.a;
    a.mov(r12, 0x31980_u64).unwrap();
    a.add(r12, qword_ptr(0x19168).gs()).unwrap();
    a.mov(r14, qword_ptr(r12 + PREV_MM)).unwrap();
    a.mov(qword_ptr(r12 + PREV_MM), 0).unwrap();
    a.call(rax).unwrap();
    a.test(r14, r14).unwrap();
    a.je(out).unwrap();
    if shape == Shape::OutOfLine {
        a.mov(rdi, r14).unwrap();
        a.call(helper).unwrap();
    } else {
        registered(&mut kernel, shape, out, false);
        if shape != Shape::Dropped {
            kernel.iret_to_self();
        }
    }
    kernel.a.set_label(&mut out).unwrap();
    if shape == Shape::Noise {
        kernel.a.call(helper).unwrap();
    }
    kernel.a.ret().unwrap();
    kernel.begin("helper.part.0", &mut helper);
    let mut done = kernel.a.create_label();
    if shape == Shape::Noise {
        kernel.a.test(eax, eax).unwrap();
        kernel.a.je(done).unwrap();
    } else {
        registered(&mut kernel, shape, done, true);
    }
    kernel.iret_to_self();
    kernel.a.set_label(&mut done).unwrap();
    kernel.a.ret().unwrap();
    kernel.audit()
}

/// The conditions of `membarrier_mm_sync_core_before_usermode`; the mm is in `rdi` or `r14`.
fn registered(kernel: &mut Kernel, shape: Shape, out: CodeLabel, argument: bool) {
    let mm = if argument { rdi } else { r14 };
    let a = &mut kernel.a;
    a.mov(rax, qword_ptr(CURRENT).gs()).unwrap();
    a.cmp(qword_ptr(rax + TASK_MM), mm).unwrap();
    a.jne(out).unwrap();
    a.mov(eax, iced_x86::code_asm::dword_ptr(mm + STATE)).unwrap();
    a.test(al, if shape == Shape::OtherBit { 0x10 } else { 0x20 }).unwrap();
    if shape == Shape::OtherWayRound {
        a.jne(out).unwrap();
    } else {
        a.je(out).unwrap();
    }
    if shape == Shape::NotInInterrupt {
        a.test(iced_x86::code_asm::dword_ptr(0x1fb40).gs(), 0x00ff_0000).unwrap();
        a.jne(out).unwrap();
    }
}

#[test]
fn the_conditions_of_the_source_are_recognized() {
    let audit = finish_task_switch(Shape::Source);
    let function = audit.finish_task_switch().unwrap();
    assert_eq!(function.symbol.as_deref(), Some("finish_task_switch.isra.0"));
    assert_eq!((function.outcome, function.promise), (Outcome::Conditional, Promise::Audited));
    let conditions: Vec<_> = function.guards.iter().map(|guard| guard.condition).collect();
    assert_eq!(conditions, [Condition::PrevMm, Condition::SameMm, Condition::Registered]);
    assert!(function.sites[0].conditional && function.sites[0].probe_offset.is_some());
}

/// `kthread_use_mm`, of stock kernels or with the hole closed, by this condition or by another.
fn kthread_use_mm(serializes: Option<Shape>) -> Audit {
    let mut kernel = Kernel::new();
    kernel.function(KTHREAD_USE_MM);
    kernel.a.mov(r14, rdi).unwrap();
    let mut out = kernel.a.create_label();
    if let Some(shape) = serializes {
        registered(&mut kernel, shape, out, false);
        kernel.iret_to_self();
    }
    kernel.a.set_label(&mut out).unwrap();
    kernel.a.ret().unwrap();
    kernel.audit()
}

#[test]
fn whether_kthread_use_mm_closes_its_hole() {
    assert_eq!(kthread_use_mm(None).promise(KTHREAD_USE_MM), Promise::Never);
    assert_eq!(kthread_use_mm(Some(Shape::Source)).promise(KTHREAD_USE_MM), Promise::Audited);
    assert_eq!(
        kthread_use_mm(Some(Shape::NotInInterrupt)).promise(KTHREAD_USE_MM),
        Promise::Undecided
    );
}

#[test]
fn any_other_condition_is_not_believed() {
    for shape in [Shape::NotInInterrupt, Shape::OtherWayRound, Shape::OtherBit] {
        let audit = finish_task_switch(shape);
        assert_eq!(audit.promise(FINISH_TASK_SWITCH), Promise::Undecided);
    }
}

#[test]
fn a_dropped_serialization_is_found_missing() {
    let audit = finish_task_switch(Shape::Dropped);
    assert_eq!(audit.promise(FINISH_TASK_SWITCH), Promise::Never);
    assert!(audit.finish_task_switch().unwrap().guards.is_empty());
}

#[test]
fn conditions_may_stand_in_a_function_of_their_own() {
    let audit = finish_task_switch(Shape::OutOfLine);
    assert_eq!(audit.promise(FINISH_TASK_SWITCH), Promise::Audited);
    assert_eq!(audit.sync_sites()[0].symbol, "helper.part.0");
}

#[test]
fn what_a_callee_does_now_and_then_takes_nothing_away() {
    let audit = finish_task_switch(Shape::Noise);
    assert_eq!(audit.promise(FINISH_TASK_SWITCH), Promise::Audited);
    assert_eq!(audit.finish_task_switch().unwrap().sites.len(), 2);
}

/// Without the members' offsets nothing is recognized, so nothing is claimed.
#[test]
fn without_offsets_it_stays_undecided() {
    let mut kernel = Kernel::new();
    kernel.function(FINISH_TASK_SWITCH);
    let out = {
        let mut out = kernel.a.create_label();
        registered(&mut kernel, Shape::Source, out, false);
        kernel.iret_to_self();
        kernel.a.set_label(&mut out).unwrap();
        kernel.a.ret().unwrap();
        out
    };
    let _ = out;
    let sources = Sources { tested: Tested::default(), ..kernel.sources() };
    assert_eq!(run(&sources).promise(FINISH_TASK_SWITCH), Promise::Undecided);
}

/// Of several clones the weakest counts.
#[test]
fn the_clone_that_promises_least_is_the_answer() {
    let mut kernel = Kernel::new();
    kernel.function("ipi_sync_core");
    kernel.iret_to_self();
    kernel.a.ret().unwrap();
    kernel.function("ipi_sync_core.constprop.0");
    kernel.a.ret().unwrap();
    let audit = kernel.audit();
    assert_eq!(audit.promise(IPI_SYNC_CORE), Promise::Never);
    assert_eq!(audit.functions.iter().filter(|f| f.name == IPI_SYNC_CORE).count(), 2);
}
