//! The bugs that are planted into kernels to see whether they are found, as full mode sees them, and
//! beside each the same story on a kernel that does it right.

use crate::common::{A, B, C, IDLE, Kernel, Plant, REGISTERED, Who, kthread, user};
use tracer_common::{
    model::{Config, Evidence, Func, Preemption, Promise, Rule, SyncCause},
    wire::{membarrier_cmd as cmd, membarrier_state as bit, private_flags},
};

const CALLER: u32 = 100;
const T: u32 = 101;
const U: u32 = 102;
const K: u32 = 7;

/// Probes sit on the instructions that serialize.
const PROBED: Config = Config {
    finish_task_switch: Promise::Probed,
    ipi_sync_core: Promise::Probed,
    kthread_use_mm: Promise::Never,
    skew: 100,
    pti: false,
    syscall_exit: false,
    fred: false,
    invlpgb: false,
    sees_cr3: true,
    sees_csd: true,
    pv_flush: false,
    preemption: Preemption::Anywhere,
};

fn kernel(plant: Option<Plant>) -> Kernel {
    let k = Kernel::full(PROBED);
    match plant {
        Some(plant) => k.with_plant(plant),
        None => k,
    }
}

/// The caller runs user code on CPU 0; U sleeps in a system call that it entered on CPU 1.
fn caller_and_sleeper(mut k: Kernel) -> Kernel {
    k.cpu(0).yields_to(user(CALLER, A)).sys_enter().sys_exit().user_return();
    k.cpu(1).yields_to(user(U, A)).sys_enter();
    k
}

/// A call that interrupts nobody but its caller, whose `ipi_sync_core` serializes.
fn calls_alone(k: &mut Kernel) {
    k.cpu(0).call().private_begins(private_flags::SYNC_CORE).local(Func::SyncCore);
    k.cpu(0).serialized(SyncCause::IpiSyncCore);
    k.cpu(0).private_ends(private_flags::SYNC_CORE, 0).call_returns();
}

/// lazy-nosync: `finish_task_switch` without `membarrier_mm_sync_core_before_usermode`.
fn lazily_and_back(plant: Option<Plant>, call: bool) -> Kernel {
    let mut k = caller_and_sleeper(kernel(plant));
    k.cpu(1).sleeps_for(IDLE);
    if call {
        calls_alone(&mut k);
    }
    k.cpu(1).yields_to(user(U, A)).sys_exit().user_return();
    k
}

#[test]
fn lazy_nosync() {
    lazily_and_back(Some(Plant::LazyNosync), false).found(&[(Rule::R1, 1, U)]);
    let k = lazily_and_back(Some(Plant::LazyNosync), true);
    k.found(&[(Rule::R1, 1, U), (Rule::R2, 1, U)]);
    let found = k.store.findings[1];
    assert_eq!(found.evidence, Evidence::Observed);
    let left = found.left_alone.expect("the call in question");
    assert!(left.ts > found.since && left.why.name().contains("idle"), "{left:?}");
}

#[test]
fn lazy_nosync_right() {
    lazily_and_back(None, false).clean().checked(Rule::R1, 3);
    let k = lazily_and_back(None, true);
    k.clean().checked(Rule::R1, 3).checked(Rule::R2, 1);
    assert_eq!(k.store.tally.rules[Rule::R2 as usize].evidence, [1, 0, 0], "observed");
}

/// ipi-mb: SYNC_CORE sends `ipi_mb`, and relies on an IRET after which another thread may run.
/// irq-skip: `ipi_sync_core` runs, and does nothing in an interrupt; no probe sees it serialize.
fn ipi_then_reschedule(func: Func, serializes: bool) -> Kernel {
    let mut k = caller_and_sleeper(kernel(None));
    k.cpu(1).sleeps_for(user(T, A)).sys_enter().sys_exit().user_return();
    k.cpu(0).call().private_begins(private_flags::SYNC_CORE).queues(func, 1);
    k.cpu(0).local(Func::SyncCore).serialized(SyncCause::IpiSyncCore);
    if serializes {
        k.cpu(1).ipi_with(func, |cpu| {
            cpu.serialized(SyncCause::IpiSyncCore);
        });
    } else {
        k.cpu(1).ipi(func);
    }
    k.cpu(0).private_ends(private_flags::SYNC_CORE, 0).call_returns();
    k.cpu(1).yields_to(user(U, A)).sys_exit().user_return();
    k
}

#[test]
fn ipi_mb() {
    ipi_then_reschedule(Func::Mb, false).found(&[(Rule::R2, 1, U)]);
}

#[test]
fn irq_skip() {
    ipi_then_reschedule(Func::SyncCore, false).found(&[(Rule::R2, 1, U)]);
}

#[test]
fn ipi_sync_core_right() {
    ipi_then_reschedule(Func::SyncCore, true).clean().checked(Rule::R2, 1);
}

/// caller-skip: the caller's own CPU is left out.
fn caller_comes_back(local: bool) -> Kernel {
    let mut k = caller_and_sleeper(kernel(None));
    k.cpu(0).call().private_begins(private_flags::SYNC_CORE);
    if local {
        k.cpu(0).local(Func::SyncCore).serialized(SyncCause::IpiSyncCore);
    }
    k.cpu(0).private_ends(private_flags::SYNC_CORE, 0).call_returns().sys_enter();
    k
}

#[test]
fn caller_skip() {
    caller_comes_back(false).found(&[(Rule::R2, 0, CALLER)]);
}

#[test]
fn caller_skip_right() {
    caller_comes_back(true).clean().checked(Rule::R2, 1);
}

/// rq-stale: `membarrier_switch_mm` is dropped.
fn switch_to_a_registered_mm(plant: Option<Plant>) -> Kernel {
    let mut k = kernel(plant);
    k.cpu(1).yields_to(user(T, B)).sleeps_for(user(U, A));
    k
}

#[test]
fn rq_stale() {
    let k = switch_to_a_registered_mm(Some(Plant::RqStale));
    k.found(&[(Rule::R6, 1, U)]);
    let found = k.store.findings[0];
    assert_eq!((found.expected, found.actual), (REGISTERED.into(), 0));
    // The other way round: what a mm does not have.
    let mut k = kernel(None);
    k.cpu(1).yields_to(user(T, A)).sleeps_for(IDLE);
    let mut k = k.with_plant(Plant::RqStale);
    k.cpu(1).yields_to(user(U, B));
    k.found(&[(Rule::R6, 1, U)]);
}

#[test]
fn rq_stale_right() {
    switch_to_a_registered_mm(None).clean().checked(Rule::R6, 1);
}

/// reg-skip: `ipi_sync_rq_state` leaves out the CPU that asks. Seen as the registration returns.
fn registration(plant: Option<Plant>) -> Kernel {
    const REGISTER: i32 = cmd::REGISTER_PRIVATE_EXPEDITED_SYNC_CORE;
    let mut k = kernel(plant);
    k.cpu(0).yields_to(user(CALLER, A).unregistered()).sys_enter().sys_exit().user_return();
    k.cpu(0).register_begins(REGISTER).registers(user(CALLER, A)).register_ends(REGISTER);
    k
}

#[test]
fn reg_skip() {
    registration(Some(Plant::RegSkip)).found(&[(Rule::R6, 0, CALLER)]);
}

/// Or, if that was not seen, at the next switch from thread to thread.
#[test]
fn reg_skip_seen_later() {
    const REGISTER: i32 = cmd::REGISTER_GLOBAL_EXPEDITED;
    let registered = Who {
        state: bit::GLOBAL_EXPEDITED | bit::GLOBAL_EXPEDITED_READY,
        ..user(CALLER, C).unregistered()
    };
    let mut k = kernel(Some(Plant::RegSkip));
    k.cpu(0).yields_to(user(CALLER, C).unregistered());
    k.cpu(0).membarrier_enter(REGISTER).registers(registered).membarrier_exit(REGISTER, 0);
    k.cpu(0).sleeps_for(Who { tid: T, ..registered });
    k.found(&[(Rule::R6, 0, T)]);
}

/// A registration of several threads waits for a grace period of RCU, and its CPU goes lazy
/// meanwhile. It is `rq->curr` again when it looks at the run queues, so its own is no exception.
fn registration_that_sleeps(plant: Option<Plant>) -> Kernel {
    const REGISTER: i32 = cmd::REGISTER_PRIVATE_EXPEDITED_SYNC_CORE;
    let set = Who { state: bit::PRIVATE_EXPEDITED | bit::SYNC_CORE, ..user(CALLER, A) };
    let mut k = kernel(plant);
    k.cpu(0).yields_to(user(CALLER, A).unregistered()).sys_enter().sys_exit().user_return();
    k.cpu(0).register_begins(REGISTER).becomes(set).sleeps_for(IDLE);
    k.cpu(0).yields_to(set).registers(user(CALLER, A)).register_ends(REGISTER);
    k
}

#[test]
fn reg_skip_after_a_sleep() {
    registration_that_sleeps(Some(Plant::RegSkip)).found(&[(Rule::R6, 0, CALLER)]);
}

#[test]
fn reg_skip_after_a_sleep_right() {
    registration_that_sleeps(None).clean();
}

#[test]
fn reg_skip_right() {
    registration(None).clean().checked(Rule::R6, 2);
}

/// switching-late: the CPU has read the generation, is left out of a flush because it has not
/// announced its new mm yet, and then uses what it has read.
fn switch_beside_a_flush(late: bool) -> Kernel {
    let mut k = caller_and_sleeper(kernel(None));
    k.cpu(2).yields_to(user(T, B));
    if late {
        k.cpu(2).reads_generation_of(A);
    }
    k.cpu(0).sys_enter().flush_begins(false, A).flushes(A);
    k.cpu(1).flush_ipi(Some(A));
    k.cpu(0).flush_ends(false, A);
    k.cpu(2).sleeps_for(user(300, A)).user_return();
    k
}

#[test]
fn switching_late() {
    let k = switch_beside_a_flush(true);
    k.found(&[(Rule::R3, 2, 300)]);
    let found = k.store.findings[0];
    assert_eq!((found.expected, found.actual), (2, 1));
    assert_eq!(found.evidence, Evidence::Observed);
}

#[test]
fn switching_late_right() {
    switch_beside_a_flush(false).clean().checked(Rule::R3, 1);
}

/// unlazy-nogen, unlazy-noflush: a flush passes by a lazy CPU, which is to catch up when it comes
/// back.
fn unlazy_after_a_flush(plant: Option<Plant>) -> Kernel {
    let mut k = caller_and_sleeper(kernel(plant));
    k.cpu(1).sleeps_for(IDLE);
    k.cpu(0).sys_enter().flush_begins(false, A).flushes(A).flush_ends(false, A);
    k.cpu(1).yields_to(user(U, A)).sys_exit().user_return();
    k
}

#[test]
fn unlazy_nogen() {
    unlazy_after_a_flush(Some(Plant::UnlazyNogen)).found(&[(Rule::R3, 1, U)]);
}

#[test]
fn unlazy_noflush() {
    unlazy_after_a_flush(Some(Plant::UnlazyNoflush)).found(&[(Rule::R3, 1, U)]);
}

#[test]
fn unlazy_right() {
    let k = unlazy_after_a_flush(None);
    k.clean().checked(Rule::R3, 1);
    assert_eq!(k.store.tally.unlazy_flushed, 1);
}

/// A process that is not registered for anything is judged too.
#[test]
fn unlazy_nogen_in_an_unregistered_process() {
    let mut k = kernel(Some(Plant::UnlazyNogen));
    k.cpu(0).yields_to(user(CALLER, B)).user_return();
    k.cpu(1).yields_to(user(U, B)).user_return();
    k.cpu(1).sleeps_for(IDLE);
    k.cpu(0).flush_begins(false, B).flushes(B).flush_ends(false, B);
    k.cpu(1).yields_to(user(U, B)).user_return();
    k.found(&[(Rule::R3, 1, U)]);
    let tally = k.store.tally;
    assert_eq!((tally.returns_observed, tally.sysret, tally.iret), (0, 0, 0), "nobody's business");
}

/// tables-skip: lazy CPUs are left alone even when page tables were freed.
fn freed_tables_beside_a_lazy_cpu(interrupted: bool) -> Kernel {
    let mut k = caller_and_sleeper(kernel(None));
    k.cpu(1).sleeps_for(kthread(K));
    k.cpu(0).sys_enter().flush_begins(true, A).flushes(A);
    if interrupted {
        k.cpu(1).flush_ipi(Some(A));
    }
    k.cpu(0).flush_ends(true, A);
    k
}

#[test]
fn tables_skip() {
    freed_tables_beside_a_lazy_cpu(false).found(&[(Rule::R4, 1, K)]);
}

#[test]
fn tables_skip_right() {
    let k = freed_tables_beside_a_lazy_cpu(true);
    k.clean().checked(Rule::R4, 1);
    assert_eq!(k.store.tally.lazy_to_init_mm, 1);
}

/// lazy-drop: `exit_mm` takes no reference for the mm that the task goes on to borrow.
fn the_last_thread_exits(early: bool) -> Kernel {
    let mut k = kernel(None);
    k.cpu(0).yields_to(user(CALLER, A));
    k.cpu(1).yields_to(user(U, B)).sys_enter().exits();
    if early {
        k.cpu(1).mm_drop(B);
    }
    k.cpu(1).sleeps_for(IDLE).yields_to(user(T, A));
    if !early {
        k.cpu(1).mm_drop(B);
    }
    k
}

#[test]
fn lazy_drop() {
    the_last_thread_exits(true).found(&[(Rule::R5, 1, U)]);
}

#[test]
fn lazy_drop_right() {
    the_last_thread_exits(false).clean().checked(Rule::R5, 1);
}

/// On another CPU than the one that has it.
#[test]
fn lazy_drop_elsewhere() {
    let mut k = kernel(None);
    k.cpu(1).yields_to(user(U, B)).sleeps_for(IDLE);
    k.cpu(0).yields_to(user(T, B)).exits().sleeps_for(user(CALLER, A)).mm_drop(B);
    k.found(&[(Rule::R5, 1, 0)]);
}

/// The hole of `kthread_use_mm` that stock kernels have.
fn kthread_use_mm(call: bool, between: impl FnOnce(&mut Kernel)) -> Kernel {
    let mut k = caller_and_sleeper(kernel(None));
    k.cpu(1).sleeps_for(kthread(K));
    if call {
        calls_alone(&mut k);
    }
    k.cpu(1).takes_mm(A);
    between(&mut k);
    k.cpu(1).has_mm().sleeps_for(user(U, A)).sys_exit().user_return();
    k
}

#[test]
fn kthread_use_mm_hole() {
    kthread_use_mm(false, |_| ()).found(&[(Rule::R1, 1, U)]);
    let k = kthread_use_mm(true, |_| ());
    k.found(&[(Rule::R1, 1, U), (Rule::R2, 1, U)]);
    let left = k.store.findings[1].left_alone.expect("the call in question");
    assert!(left.why.name().contains("lazy on this mm"), "{left:?}");
}

/// An interrupt after `switch_mm_irqs_off` has its IRET, though the end of `kthread_use_mm` is only
/// seen after it.
#[test]
fn kthread_use_mm_hole_closed_by_luck() {
    let k = kthread_use_mm(true, |k| {
        k.cpu(1).tick();
    });
    k.clean().checked(Rule::R1, 3).checked(Rule::R2, 1);
}

#[test]
fn kthread_use_mm_of_another_mm() {
    let mut k = caller_and_sleeper(kernel(None));
    k.cpu(1).sleeps_for(user(T, B)).sleeps_for(kthread(K));
    calls_alone(&mut k);
    k.cpu(1).uses_mm(A).sleeps_for(user(U, A)).sys_exit().user_return();
    k.clean().checked(Rule::R1, 3).checked(Rule::R2, 1);
}

#[test]
fn kthread_use_mm_given_back() {
    let mut k = caller_and_sleeper(kernel(None));
    k.cpu(1).sleeps_for(kthread(K)).uses_mm(A);
    calls_alone(&mut k);
    k.cpu(1).unuses_mm().sleeps_for(user(U, A)).sys_exit().user_return();
    k.clean().checked(Rule::R2, 1);
}

/// Page table isolation serializes at every return: nobody is blamed, whatever is planted.
#[test]
fn pti_satisfies() {
    let pti = Config { pti: true, ..PROBED };
    let mut k = caller_and_sleeper(Kernel::full(pti).with_plant(Plant::LazyNosync));
    k.cpu(1).sleeps_for(IDLE);
    k.cpu(0).call().private_begins(private_flags::SYNC_CORE);
    k.cpu(0).private_ends(private_flags::SYNC_CORE, 0).call_returns().sys_enter();
    k.cpu(1).yields_to(user(U, A)).sys_exit().user_return();
    k.clean().checked(Rule::R1, 3).checked(Rule::R2, 2);
}
