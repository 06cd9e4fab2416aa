//! Where the model keeps what it remembers: outside.

use core::ops::DerefMut;

use super::{
    mm::Mm,
    state::{Cpu, MmId},
    task::Task,
    verdict::{Finding, Tally},
};

/// The model's storage and its way to speak. User space implements it with maps of its own, a BPF
/// program with BPF maps, the explorer with a value it can copy.
///
/// A store that is full answers `None`; the model then knows less and says so, never wrong.
pub trait Store {
    /// A CPU that was lent: a pointer, where copying it costs too much.
    type Lent: DerefMut<Target = Cpu>;
    /// How many CPUs there can be; their numbers are below this.
    fn cpus(&self) -> u32;
    /// A CPU.
    fn cpu(&mut self, cpu: u32) -> Option<&mut Cpu>;
    /// Lends a CPU. Until it is given back the model does not ask for it.
    fn lend(&mut self, cpu: u32) -> Option<Self::Lent>;
    /// Takes back what was lent.
    fn give_back(&mut self, cpu: u32, lent: Self::Lent);
    /// An mm, made if it is new.
    fn mm(&mut self, id: MmId) -> Option<&mut Mm>;
    /// An mm, if it is there.
    fn known_mm(&mut self, id: MmId) -> Option<&mut Mm>;
    /// An mm is gone: it has no user any more.
    fn mm_gone(&mut self, id: MmId);
    /// A task, made if it is new.
    fn task(&mut self, tid: u32) -> Option<&mut Task>;
    /// A task, if it is there.
    fn known_task(&mut self, tid: u32) -> Option<&mut Task>;
    /// A task is gone.
    fn task_gone(&mut self, tid: u32);
    /// A task was seen running: events came from it.
    fn ran(&mut self, tid: u32);
    /// Whether a task was ever seen running.
    fn has_run(&self, tid: u32) -> bool;
    /// A task ran for which the kernel runs no probes.
    fn dark(&mut self, tid: u32);
    /// The counters.
    fn tally(&mut self) -> &mut Tally;
    /// A rule was broken.
    fn found(&mut self, finding: &Finding);
}
