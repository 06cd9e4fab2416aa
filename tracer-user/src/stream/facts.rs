//! What holds throughout a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tracer_common::model::{Config, Preemption, Promise};

use crate::report::{Kernel, Mode, Probe, TextAudit};

/// All that a judge must know before the first event.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The version of unlazy that traced.
    pub unlazy: String,
    /// Names the run: all parts of a rotated recording have the same.
    pub run: String,
    /// Which part of it begins here, from 0.
    pub part: u32,
    /// The run had gone on for a while when the first event was kept: what each CPU numbered before
    /// is not lost, and nothing is known at first.
    pub joined: bool,
    /// Where the events come from.
    pub origin: Origin,
    /// What the probes could see.
    pub mode: Mode,
    /// The kernel and machine.
    pub kernel: Kernel,
    /// `/proc/sys/kernel/random/boot_id`: times of one boot can be compared.
    pub boot_id: Option<String>,
    /// The clock of all times, in nanoseconds.
    pub clock: String,
    /// When the run began: probes attached, window not open yet.
    pub started_ns: u64,
    /// What to add to them for nanoseconds since 1970 (UTC), as it was when the run began.
    pub to_realtime_ns: Option<i64>,
    /// How unlazy was called.
    pub argv: Vec<String>,
    /// CPUs are numbered below this.
    pub cpus_possible: u32,
    /// Those that were online when the run began.
    pub cpus_online: Vec<u32>,
    /// What the model is told.
    pub judging: Judging,
    /// Every probe of the table, as it was when the run began.
    pub probes: Vec<Probe>,
    /// What the text audit said.
    pub text_audit: TextAudit,
    /// Where the running kernel's BTF has the fields that the programs read: bytes, by path.
    pub offsets: BTreeMap<String, u32>,
    /// What threads were called when the run, or this part of it, began.
    pub tasks: Vec<TaskName>,
    /// The names of kernel functions that were told before this part began, by address. Addresses are
    /// decimal: the order in which a map of JSON has its keys is not theirs.
    pub functions: BTreeMap<u64, String>,
}

/// Where events come from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Programs of unlazy, in the kernel.
    #[default]
    Probes,
    /// Another tool's trace; what it lacks is named.
    Import {
        /// The format.
        format: String,
        /// What is not in it: what, and why that matters.
        missing: Vec<(String, String)>,
    },
    /// `unlazy explore`: nothing of it has happened.
    Explored {
        /// The protocol.
        protocol: String,
    },
}

/// A thread's name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskName {
    /// The thread.
    pub tid: u32,
    /// Its process.
    pub tgid: u32,
    /// Its name.
    pub comm: String,
}

/// What is missed because a probe is missing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Loss {
    /// The probe.
    pub name: String,
    /// What can't be seen without it.
    pub lost: String,
    /// Why it is missing.
    pub why: String,
}

/// [`Config`], as it is written down, but for what [`Kernel`] says as well. The promises are their
/// names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "each field is Config's of the same name")]
#[expect(clippy::struct_excessive_bools, reason = "as there")]
pub struct Judging {
    pub skew_ns: u64,
    pub pti: bool,
    pub syscall_exit: bool,
    pub fred: bool,
    pub invlpgb: bool,
    pub sees_cr3: bool,
    pub sees_csd: bool,
    pub pv_flush: bool,
    pub finish_task_switch: String,
    pub ipi_sync_core: String,
    pub kthread_use_mm: String,
}

impl Default for Judging {
    /// What is not written down is not known to help.
    fn default() -> Self {
        Self {
            sees_cr3: false,
            sees_csd: false,
            finish_task_switch: Promise::Undecided.name().to_owned(),
            ipi_sync_core: Promise::Undecided.name().to_owned(),
            kthread_use_mm: Promise::Undecided.name().to_owned(),
            ..Self::from(&Config::default())
        }
    }
}

impl From<&Config> for Judging {
    fn from(config: &Config) -> Self {
        // Destructured in full: what is new must not be forgotten here.
        let Config {
            skew,
            pti,
            syscall_exit,
            fred,
            invlpgb,
            sees_cr3,
            sees_csd,
            pv_flush,
            preemption: _,
            finish_task_switch,
            ipi_sync_core,
            kthread_use_mm,
        } = *config;
        Self {
            skew_ns: skew,
            pti,
            syscall_exit,
            fred,
            invlpgb,
            sees_cr3,
            sees_csd,
            pv_flush,
            finish_task_switch: finish_task_switch.name().to_owned(),
            ipi_sync_core: ipi_sync_core.name().to_owned(),
            kthread_use_mm: kthread_use_mm.name().to_owned(),
        }
    }
}

impl Facts {
    /// What the model is told. A promise of an unknown name promises nothing.
    #[must_use]
    pub fn config(&self) -> Config {
        let Judging {
            skew_ns,
            pti,
            syscall_exit,
            fred,
            invlpgb,
            sees_cr3,
            sees_csd,
            pv_flush,
            ref finish_task_switch,
            ref ipi_sync_core,
            ref kthread_use_mm,
        } = self.judging;
        let promise = |name: &str| Promise::from_name(name).unwrap_or(Promise::Undecided);
        Config {
            skew: skew_ns,
            pti,
            syscall_exit,
            fred,
            invlpgb,
            sees_cr3,
            sees_csd,
            pv_flush,
            preemption: Preemption::of(self.kernel.preempt.as_deref()),
            finish_task_switch: promise(finish_task_switch),
            ipi_sync_core: promise(ipi_sync_core),
            kthread_use_mm: promise(kthread_use_mm),
        }
    }

    /// Nanoseconds since 1970 (UTC) of a time of the run.
    #[must_use]
    pub fn realtime(&self, ts: u64) -> Option<u64> {
        ts.checked_add_signed(self.to_realtime_ns?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_model_is_told_survives_being_written() {
        for promise in Promise::ALL {
            let told = Config {
                skew: 7,
                pti: true,
                finish_task_switch: promise,
                ipi_sync_core: Promise::Never,
                preemption: Preemption::Unlocked,
                ..Config::default()
            };
            let kernel = Kernel { preempt: Some("full".to_owned()), ..Kernel::default() };
            let facts = Facts { judging: Judging::from(&told), kernel, ..Facts::default() };
            let json = serde_json::to_string(&facts).expect("JSON");
            let read: Facts = serde_json::from_str(&json).expect("JSON");
            assert_eq!(read.config(), told);
        }
    }

    #[test]
    fn what_was_not_written_promises_nothing() {
        let read: Judging = serde_json::from_str("{}").expect("JSON");
        let told = |judging| Facts { judging, ..Facts::default() }.config();
        let config = told(read);
        assert_eq!(config.preemption, Preemption::Anywhere);
        assert_eq!(config.finish_task_switch, Promise::Undecided);
        assert!(!config.sees_cr3 && !config.sees_csd && !config.pti);
        let newer: Judging =
            serde_json::from_str(r#"{"ipi_sync_core":"sworn","more":1}"#).expect("JSON");
        assert_eq!(told(newer).ipi_sync_core, Promise::Undecided);
    }
}
