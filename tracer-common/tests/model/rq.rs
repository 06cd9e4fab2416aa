//! R6 and the one reason for which stock kernels leave `rq->membarrier_state` behind:
//! `membarrier_switch_mm` copies nothing if the *active* mm stays the same. So a CPU that was lazy on
//! an mm while it was registered, or whose task has let go of it, comes back with the old state.

use crate::common::{A, B, IDLE, Kernel, REGISTERED, Who, kthread, user};
use tracer_common::{
    model::{Config, Preemption, Rule},
    wire::{Site, membarrier_cmd as cmd, membarrier_state as bit},
};

const CALLER: u32 = 100;
const T: u32 = 101;
const U: u32 = 102;
const K: u32 = 7;
const REGISTER: i32 = cmd::REGISTER_PRIVATE_EXPEDITED_SYNC_CORE;

/// Excused, inconclusive and found.
#[track_caller]
fn came_to(k: &Kernel, excused: u64, inconclusive: u64, found: usize) {
    let tally = k.store.tally.rules[Rule::R6 as usize];
    let findings = k.store.findings.iter().filter(|found| found.rule == Rule::R6).count();
    let came_to = (tally.excused, tally.inconclusive, findings);
    assert_eq!(came_to, (excused, inconclusive, found), "{:#?}", k.store.findings);
    assert_eq!(k.store.findings.len(), found, "{:#?}", k.store.findings);
}

/// Both have run on a mm that is not registered.
fn unregistered() -> Kernel {
    let mut k = Kernel::full(Config::default());
    k.cpu(0).yields_to(user(CALLER, A).unregistered()).user_return();
    k.cpu(1).yields_to(user(U, A).unregistered()).user_return();
    k
}

fn registers(k: &mut Kernel) {
    k.cpu(0).register_begins(REGISTER).registers(user(CALLER, A)).register_ends(REGISTER);
}

#[test]
fn a_registration_passes_by_a_lazy_cpu() {
    let mut k = unregistered();
    k.cpu(1).sleeps_for(IDLE);
    registers(&mut k);
    k.cpu(1).yields_to(user(U, A));
    came_to(&k, 1, 0, 0);
    // It stays behind from thread to thread, and through laziness, until the active mm changes.
    k.cpu(1).sleeps_for(user(T, A)).sleeps_for(kthread(K)).sleeps_for(user(U, A));
    came_to(&k, 3, 0, 0);
    k.cpu(1).sleeps_for(user(T, B)).sleeps_for(user(U, A)).sleeps_for(IDLE).yields_to(user(U, A));
    came_to(&k, 3, 0, 0);
}

/// It came back before the registration was over: the READY bit is only set later.
#[test]
fn back_while_the_registration_is_in_flight() {
    let on_its_way = REGISTERED & !bit::SYNC_CORE_READY;
    let mut k = unregistered();
    k.cpu(1).sleeps_for(IDLE);
    k.cpu(0).register_begins(REGISTER);
    k.cpu(1).yields_to(Who { state: on_its_way, ..user(U, A) });
    came_to(&k, 0, 0, 0);
    k.cpu(0).registers(user(CALLER, A)).register_ends(REGISTER);
    k.wait(100_000);
    k.cpu(1).becomes(user(U, A)).sleeps_for(kthread(K)).sleeps_for(user(U, A));
    came_to(&k, 1, 0, 0);
}

/// A CPU that ran a thread of the mm all the time must have been told.
#[test]
fn a_registration_passes_by_a_running_cpu() {
    let mut k = unregistered();
    registers(&mut k);
    k.wait(1_000);
    k.cpu(1).becomes(user(U, A)).sleeps_for(user(T, A));
    came_to(&k, 0, 0, 1);
    // Laziness after the registration is no excuse.
    let mut k = unregistered();
    registers(&mut k);
    k.wait(1_000);
    k.cpu(1).becomes(user(U, A)).tick().sleeps_for(IDLE).yields_to(user(T, A));
    came_to(&k, 0, 0, 1);
}

/// What the switch itself tells of the state may be from after a registration that saw the CPU as lazy
/// already, so it is no proof.
#[test]
fn a_registration_in_the_middle_of_the_switch() {
    let mut k = unregistered();
    registers(&mut k);
    k.cpu(1).becomes(user(U, A)).sleeps_for(IDLE).yields_to(user(T, A));
    came_to(&k, 1, 0, 0);
}

#[test]
fn a_registration_reaches_a_running_cpu() {
    let mut k = unregistered();
    k.cpu(0).register_begins(REGISTER);
    k.cpu(1).register_ipi(user(U, A));
    k.cpu(0).registers(user(CALLER, A)).register_ends(REGISTER);
    k.cpu(1).sleeps_for(user(T, A)).sleeps_for(IDLE).yields_to(user(U, A));
    came_to(&k, 0, 0, 0);
}

/// What is excused is excused for the bits in question, and no others.
#[test]
fn a_second_registration_is_judged_on_its_own() {
    let private = bit::PRIVATE_EXPEDITED | bit::PRIVATE_EXPEDITED_READY;
    let with = |tid, state| Who { state, ..user(tid, A) };
    let mut k = unregistered();
    k.cpu(1).sleeps_for(IDLE);
    let register = cmd::REGISTER_PRIVATE_EXPEDITED;
    k.cpu(0).register_begins(register).registers(with(CALLER, private)).register_ends(register);
    k.cpu(1).yields_to(with(U, private));
    came_to(&k, 1, 0, 0);
    let global = private | bit::GLOBAL_EXPEDITED | bit::GLOBAL_EXPEDITED_READY;
    let register = cmd::REGISTER_GLOBAL_EXPEDITED;
    k.cpu(0).register_begins(register).registers(with(CALLER, global)).register_ends(register);
    k.wait(1_000);
    k.cpu(1).becomes(with(U, global)).sleeps_for(with(T, global));
    came_to(&k, 1, 0, 1);
}

/// A thread exits, or a kernel thread gives the mm back, and the CPU goes on to a sibling without
/// another mm in between: the copy was zeroed and is not filled again.
#[test]
fn a_sibling_after_the_mm_was_let_go() {
    let mut k = Kernel::full(Config::default());
    k.cpu(1).yields_to(user(U, A)).sys_enter().exits().sleeps_for(user(T, A));
    came_to(&k, 1, 0, 0);
    k.cpu(1).sleeps_for(user(U, B)).sleeps_for(user(T, A)).sleeps_for(kthread(K)).uses_mm(A);
    k.cpu(1).unuses_mm().sleeps_for(user(T, A));
    came_to(&k, 2, 0, 0);
    // A registration that comes after that, and leaves the running CPU out, is no stock behaviour.
    let private = Who { state: bit::PRIVATE_EXPEDITED, ..user(U, B) };
    let mut k = Kernel::full(Config::default());
    k.cpu(1).yields_to(private).exits().sleeps_for(Who { tid: T, ..private });
    k.wait(10_000);
    let registered = Who { tid: T, state: REGISTERED, ..private };
    k.cpu(0).yields_to(private).register_begins(REGISTER);
    k.cpu(0).registers(Who { state: REGISTERED, ..private }).register_ends(REGISTER);
    k.wait(10_000);
    k.cpu(1).becomes(registered).sleeps_for(Who { tid: U, ..registered });
    came_to(&k, 0, 0, 1);
}

/// A new process has its parent's registrations from birth; there was no call that could have
/// passed by.
#[test]
fn inherited_registrations() {
    let mut k = Kernel::full(Config::default());
    k.cpu(0).yields_to(user(CALLER, A)).sys_enter();
    let child = Who { state: REGISTERED, ..user(300, 20) };
    k.cpu(0).forks(child);
    k.cpu(1).yields_to(child).sleeps_for(IDLE);
    k.cpu(1).yields_to(child).rq_state(Site::SwitchMmExit, 0, REGISTERED);
    came_to(&k, 0, 0, 1);
}

/// What was not seen is not judged.
#[test]
fn an_unseen_registration() {
    // The call was not traced; what it did is enough.
    let mut k = unregistered();
    k.cpu(1).sleeps_for(IDLE);
    k.cpu(0).becomes(user(CALLER, A));
    k.cpu(1).yields_to(user(U, A));
    came_to(&k, 1, 0, 0);
    // Tracing began while the CPU was lazy.
    let mut k = Kernel::full(Config::default());
    k.cpu(1).becomes(kthread(K)).borrows(A).sleeps_for(user(U, A));
    k.cpu(1).rq_state(Site::SwitchMmExit, 0, REGISTERED);
    assert_eq!(k.store.tally.rules[Rule::R6 as usize].findings, 0);
    assert!(k.inconclusive(Rule::R6) > 0);
    // Events were lost.
    let mut k = unregistered();
    k.cpu(1).gap();
    registers(&mut k);
    k.cpu(1).becomes(user(U, A)).sleeps_for(user(T, A));
    came_to(&k, 0, 1, 0);
}

/// exec clears both.
#[test]
fn exec_clears_both() {
    let mut k = Kernel::full(Config::default());
    k.cpu(1).yields_to(user(U, A)).execs(B, U).sleeps_for(user(T, B));
    came_to(&k, 0, 0, 0);
    // It does not.
    let mut k = Kernel::full(Config::default());
    k.cpu(1).yields_to(user(U, A)).execs(B, U).rq_state(Site::SwitchMmExit, REGISTERED, 0);
    came_to(&k, 0, 0, 1);
}

/// `PREEMPT_RT` may preempt between the two: then the copy is the old mm's again.
#[test]
fn exec_is_preempted_in_the_middle() {
    let mut k = Kernel::full(Config::default());
    let new = user(U, B);
    k.cpu(1).yields_to(user(U, A)).clears_rq_for(new).preempted_by(user(T, B));
    k.cpu(1).sleeps_for(user(U, A)).new_mm(new).sleeps_for(user(T, B));
    came_to(&k, 0, 1, 0);
}

/// And if no other mm was active meanwhile, the old one goes on without its bits.
#[test]
fn exec_is_preempted_by_a_kernel_thread() {
    let (old, new) = (user(U, A), user(U, B));
    let mut k = Kernel::full(Config::default());
    k.cpu(1).yields_to(old).clears_rq_for(new).preempted_by(kthread(K));
    k.cpu(1).sleeps_for(old);
    came_to(&k, 1, 0, 0);
    k.cpu(1).new_mm(new.unregistered()).sleeps_for(user(T, A)).sleeps_for(old);
    came_to(&k, 1, 0, 0);
    // By a process that shares the mm.
    let mut k = Kernel::full(Config::default());
    k.cpu(1).yields_to(old).clears_rq_for(new).preempted_by(user(T, A));
    came_to(&k, 1, 0, 0);
    // Another mm has its own.
    k.cpu(1).sleeps_for(user(CALLER, B)).rq_state(Site::SwitchMmExit, 0, REGISTERED);
    came_to(&k, 1, 0, 1);
}

/// It may be preempted before anybody has read that zero, which shows on its way back to it, or to
/// another thread of the old mm; and no longer once the copy was seen to be right.
#[test]
fn exec_is_preempted_before_its_zero_is_read() {
    let (old, new) = (user(U, A), user(U, B).unregistered());
    let spinlocks = Config { preemption: Preemption::Unlocked, ..Config::default() };
    for (config, undecided) in [(Config::default(), 1), (spinlocks, 0)] {
        let expected = |k: &Kernel| came_to(k, 0, undecided, 1 - undecided as usize);
        let zeroes = || {
            let mut k = Kernel::full(config);
            k.cpu(1).yields_to(old).clears_rq();
            k
        };
        let mut k = zeroes();
        k.cpu(1).preempted_by(kthread(K)).sleeps_for(old);
        expected(&k);
        k.cpu(1).cleared_rq_for(new).new_mm(new).sleeps_for(IDLE).yields_to(new);
        expected(&k);
        let mut k = zeroes();
        k.cpu(1).preempted_by(kthread(K)).sleeps_for(user(T, A));
        expected(&k);
        let mut k = zeroes();
        k.cpu(1).preempted_by(user(T, A));
        expected(&k);
        // Another mm is active meanwhile: the copy is made anew.
        let mut k = zeroes();
        k.cpu(1).preempted_by(user(CALLER, B)).sleeps_for(old).clears_rq();
        came_to(&k, 0, 0, 0);
        k.cpu(1).sleeps_for(kthread(K)).sleeps_for(old);
        came_to(&k, 0, 0, 1);
    }
    // Nobody was preempted; or the copy was seen to be right since; or a part of it is there.
    let mut k = Kernel::full(Config::default());
    k.cpu(1).yields_to(old).clears_rq().sleeps_for(kthread(K)).sleeps_for(old);
    came_to(&k, 0, 0, 1);
    let mut k = Kernel::full(Config::default());
    k.cpu(1).yields_to(old).preempted_by(kthread(K)).sleeps_for(old);
    k.cpu(1).clears_rq().sleeps_for(kthread(K)).sleeps_for(old);
    came_to(&k, 0, 0, 1);
    let mut k = Kernel::full(Config::default());
    k.cpu(1).yields_to(old).preempted_by(kthread(K));
    k.cpu(1).rq_state_of(old, Site::SwitchMmExit, bit::PRIVATE_EXPEDITED);
    came_to(&k, 0, 0, 1);
}

/// It may also be preempted before anybody has read what the run queue has: then the old mm's state
/// is read, and nobody can say whether the zero was there.
#[test]
fn exec_is_preempted_before_it_is_read() {
    let (old, new) = (user(U, A), user(U, B).unregistered());
    let mut k = Kernel::full(Config::default());
    k.cpu(1).yields_to(old).preempted_by(user(T, B)).sleeps_for(old);
    k.cpu(1).rq_state_of(new, Site::ExecMmap, REGISTERED).new_mm(new).rq_state(
        Site::SwitchMmExit,
        REGISTERED,
        0,
    );
    came_to(&k, 0, 2, 0);
    // On another CPU, too.
    let mut k = Kernel::full(Config::default());
    k.cpu(0).yields_to(old).preempted_by(user(T, B));
    k.cpu(1).yields_to(old).rq_state_of(new, Site::ExecMmap, REGISTERED);
    came_to(&k, 0, 1, 0);
    // And where nobody saw how it was switched out.
    let mut k = Kernel::full(Config::default());
    k.cpu(0).yields_to(old).sleeps_for(user(T, B)).gap();
    k.cpu(1).yields_to(old).rq_state_of(new, Site::ExecMmap, REGISTERED);
    came_to(&k, 0, 1, 0);
    // Who has been in user mode since was not in the middle of it,
    let mut k = Kernel::full(Config::default());
    k.cpu(1).yields_to(old).preempted_by(user(T, B)).sleeps_for(old).user_return();
    k.cpu(1).tick().rq_state_of(new, Site::ExecMmap, REGISTERED);
    came_to(&k, 0, 0, 1);
    // nor who went to sleep.
    let mut k = Kernel::full(Config::default());
    k.cpu(1).yields_to(old).sleeps_for(user(T, B)).sleeps_for(old);
    k.cpu(1).rq_state_of(new, Site::ExecMmap, REGISTERED);
    came_to(&k, 0, 0, 1);
}

/// The READY bits come later, and for the mm alone.
#[test]
fn a_run_queue_has_no_ready_bits() {
    let mut k = Kernel::full(Config::default());
    k.cpu(1).yields_to(user(U, A));
    let set = bit::PRIVATE_EXPEDITED | bit::SYNC_CORE;
    k.cpu(1).rq_state(Site::SyncRqState, set, REGISTERED).rq_state(Site::SyncRqState, 0, 0);
    k.clean().checked(Rule::R6, 3);
}
