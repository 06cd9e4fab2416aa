//! What only full mode sees: rules R3 to R6, returns and `kthread_use_mm` as probes observe them.

use crate::common::{A, B, IDLE, Kernel, REGISTERED, kthread, user};
use tracer_common::{
    model::{Config, Evidence, Func, Rule},
    wire::membarrier_state as bit,
};

const CALLER: u32 = 100;
const T: u32 = 101;
const U: u32 = 102;
const K: u32 = 7;

/// The caller runs on CPU 0, U on CPU 1.
fn two_threads() -> Kernel {
    let mut k = Kernel::traced();
    k.cpu(0).yields_to(user(CALLER, A)).cr3_in_switch().tlb_state(A, false, 4).sys_enter();
    k.cpu(0).sys_exit().user_return();
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().tlb_state(A, false, 4).sys_enter();
    k
}

/// The hole of `kthread_use_mm`, each step observed.
fn kthread_use_mm(cr3: bool) -> Kernel {
    let mut k = two_threads();
    k.cpu(1).sleeps_for(kthread(K)).tlb_state(A, true, 4);
    k.cpu(0).call().local(Func::SyncCore).call_returns();
    k.cpu(1).becomes(kthread(K).with_mm(A));
    if cr3 {
        k.cpu(1).cr3();
    }
    k.cpu(1).tlb_state(A, false, 4).kthread_use();
    k.cpu(1).sleeps_for(user(U, A)).sys_exit().user_return();
    k
}

#[test]
fn kthread_use_mm_hole() {
    let k = kthread_use_mm(false);
    k.found(&[(Rule::R1, 1, U), (Rule::R2, 1, U)]);
    assert_eq!(k.store.findings[1].evidence, Evidence::Observed);
}

#[test]
fn kthread_use_mm_with_a_cr3_write() {
    kthread_use_mm(true).clean();
}

#[test]
fn kthread_use_mm_given_back() {
    let mut k = two_threads();
    k.cpu(1).sleeps_for(kthread(K)).tlb_state(A, true, 4);
    k.cpu(1).becomes(kthread(K).with_mm(A)).tlb_state(A, false, 4).kthread_use();
    k.cpu(1).tlb_state(A, true, 4).kthread_unuse();
    k.cpu(1).sleeps_for(user(U, A)).sys_exit().user_return();
    k.clean();
}

/// A call that returns while another CPU is in user mode, unserialized, is wrong there and then.
#[test]
fn a_cpu_in_user_mode_is_skipped() {
    let mut k = two_threads();
    k.cpu(1).sys_exit().user_return();
    k.wait(1_000);
    k.cpu(0).call().local(Func::SyncCore).call_returns();
    k.found(&[(Rule::R2, 1, U)]);
    // Found once.
    k.cpu(1).sys_enter();
    k.found(&[(Rule::R2, 1, U)]);
}

#[test]
fn a_cpu_in_user_mode_is_interrupted() {
    let mut k = two_threads();
    k.cpu(1).sys_exit().user_return();
    k.cpu(0).call().queues(Func::SyncCore, 1).local(Func::SyncCore);
    k.cpu(1).ipi_and_back(Func::SyncCore);
    k.cpu(0).call_returns().sys_enter();
    k.cpu(1).sys_enter();
    k.clean().checked(Rule::R2, 2);
}

/// A probe that sits on a serializing instruction settles it.
#[test]
fn an_observed_serialization_pays() {
    let config = Config { finish_task_switch: None, ..Config::default() };
    let mut k = Kernel::traced_with(config);
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sys_enter().sleeps_for(IDLE);
    k.cpu(1).yields_to(user(U, A)).serialized(5).sys_exit().user_return();
    k.clean();
    assert_eq!(k.store.tally.rules[Rule::R1 as usize].evidence, [1, 1, 0]);
}

/// fea4e317f9e7 "x86/mm: Eliminate window where TLB flushes may be inadvertently skipped": the CPU
/// read the generation, then was left out of a flush because it had not announced its new mm yet,
/// then used what it had read.
#[test]
fn cfea4e317f9e7_stale_tlb() {
    let mut k = two_threads();
    k.cpu(2).yields_to(user(T, A)).cr3_in_switch();
    k.cpu(0).sys_enter().flush_begin(false, A, 5).flush_end(false, A, 5);
    k.cpu(2).tlb_state(A, false, 4).user_return();
    k.found(&[(Rule::R3, 2, T)]);
    assert_eq!((k.store.findings[0].expected, k.store.findings[0].actual), (5, 4));
}

#[test]
fn cfea4e317f9e7_fixed() {
    let mut k = two_threads();
    k.cpu(2).yields_to(user(T, A)).cr3_in_switch();
    k.cpu(0).sys_enter().flush_begin(false, A, 5);
    k.cpu(2).tlb_state(A, false, 4);
    k.cpu(2).ipi(Func::FlushTlb).flushed().tlb_state(A, false, 5);
    k.cpu(0).flush_end(false, A, 5);
    k.cpu(2).user_return();
    k.clean().checked(Rule::R3, 1);
}

/// A flush that leaves out a CPU in user mode is wrong as soon as it is done.
#[test]
fn a_flush_skips_a_cpu_in_user_mode() {
    let mut k = two_threads();
    k.cpu(1).sys_exit().user_return();
    k.cpu(0).sys_enter().flush_begin(false, A, 5).flush_end(false, A, 5);
    k.found(&[(Rule::R3, 1, U)]);
}

/// A flush that was told, but to which generation was not read since, is no stale one.
#[test]
fn a_generation_that_was_not_read_again_is_not_held_against_it() {
    let mut k = two_threads();
    k.cpu(0).sys_enter().flush_begin(false, A, 5);
    k.cpu(1).ipi(Func::FlushTlb).flushed();
    k.cpu(0).flush_end(false, A, 5);
    k.cpu(1).sys_exit().user_return();
    k.clean();
}

/// `native_flush_tlb_multi` may leave out lazy CPUs only if no page table was freed.
fn flush_beside_a_lazy_cpu(freed_tables: bool, interrupted: bool) -> Kernel {
    let mut k = two_threads();
    k.cpu(1).sleeps_for(kthread(K)).tlb_state(A, true, 4);
    k.cpu(0).sys_enter().flush_begin(freed_tables, A, 5);
    if interrupted {
        k.cpu(1).ipi(Func::FlushTlb).cr3().tlb_state(1, false, 1);
    }
    k.cpu(0).flushed().tlb_state(A, false, 5).flush_end(freed_tables, A, 5);
    k
}

#[test]
fn freed_tables_and_a_lazy_cpu() {
    flush_beside_a_lazy_cpu(true, false).found(&[(Rule::R4, 1, K)]);
}

#[test]
fn freed_tables_and_a_lazy_cpu_that_leaves() {
    flush_beside_a_lazy_cpu(true, true).clean().checked(Rule::R4, 1);
}

#[test]
fn a_lazy_cpu_may_be_left_alone_otherwise() {
    flush_beside_a_lazy_cpu(false, false).clean().checked(Rule::R4, 0);
}

/// A mm that is still some CPU's lazy one must not be freed.
#[test]
fn a_lazy_mm_is_freed() {
    let mut k = two_threads();
    k.cpu(1).sleeps_for(IDLE).tlb_state(A, true, 4);
    k.cpu(0).exits().tlb_state(A, true, 4).sleeps_for(user(T, B)).cr3_in_switch().mm_drop(A);
    k.found(&[(Rule::R5, 1, 0)]);
}

#[test]
fn a_lazy_mm_is_freed_by_the_last_that_leaves_it() {
    let mut k = two_threads();
    k.cpu(1).exits().tlb_state(A, true, 4).sleeps_for(IDLE).tlb_state(A, true, 4);
    k.cpu(0).exits().tlb_state(A, true, 4).sleeps_for(user(T, B)).cr3_in_switch();
    k.cpu(1).yields_to(user(U, B)).cr3_in_switch().mm_drop(A);
    k.clean().checked(Rule::R5, 1);
}

/// Too close in time to say whether the other CPU had left it.
#[test]
fn a_mm_freed_within_the_clocks_uncertainty() {
    let mut k = Kernel::traced_with(Config { skew: 10_000, ..Config::default() });
    k.cpu(0).yields_to(user(CALLER, A)).cr3_in_switch();
    k.cpu(1).yields_to(user(U, A)).cr3_in_switch().sleeps_for(IDLE);
    k.cpu(0).exits().sleeps_for(user(T, B)).cr3_in_switch().mm_drop(A);
    k.clean();
    assert_eq!(k.inconclusive(Rule::R5), 1);
}

/// `rq->membarrier_state` decides who is interrupted by `GLOBAL_EXPEDITED`.
#[test]
fn a_stale_rq_membarrier_state() {
    let mut k = two_threads();
    k.cpu(1).rq_state(0, REGISTERED);
    k.found(&[(Rule::R6, 1, U)]);
    // After exec, which clears it.
    let mut k = two_threads();
    k.cpu(1).rq_state(REGISTERED, 0);
    k.found(&[(Rule::R6, 1, U)]);
}

/// `membarrier_switch_mm` reads nothing if the *active* mm stays the same. So a CPU that was lazy
/// on the mm while it was registered, and that the registration left alone because it ran a kernel
/// thread, comes back with the old state: stock kernels do that.
#[test]
fn a_registration_passes_by_a_lazy_cpu() {
    let mut k = Kernel::traced();
    k.cpu(0).yields_to(user(CALLER, A).unregistered()).cr3_in_switch();
    k.cpu(1).yields_to(user(U, A).unregistered()).cr3_in_switch().rq_state(0, 0);
    k.cpu(1).sleeps_for(IDLE);
    k.cpu(0).becomes(user(CALLER, A)).rq_state(REGISTERED, REGISTERED);
    k.cpu(1).yields_to(user(U, A)).rq_state(0, REGISTERED);
    k.found(&[(Rule::R6, 1, U)]);
}

/// The READY bits come later, and for the mm alone.
#[test]
fn a_run_queue_has_no_ready_bits() {
    let mut k = two_threads();
    k.cpu(1).rq_state(bit::PRIVATE_EXPEDITED | bit::SYNC_CORE, REGISTERED).rq_state(0, 0);
    k.clean().checked(Rule::R6, 2);
}

/// A registration that has not reached this CPU yet.
#[test]
fn a_registration_on_its_way() {
    let mut k = two_threads();
    k.cpu(1).rq_state(0, bit::PRIVATE_EXPEDITED | bit::SYNC_CORE);
    k.cpu(1).rq_state(bit::GLOBAL_EXPEDITED, REGISTERED | bit::GLOBAL_EXPEDITED);
    k.found(&[(Rule::R6, 1, U)]); // the second: SYNC_CORE is ready and missing
}
