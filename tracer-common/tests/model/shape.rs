//! R7: each way in which the reconstruction can differ from the kernel.

use crate::common::{A, B, C, IDLE, Kernel, kthread, user};
use tracer_common::{
    model::{Config, Divergence, Rule},
    wire::{INIT_MM, Site},
};

const T: u32 = 101;
const U: u32 = 102;
const K: u32 = 7;

#[track_caller]
fn diverges(k: &Kernel, what: Divergence) {
    assert_eq!(k.rules(), [Rule::R7], "{:#?}", k.store.findings);
    assert_eq!(k.store.findings[0].divergence, Some(what));
    assert_eq!(k.store.tally.divergences[what as usize], 1);
}

fn running(mm: u64) -> Kernel {
    let mut k = Kernel::new();
    k.cpu(1).yields_to(user(T, mm)).cr3_in_switch();
    k
}

#[test]
fn another_task() {
    let mut k = running(A);
    // T is seen running, so that its events are known to come.
    k.cpu(1).sleeps_for(IDLE).yields_to(user(T, A));
    k.cpu(1).becomes(user(U, A)).sleeps_for(IDLE);
    diverges(&k, Divergence::Task);
}

/// A kernel that runs no probes for some task: it is switched in, and next another one is there.
#[test]
fn a_task_without_probes_is_named_and_no_divergence() {
    let mut k = running(A);
    k.cpu(1).becomes(user(U, A)).sleeps_for(IDLE);
    assert_eq!(k.rules(), []);
    assert_eq!(k.store.tally.unseen_switches, 1);
    assert!(k.store.dark.contains(&T), "{:?}", k.store.dark);
}

#[test]
fn another_logical_mm() {
    let mut k = running(A);
    k.cpu(1).becomes(user(T, B)).sleeps_for(IDLE);
    assert_eq!(k.rules(), [Rule::R7; 2], "and the real one with it");
    assert_eq!(k.store.findings[0].divergence, Some(Divergence::Logical));
}

#[test]
fn another_active_mm() {
    let mut k = running(A);
    k.cpu(1).sleeps_for(kthread(K)).borrows(B).sleeps_for(IDLE);
    diverges(&k, Divergence::Active);
}

#[test]
fn another_real_mm() {
    let mut k = running(A);
    k.cpu(1).tlb_state(Site::UserReturn, B, false);
    diverges(&k, Divergence::Real);
    // Before a switch has done anything, and after it.
    for (site, mm) in [(Site::SwitchMmEntry, C), (Site::SwitchMmExit, C)] {
        let mut k = running(A);
        k.cpu(1).sleeps_for(user(U, B));
        if site == Site::SwitchMmExit {
            k.cpu(1).cr3_in_switch();
        }
        k.cpu(1).tlb_state_in_switch(site, mm);
        diverges(&k, Divergence::Real);
    }
}

#[test]
fn no_cr3_write() {
    let mut k = running(A);
    k.cpu(1).sleeps_for(user(U, B)).tick();
    diverges(&k, Divergence::Cr3Missing);
}

#[test]
fn a_cr3_write_too_many() {
    let mut k = running(A);
    k.cpu(1).sleeps_for(user(U, A)).cr3_in_switch();
    diverges(&k, Divergence::Cr3Extra);
}

/// With broadcast flushes a mm may move to a global ASID.
#[test]
fn a_cr3_write_for_a_global_asid() {
    let mut k = Kernel::with(Config { invlpgb: true, ..Config::default() });
    k.cpu(1).yields_to(user(T, A)).cr3_in_switch().sleeps_for(user(U, A)).cr3_in_switch();
    k.clean();
}

#[test]
fn lazy_or_not() {
    let mut k = running(A);
    k.cpu(1).sleeps_for(IDLE).tlb_state(Site::FlushTlbFunc, A, false);
    diverges(&k, Divergence::Lazy);
    let mut k = running(A);
    k.cpu(1).sleeps_for(kthread(K)).cr3().tlb_state(Site::FlushTlbFunc, INIT_MM, true);
    diverges(&k, Divergence::Lazy);
}

/// What a later version reads elsewhere says nothing to this one; nor does a CPU that is between two
/// mms.
#[test]
fn readings_that_say_nothing() {
    let mut k = running(A);
    k.cpu(1).tlb_state(Site::UserReturn, u64::MAX, false);
    k.clean();
}
