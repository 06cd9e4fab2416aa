//! R5, lazy-lifetime: an mm is not freed while it is some CPU's active or real mm.

use super::{
    super::{At, Cpu, Evidence, MmId, Rule, Store, verdict::Doubt},
    finding, report,
};

/// The last reference to `mm` was dropped.
///
/// Without `tlb_flush` (`sees_cr3`) a CPU may have left it unseen, on the way through `exec_mmap`.
pub(in crate::model) fn judge<S: Store>(
    s: &mut S,
    own: &Cpu,
    at: At,
    mm: MmId,
    skew: u64,
    sees_cr3: bool,
) {
    let cpus = s.cpus();
    let (mut failed, mut doubt) = (false, None);
    let mut cpu = 0;
    while cpu < cpus {
        let other = if cpu == at.cpu { Some(*own) } else { s.cpu(cpu).map(|c| *c) };
        if let Some(c) = other.filter(|c| c.seen && !c.offline) {
            if !c.known {
                doubt = Some(Doubt::Unseen);
            } else if c.active == mm || c.real == mm {
                if !sees_cr3 {
                    doubt = Some(Doubt::Unseen);
                } else if cpu != at.cpu && c.last_ts.saturating_add(skew) >= at.ts {
                    doubt = Some(Doubt::Clock);
                } else {
                    failed = true;
                    let there = At { cpu, ts: at.ts };
                    let found = finding(Rule::R5, &c, there, mm, c.tid, Evidence::Observed);
                    report(s, &found);
                }
            }
        }
        cpu += 1;
    }
    match doubt {
        _ if failed => {}
        Some(doubt) => s.tally().doubted(Rule::R5, doubt),
        None => s.tally().passed(Rule::R5, Evidence::Observed),
    }
}
