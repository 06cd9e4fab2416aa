//! What holds throughout a run, as the machine and the probes say it.

use tracer_common::model::Config;

use super::{
    clock::{self, now},
    promises::Promises,
};
use crate::{
    kernel,
    probes::{self, Probes, State},
    report::{self, Attach, Mode},
    stream::{Facts, Judging, Loss, Origin, TaskName},
};

/// What holds throughout the run, now that the probes are attached.
pub(super) fn facts(
    kernel: report::Kernel,
    probes: &mut Probes,
    promises: &Promises,
    possible: u32,
    online: Vec<u32>,
) -> Facts {
    let boot_id = kernel::boot_id();
    let started = now();
    let tasks = match kernel::in_initial_pid_ns() {
        // The numbers there are not the kernel's.
        Some(false) => Vec::new(),
        _ => kernel::tasks().into_iter().flatten().collect(),
    };
    Facts {
        unlazy: env!("CARGO_PKG_VERSION").to_owned(),
        run: format!(
            "{}-{started:x}-{:x}",
            boot_id.as_deref().unwrap_or("unknown"),
            std::process::id()
        ),
        part: 0,
        joined: false,
        origin: Origin::Probes,
        mode: match probes.mode() {
            probes::Mode::Tracepoint => Mode::Tracepoint,
            probes::Mode::Full => Mode::Full,
        },
        boot_id,
        clock: report::Window::default().clock,
        started_ns: started,
        to_realtime_ns: clock::to_realtime(),
        argv: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
        cpus_possible: possible,
        cpus_online: online,
        judging: Judging::from(&config(&kernel, probes, promises)),
        probes: probe_states(probes),
        text_audit: promises.told(),
        offsets: probes
            .offsets()
            .iter()
            .map(|(field, &offset)| (field.info().path.to_owned(), offset))
            .collect(),
        tasks: tasks
            .into_iter()
            .map(|task| TaskName { tid: task.tid, tgid: task.tgid, comm: task.comm })
            .collect(),
        functions: std::collections::BTreeMap::new(),
        kernel,
    }
}

/// What the model must know of this kernel and of the probes, now that they are attached.
fn config(kernel: &report::Kernel, probes: &mut Probes, promises: &Promises) -> Config {
    let states = probes.states();
    let has = |name: &str| {
        states.iter().any(|state| state.probe.name == name && state.state == State::Attached)
    };
    Config {
        pti: kernel.pti.unwrap_or(false),
        fred: kernel.fred.unwrap_or(false),
        invlpgb: kernel.invlpgb.unwrap_or(false),
        // Unknown counts as the kernel's own: without a hypervisor there is no other.
        pv_flush: kernel.flush_tlb_multi.as_deref().is_some_and(|whose| whose != "native"),
        sees_cr3: has("tlb_flush"),
        // Before 6.5 a probe on the handler itself takes the tracepoint's place.
        sees_csd: has("csd_function_entry") || has("ipi_sync_core"),
        syscall_exit: promises.syscall_exit(),
        finish_task_switch: promises.finish_task_switch,
        ipi_sync_core: promises.ipi_sync_core,
        kthread_use_mm: promises.kthread_use_mm,
        ..Config::default()
    }
}

/// Every probe of the table, as it is now.
pub(super) fn probe_states(probes: &Probes) -> Vec<report::Probe> {
    probes
        .states()
        .into_iter()
        .map(|state| report::Probe {
            name: state.probe.name.to_owned(),
            kind: state.probe.kind.name().to_owned(),
            state: match state.state {
                State::Attached => Attach::Attached,
                State::Skipped => Attach::Skipped,
                State::Failed => Attach::Failed,
            },
            why: state.why,
        })
        .collect()
}

/// What can't be seen, because of probes that are not there.
pub(super) fn losses(probes: &Probes) -> Vec<Loss> {
    let losses = probes.losses().into_iter();
    losses
        .map(|loss| Loss { name: loss.name.to_owned(), lost: loss.lost.to_owned(), why: loss.why })
        .collect()
}
