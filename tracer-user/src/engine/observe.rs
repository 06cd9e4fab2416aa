//! Looking on while events are judged.

use tracer_common::model::{Cpu, Event, Finding, Mm, Task};

use super::{Told, names::Names, store::UserStore};

/// Sees every event as it is judged: for those who show what happened, rather than judge it.
pub trait Observer {
    /// An event was judged.
    fn event(&mut self, seen: &Seen<'_>);

    /// A rule was broken; the event that shows it comes right after, or was the last. Of many, only
    /// the first are told in detail.
    fn found(&mut self, told: &Told) {
        _ = told;
    }

    /// A rule was broken, be it told in detail or not.
    fn broken(&mut self, finding: &Finding) {
        _ = finding;
    }

    /// What came before does not count: the window opens.
    fn restart(&mut self, ts: u64) {
        _ = ts;
    }
}

/// Nobody looks on.
impl Observer for () {
    fn event(&mut self, _: &Seen<'_>) {}
}

impl<O: Observer + ?Sized> Observer for &mut O {
    fn event(&mut self, seen: &Seen<'_>) {
        (**self).event(seen);
    }

    fn found(&mut self, told: &Told) {
        (**self).found(told);
    }

    fn broken(&mut self, finding: &Finding) {
        (**self).broken(finding);
    }

    fn restart(&mut self, ts: u64) {
        (**self).restart(ts);
    }
}

/// An event, and the state that it led to.
pub struct Seen<'a> {
    /// The CPU it happened on; 0 for what user space says itself.
    pub cpu: u32,
    /// When, in nanoseconds of the run's clock; never earlier than the event before.
    pub ts: u64,
    /// What.
    pub event: &'a Event,
    pub(super) store: &'a UserStore,
    pub(super) names: &'a Names,
}

impl Seen<'_> {
    /// How many CPUs there are.
    pub fn cpus(&self) -> usize {
        self.store.cpus_iter().len()
    }

    /// A CPU as it is now.
    pub fn state(&self, cpu: u32) -> Option<&Cpu> {
        self.store.cpus_iter().nth(cpu as usize)
    }

    /// An mm of interest as it is now.
    pub fn mm(&self, id: u64) -> Option<&Mm> {
        self.store.mm_ref(id)
    }

    /// A task of interest as it is now.
    pub fn task(&self, tid: u32) -> Option<&Task> {
        self.store.task_ref(tid)
    }

    /// A thread's name.
    pub fn comm(&self, tid: u32) -> Option<&str> {
        self.names.comm(tid)
    }

    /// A thread's process.
    pub fn tgid(&self, tid: u32) -> Option<u32> {
        self.names.tgid(tid)
    }

    /// A kernel function's name.
    pub fn function(&self, func: u64) -> Option<&str> {
        self.names.function(func)
    }
}
