//! Bugs that Linux has had, and the one that it still has: each as the events that tracepoints
//! give, and beside it the same story on a kernel that does it right.

use crate::common::{A, IDLE, Kernel, kthread, user};
use tracer_common::{
    model::{Config, Evidence, Func, Preemption, Promise, Rule, SyncCause},
    wire::Vector,
};

/// The thread that calls membarrier, on CPU 0.
const CALLER: u32 = 100;
/// Other threads of its process.
const T: u32 = 101;
const U: u32 = 102;
/// A kernel thread.
const K: u32 = 7;

/// The caller runs on CPU 0; U sleeps in a system call that it entered on CPU 1.
fn caller_and_sleeper(config: Config) -> Kernel {
    let mut k = Kernel::traced_with(config);
    k.cpu(0).yields_to(user(CALLER, A)).cr3_in_switch().sys_enter().sys_exit().in_user();
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sys_enter();
    k
}

/// As before, and T runs user code on CPU 1, where it returned to by SYSRET.
fn caller_sleeper_and_runner(config: Config) -> Kernel {
    let mut k = caller_and_sleeper(config);
    k.cpu(1).sleeps_for(user(T, A)).sys_enter().sys_exit().in_user();
    k
}

/// 758c9373d841 "membarrier: Explicitly sync remote cores when SYNC_CORE is requested": the IPI ran
/// `ipi_mb`, and relied on the IRET that it ends in. But the interrupted thread may make room for
/// another one of the same process first, which leaves by SYSRET.
fn ipi_then_reschedule(func: Func) -> Kernel {
    let mut k = caller_sleeper_and_runner(Config::default());
    k.cpu(0).call().queues(func, 1).local(Func::SyncCore);
    k.cpu(1).ipi(func);
    k.cpu(0).call_returns();
    k.cpu(1).yields_to(user(U, A)).round_trip();
    k
}

#[test]
fn c758c9373d841_sync_core_sent_ipi_mb() {
    let k = ipi_then_reschedule(Func::Mb);
    k.found(&[(Rule::R2, 1, U)]);
    let found = k.store.findings[0];
    assert_eq!((found.mm, found.evidence), (A, Evidence::Inferred));
    assert!(found.last_sync.ts < found.since, "its last serialization was before the call");
}

#[test]
fn c758c9373d841_fixed() {
    let k = ipi_then_reschedule(Func::SyncCore);
    k.clean().checked(Rule::R2, 1);
}

/// a493d1ca1a03 "x86/membarrier: Get rid of a dubious optimization": `sync_core_before_usermode`
/// did nothing in an interrupt, for the same wrong reason. The text of `ipi_sync_core` shows it.
#[test]
fn ca493d1ca1a03_nothing_done_in_hardirq() {
    let config = Config { ipi_sync_core: Promise::Never, ..Config::default() };
    let mut k = caller_sleeper_and_runner(config);
    k.cpu(0).call().queues(Func::SyncCore, 1).local(Func::SyncCore);
    k.cpu(1).ipi(Func::SyncCore);
    k.cpu(0).call_returns();
    k.cpu(1).yields_to(user(U, A)).round_trip();
    k.found(&[(Rule::R2, 1, U)]);
}

/// Even then the interrupted thread itself has its IRET.
#[test]
fn ca493d1ca1a03_saved_by_the_iret() {
    let config = Config { ipi_sync_core: Promise::Never, ..Config::default() };
    let mut k = caller_sleeper_and_runner(config);
    k.cpu(0).call().queues(Func::SyncCore, 1).local(Func::SyncCore);
    k.cpu(1).ipi_and_back(Func::SyncCore);
    k.cpu(0).call_returns();
    k.cpu(1).sys_enter();
    k.clean().checked(Rule::R2, 1);
}

/// e45cdc71d1fa "membarrier: Execute SYNC_CORE on the calling thread": the caller's own CPU was
/// left out. If the caller is replaced by another thread of its process, and goes on elsewhere,
/// nobody tells that thread.
#[test]
fn ce45cdc71d1fa_caller_migrates() {
    let mut k = caller_sleeper_and_runner(Config::default());
    k.cpu(1).sys_enter().sleeps_for(IDLE);
    k.cpu(0).call().preempted_by(user(T, A)).round_trip();
    k.cpu(2).yields_to(user(CALLER, A)).cr3_in_switch().call_returns();
    k.cpu(0).round_trip();
    k.found(&[(Rule::R2, 0, T)]);
}

#[test]
fn ce45cdc71d1fa_fixed() {
    let mut k = caller_sleeper_and_runner(Config::default());
    k.cpu(1).sys_enter().sleeps_for(IDLE);
    k.cpu(0).call().preempted_by(user(T, A)).round_trip();
    // The mask was filled before the caller moved, so it names CPU 0 and not CPU 2.
    k.cpu(2).yields_to(user(CALLER, A)).cr3_in_switch().queues(Func::SyncCore, 0);
    k.cpu(0).ipi(Func::SyncCore);
    k.cpu(2).call_returns().sys_enter();
    k.cpu(0).round_trip();
    k.clean().checked(Rule::R2, 2);
}

/// The same commit, without a migration: the caller itself must serialize.
#[test]
fn ce45cdc71d1fa_caller_returns() {
    let mut k = caller_and_sleeper(Config::default());
    k.cpu(0).call().call_returns().sys_enter();
    k.found(&[(Rule::R2, 0, CALLER)]);
}

/// 2840cf02fae6 "sched/membarrier: Call `sync_core` only before usermode for same mm" made
/// `membarrier_mm_sync_core_before_usermode` ask for the same mm. With the question inverted, a CPU
/// that goes lazy and back to the same mm writes no CR3 and does not serialize either.
fn lazily_and_back(config: Config, call: bool) -> Kernel {
    let mut k = caller_and_sleeper(config);
    k.cpu(1).sleeps_for(IDLE);
    if call {
        k.cpu(0).call().local(Func::SyncCore).call_returns();
    }
    k.cpu(1).yields_to(user(U, A)).round_trip();
    k
}

/// A kernel whose `finish_task_switch` is known not to serialize.
const INVERTED: Config = Config { finish_task_switch: Promise::Never, ..config() };

const fn config() -> Config {
    Config {
        skew: 100,
        pti: false,
        syscall_exit: false,
        fred: false,
        invlpgb: false,
        sees_cr3: true,
        sees_csd: true,
        pv_flush: false,
        preemption: Preemption::Anywhere,
        finish_task_switch: Promise::Assumed,
        ipi_sync_core: Promise::Assumed,
        kthread_use_mm: Promise::Never,
    }
}

#[test]
fn the_constant_is_the_default() {
    assert_eq!(config(), Config::default());
}

#[test]
fn c2840cf02fae6_inverted_without_a_call() {
    lazily_and_back(INVERTED, false).found(&[(Rule::R1, 1, U)]);
}

#[test]
fn c2840cf02fae6_inverted_with_a_call() {
    lazily_and_back(INVERTED, true).found(&[(Rule::R1, 1, U), (Rule::R2, 1, U)]);
}

#[test]
fn c2840cf02fae6_right() {
    let k = lazily_and_back(config(), true);
    // R1: three switches to the mm. R2: CPU 1 against the call.
    k.clean().checked(Rule::R1, 3).checked(Rule::R2, 1);
    assert_eq!(k.store.tally.unlazy_same_mm, 1);
    assert_eq!(k.store.tally.rules[Rule::R2 as usize].evidence, [0, 0, 1], "assumed");
}

/// An audit of the kernel's text has found the instruction; that it was on the way is inferred.
#[test]
fn an_audit_makes_it_inferred() {
    let config = Config { finish_task_switch: Promise::Audited, ..config() };
    let k = lazily_and_back(config, true);
    k.clean();
    assert_eq!(k.store.tally.rules[Rule::R2 as usize].evidence, [0, 1, 0]);
}

/// The hole that stock kernels have: a kernel thread that takes, with `kthread_use_mm`, the very mm
/// it is lazy on, writes no CR3; and is switched out for a thread of that mm while it still has it,
/// so that `finish_task_switch` does not serialize either.
fn kthread_use_mm(call: bool, change: impl FnOnce(&mut Kernel)) -> Kernel {
    kthread_use_mm_with(config(), call, change)
}

fn kthread_use_mm_with(config: Config, call: bool, change: impl FnOnce(&mut Kernel)) -> Kernel {
    let mut k = caller_and_sleeper(config);
    k.cpu(1).sleeps_for(kthread(K));
    if call {
        k.cpu(0).call().local(Func::SyncCore).call_returns();
    }
    k.cpu(1).becomes(kthread(K).with_mm(A));
    change(&mut k);
    k.cpu(1).sleeps_for(user(U, A)).round_trip();
    k
}

#[test]
fn kthread_use_mm_hole() {
    kthread_use_mm(false, |_| ()).found(&[(Rule::R1, 1, U)]);
}

#[test]
fn kthread_use_mm_hole_around_a_call() {
    let k = kthread_use_mm(true, |_| ());
    k.found(&[(Rule::R1, 1, U), (Rule::R2, 1, U)]);
    assert_eq!(k.store.findings[1].last_sync.cause, SyncCause::Cr3, "when U first came");
}

/// The hole is closed where `kthread_use_mm` itself serializes, and the text says so.
#[test]
fn kthread_use_mm_that_serializes() {
    let told = |promise| Config { kthread_use_mm: promise, ..config() };
    kthread_use_mm_with(told(Promise::Audited), false, |_| ()).clean();
    // Whether it did so before the call or after it can't be told.
    let k = kthread_use_mm_with(told(Promise::Audited), true, |_| ());
    assert_eq!(k.rules(), []);
    let k = kthread_use_mm_with(told(Promise::Undecided), true, |_| ());
    assert_eq!((k.rules(), k.inconclusive(Rule::R1)), (vec![], 1));
    let k = kthread_use_mm_with(told(Promise::Never), false, |_| ());
    assert_eq!(k.rules(), [Rule::R1]);
}

#[test]
fn kthread_use_mm_with_a_cr3_write() {
    let k = kthread_use_mm(true, |k| {
        k.cpu(1).cr3();
    });
    k.clean();
}

/// It gave the mm back in time: `finish_task_switch` sees a task without one.
#[test]
fn kthread_unuse_mm_before_the_switch() {
    let k = kthread_use_mm(true, |k| {
        k.cpu(1).becomes(kthread(K));
    });
    k.clean();
}

/// An interrupt while the kernel thread had the mm: its IRET may have come after the change or
/// before, so nothing is said.
#[test]
fn kthread_use_mm_hole_with_an_interrupt() {
    let k = kthread_use_mm(false, |k| {
        k.cpu(1).tick();
    });
    k.clean();
    assert_eq!(k.inconclusive(Rule::R1), 1);
}

/// Any interrupt before the return saves it: also one that hits the thread in its system call.
#[test]
fn kthread_use_mm_hole_closed_by_luck() {
    let mut k = caller_and_sleeper(config());
    k.cpu(1).sleeps_for(kthread(K)).becomes(kthread(K).with_mm(A));
    k.cpu(1).sleeps_for(user(U, A)).tick().round_trip();
    k.clean().checked(Rule::R1, 3);
}

/// A call that leaves out a CPU in user mode: found when that CPU is next seen to have run user
/// code, by a system call or by an interrupt.
fn skipped_in_user_mode(interrupted: bool, sent: bool) -> Kernel {
    let mut k = caller_sleeper_and_runner(config());
    k.cpu(0).call();
    if sent {
        k.cpu(0).queues(Func::SyncCore, 1);
    }
    k.cpu(0).local(Func::SyncCore);
    if sent {
        k.cpu(1).ipi_and_back(Func::SyncCore);
    }
    k.cpu(0).call_returns();
    if interrupted {
        k.cpu(1).irq_entry(Vector::LocalTimer);
    } else {
        k.cpu(1).sys_enter();
    }
    k
}

#[test]
fn a_cpu_in_user_mode_is_skipped() {
    skipped_in_user_mode(false, false).found(&[(Rule::R2, 1, T)]);
    skipped_in_user_mode(true, false).found(&[(Rule::R2, 1, T)]);
}

#[test]
fn a_cpu_in_user_mode_is_interrupted() {
    skipped_in_user_mode(false, true).clean().checked(Rule::R2, 1);
    skipped_in_user_mode(true, true).clean().checked(Rule::R2, 1);
}

/// A thread that never calls the kernel is seen only by interrupts.
#[test]
fn a_spinning_thread_is_skipped() {
    let mut k = caller_sleeper_and_runner(config());
    k.cpu(1).tick().tick().tick();
    k.cpu(0).call().local(Func::SyncCore).call_returns();
    k.cpu(1).tick().tick();
    k.found(&[(Rule::R2, 1, T)]);
}

#[test]
fn a_spinning_thread_is_interrupted() {
    let mut k = caller_sleeper_and_runner(config());
    k.cpu(1).tick().tick().tick();
    k.cpu(0).call().queues(Func::SyncCore, 1).local(Func::SyncCore);
    k.cpu(1).ipi_and_back(Func::SyncCore);
    k.cpu(0).call_returns();
    k.cpu(1).tick().tick();
    k.clean().checked(Rule::R2, 1);
}

/// With page table isolation every return writes CR3: neither bug is one.
#[test]
fn pti_pays_at_every_return() {
    let pti = Config { pti: true, ipi_sync_core: Promise::Never, ..INVERTED };
    let k = lazily_and_back(pti, true);
    k.clean().checked(Rule::R1, 3).checked(Rule::R2, 1);
    assert_eq!(k.store.tally.rules[Rule::R2 as usize].evidence, [0, 1, 0]);

    let mut k = caller_sleeper_and_runner(pti);
    k.cpu(0).call().queues(Func::Mb, 1).local(Func::Mb);
    k.cpu(1).ipi(Func::Mb);
    k.cpu(0).call_returns().sys_enter();
    k.cpu(1).yields_to(user(U, A)).round_trip();
    k.clean().checked(Rule::R2, 2);
}

/// The text has a serialization, but under conditions of its own: neither may be concluded.
#[test]
fn an_undecided_text_decides_nothing() {
    let config = Config { finish_task_switch: Promise::Undecided, ..config() };
    let mut k = Kernel::traced_with(config);
    k.cpu(1).yields_to(user(101, A)).cr3_in_switch().sys_enter().sleeps_for(IDLE);
    k.cpu(1).yields_to(user(101, A)).sys_exit().sys_enter();
    k.clean();
    assert_eq!(k.inconclusive(Rule::R1), 1);
}

/// No `finish_task_switch` is needed where every way back from a system call serializes.
#[test]
fn the_way_back_serializes() {
    let config = Config { finish_task_switch: Promise::Never, ..config() };
    for (syscall_exit, findings) in [(true, 0), (false, 1)] {
        let mut k = Kernel::traced_with(Config { syscall_exit, ..config });
        k.cpu(1).yields_to(user(101, A)).cr3_in_switch().sys_enter().sleeps_for(IDLE);
        k.cpu(1).yields_to(user(101, A)).sys_exit().sys_enter();
        assert_eq!(k.store.findings.len(), findings);
    }
}
