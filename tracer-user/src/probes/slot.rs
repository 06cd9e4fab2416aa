//! One probe of the table, from its plan to its links.

use aya::{
    Ebpf,
    programs::{Program, ProgramError, kprobe::KProbeLink},
};

use super::{
    plan::Planned,
    program::{self, Link},
    refusal::reason,
    table::{Probe, ProbeKind, When},
};

/// What became of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It is, or was while it had to be, attached.
    Attached,
    /// It was not tried, or not needed.
    Skipped,
    /// The kernel refused it.
    Failed,
}

/// What the verifier had to do for a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Verifier {
    /// Instructions that it processed (`bpf_prog_info.verified_insns`).
    pub instructions: u32,
}

/// A probe and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeState {
    /// The row of the table.
    pub probe: &'static Probe,
    /// What became of it.
    pub state: State,
    /// Why it isn't attached; empty if it is.
    pub why: String,
    /// Whether something is missed because it isn't there: not if another probe has taken its place,
    /// or if it belongs to a mode that is left out as a whole.
    pub lost: bool,
    /// What its program cost the verifier; `None` if it has none, or isn't loaded, or the kernel
    /// doesn't tell (before 5.16).
    pub verifier: Option<Verifier>,
}

/// A place for a probe on an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncSite {
    /// The row of the table.
    pub program: &'static str,
    /// The kernel's symbol, suffixes and all: `finish_task_switch.isra.0`.
    pub symbol: String,
    /// Bytes from there to the instruction.
    pub offset: u64,
}

/// A probe, planned and perhaps loaded and attached.
pub(super) struct Slot {
    pub(super) planned: Planned,
    pub(super) loaded: bool,
    verifier: Option<Verifier>,
    /// What the kernel said, if it refused.
    pub(super) refused: Option<String>,
    link: Option<(Link, Option<Link>)>,
    at_sites: Vec<KProbeLink>,
    ever_attached: bool,
}

impl Slot {
    /// `loaded` is what came of loading it, if that was tried.
    pub(super) fn new(
        planned: Planned,
        loaded: Option<Result<Option<Verifier>, ProgramError>>,
    ) -> Self {
        let refused = loaded.as_ref().and_then(|loaded| loaded.as_ref().err().map(reason));
        let loaded = loaded.and_then(Result::ok);
        Self {
            planned,
            loaded: loaded.is_some(),
            verifier: loaded.flatten(),
            refused,
            link: None,
            at_sites: Vec::new(),
            ever_attached: false,
        }
    }

    pub(super) const fn is_attached(&self) -> bool {
        self.link.is_some()
    }

    /// Attaches it, unless it is or can't be; but not one that waits for its places.
    pub(super) fn attach(&mut self, ebpf: &mut Ebpf) {
        let probe = self.planned.probe;
        if !self.loaded || self.link.is_some() || probe.when == When::AtSites {
            return;
        }
        if probe.kind == ProbeKind::PerCpuVar {
            // The programs know where it is; there is nothing to attach.
            self.ever_attached = true;
            return;
        }
        // The second of a pair after the first: the kernel runs them in this order.
        let both = program::attach(ebpf, probe, probe.name).and_then(|first| {
            let again =
                (!probe.again.is_empty()).then(|| program::attach(ebpf, probe, probe.again));
            Ok((first, again.transpose()?))
        });
        match both {
            Ok(links) => {
                self.link = Some(links);
                self.ever_attached = true;
                self.refused = None;
            }
            Err(error) => self.refused = Some(reason(&error)),
        }
    }

    /// Attaches it at all these places or, if one is refused, at none.
    pub(super) fn attach_at<'a>(
        &mut self,
        ebpf: &mut Ebpf,
        sites: impl Iterator<Item = &'a SyncSite>,
    ) {
        let Some(Program::KProbe(program)) = ebpf.program_mut(self.planned.probe.name) else {
            return;
        };
        if !self.loaded {
            return;
        }
        for site in sites {
            let link =
                program.attach(&site.symbol, site.offset).and_then(|id| program.take_link(id));
            match link {
                Ok(link) => self.at_sites.push(link),
                Err(error) => {
                    self.at_sites.clear();
                    self.ever_attached = false;
                    let why = reason(&error);
                    self.refused = Some(format!("{}+{:#x}: {why}", site.symbol, site.offset));
                    return;
                }
            }
        }
        self.ever_attached |= !self.at_sites.is_empty();
    }

    pub(super) fn detach(&mut self) {
        self.link = None;
        self.at_sites.clear();
    }

    /// Whether something is missed because it isn't there.
    fn is_loss(&self) -> bool {
        match &self.planned.skip {
            Some(skip) => skip.is_loss(),
            None => self.refused.is_some(),
        }
    }

    pub(super) fn state(&self) -> ProbeState {
        let (state, why) = match (&self.planned.skip, &self.refused) {
            (Some(skip), _) => (State::Skipped, skip.to_string()),
            (None, Some(refused)) => (State::Failed, refused.clone()),
            (None, None) if self.ever_attached => (State::Attached, String::new()),
            (None, None) => {
                let why = match self.planned.probe.when {
                    When::Always => "not attached yet",
                    When::WhileRegistered => {
                        "attached only while a SYNC_CORE-registered mm exists; there was none"
                    }
                    When::AtSites => {
                        "attached only at instructions that the text audit names; it named none"
                    }
                };
                (State::Skipped, why.to_owned())
            }
        };
        ProbeState {
            probe: self.planned.probe,
            state,
            why,
            lost: self.is_loss(),
            verifier: self.verifier,
        }
    }
}
