//! What the running kernel's text says of the functions that the model relies on, and the probes on
//! instructions where the text alone can't tell.

use tracer_common::model::Promise;

use crate::{
    audit::{self, Audit, FINISH_TASK_SWITCH, IPI_SYNC_CORE, KTHREAD_USE_MM, Sources},
    probes::{
        Probes, State, SyncSite,
        btf::{Btf, KERNEL_BTF},
    },
    report::{Promised, TextAudit},
};

/// The functions that are audited, and the programs that can sit on their instructions.
const PROGRAMS: [(&str, &str); 3] = [
    (FINISH_TASK_SWITCH, "finish_task_switch_sync"),
    (IPI_SYNC_CORE, "ipi_sync_core_sync"),
    (KTHREAD_USE_MM, "kthread_use_mm_sync"),
];

/// What the model may hold of these functions.
pub(super) struct Promises {
    pub(super) audit: Audit,
    pub(super) finish_task_switch: Promise,
    pub(super) ipi_sync_core: Promise,
    pub(super) kthread_use_mm: Promise,
}

/// Reads the kernel's text.
pub(super) fn read() -> Audit {
    let btf = Btf::from_file(KERNEL_BTF.as_ref()).ok();
    audit::run(&Sources::live(btf.as_ref()))
}

/// Where the text is undecided, puts a probe on each serializing instruction. Its int3 serializes
/// only where the kernel is about to.
pub(super) fn keep(audit: Audit, probes: &mut Probes) -> Promises {
    let mut sites = Vec::new();
    for (function, program) in PROGRAMS {
        if audit.promise(function) == audit::Promise::Undecided && audit.can_probe(function) {
            let of = audit.sync_sites().into_iter().filter(|site| site.function == function);
            sites.extend(of.map(|site| SyncSite {
                program,
                symbol: site.symbol,
                offset: site.offset,
            }));
        }
    }
    probes.attach_sync_sites(&sites);
    let states = probes.states();
    let [finish_task_switch, ipi_sync_core, kthread_use_mm] =
        PROGRAMS.map(|(function, program)| {
            let sits = states
                .iter()
                .any(|state| state.probe.name == program && state.state == State::Attached);
            promise(audit.promise(function), sits)
        });
    let kthread_use_mm = match kthread_use_mm {
        // The source's word is that it does not.
        Promise::Assumed => Promise::Never,
        known => known,
    };
    Promises { audit, finish_task_switch, ipi_sync_core, kthread_use_mm }
}

const fn promise(audited: audit::Promise, probed: bool) -> Promise {
    match audited {
        _ if probed => Promise::Probed,
        audit::Promise::Assumed => Promise::Assumed,
        audit::Promise::Audited => Promise::Audited,
        audit::Promise::Never => Promise::Never,
        audit::Promise::Undecided => Promise::Undecided,
    }
}

impl Promises {
    /// Every system call's way back to user mode has a serializing instruction of its own.
    pub(super) fn syscall_exit(&self) -> bool {
        self.audit.syscall_exit.serializes == Some(true)
    }

    /// For the report.
    pub(super) fn told(&self) -> TextAudit {
        let held = [
            (FINISH_TASK_SWITCH, self.finish_task_switch),
            (IPI_SYNC_CORE, self.ipi_sync_core),
            (KTHREAD_USE_MM, self.kthread_use_mm),
        ];
        let switching = &self.audit.loaded_mm_switching;
        TextAudit {
            source: self.audit.source.map(str::to_owned),
            why: self.audit.why.clone(),
            functions: held
                .map(|(name, promise)| Promised {
                    name: name.to_owned(),
                    promise: promise.name().to_owned(),
                })
                .into(),
            loaded_mm_switching: switching.order.name().to_owned(),
            unlazy_checks_tlb_gen: switching.unlazy_checks_tlb_gen,
        }
    }
}
