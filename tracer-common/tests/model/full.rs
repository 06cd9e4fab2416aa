//! What only full mode sees, on kernels that are right but look odd.

use crate::common::{A, B, C, IDLE, Kernel, Who, kthread, user};
use tracer_common::{
    model::{Config, Divergence, Func, Promise, Rule, Store, SyncCause},
    wire::private_flags,
};

const CALLER: u32 = 100;
const T: u32 = 101;
const U: u32 = 102;
const K: u32 = 7;

/// The caller runs user code on CPU 0, U runs user code on CPU 1.
fn two_in_user_mode(config: Config) -> Kernel {
    let mut k = Kernel::full(config);
    k.cpu(0).yields_to(user(CALLER, A)).sys_enter().sys_exit().user_return();
    k.cpu(1).yields_to(user(U, A)).sys_enter().sys_exit().user_return();
    k
}

/// A call that returns while another CPU is in user mode, unserialized, is wrong there and then.
#[test]
fn a_cpu_in_user_mode_is_skipped() {
    let mut k = two_in_user_mode(Config::default());
    k.cpu(0).call().local(Func::SyncCore).call_returns();
    k.found(&[(Rule::R2, 1, U)]);
    // Found once.
    k.cpu(1).sys_enter();
    k.found(&[(Rule::R2, 1, U)]);
}

#[test]
fn a_cpu_in_user_mode_is_interrupted() {
    let mut k = two_in_user_mode(Config::default());
    k.cpu(0).call().queues(Func::SyncCore, 1).local(Func::SyncCore);
    k.cpu(1).ipi_and_back(Func::SyncCore);
    k.cpu(0).call_returns().sys_enter();
    k.cpu(1).sys_enter();
    k.clean().checked(Rule::R2, 2);
}

/// What the other CPU did just before the call returned may bear a time just after it.
#[test]
fn an_interrupt_within_the_clocks_uncertainty() {
    let mut k = Kernel::full(Config { skew: 10_000, ..Config::default() });
    k.cpu(0).yields_to(user(CALLER, A)).sys_enter().sys_exit().user_return();
    k.cpu(1).yields_to(user(U, A)).sys_enter().sys_exit().user_return();
    k.wait(50_000);
    k.cpu(0).call();
    k.wait(50_000);
    k.cpu(0).local(Func::SyncCore).call_returns();
    k.cpu(1).ipi_and_back(Func::SyncCore);
    k.wait(50_000);
    k.cpu(1).sys_enter();
    k.clean().checked(Rule::R2, 1);
}

/// A probe that sits on a serializing instruction settles it, and where it sits nothing is assumed.
#[test]
fn an_observed_serialization_pays() {
    for (promise, pays) in [(Promise::Never, true), (Promise::Probed, false)] {
        let mut k =
            Kernel::traced_with(Config { finish_task_switch: promise, ..Config::default() });
        k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sys_enter().sleeps_for(IDLE);
        k.cpu(1).yields_to(user(U, A));
        if pays {
            k.cpu(1).serialized(SyncCause::FinishTaskSwitch);
        }
        k.cpu(1).round_trip();
        if pays {
            k.clean();
            assert_eq!(k.store.tally.rules[Rule::R1 as usize].evidence, [1, 1, 0]);
        } else {
            k.found(&[(Rule::R1, 1, U)]);
        }
    }
}

/// A return that a probe saw is counted once.
#[test]
fn returns_are_counted_once() {
    let mut k = Kernel::full(Config::default());
    k.cpu(1).yields_to(user(U, A)).sys_enter().sys_exit().user_return().sys_enter();
    k.cpu(1).round_trip().sys_exit().in_user().tick().page_fault();
    let tally = k.store.tally;
    // The tick and the fault hit the same stretch of user code but for an IRET between them.
    assert_eq!((tally.returns_observed, tally.returns_inferred), (1, 3));
    assert_eq!((tally.sysret, tally.iret), (3, 1));
}

/// A flush that leaves out a CPU in user mode is wrong as soon as it is done.
#[test]
fn a_flush_skips_a_cpu_in_user_mode() {
    let mut k = two_in_user_mode(Config::default());
    k.cpu(0).sys_enter().flush_begins(false, A).flushes(A).flush_ends(false, A);
    k.found(&[(Rule::R3, 1, U)]);
}

#[test]
fn a_flush_reaches_a_cpu_in_user_mode() {
    let mut k = two_in_user_mode(Config::default());
    k.cpu(0).sys_enter().flush_begins(false, A).flushes(A);
    k.cpu(1).flush_ipi(Some(A));
    k.cpu(0).flush_ends(false, A).sys_exit().in_user().sys_enter();
    k.cpu(1).sys_enter();
    k.clean().checked(Rule::R3, 2);
}

/// A hypervisor may flush in a virtual CPU's stead, and INVLPGB without a trace.
#[test]
fn a_flush_by_somebody_else() {
    for config in [
        Config { pv_flush: true, ..Config::default() },
        Config { invlpgb: true, ..Config::default() },
    ] {
        let mut k = two_in_user_mode(config);
        k.cpu(0).sys_enter().flush_begins(false, A).flushes(A).flush_ends(false, A);
        k.cpu(1).sys_enter();
        k.clean();
        assert_eq!(k.inconclusive(Rule::R3), 1);
    }
}

/// Reclaim flushes by batches, which name no generation: nothing is asked for, nobody is behind.
#[test]
fn a_batch_flush() {
    let mut k = two_in_user_mode(Config::default());
    k.cpu(2).yields_to(kthread(K));
    k.cpu(0).flush_ipi(None);
    k.cpu(1).flush_ipi(None);
    k.cpu(2).batch_flush_ends();
    k.cpu(1).sys_enter();
    k.clean().checked(Rule::R3, 0);
}

/// A kernel thread flushes somebody else's mm (khugepaged, ksmd), which is not loaded there.
#[test]
fn a_flush_of_another_mm() {
    let mut k = two_in_user_mode(Config::default());
    k.cpu(2).yields_to(kthread(K)).flush_begins(true, A);
    k.cpu(0).flush_ipi(Some(A));
    k.cpu(1).flush_ipi(Some(A));
    k.cpu(2).flush_ends(true, A);
    k.cpu(0).sys_enter();
    k.cpu(1).sys_enter();
    k.clean().checked(Rule::R3, 2).checked(Rule::R4, 1);
}

/// An end without its beginning says nothing; a beginning without its end is made good by the next.
#[test]
fn halves_of_flushes() {
    let mut k = two_in_user_mode(Config::default());
    k.cpu(0).sys_enter().flush_ends(false, A);
    k.clean();
    k.cpu(0).flush_begins(false, A).flushes(A);
    k.cpu(1).flush_ipi(Some(A));
    k.cpu(0).flush_ends(false, B);
    k.clean();
    let mut k = two_in_user_mode(Config::default());
    k.cpu(0).sys_enter().flush_begins(false, A).flush_ends(false, A);
    k.found(&[(Rule::R3, 1, U)]);
}

/// A CPU that became lazy after a flush that freed tables, or came to the mm after it.
#[test]
fn lazy_after_the_flush() {
    let mut k = two_in_user_mode(Config::default());
    k.cpu(0).sys_enter().flush_begins(true, A).flushes(A);
    k.cpu(1).flush_ipi(Some(A)).sys_enter().sleeps_for(IDLE);
    k.cpu(2).yields_to(user(T, A)).sleeps_for(kthread(K));
    k.cpu(0).flush_ends(true, A);
    k.clean().checked(Rule::R4, 1);
}

/// A lazy CPU may be left alone as long as no tables were freed.
#[test]
fn a_lazy_cpu_may_be_left_alone() {
    let mut k = two_in_user_mode(Config::default());
    k.cpu(1).sys_enter().sleeps_for(IDLE);
    k.cpu(0).sys_enter().flush_begins(false, A).flushes(A).flush_ends(false, A);
    k.clean().checked(Rule::R4, 0);
}

/// Temporary mms come and go, whoever runs; deep idle leaves the borrowed one.
#[test]
fn temporary_mms() {
    let mut k = two_in_user_mode(Config::default());
    k.cpu(1).sys_enter().pokes_text().sys_exit().in_user().sys_enter();
    k.cpu(1).sleeps_for(kthread(K)).pokes_text().sleeps_for(user(U, A)).user_return();
    k.cpu(1).sys_enter().sleeps_for(kthread(K)).calls_efi().sleeps_for(user(U, A)).user_return();
    k.cpu(1).sys_enter().sleeps_for(IDLE).leaves_mm().tick().yields_to(user(U, A)).user_return();
    k.clean();
    assert_eq!(k.inconclusive(Rule::R7), 0);
    assert_eq!(k.store.tally.lazy_to_init_mm, 2);
}

/// A temporary mm that is never left.
#[test]
fn a_temporary_mm_that_stays() {
    let mut k = two_in_user_mode(Config::default());
    k.cpu(1).sys_enter().loads_and_stays(3).user_return();
    assert_eq!(k.rules(), [Rule::R7]);
    assert_eq!(k.store.findings[0].divergence, Some(Divergence::Real));
    let mut k = two_in_user_mode(Config::default());
    k.cpu(1).sys_enter().sleeps_for(kthread(K)).loads_and_stays(3).sleeps_for(IDLE);
    assert_eq!(k.rules(), [Rule::R7]);
}

/// exec, by the only thread, by a thread that is not the leader, and by a user mode helper.
#[test]
fn execs() {
    let leader = user(U, A).tgid;
    for pid in [U, leader] {
        let mut k = two_in_user_mode(Config::default());
        k.cpu(1).sys_enter().execs(B, pid).mm_drop(99).user_return();
        k.cpu(1).sleeps_for(IDLE).yields_to(user(T, A)).user_return();
        k.clean();
    }
    let helper = Who { kthread: false, ..kthread(300) };
    let mut k = two_in_user_mode(Config::default());
    k.cpu(1).sys_enter().sleeps_for(helper).execs(B, 300).user_return();
    k.cpu(1).sleeps_for(user(U, A)).user_return();
    k.clean();
    assert_eq!(k.inconclusive(Rule::R6), 0);
}

/// The leader of a group is switched out for good while another thread's exec takes over its pid:
/// `sched_switch` names the old one, what follows in the switch the new one.
#[test]
fn a_leader_loses_its_pid_in_its_last_switch() {
    for exited in [true, false] {
        let mut k = two_in_user_mode(Config::default());
        let leader = user(user(U, A).tgid, A);
        k.cpu(1).sys_enter().sleeps_for(leader).exits();
        let gone = Who { pid_taken_for: Some(T), exiting: exited, ..k.cpu(1).who() };
        k.cpu(1).becomes(gone).yields_to(user(CALLER, B)).user_return();
        k.cpu(1).sleeps_for(IDLE).yields_to(user(U, A)).user_return();
        if exited {
            k.clean();
            continue;
        }
        // Nobody else can lose it.
        assert!(k.rules().contains(&Rule::R7));
    }
}

/// An exec that is preempted before it has loaded its new mm: CR3 is written when it runs again.
#[test]
fn an_exec_preempted_in_the_middle() {
    for next in [kthread(K), user(T, A)] {
        let mut k = two_in_user_mode(Config::default());
        let new = user(U, A).with_mm(C);
        k.cpu(1).sys_enter().becomes(new).preempted_by(next).sleeps_for(new).user_return();
        k.clean();
    }
}

/// `__mmdrop` runs where the last reference goes: after the switch, in `kthread_use_mm`, from an RCU
/// callback.
#[test]
fn mms_are_freed_when_the_last_cpu_has_left() {
    let mut k = Kernel::full(Config::default());
    k.cpu(0).yields_to(user(CALLER, A));
    k.cpu(1).yields_to(user(U, B)).exits().sleeps_for(kthread(K));
    k.cpu(1).takes_mm(A).mm_drop(B).has_mm().unuses_mm().sleeps_for(IDLE);
    k.cpu(1).yields_to(user(T, B)).exits().sleeps_for(IDLE).leaves_mm().yields_to(kthread(K));
    k.cpu(1).sleeps_for(user(U, A));
    k.cpu(0).tick().mm_drop(B);
    k.clean().checked(Rule::R5, 2);
}

/// The CPU had left it just before, by a clock that is a little ahead.
#[test]
fn a_mm_freed_within_the_clocks_uncertainty() {
    let mut k = Kernel::full(Config { skew: 10_000, ..Config::default() });
    k.cpu(0).yields_to(user(CALLER, A));
    k.cpu(1).yields_to(user(U, B)).sleeps_for(IDLE);
    k.cpu(0).mm_drop(B);
    k.cpu(1).yields_to(user(T, A));
    k.wait(20_000);
    k.cpu(0).tick();
    k.clean().checked(Rule::R5, 1);
}

/// Calls are known without system calls being traced, and counted once with them.
#[test]
fn calls_seen_as_functions() {
    let mut k = Kernel::full(Config::default());
    k.cpu(0).untraced().yields_to(user(CALLER, A));
    k.cpu(1).yields_to(user(U, A));
    for flags in [private_flags::NONE, private_flags::RSEQ] {
        k.cpu(0).private_begins(flags).private_ends(flags, 0);
    }
    k.cpu(0).private_begins(private_flags::SYNC_CORE).private_ends(private_flags::SYNC_CORE, -1);
    let sync_core = |k: &mut Kernel| {
        k.cpu(0).private_begins(private_flags::SYNC_CORE).queues(Func::SyncCore, 1);
        k.cpu(0).local(Func::SyncCore);
        k.cpu(1).ipi(Func::SyncCore);
        k.cpu(0).private_ends(private_flags::SYNC_CORE, 0);
    };
    sync_core(&mut k);
    k.cpu(1).user_return();
    k.clean().checked(Rule::R2, 1);
    // Its exit is traced, but not its entry; then both; then the exit is missed.
    sync_core(&mut k);
    k.cpu(0).traced().call_returns();
    k.cpu(0).call();
    sync_core(&mut k);
    k.cpu(0).call_returns().call();
    sync_core(&mut k);
    k.cpu(0).untraced();
    sync_core(&mut k);
    let mm = k.store.known_mm(A).copied().unwrap();
    assert_eq!((mm.calls.sync_core, mm.calls.sync_core_inferred), (5, 0));
    assert_eq!((mm.calls.private, mm.calls.rseq, mm.calls.failed), (1, 1, 1));
    assert_eq!(mm.targeted, 10);
    assert_eq!(k.inconclusive(Rule::R2), 0);
}

/// Before 6.5 no tracepoint tells which functions run: probes on them do.
#[test]
fn handlers_instead_of_tracepoints() {
    let mut k = two_in_user_mode(Config { ipi_sync_core: Promise::Audited, ..Config::default() });
    k.cpu(2).yields_to(user(T, A)).sys_enter();
    k.cpu(0).call().private_begins(private_flags::SYNC_CORE).call_mask(Func::SyncCore, 0b111);
    k.cpu(0).handler(Func::SyncCore);
    k.cpu(1).ipi_handler(Func::SyncCore);
    // Went idle in between, and emptied its queue without an interrupt.
    k.cpu(2).sleeps_for(IDLE).handler(Func::SyncCore);
    k.cpu(0).private_ends(private_flags::SYNC_CORE, 0).call_returns().sys_enter();
    k.cpu(1).sys_enter();
    k.clean().checked(Rule::R2, 2);
    let mm = k.store.known_mm(A).copied().unwrap();
    assert_eq!((mm.targeted, mm.skipped.iter().sum::<u64>()), (3, 1));
}
