//! IRETs that save a kernel which forgets to serialize, and what only looks like one: nothing is
//! found where a return may have been by IRET, and nothing is taken for one that may not have been.

use crate::common::{A, IDLE, Kernel, OnCpu, REGISTERED, Who, kthread, user};
use tracer_common::{
    model::{
        Answer, Config, Cpu, Doubt, Event, Evidence, Func, Preemption, Promise, Rule, Skip, Store,
        UserRan,
    },
    wire::{Frame, Syscall, Vector},
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

/// A kernel that forgets to serialize, and does not preempt kernel code.
fn never_preempted() -> Kernel {
    Kernel::traced_with(Config {
        finish_task_switch: Promise::Never,
        preemption: Preemption::Never,
        ..Config::default()
    })
}

/// A call that interrupts nobody but its caller.
fn alone(cpu: &mut OnCpu<'_>) {
    cpu.call().local(Func::SyncCore).call_returns();
}

/// A signal is delivered after `sys_exit`, which promised SYSRET: the handler is entered by IRET.
#[test]
fn a_signal_between_sys_exit_and_the_return() {
    let inverted = Config { finish_task_switch: Promise::Never, ..Config::default() };
    let mut k = Kernel::traced_with(inverted);
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sys_enter().sleeps_for(IDLE);
    k.cpu(1).yields_to(user(U, A)).sys_exit().signal().in_user().sys_enter();
    k.clean();
    assert_eq!(k.inconclusive(Rule::R1), 1, "ignored signals leave the frame alone");
    // If it sleeps once more, its frame is read.
    k.cpu(1).sleeps_for(IDLE);
    k.cpu(1).yields_to(user(U, A)).sys_exit().signal().yields_to(IDLE);
    k.cpu(1).yields_to(Who { frame: Frame::SyscallIret, ..user(U, A) });
    k.cpu(1).in_user().sys_enter();
    k.clean();
    assert_eq!(k.inconclusive(Rule::R1), 1);
}

/// A timer interrupt in user mode ends in a switch; its IRET comes when the thread runs again, so
/// even a kernel that forgets to serialize in between is saved.
#[test]
fn preempted_on_the_way_out_of_an_interrupt() {
    let inverted = Config { finish_task_switch: Promise::Never, ..Config::default() };
    let mut k = Kernel::traced_with(inverted);
    k.cpu(0).yields_to(user(CALLER, A)).cr3_in_switch().sys_enter().sys_exit().in_user();
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sys_enter().sys_exit().in_user();
    k.cpu(1).irq_entry(Vector::LocalTimer).irq_exit(Vector::LocalTimer).yields_to(kthread(K));
    alone(&mut k.cpu(0));
    k.cpu(1).sleeps_for(user(U, A).in_interrupt()).in_user().sys_enter();
    k.clean().checked(Rule::R2, 1);
}

/// The same in kernel code: the IRET back to it comes when it goes on.
#[test]
fn preempted_in_kernel_code() {
    let inverted = Config { finish_task_switch: Promise::Never, ..Config::default() };
    let mut k = Kernel::traced_with(inverted);
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sys_enter();
    k.cpu(1).irq_entry(Vector::Reschedule).irq_exit(Vector::Reschedule).preempted_by(kthread(K));
    k.cpu(1).sleeps_for(user(U, A)).round_trip();
    k.clean();
    assert_eq!(k.inconclusive(Rule::R1), 1);
}

/// The same on a kernel that does not preempt kernel code: what looks like it is `cond_resched`, long
/// after the IRET, so the kernel's fault shows.
#[test]
fn kernel_code_that_makes_room_owes_no_iret() {
    let mut k = never_preempted();
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sys_enter();
    k.cpu(1).irq_entry(Vector::Reschedule).irq_exit(Vector::Reschedule);
    let before = k.store.cpu(1).unwrap().sync;
    k.cpu(1).preempted_by(kthread(K));
    assert_ne!(k.store.cpu(1).unwrap().sync, before, "the IRET came before the switch");
    k.cpu(1).sleeps_for(user(U, A)).round_trip();
    k.found(&[(Rule::R1, 1, U)]);

    // A kernel thread's own.
    let mut k = never_preempted();
    k.cpu(0).yields_to(user(CALLER, A)).cr3_in_switch().sys_enter().sys_exit().in_user();
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sys_enter().sleeps_for(kthread(K));
    k.cpu(1).irq_entry(Vector::Reschedule).irq_exit(Vector::Reschedule);
    k.cpu(1).preempted_by(kthread(K + 1));
    alone(&mut k.cpu(0));
    k.cpu(1).sleeps_for(kthread(K)).sleeps_for(user(U, A)).round_trip();
    assert!(k.store.findings.iter().any(|found| found.rule == Rule::R2));
    assert_eq!(k.inconclusive(Rule::R2), 0);
}

/// But who was interrupted in user mode may make room on the way out, and a fault of kernel code may
/// do so before its IRET.
#[test]
fn what_is_still_owed_where_kernel_code_is_not_preempted() {
    let mut k = never_preempted();
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sys_enter().kernel_fault();
    k.cpu(1).preempted_by(kthread(K));
    k.cpu(1).sleeps_for(user(U, A)).round_trip();
    k.clean();
    assert_eq!(k.inconclusive(Rule::R1), 1);

    let mut k = never_preempted();
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sys_enter().sys_exit().in_user();
    let before = k.store.cpu(1).unwrap().sync;
    k.cpu(1).irq_entry(Vector::LocalTimer).irq_exit(Vector::LocalTimer).preempted_by(kthread(K));
    assert_eq!(k.store.cpu(1).unwrap().sync, before);
    k.cpu(1).sleeps_for(user(U, A).in_interrupt()).in_user().sys_enter();
    k.clean();
}

/// A thread is switched out in the entry of its next system call, before `sys_enter` is traced: when
/// it runs again, that event is no proof that it had been in user mode since.
#[test]
fn switched_out_before_its_system_call_is_traced() {
    let inverted = Config { finish_task_switch: Promise::Never, ..Config::default() };
    let begins = |k: &mut Kernel| {
        k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sys_enter().sys_exit();
    };
    // Preempted, or stopped by a debugger.
    for stopped in [false, true] {
        let mut k = Kernel::traced_with(inverted);
        begins(&mut k);
        if stopped {
            k.cpu(1).sleeps_for(kthread(K));
        } else {
            k.cpu(1).tick().preempted_by(kthread(K));
        }
        k.cpu(1).sleeps_for(user(U, A)).sys_enter();
        k.clean();
        assert_eq!(k.inconclusive(Rule::R1), 1, "stopped: {stopped}");
    }
    // It made room on its way out.
    let mut k = Kernel::traced_with(inverted);
    begins(&mut k);
    k.cpu(1).yields_to(kthread(K)).sleeps_for(user(U, A)).sys_enter();
    k.found(&[(Rule::R1, 1, U)]);
}

/// The same after an interrupt of user mode, and in a new thread: neither's IRET is still to come.
#[test]
fn switched_out_after_it_has_come_back_by_iret() {
    let inverted = Config { finish_task_switch: Promise::Never, ..Config::default() };
    for new in [false, true] {
        let mut k = Kernel::traced_with(inverted);
        if new {
            k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sys_enter().forks(user(T, A));
            k.cpu(1).sleeps_for(IDLE).yields_to(user(T, A));
            k.cpu(1).event(Event::SysExit(syscall(T, 435, Frame::Sysret)));
        } else {
            k.cpu(1).yields_to(user(T, A)).cr3_in_switch().sys_enter().sys_exit().in_user().tick();
        }
        let calls = Who { frame: Frame::Sysret, ..user(T, A) };
        k.cpu(1).becomes(calls).tick().preempted_by(kthread(K));
        let before = k.store.cpu(1).unwrap().sync;
        k.cpu(1).sleeps_for(calls).sys_enter();
        assert_eq!(k.store.cpu(1).unwrap().sync, before, "new: {new}");
        k.clean();
        assert_eq!(k.inconclusive(Rule::R1), 1, "new: {new}");
    }
}

/// Two interrupts on the way back to user mode of a thread whose frame is not read: it may be
/// preempted with both IRETs still to come.
#[test]
fn an_interrupt_on_the_way_out_of_one_that_nobody_knows() {
    let mut k = Kernel::traced();
    let unregistered = Who { state: 0, ..user(T, A) };
    k.cpu(1).yields_to(unregistered).cr3_in_switch();
    let before = k.store.cpu(1).unwrap().sync;
    k.cpu(1).tick().tick().preempted_by(kthread(K));
    assert_eq!(k.store.cpu(1).unwrap().sync, before);
}

/// A thread that was preempted in kernel code goes on by an IRET, and sleeps before it returns: that
/// IRET serialized the CPU for its sibling.
#[test]
fn the_next_thread_inherits_an_iret_in_kernel_code() {
    let inverted = Config { finish_task_switch: Promise::Never, ..Config::default() };
    for preempted in [false, true] {
        let mut k = Kernel::traced_with(inverted);
        k.cpu(1).yields_to(user(T, A)).cr3_in_switch().sys_enter().sleeps_for(IDLE);
        k.cpu(1).yields_to(user(U, A)).sys_enter();
        assert_eq!(k.inconclusive(Rule::R1), 1, "nobody saw where U came from");
        if preempted {
            k.cpu(1).irq_entry(Vector::Reschedule).irq_exit(Vector::Reschedule);
            k.cpu(1).preempted_by(kthread(K));
        } else {
            k.cpu(1).sleeps_for(kthread(K));
        }
        k.cpu(1).sleeps_for(user(U, A)).sleeps_for(user(T, A)).round_trip();
        if preempted {
            k.clean();
            assert_eq!(k.inconclusive(Rule::R1), 2);
        } else {
            k.found(&[(Rule::R1, 1, T)]);
        }
    }
}

/// The same of a kernel thread: it leaves the mm loaded, and its IRET comes after the call began.
#[test]
fn the_next_thread_inherits_a_kernel_thread_s_iret() {
    let inverted = Config { finish_task_switch: Promise::Never, ..Config::default() };
    for preempted in [false, true] {
        let mut k = Kernel::traced_with(inverted);
        k.cpu(0).yields_to(user(CALLER, A)).cr3_in_switch().sys_enter().sys_exit().in_user();
        k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sys_enter().sleeps_for(kthread(K));
        if preempted {
            k.cpu(1).irq_entry(Vector::Reschedule).irq_exit(Vector::Reschedule);
            k.cpu(1).preempted_by(kthread(K + 1));
        } else {
            k.cpu(1).sleeps_for(kthread(K + 1));
        }
        alone(&mut k.cpu(0));
        k.cpu(1).sleeps_for(kthread(K)).sleeps_for(user(U, A)).round_trip();
        let r2 = k.store.findings.iter().any(|found| found.rule == Rule::R2);
        assert_eq!(r2, !preempted);
        assert_eq!(k.inconclusive(Rule::R2), u64::from(preempted));
    }
}

/// The handler of an interrupt is done, a call begins and ends, and only then the interrupt is seen to
/// have ended: that its IRET came before the call is assumed, and said to be.
#[test]
fn an_iret_may_come_late() {
    let inverted = Config { finish_task_switch: Promise::Never, ..Config::default() };
    for (late, evidence) in [(false, Evidence::Inferred), (true, Evidence::Assumed)] {
        let mut k = Kernel::traced_with(inverted);
        k.cpu(0).yields_to(user(CALLER, A)).cr3_in_switch().sys_enter().sys_exit().in_user();
        k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sys_enter().sleeps_for(kthread(K)).tick();
        if !late {
            k.cpu(1).sleeps_for(kthread(K + 1));
        }
        alone(&mut k.cpu(0));
        k.cpu(1).sleeps_for(user(U, A)).round_trip();
        k.found(&[(Rule::R1, 1, U), (Rule::R2, 1, U)]);
        assert_eq!(k.store.findings[0].evidence, Evidence::Inferred, "the switch was later");
        assert_eq!(k.store.findings[1].evidence, evidence);
    }
}

/// A page fault in kernel code that slept: its IRET comes when the thread goes on.
#[test]
fn a_kernel_fault_that_sleeps() {
    let inverted = Config { finish_task_switch: Promise::Never, ..Config::default() };
    let mut k = Kernel::traced_with(inverted);
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sys_enter().kernel_fault().sleeps_for(IDLE);
    k.cpu(1).yields_to(user(U, A)).round_trip();
    k.clean();
    assert_eq!(k.inconclusive(Rule::R1), 1);
}

/// Interrupts within the handler of a page fault are none in user mode, and the fault's IRET is
/// still to come when another thread runs.
#[test]
fn an_interrupt_in_a_fault_handler_is_no_return() {
    let mut k = two_threads();
    k.cpu(1).sleeps_for(user(T, A)).sys_enter().sys_exit().in_user();
    k.cpu(0).call().queues(Func::Mb, 1).local(Func::SyncCore);
    k.cpu(1).page_fault().ipi(Func::Mb).preempted_by(user(U, A)).round_trip();
    k.cpu(0).call_returns();
    k.cpu(1).round_trip();
    // The kernel is wrong; but an IRET may have been executed, so nothing is said.
    k.clean();
    assert_eq!(k.inconclusive(Rule::R2), 1);
}

fn syscall(tid: u32, nr: i32, frame: Frame) -> Syscall {
    let state = REGISTERED;
    Syscall { mm: A, tid, nr, frame: frame as u8, state, zero: [0; 6] }
}

/// A new thread passes `sys_exit` with a frame that looks like SYSRET, and leaves by IRET.
#[test]
fn a_child_returns_for_the_first_time() {
    let inverted = Config { finish_task_switch: Promise::Never, ..Config::default() };
    for slept_on_the_way in [false, true] {
        let mut k = Kernel::traced_with(inverted);
        k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sys_enter().forks(user(T, A));
        k.cpu(1).sleeps_for(IDLE).yields_to(user(T, A));
        if slept_on_the_way {
            k.cpu(1).sleeps_for(kthread(K)).yields_to(user(T, A));
        }
        k.cpu(1).event(Event::SysExit(syscall(T, 435, Frame::Sysret))).in_user().sys_enter();
        k.clean().checked(Rule::R1, 2);
        assert_eq!(k.store.tally.iret, 1);
    }
}

/// A child whose birth was not seen, or a parent: nobody knows which.
#[test]
fn a_child_that_nobody_knew() {
    let inverted = Config { finish_task_switch: Promise::Never, ..Config::default() };
    let mut k = Kernel::traced_with(inverted);
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sys_enter();
    k.cpu(1).sleeps_for(IDLE).yields_to(user(T, A));
    k.cpu(1).event(Event::SysExit(syscall(T, 56, Frame::Sysret))).in_user().sys_enter();
    k.clean();
    assert_eq!(k.inconclusive(Rule::R1), 1);
    // Nor after it has slept on the way.
    k.cpu(1).sleeps_for(IDLE).yields_to(user(300, A));
    k.cpu(1).event(Event::SysExit(syscall(300, 56, Frame::Sysret))).sleeps_for(IDLE);
    k.cpu(1).yields_to(user(300, A)).in_user().sys_enter();
    k.clean();
    assert_eq!(k.inconclusive(Rule::R1), 2);
}

/// The same where a probe sits on the way out, and reads the parent's frame: it is the child's first
/// return, as far as anybody knows.
#[test]
fn a_child_that_nobody_knew_and_a_probe() {
    let mut k = Kernel::full(Config { finish_task_switch: Promise::Never, ..Config::default() });
    let iret = |k: &Kernel| (k.store.tally.sysret, k.store.tally.iret);
    k.cpu(1).yields_to(user(T, A)).event(Event::SysExit(syscall(T, 435, Frame::Sysret)));
    // On the way it makes room.
    k.cpu(1).yields_to(IDLE).yields_to(user(T, A));
    k.cpu(1).becomes(Who { frame: Frame::Sysret, ..user(T, A) }).user_return();
    assert_eq!(iret(&k), (0, 0), "either");
    // It has grown by then.
    k.cpu(1).sys_enter().sleeps_for(IDLE).yields_to(user(T, A)).sys_exit().user_return();
    assert_eq!(iret(&k), (1, 0));
}

/// Interrupts that come in the softirq of another, and devices with several handlers.
#[test]
fn interrupts_one_after_another() {
    let mut k = two_threads();
    k.cpu(1).tick().tick();
    for _ in 0..3 {
        k.cpu(1).irq_entry(Vector::Device).irq_exit(Vector::Device);
    }
    k.cpu(1).tick().sys_exit().in_user();
    for _ in 0..3 {
        k.cpu(1).irq_entry(Vector::Device).irq_exit(Vector::Device);
    }
    k.cpu(1).yields_to(kthread(K)).tick().tick();
    alone(&mut k.cpu(0));
    k.cpu(1).sleeps_for(user(U, A).in_interrupt()).in_user().tick().sys_enter();
    k.clean().checked(Rule::R2, 1);
}

/// Two handlers of one device interrupt are not two interrupts: no IRET lies between them.
#[test]
fn two_handlers_are_no_iret() {
    let mut k = two_threads();
    k.cpu(1).sleeps_for(user(T, A)).sys_enter().sys_exit().in_user();
    k.cpu(0).call();
    k.cpu(1).irq_entry(Vector::Device).irq_exit(Vector::Device);
    let before = k.store.cpu(1).unwrap().sync;
    k.cpu(1).irq_entry(Vector::Device).irq_exit(Vector::Device);
    assert_eq!(k.store.cpu(1).unwrap().sync, before);
    // Two timer interrupts of kernel code are.
    k.cpu(2).yields_to(kthread(K)).tick();
    let before = k.store.cpu(2).unwrap().sync;
    k.cpu(2).tick();
    assert_ne!(k.store.cpu(2).unwrap().sync, before);
}

/// FRED returns by ERETU, of which nothing is promised.
#[test]
fn fred() {
    let mut k = Kernel::traced_with(Config {
        fred: true,
        finish_task_switch: Promise::Never,
        ..Config::default()
    });
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sys_enter().sleeps_for(IDLE);
    k.cpu(1).yields_to(user(U, A)).tick().round_trip();
    k.clean();
    assert_eq!(k.inconclusive(Rule::R1), 1);
}

/// An NMI is an IRET too.
#[test]
fn an_nmi_pays() {
    let inverted = Config { finish_task_switch: Promise::Never, ..Config::default() };
    let mut k = Kernel::traced_with(inverted);
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sys_enter().sleeps_for(IDLE);
    k.cpu(1).yields_to(user(U, A)).nmi().round_trip();
    k.clean().checked(Rule::R1, 2);
}

/// What a CPU tells of the user code that ran last, and of R2's last check.
#[test]
fn a_cpu_tells_how_its_user_code_came_back() {
    let mut k = two_threads();
    let ran = |k: &mut Kernel| k.store.cpu(1).unwrap().user;
    assert_eq!(ran(&mut k).ts, k.now, "U entered a system call");
    assert_eq!(
        (ran(&mut k).frame, ran(&mut k).since),
        (Frame::Unknown, 0),
        "from where nobody looked"
    );

    alone(&mut k.cpu(0));
    k.cpu(1).sys_exit();
    let left = k.now;
    k.cpu(1).in_user().sys_enter();
    let expected = UserRan {
        ts: k.now,
        since: left,
        mm: A,
        tid: U,
        frame: Frame::Sysret,
        evidence: Evidence::Inferred,
        on_its_way: false,
    };
    assert_eq!(ran(&mut k), expected);
    k.found(&[(Rule::R2, 1, U)]);
    let checked = *k.store.cpu(1).unwrap();
    assert_eq!((checked.r2_checked.0, checked.r2_answer), (A, Answer::No));

    // Interrupted again and again, and seen by nothing else.
    k.cpu(1).sys_exit().in_user().tick();
    assert_eq!(
        (ran(&mut k).frame, ran(&mut k).on_its_way),
        (Frame::Sysret, false),
        "the first shows it"
    );
    k.cpu(1).tick();
    assert_eq!((ran(&mut k).frame, ran(&mut k).on_its_way), (Frame::Interrupt, true));
    assert_eq!(ran(&mut k).ts, k.now - 1_000, "as the second began");

    k.cpu(0).sys_enter().sys_exit().in_user().call().queues(Func::SyncCore, 1);
    k.cpu(0).local(Func::SyncCore);
    k.cpu(1).ipi_and_back(Func::SyncCore);
    k.cpu(0).call_returns();
    k.cpu(1).tick();
    let checked = *k.store.cpu(1).unwrap();
    assert_eq!(checked.r2_answer, Answer::Yes);
    assert_eq!(checked.serialized_since(checked.r2_checked.1, 100), Answer::Yes);
    assert_eq!(checked.serialized_since(k.now + 1_000, 100), Answer::No);
    let since = checked.maybe_sync;
    assert!(since > checked.sync.ts + 100, "the tick may have come before the IRET");
    assert_eq!(checked.serialized_since(since, 100), Answer::Doubted(Doubt::Unseen));
    let close = checked.sync.ts + 50;
    assert_eq!(checked.serialized_since(close, 100), Answer::Doubted(Doubt::Clock));
}

#[test]
fn a_probe_on_the_way_out_tells_how_user_code_came_back() {
    let mut k = Kernel::full(Config::default());
    k.cpu(1).yields_to(user(U, A)).sys_enter().sys_exit().user_return();
    let returned = k.store.cpu(1).unwrap().user;
    assert_eq!((returned.ts, returned.since), (k.now, k.now));
    assert_eq!((returned.frame, returned.evidence), (Frame::Sysret, Evidence::Observed));
    k.cpu(1).sys_enter();
    let ran = k.store.cpu(1).unwrap().user;
    assert_eq!(ran, UserRan { ts: k.now, ..returned });
}

#[test]
fn why_a_call_leaves_a_cpu_alone() {
    let cpu = |tid, logical, active| Cpu { known: true, tid, logical, active, ..Cpu::default() };
    for (cpu, why) in [
        (Cpu::default(), Skip::Unknown),
        (Cpu { offline: true, ..cpu(U, A, A) }, Skip::Offline),
        (cpu(U, A, A), Skip::Raced),
        (cpu(U, 99, 99), Skip::OtherMm),
        (cpu(0, 0, A), Skip::IdleLazy),
        (cpu(0, 0, 99), Skip::IdleOther),
        (cpu(K, 0, A), Skip::KthreadLazy),
        (cpu(K, 0, 99), Skip::KthreadOther),
    ] {
        assert_eq!(cpu.why_left_alone(A), why);
    }
}
