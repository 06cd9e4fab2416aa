//! Loads the programs, attaches them, and takes them away again.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    os::fd::{AsFd as _, AsRawFd as _},
    path::PathBuf,
};

use aya::{Btf as KernelBtf, Ebpf, EbpfError, EbpfLoader, VerifierLogLevel, maps::MapError};
use aya_log::EbpfLogger;
use tracer_common::wire::Kind;

use super::{
    Mode,
    btf::{Btf, BtfError, KERNEL_BTF},
    counters::{self, CpuCounters, Missed, ProgramTime},
    log::ToStderr,
    object,
    plan::{Foreign, Impossible, Loss, Plan, Skip},
    privileges::Privileges,
    program,
    refusal::{not_permitted, reason},
    rings::{self, Ring, RingError, Wish},
    slot::{ProbeState, Slot, State, SyncSite},
    table::{Field, Need, When},
    verifier,
};

/// What can be chosen about loading.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Take tracepoints and fields from this file, an edited copy of the running kernel's BTF:
    /// for trying out what happens where something is missing. It is no way to trace a kernel
    /// without BTF: the kernel itself needs its own to load a program.
    pub btf: Option<PathBuf>,
    /// How large the buffers are to be.
    pub buffer: Wish,
    /// Let the programs say on stderr what they find odd.
    pub debug: bool,
    /// The mode to use; `None` for full mode where this kernel allows it, else tracepoint mode.
    pub mode: Option<Mode>,
    /// Have each program verified once more, for the verifier's own account of it.
    pub verifier: bool,
}

/// Why nothing could be traced.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// This binary was built without the programs.
    #[error(
        "this unlazy was built without its eBPF programs; build it with `cargo xtask build` \
         (target/release/unlazy)"
    )]
    NoObject,
    /// The process may not.
    #[error("tracing needs root (CAP_BPF and CAP_PERFMON): run with sudo")]
    Privileges,
    /// The process should be allowed to, and still the kernel said no.
    #[error(
        "the kernel refuses eBPF ({0}) in spite of the privileges; in a container, run on the host or \
         with --privileged; `unlazy doctor` shows more"
    )]
    NotPermitted(String),
    /// Full mode was asked for, and can't be had.
    #[error(
        "this kernel doesn't allow full mode ({0}); use --mode tracepoint, which judges R1, R2 and R7"
    )]
    NoFull(String),
    /// No BTF to go by.
    #[error("{0}; unlazy needs a kernel with CONFIG_DEBUG_INFO_BTF=y")]
    Btf(#[from] BtfError),
    /// The plan has a hole that can't be filled.
    #[error(transparent)]
    Impossible(#[from] Impossible),
    /// The plan is for another kernel.
    #[error("{0}; nothing can be traced with it, but `unlazy doctor --btf` shows what would be")]
    Foreign(#[from] Foreign),
    /// The buffers could not be created.
    #[error(transparent)]
    Rings(#[from] RingError),
    /// The object could not be taken apart, or its maps not created.
    #[error("can't load the eBPF object: {0}")]
    Object(#[from] EbpfError),
    /// The programs' counters could not be read.
    #[error("can't read the programs' counters: {0}")]
    Counters(#[from] MapError),
}

/// The loaded programs. Dropping it detaches and unloads them all.
pub struct Probes {
    // Links go first: fields are dropped in order.
    slots: Vec<Slot>,
    rings: Vec<Ring>,
    logger: Option<EbpfLogger<ToStderr>>,
    /// Whether programs can sit on functions, or what the kernel says.
    fentry: Result<(), String>,
    mode: Mode,
    offsets: BTreeMap<Field, u32>,
    ebpf: Ebpf,
}

impl Probes {
    /// Loads every program that this kernel can have and creates the buffers. Nothing is attached
    /// yet; programs that the kernel refuses are noted in [`states`](Self::states).
    ///
    /// # Errors
    /// [`LoadError`] says why nothing can be traced.
    pub fn load(options: &Options) -> Result<Self, LoadError> {
        let object = object::embedded().ok_or(LoadError::NoObject)?;
        let path = options.btf.clone().unwrap_or_else(|| KERNEL_BTF.into());
        let plan = Plan::new(&Btf::from_file(&path)?);
        plan.possible()?;
        let probes = Self::load_planned(object, plan, options)?;
        probes.still_possible()?;
        Ok(probes)
    }

    /// As [`load`](Self::load), with an object and a plan that are already there, and even if what
    /// is indispensable is refused: for finding out what the kernel thinks of the rest.
    ///
    /// # Errors
    /// As there, but for [`LoadError::Impossible`].
    pub fn load_planned(
        object: &[u8],
        mut plan: Plan,
        options: &Options,
    ) -> Result<Self, LoadError> {
        if !Privileges::current().suffice() {
            return Err(LoadError::Privileges);
        }
        if options.btf.is_some() {
            plan.fits(&Plan::new(&Btf::from_file(KERNEL_BTF.as_ref())?))?;
        }
        // Attaching goes by the kernel's own type ids, whatever the plan was made from.
        let kernel = KernelBtf::from_sys_fs().map_err(|error| BtfError::Read {
            path: KERNEL_BTF.to_owned(),
            why: error.to_string(),
        })?;
        let mut ebpf = open(object, &plan, &kernel, options.debug)?;
        let rings = rings::create(&mut ebpf, options.buffer)?;
        let logger =
            options.debug.then(|| EbpfLogger::init_with_logger(&mut ebpf, ToStderr).ok()).flatten();
        let fentry = program::try_fentry(&mut ebpf, &kernel);
        let mode = match (options.mode, &fentry) {
            (Some(Mode::Tracepoint), _) => {
                plan.without_full("tracepoint mode was asked for");
                Mode::Tracepoint
            }
            (None | Some(Mode::Full), Ok(())) => Mode::Full,
            (Some(Mode::Full), Err(why)) => return Err(LoadError::NoFull(why.clone())),
            (None, Err(why)) => {
                plan.without_full(why);
                Mode::Tracepoint
            }
        };
        let costs = if options.verifier {
            verifier::costs(object, &plan, &ebpf, &kernel)
        } else {
            HashMap::new()
        };
        let mut slots: Vec<Slot> = Vec::with_capacity(plan.probes.len());
        for mut planned in plan.probes {
            // What was to tell the same may have been refused.
            if let Some(Skip::Told(by)) = planned.skip
                && !slots.iter().any(|slot| slot.planned.probe.name == by && slot.loaded)
            {
                planned.skip = None;
            }
            let loaded = match planned.skip {
                Some(_) => None,
                None => Some(program::load(&mut ebpf, planned.probe, &kernel)),
            };
            if let Some(Err(error)) = &loaded
                && planned.probe.need == Need::Required
                && not_permitted(error)
            {
                return Err(LoadError::NotPermitted(reason(error)));
            }
            let cost = costs.get(planned.probe.name).copied();
            let mut slot = Slot::new(planned, loaded);
            slot.verifier = cost.or(slot.verifier);
            slots.push(slot);
        }
        Ok(Self { slots, rings, logger, fentry, mode, offsets: plan.offsets, ebpf })
    }

    /// What the probes can see.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Where the kernel has the fields that the programs read: bytes into their structs.
    #[must_use]
    pub const fn offsets(&self) -> &BTreeMap<Field, u32> {
        &self.offsets
    }

    /// Whether this kernel lets programs sit on functions, which full mode takes.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn fentry(&self) -> Result<(), &str> {
        self.fentry.as_ref().copied().map_err(String::as_str)
    }

    /// Attaches what is attached for the whole run.
    ///
    /// # Errors
    /// [`LoadError::Impossible`] if the kernel refuses a probe without which nothing can be judged.
    pub fn attach(&mut self) -> Result<(), LoadError> {
        self.attach_group(When::Always);
        self.still_possible()
    }

    /// Attaches what is needed only while an mm that is registered for SYNC_CORE exists. Does
    /// nothing if it is there already.
    pub fn attach_registered(&mut self) {
        self.attach_group(When::WhileRegistered);
    }

    /// Attaches the probes on instructions, each at all the places that are named for it, or at none.
    /// The text audit names them; what came of it stands in [`states`](Self::states). In tracepoint
    /// mode there are none to attach.
    pub fn attach_sync_sites(&mut self, sites: &[SyncSite]) {
        let Self { slots, ebpf, .. } = self;
        for slot in slots.iter_mut().filter(|slot| slot.planned.probe.when == When::AtSites) {
            let name = slot.planned.probe.name;
            slot.attach_at(ebpf, sites.iter().filter(|site| site.program == name));
        }
    }

    /// Takes away what [`attach_registered`](Self::attach_registered) attached.
    pub fn detach_registered(&mut self) {
        // What others lean on goes last.
        for slot in self.slots.iter_mut().rev() {
            if slot.planned.probe.when == When::WhileRegistered {
                slot.detach();
            }
        }
    }

    /// Takes everything away; the buffers stay readable. A program that runs on another CPU at this
    /// moment may still write its last record.
    pub fn detach(&mut self) {
        // What others lean on goes last.
        for slot in self.slots.iter_mut().rev() {
            slot.detach();
        }
    }

    /// Attaches one probe alone, takes it away again, and says what the kernel thinks of it.
    ///
    /// # Errors
    /// The kernel's reason, or why it was never tried.
    pub fn try_alone(&mut self, name: &str) -> Result<(), String> {
        let Self { slots, ebpf, .. } = self;
        let slot = slots
            .iter_mut()
            .find(|slot| slot.planned.probe.name == name)
            .ok_or_else(|| format!("there is no probe {name}"))?;
        let had = slot.is_attached();
        slot.attach(ebpf);
        if !had {
            slot.detach();
        }
        let state = slot.state();
        if state.state == State::Attached { Ok(()) } else { Err(state.why) }
    }

    /// Every probe of the table and what became of it.
    #[must_use]
    pub fn states(&self) -> Vec<ProbeState> {
        let state = |slot: &Slot| {
            let state = slot.state();
            ProbeState { lost: state.lost && !self.is_replaced(state.probe.name), ..state }
        };
        self.slots.iter().map(state).collect()
    }

    /// What is missed because a probe of some importance is missing, and none took its place.
    #[must_use]
    pub fn losses(&self) -> Vec<Loss> {
        self.states()
            .into_iter()
            .filter(|state| state.probe.need <= Need::Important && state.lost)
            .map(|ProbeState { probe, why, .. }| Loss {
                name: probe.name,
                lost: probe.lost_without,
                why,
            })
            .collect()
    }

    /// Whether all that is to replace this probe is there.
    fn is_replaced(&self, name: &str) -> bool {
        let mut instead =
            self.slots.iter().filter(|slot| slot.planned.probe.replaces == name).peekable();
        instead.peek().is_some() && instead.all(|slot| slot.loaded)
    }

    /// Hands out the buffers, one for each possible CPU; they can be had once.
    #[must_use]
    pub fn take_rings(&mut self) -> Vec<Ring> {
        std::mem::take(&mut self.rings)
    }

    /// Every possible CPU's counters; the index is the CPU's number.
    ///
    /// # Errors
    /// [`LoadError::Counters`] if the kernel won't give them.
    pub fn counters(&self) -> Result<Vec<CpuCounters>, LoadError> {
        Ok(counters::read(&self.ebpf)?)
    }

    /// Events that the kernel ran no program of ours for, because that program was running there
    /// already, for each probe that has any; those that the second of a pair took are not among
    /// them. A system call and a small file for each program: not for every sweep.
    #[must_use]
    pub fn missed(&self) -> Vec<Missed> {
        let counters = self.counters().unwrap_or_default();
        let recovered = |name: &str| -> u64 {
            let kind = Kind::ALL.iter().find(|kind| kind.name() == name);
            kind.map_or(0, |&kind| counters.iter().map(|cpu| cpu.recovered[kind as usize]).sum())
        };
        self.slots
            .iter()
            .filter(|slot| slot.loaded)
            .filter_map(|slot| {
                let probe = slot.planned.probe;
                let name = probe.name;
                let text = self.fdinfo(name)?;
                let skipped = counters::recursion_misses(&text)?;
                let again = !probe.again.is_empty();
                let count = skipped.saturating_sub(if again { recovered(name) } else { 0 });
                (count > 0).then_some(Missed { probe, count })
            })
            .collect()
    }

    /// The run time of each program that the kernel has counted any of; the second program of a pair
    /// goes by its own name. As much work as [`missed`](Self::missed).
    #[must_use]
    pub fn run_times(&self) -> Vec<ProgramTime> {
        let loaded = self.slots.iter().filter(|slot| slot.loaded).map(|slot| slot.planned.probe);
        let names = loaded.flat_map(|probe| [probe.name, probe.again]);
        names
            .filter(|name| !name.is_empty())
            .filter_map(|name| ProgramTime::read(name, &self.fdinfo(name)?))
            .collect()
    }

    /// What the kernel says of a program (`kernel/bpf/syscall.c:bpf_prog_show_fdinfo`).
    fn fdinfo(&self, name: &str) -> Option<String> {
        let fd = self.ebpf.program(name)?.fd().ok()?.as_fd().as_raw_fd();
        fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()
    }

    /// Prints what the programs said since the last time.
    pub fn print_log(&mut self) {
        if let Some(logger) = &mut self.logger {
            logger.flush();
        }
    }

    fn attach_group(&mut self, when: When) {
        let Self { slots, ebpf, .. } = self;
        for slot in slots.iter_mut().filter(|slot| slot.planned.probe.when == when) {
            slot.attach(ebpf);
        }
    }

    /// Whether the kernel has left us what is indispensable.
    fn still_possible(&self) -> Result<(), LoadError> {
        for slot in &self.slots {
            let Some(why) = &slot.refused else { continue };
            if slot.planned.probe.need == Need::Required {
                return Err(Impossible { name: slot.planned.probe.name, why: why.clone() }.into());
            }
        }
        Ok(())
    }
}

/// Takes the object apart, creates its maps, and tells the programs the offsets.
fn open(object: &[u8], plan: &Plan, kernel: &KernelBtf, debug: bool) -> Result<Ebpf, LoadError> {
    let level = if debug { u8::MAX } else { 0 };
    let mut loader = EbpfLoader::new();
    loader
        .btf(Some(kernel))
        // Enough for the reason of a refusal; a full trace of the verifier's steps takes long.
        .verifier_log_level(VerifierLogLevel::DEBUG | VerifierLogLevel::STATS)
        .override_global("AYA_LOG_LEVEL", &level, false);
    for (field, offset) in &plan.offsets {
        loader.override_global(field.info().global, offset, true);
    }
    let per_cpu = plan.per_cpu.globals();
    for (name, value) in &per_cpu {
        loader.override_global(name, value, true);
    }
    loader.load(object).map_err(|error| match &error {
        EbpfError::MapError(MapError::CreateError { io_error, .. })
            if io_error.raw_os_error() == Some(libc::EPERM) =>
        {
            LoadError::NotPermitted(format!("creating a map: {io_error}"))
        }
        _ => error.into(),
    })
}
