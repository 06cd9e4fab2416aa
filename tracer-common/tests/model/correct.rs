//! What a correct kernel does that looks suspicious: none of it is to be blamed, and what is
//! checked is decided.

use crate::common::{A, B, C, IDLE, Kernel, OnCpu, kthread, user};
use tracer_common::{
    model::{Config, Event, Func, Rule, Skip, Store},
    wire::{INIT_MM, Vector, membarrier_cmd as cmd},
};

const CALLER: u32 = 100;
const T: u32 = 101;
const U: u32 = 102;
const K: u32 = 7;

/// The caller runs on CPU 0, U is in a system call on CPU 1.
fn two_threads() -> Kernel {
    let mut k = Kernel::traced();
    k.cpu(0).yields_to(user(CALLER, A)).cr3_in_switch().sys_enter().sys_exit().in_user();
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sys_enter();
    k
}

/// A call that interrupts nobody but its caller.
fn alone(cpu: &mut OnCpu<'_>) {
    cpu.call().local(Func::SyncCore).call_returns();
}

#[test]
fn idle_lazily_and_back() {
    let mut k = two_threads();
    k.cpu(1).sleeps_for(IDLE).tick();
    alone(&mut k.cpu(0));
    k.cpu(1).yields_to(user(U, A)).round_trip();
    k.clean().checked(Rule::R2, 1);
    let mm = k.store.known_mm(A).copied().unwrap();
    assert_eq!((mm.calls.sync_core, mm.targeted), (1, 1));
    assert_eq!(mm.skipped[Skip::IdleLazy as usize], 1);
}

/// `rq->curr` is still in the store buffer when the call looks: the CR3 write that follows serializes.
#[test]
fn a_call_between_the_switch_and_its_cr3_write() {
    let mut k = two_threads();
    k.cpu(1).yields_to(user(T, B)).cr3_in_switch().yields_to(user(U, A));
    alone(&mut k.cpu(0));
    k.cpu(1).cr3_in_switch().round_trip();
    assert_eq!(k.rules(), []);
    assert_eq!(k.inconclusive(Rule::R2), 1, "it may have come too early as well");
    // It is over once something else has happened there.
    alone(&mut k.cpu(0));
    k.cpu(1).round_trip();
    assert_eq!(k.rules(), [Rule::R2]);
}

/// Several kernel threads in a row keep the borrowed mm.
#[test]
fn lazily_through_kernel_threads() {
    let mut k = two_threads();
    k.cpu(1).sleeps_for(kthread(K)).yields_to(kthread(8)).sleeps_for(IDLE);
    alone(&mut k.cpu(0));
    k.cpu(1).yields_to(kthread(K)).sleeps_for(user(U, A)).round_trip();
    k.clean();
    assert_eq!(k.store.tally.unlazy_same_mm, 1);
}

#[test]
fn a_shootdown_reaches_a_lazy_cpu() {
    let mut k = two_threads();
    k.cpu(1).sleeps_for(IDLE).ipi(Func::FlushTlb).cr3();
    alone(&mut k.cpu(0));
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().round_trip();
    k.clean();
    assert_eq!((k.store.tally.lazy_to_init_mm, k.store.tally.unlazy_same_mm), (1, 0));
}

/// Lazy, and the generation has moved on: unlazying flushes.
#[test]
fn a_shootdown_passes_by_a_lazy_cpu() {
    let mut k = two_threads();
    k.cpu(1).sleeps_for(IDLE);
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().round_trip();
    k.clean();
    assert_eq!(k.store.tally.unlazy_flushed, 1);
}

#[test]
fn exec_to_another_mm_and_registration_there() {
    let mut k = two_threads();
    k.cpu(1).execs(B, U).sleeps_for(user(T, A)).cr3_in_switch().round_trip();
    alone(&mut k.cpu(0));
    k.cpu(1).sleeps_for(user(U, B)).cr3_in_switch();
    k.clean();
}

/// A thread that is not the leader takes over the leader's pid, before the new mm is there.
#[test]
fn exec_by_another_thread_than_the_leader() {
    let leader = user(U, A).tgid;
    let mut k = two_threads();
    k.cpu(1).execs(B, leader).sleeps_for(IDLE);
    k.cpu(1).yields_to(user(leader, B)).tick();
    k.clean();
    // And is switched out on the way.
    let mut k = two_threads();
    k.cpu(1).becomes(user(leader, A)).sleeps_for(IDLE).yields_to(user(leader, A));
    k.cpu(1).execs(B, leader).sleeps_for(IDLE);
    k.clean();
}

/// A user mode helper begins without an mm, and is no kernel thread.
#[test]
fn a_user_mode_helper_execs() {
    let helper = crate::common::Who { kthread: false, ..kthread(300) };
    let mut k = two_threads();
    k.cpu(1).sleeps_for(helper).execs(B, 300).tick().sleeps_for(IDLE);
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().round_trip();
    k.clean();
}

#[test]
fn exit_leaves_a_lazy_mm() {
    let mut k = two_threads();
    k.cpu(1).exits().sleeps_for(IDLE);
    k.cpu(2).frees(user(U, A));
    k.cpu(1).yields_to(user(T, A)).round_trip();
    alone(&mut k.cpu(0));
    k.cpu(1).sleeps_for(kthread(K)).sleeps_for(user(T, A)).round_trip();
    k.clean();
}

/// A dying thread, already without its mm, makes room for a sibling: the sibling is serialized like
/// after a kernel thread.
#[test]
fn exit_straight_into_a_sibling() {
    let mut k = two_threads();
    k.cpu(1).sleeps_for(user(T, A)).sys_enter().exits();
    alone(&mut k.cpu(0));
    k.cpu(1).sleeps_for(user(U, A)).round_trip();
    k.clean().checked(Rule::R1, 3);
}

/// vfork and `CLONE_VM` without `CLONE_THREAD`: other processes, the same mm.
#[test]
fn siblings_that_share_the_mm() {
    let child = crate::common::Who { tgid: 500, ..user(500, A) };
    let mut k = two_threads();
    k.cpu(0).sys_enter().forks(child);
    k.cpu(2).yields_to(child).cr3_in_switch().sys_exit().in_user().sys_enter();
    k.cpu(0).round_trip().call().queues(Func::SyncCore, 1).queues(Func::SyncCore, 2);
    k.cpu(1).ipi(Func::SyncCore);
    k.cpu(2).ipi(Func::SyncCore);
    k.cpu(0).local(Func::SyncCore).call_returns().sys_enter();
    k.cpu(1).round_trip();
    k.cpu(2).round_trip().execs(B, 500).sleeps_for(IDLE);
    k.clean().checked(Rule::R2, 3);
    assert_eq!(k.store.known_mm(A).unwrap().targeted, 3);
}

#[test]
fn a_thread_migrates_during_a_call() {
    let mut k = two_threads();
    k.cpu(0).call();
    k.cpu(1).sleeps_for(IDLE);
    k.cpu(2).yields_to(user(U, A)).cr3_in_switch();
    k.cpu(0).local(Func::SyncCore).call_returns();
    k.cpu(2).round_trip();
    k.cpu(1).yields_to(user(T, A)).tick();
    k.cpu(0).sys_enter();
    k.clean().checked(Rule::R2, 2);
}

#[test]
fn the_caller_migrates_during_the_call() {
    let mut k = two_threads();
    k.cpu(0).call().preempted_by(IDLE);
    k.cpu(2).yields_to(user(CALLER, A)).cr3_in_switch();
    k.cpu(2).queues(Func::SyncCore, 0).queues(Func::SyncCore, 1);
    k.cpu(0).ipi(Func::SyncCore);
    k.cpu(1).ipi(Func::SyncCore);
    k.cpu(2).call_returns().sys_enter();
    k.cpu(0).yields_to(user(T, A)).tick();
    k.cpu(1).round_trip();
    k.clean().checked(Rule::R2, 2);
}

#[test]
fn a_registration_while_threads_run_elsewhere() {
    let mut k = Kernel::traced();
    k.cpu(0).yields_to(user(CALLER, A).unregistered()).cr3_in_switch();
    k.cpu(1).yields_to(user(U, A).unregistered()).cr3_in_switch().in_user();
    k.cpu(0).membarrier_enter(cmd::REGISTER_PRIVATE_EXPEDITED_SYNC_CORE);
    k.cpu(1).ipi_and_back(Func::SyncRqState);
    k.cpu(0).becomes(user(CALLER, A));
    k.cpu(0).membarrier_exit(cmd::REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0);
    k.cpu(1).becomes(user(U, A)).in_user();
    k.cpu(0).call().queues(Func::SyncCore, 1).local(Func::SyncCore);
    k.cpu(1).ipi_and_back(Func::SyncCore);
    k.cpu(0).call_returns().sys_enter();
    k.cpu(1).sys_enter();
    k.clean().checked(Rule::R2, 2);
    let calls = k.store.known_mm(A).unwrap().calls;
    assert_eq!((calls.register, calls.sync_core), (1, 1));
}

/// It never returns, so it promises nothing and counts nothing.
#[test]
fn a_task_exits_inside_membarrier() {
    let mut k = two_threads();
    k.cpu(0).call().exits().sleeps_for(IDLE);
    k.cpu(2).frees(user(CALLER, A));
    k.cpu(1).round_trip();
    k.clean().checked(Rule::R2, 0);
    // Its pid is used again, by a thread that is seen to leave a call it was not seen to enter.
    k.cpu(2).yields_to(user(CALLER, C)).cr3_in_switch().call_returns();
    k.clean();
    assert_eq!(k.store.known_mm(A).unwrap().calls.sync_core, 0);
    assert_eq!(k.store.known_mm(C).unwrap().calls.sync_core, 1);
    assert_eq!(k.inconclusive(Rule::R2), 1);
}

#[test]
fn calls_that_fail_or_do_something_else() {
    let mut k = two_threads();
    k.cpu(0).call().membarrier_exit(cmd::PRIVATE_EXPEDITED_SYNC_CORE, -1);
    for cmd in [cmd::PRIVATE_EXPEDITED, cmd::GLOBAL, cmd::PRIVATE_EXPEDITED_RSEQ, cmd::QUERY] {
        k.cpu(0).membarrier_enter(cmd).membarrier_exit(cmd, 0);
    }
    k.cpu(1).round_trip();
    k.clean().checked(Rule::R2, 0);
    let calls = k.store.known_mm(A).unwrap().calls;
    assert_eq!((calls.failed, calls.private, calls.global, calls.rseq), (1, 1, 1, 1));
}

/// Text poking: CR3 is written twice, on whatever runs.
#[test]
fn a_temporary_mm_comes_and_goes() {
    let mut k = two_threads();
    // On a user task.
    k.cpu(1).cr3().cr3().sleeps_for(kthread(K));
    // On a lazy kernel thread, which leaves the borrowed mm for good first.
    k.cpu(1).cr3().cr3().cr3().sleeps_for(user(U, A)).cr3_in_switch().round_trip();
    // On one that is on init_mm already.
    k.cpu(1).sleeps_for(kthread(K)).cr3().cr3().cr3().cr3().cr3();
    k.cpu(1).sleeps_for(user(U, A)).cr3_in_switch().round_trip();
    k.clean();
}

/// EFI: a kernel thread goes to `efi_mm` and back to what it was lazy on, which is no longer lazy
/// then.
#[test]
fn an_efi_call_by_a_lazy_kernel_thread() {
    let mut k = two_threads();
    k.cpu(1).sleeps_for(kthread(K)).cr3().cr3().sleeps_for(user(U, A)).round_trip();
    k.clean();
}

#[test]
fn a_cpu_goes_and_comes() {
    let mut k = two_threads();
    k.cpu(1).sleeps_for(IDLE);
    k.cpu(0).sys_enter().hotplug(1, 0);
    k.cpu(1).hotplug(1, 0).cr3().becomes(IDLE).borrows(INIT_MM);
    k.cpu(0).sys_exit();
    alone(&mut k.cpu(0));
    assert_eq!(k.store.known_mm(A).unwrap().skipped[Skip::Offline as usize], 1);
    k.cpu(0).sys_enter().hotplug(1, 240).sys_exit().in_user();
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().round_trip();
    alone(&mut k.cpu(0));
    k.cpu(1).tick();
    k.clean();
}

/// Between its first step up and its first switch a CPU is in the idle task, on `init_mm`: nothing
/// that happens elsewhere in the meantime is undecided for it.
#[test]
fn a_cpu_that_comes_is_known_at_once() {
    let mut k = two_threads();
    k.cpu(1).sleeps_for(IDLE);
    k.cpu(0).sys_enter().hotplug(1, 0).sys_exit().in_user();
    k.cpu(1).hotplug(1, 0).cr3().becomes(IDLE).borrows(INIT_MM);
    k.cpu(0).sys_enter().hotplug(1, 240).sys_exit().in_user();
    assert!(k.store.cpu(1).is_some_and(|c| c.known));
    k.cpu(1).hotplug(1, 240).hotplug(1, 240);
    assert!(k.store.cpu(1).is_some_and(|c| c.known), "its own steps up say nothing new");
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().round_trip();
    alone(&mut k.cpu(0));
    k.cpu(1).tick();
    k.clean();
}

/// On its own way down, which first aims at a state in between, a CPU leaves what it has borrowed.
#[test]
fn a_cpu_on_its_way_down_is_not_known() {
    let mut k = two_threads();
    k.cpu(1).sleeps_for(kthread(K));
    for brought in [false, true] {
        k.cpu(1).hotplug(1, 130);
        assert!(!k.store.cpu(1).is_some_and(|c| c.known || c.offline), "{brought}");
        // It is not told where it goes to init_mm.
        k.cpu(1).becomes(kthread(K)).borrows(INIT_MM).sleeps_for(IDLE);
        k.cpu(0).sys_enter().hotplug(1, 0).sys_exit().in_user();
        assert!(k.store.cpu(1).is_some_and(|c| c.offline), "{brought}");
        k.cpu(0).sys_enter().hotplug(1, 240).sys_exit().in_user();
        k.cpu(1).hotplug(1, 240).yields_to(user(U, A)).cr3_in_switch().round_trip();
        k.cpu(1).sleeps_for(kthread(K));
    }
    k.clean();
}

/// A CPU that could not go down is where it was, which is not known.
#[test]
fn a_cpu_that_did_not_go_is_not_known() {
    let mut k = two_threads();
    k.cpu(1).sleeps_for(IDLE).hotplug(1, 130).hotplug(1, 240);
    assert!(!k.store.cpu(1).is_some_and(|c| c.known || c.offline));
    k.cpu(1).yields_to(user(U, A)).round_trip();
    k.clean();
}

/// Calls that were under way, or over, before system calls were traced: each is counted once, and
/// none is held against anybody.
#[test]
fn calls_before_system_calls_were_traced() {
    let mut k = Kernel::new();
    k.cpu(0).yields_to(user(CALLER, A)).cr3_in_switch();
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().in_user();
    for _ in 0..5 {
        k.cpu(0).local(Func::SyncCore);
    }
    k.cpu(2).event(Event::SyscallProbes(true));
    // The fifth is still under way.
    k.cpu(0).call_returns();
    // One whose work was done before, and one that is seen in full.
    k.cpu(2).yields_to(user(T, A)).cr3_in_switch().call_returns();
    k.cpu(2).call().local(Func::SyncCore).call_returns();
    k.clean();
    let calls = k.store.known_mm(A).unwrap().calls;
    assert_eq!((calls.sync_core, calls.sync_core_inferred), (7, 5));
    assert_eq!(k.inconclusive(Rule::R2), 6);
}

/// Times too close to be ordered are not ordered.
#[test]
fn within_the_clocks_uncertainty() {
    let mut k = Kernel::traced_with(Config { skew: 4_500, ..Config::default() });
    k.cpu(0).yields_to(user(CALLER, A)).cr3_in_switch().sys_enter().sys_exit().in_user();
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sys_enter();
    k.wait(10_000);
    k.cpu(0).call();
    k.cpu(1).ipi(Func::SyncCore);
    k.cpu(0).local(Func::SyncCore).call_returns();
    // Not yet surely after the call.
    k.cpu(1).round_trip();
    k.clean().checked(Rule::R2, 0);
    // Surely after it, but whether the interrupt was is not sure.
    k.wait(10_000);
    k.cpu(1).round_trip();
    k.clean();
    assert_eq!(k.inconclusive(Rule::R2), 1);
}

/// Kernels before 6.4 have no `csd_function_entry`, and some attach without `tlb_flush`: less is
/// known, nobody is blamed.
#[test]
fn without_some_tracepoints() {
    let mut k = Kernel::traced_with(Config { sees_csd: false, ..Config::default() });
    k.cpu(0).yields_to(user(CALLER, A)).cr3_in_switch().sys_enter().sys_exit().in_user();
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sys_enter();
    k.cpu(1).sleeps_for(user(T, A)).sys_enter().sys_exit().in_user();
    k.cpu(0).call();
    k.cpu(1).irq_entry(Vector::CallFunctionSingle).irq_exit(Vector::CallFunctionSingle);
    k.cpu(0).call_returns().sys_enter();
    k.cpu(1).yields_to(user(U, A)).round_trip();
    k.clean();

    let mut k = Kernel::traced_with(Config { sees_cr3: false, ..Config::default() });
    k.cpu(1).yields_to(user(U, A)).sys_enter().sleeps_for(user(T, B)).sleeps_for(user(U, A));
    k.cpu(1).round_trip().sleeps_for(kthread(K)).yields_to(user(T, B)).sleeps_for(user(U, A));
    k.cpu(1).round_trip();
    k.clean();
    assert_eq!(k.store.tally.rules[Rule::R1 as usize].checked, 2);
    assert_eq!(k.inconclusive(Rule::R1), 1, "the first switch, from an unknown mm");
}
