//! Whom a call interrupts, and that it waits for them.
//!
//! Which answers a CPU can get is asked of the abstract kernel: two CPUs, the caller's and one other
//! that runs a task of some kind, and all ways from the call's beginning to its IPIs. What ran on each
//! real CPU while the call looked around is then held against that.

use super::cast;
use crate::{
    kernel,
    setup::World,
    state::{IDLE, State, mm, pc, task},
    step::Step,
};
use tracer_common::model::{Event, Func, MmId};

/// What a CPU runs, as far as it matters to a call: an index into [`Answers`].
pub(super) type Kind = u8;
/// How many kinds there are.
const KINDS: usize = 7;
/// In a set of kinds: it is not known.
pub(super) const UNKNOWN: u8 = 1 << 7;

/// The kind of a task that runs, for a call of `of`.
pub(super) fn kind(s: &State, of: u8) -> Kind {
    let curr = s.cpus[0].curr;
    match (s.mm_of(curr), curr) {
        (_, IDLE) => 6,
        (mm::NONE, k) if k >= cast::KTHREADS[0] => 5,
        (mm::NONE, _) => 2,
        (its, k) => u8::from(its != of) + if k >= cast::KTHREADS[0] { 3 } else { 0 },
    }
}

/// What a call may do about a CPU.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    /// Has it run one of these.
    pub(super) asked: Vec<Func>,
    /// Leave it out.
    pub(super) left: bool,
}

/// The answers of a protocol.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    others: [Answer; KINDS],
    /// The caller's own CPU.
    pub(super) own: Answer,
    /// The call waits until all have answered.
    pub(super) waits: bool,
}

impl Answers {
    /// Asks the abstract kernel.
    pub(super) fn new(w: &World, registers: bool) -> Self {
        let mut others: [Answer; KINDS] = Default::default();
        for (kind, answer) in others.iter_mut().enumerate() {
            for alone in [false, true] {
                if !(alone && matches!(kind, 0 | 3)) {
                    ask(w, &begin(kind, registers, alone), answer, &mut Answer::default());
                }
            }
        }
        let mut own = Answer::default();
        for alone in [false, true] {
            ask(w, &begin(6, registers, alone), &mut Answer::default(), &mut own);
        }
        let mut waiting = begin(6, registers, false);
        waiting.tasks[0].pc = pc::WAIT;
        waiting.tasks[0].mask = 1 << 1;
        let mut actions = Vec::new();
        kernel::actions(w, &waiting, &mut actions);
        let ends = [Step::CallEnd, Step::RegisterEnd];
        let waits = !actions.iter().any(|a| a.cpu == 0 && ends.contains(&a.step));
        Self { others, own, waits }
    }

    /// What may be done about a CPU that ran these kinds.
    pub(super) fn of(&self, kinds: u8) -> Answer {
        let mut out = Answer { asked: Vec::new(), left: kinds & UNKNOWN != 0 };
        for (kind, answer) in self.others.iter().enumerate() {
            if kinds & 1 << kind != 0 {
                out.left |= answer.left;
                out.asked.extend(answer.asked.iter().copied());
            }
        }
        out
    }
}

/// A thread of A on CPU 0, and a task of some kind on CPU 1.
fn begin(kind: usize, registers: bool, alone: bool) -> State {
    let mut s = cast::empty(0);
    s.tasks[0] = cast::task(mm::A, false);
    s.tasks[0].pc = pc::USER;
    s.tasks[0].bits = task::ON_CPU;
    let (seat, its) = match kind {
        0 => (1, mm::A),
        1 => (2, mm::B),
        2 => (1, mm::NONE),
        3 => (4, mm::A),
        4 => (4, mm::B),
        5 => (4, mm::NONE),
        _ => (IDLE, mm::NONE),
    };
    let other = &mut s.cpus[1];
    (other.curr, other.m_curr) = (seat, seat);
    if seat != IDLE {
        s.tasks[usize::from(seat)] = cast::task(its, seat >= cast::KTHREADS[0]);
        s.tasks[usize::from(seat)].bits = task::ON_CPU;
    }
    s.all.users = if alone { 1 } else { 3 };
    s.all.count = 3;
    (s.all.tlb_gen, s.all.registered) = (1, if registers { 0 } else { 2 });
    (s.all.calls, s.all.registrations) = (u8::from(!registers), u8::from(registers));
    (s.cpus[0].loaded, s.cpus[0].m_loaded, s.cpus[0].active) = (mm::A, mm::A, mm::A);
    s.cpus[0].slot = 1;
    s
}

/// All ways from there to the IPIs.
fn ask(w: &World, from: &State, other: &mut Answer, own: &mut Answer) {
    const TAKEN: u64 = super::follow::steps(&[
        Step::Call,
        Step::CallLock,
        Step::ScanCurr,
        Step::ScanMm,
        Step::Send,
        Step::Register,
        Step::RegisterSet,
        Step::Rcu,
    ]);
    let mut add = |told: &[(u32, Event)]| {
        let mut asked = (None, None);
        for (_, event) in told {
            match event {
                Event::CsdQueue { func, .. } => asked.0 = Some(*func),
                Event::CsdLocal { func, .. } => asked.1 = Some(*func),
                _ => {}
            }
        }
        for (answer, func) in [(&mut *other, asked.0), (&mut *own, asked.1)] {
            match func {
                Some(func) if !answer.asked.contains(&func) => answer.asked.push(func),
                Some(_) => {}
                None => answer.left = true,
            }
        }
    };
    let (mut front, mut seen) = (vec![*from], vec![*from]);
    let mut actions = Vec::new();
    while let Some(s) = front.pop() {
        kernel::actions(w, &s, &mut actions);
        for &action in &actions {
            if action.cpu != 0 || TAKEN & 1 << action.step as u64 == 0 {
                continue;
            }
            let (mut then, mut told) = (s, Vec::new());
            kernel::apply(w, &mut then, action, &mut told);
            if matches!(then.tasks[0].pc, pc::WAIT | pc::CALL_END | pc::REGISTERED) {
                add(&told);
            } else if !seen.contains(&then) {
                seen.push(then);
                front.push(then);
            }
        }
    }
}

/// A call in flight.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) tid: u32,
    pub(super) mm: MmId,
    pub(super) registers: bool,
    /// What ran on each CPU since it began: bits by [`Kind`].
    pub(super) kinds: Vec<u8>,
    /// What each CPU was asked to run, and whether it has.
    pub(super) asked: Vec<Option<(Func, bool)>>,
    /// What its own CPU ran for it, and which one that was.
    pub(super) local: Option<(Func, u32)>,
    /// The CPU on which it began.
    pub(super) began_on: u32,
}

/// What is wrong with a call, unless the CPU's next switch explains it.
#[derive(Clone, Debug)]
pub(super) struct Doubt {
    pub(super) call: Call,
    pub(super) cpu: usize,
    pub(super) ts: u64,
    pub(super) on: u32,
    pub(super) event: Event,
}

/// What a call that ended on CPU `on` could do about a CPU.
pub(super) fn possible(call: &Call, answers: &Answers, cpu: usize, on: u32) -> Answer {
    let mut possible = answers.of(call.kinds[cpu]);
    if [call.began_on, on].contains(&(cpu as u32)) {
        // Perhaps it was the caller's own.
        possible.left |= answers.own.left;
    }
    possible
}

/// What is wrong with what a call did about a CPU.
pub(super) fn fault(call: &Call, answers: &Answers, cpu: usize, on: u32) -> Option<String> {
    if call.kinds[cpu] & UNKNOWN != 0 {
        return None;
    }
    let possible = possible(call, answers, cpu, on);
    if let Some((func, _)) = call.local.filter(|(_, at)| *at == cpu as u32) {
        return (!answers.own.asked.contains(&func)).then(|| {
            format!("the call runs {} on its own CPU {cpu}", func.name().unwrap_or("a function"))
        });
    }
    match call.asked[cpu] {
        Some((func, ran)) => {
            let name = func.name().unwrap_or("a function");
            if !possible.asked.contains(&func) {
                return Some(format!("the call has CPU {cpu} run {name}"));
            }
            (answers.waits && !ran)
                .then(|| format!("the call returns before CPU {cpu} has run {name}"))
        }
        None => (!possible.left).then(|| format!("the call leaves out CPU {cpu}")),
    }
}
