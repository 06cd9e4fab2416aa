//! R5, lazy-lifetime: an mm is not freed while it is some CPU's active or real mm.
//!
//! A CPU that borrows an mm holds a reference to it (`mmgrab_lazy_tlb`) until it has gone on to
//! another: `finish_task_switch`, `kthread_use_mm` and `exec_mmap` drop it (`mmdrop_lazy_tlb`) after
//! the switch; `PREEMPT_RT` does so later still, by `__mmdrop_delayed`. A CPU that goes offline leaves
//! to `init_mm` before another one drops its reference (`kernel/sched/core.c:idle_task_exit`,
//! `finish_cpu`).

use super::{
    super::{At, Config, Evidence, MmId, Rule, Store, verdict::Doubt},
    finding, report,
};

/// The last reference to `mm` was dropped.
///
/// Without `tlb_flush` a CPU may have left it unseen, on the way through `exec_mmap`.
pub(in crate::model) fn judge<S: Store>(s: &mut S, at: At, mm: MmId, config: &Config) {
    let cpus = s.cpus();
    let (mut failed, mut doubt) = (false, false);
    let mut cpu = 0;
    while cpu < cpus {
        if let Some(c) = s.cpu(cpu).filter(|c| c.seen && !c.offline).map(|c| *c) {
            let has_it = c.active == mm || c.real == mm;
            if !c.known || (has_it && !config.sees_cr3) {
                doubt = true;
            } else if has_it {
                failed = true;
                let there = At { cpu, ts: at.ts };
                let found = finding(Rule::R5, &c, there, mm, c.tid, Evidence::Observed);
                report(s, &found);
            }
        }
        cpu += 1;
    }
    match (failed, doubt) {
        (true, _) => {}
        (false, true) => s.tally().doubted(Rule::R5, Doubt::Unseen),
        (false, false) => s.tally().passed(Rule::R5, Evidence::Observed),
    }
}
