//! Making every CPU's state known: a context switch says all there is to know about a CPU, so this
//! thread visits each of them once.

use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity};

/// Runs on each of these CPUs for a moment. A CPU that refuses (isolated, or gone offline) is left
/// out.
pub(super) fn visit(cpus: &[u32]) {
    let myself: Option<Pid> = None;
    let Ok(home) = sched_getaffinity(myself) else { return };
    for &cpu in cpus {
        if cpu as usize >= CpuSet::MAX_CPU {
            continue;
        }
        let mut set = CpuSet::new();
        set.set(cpu as usize);
        if sched_setaffinity(myself, &set).is_ok() {
            // Asleep for a moment, so that the CPU switches away from this thread as well.
            std::thread::sleep(std::time::Duration::from_micros(50));
        }
    }
    // It worked before, so it does now.
    let _ = sched_setaffinity(myself, &home);
}
