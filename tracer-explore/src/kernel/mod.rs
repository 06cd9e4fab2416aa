//! The abstract kernel: what may happen next, and what then changes.
//!
//! A step is what one CPU does at once, seen from the others: one access to memory that they share,
//! with everything before and after it that only its own CPU can see.
//!
//! A store goes into the CPU's buffer, which is its own affair. A full barrier, a locked instruction
//! and a serializing instruction empty the buffer. In between, stores reach memory when they like; but
//! that is noticed only by who reads what they write. So it is the reader who chooses how many of the
//! other CPU's stores have reached memory by then (the high half of [`Action::arg`]), and no step is
//! spent on it. That is exact: a store that reaches memory later than it might, but before anybody
//! looks, is not told from one that did so at once.
//!
//! Unless every access is asked for (`fine`), some steps are merged further. Each such merge is
//! argued where it is made; a test holds both ways against each other in small spaces.

mod call;
mod flush;
mod irq;
mod life;
mod mmu;
mod register;
mod sched;
mod user;

use crate::{
    bug::Flag,
    guard::Guard,
    rules::{Marks, Rule},
    setup::World,
    state::{Cpu, IDLE, PEND_CALL, State, Task, at, ghost, ipi, mm, pc, store, swm, task},
    step::{Action, Step},
    tell::Tell,
};

/// In place of a CPU: all are looked at, and none in particular.
const ONE_LOOK: u8 = 8;

/// What may happen in a state.
pub fn actions(w: &World, s: &State, out: &mut Vec<Action>) {
    out.clear();
    for cpu in 0..w.setup.cpus {
        Choices { w, s, cpu, out }.all();
    }
    if w.setup.excluded != 0 {
        out.retain(|action| w.setup.excluded & 1 << action.step as u64 == 0);
    }
}

/// Takes a step, and says what the rules had to do with it.
pub fn apply<T: Tell>(w: &World, s: &mut State, action: Action, tell: &mut T) -> Marks {
    let mut run = Run { w, s, tell, marks: Marks::default() };
    run.step(action);
    run.marks
}

/// Gathers what a CPU may do next.
struct Choices<'a> {
    w: &'a World,
    s: &'a State,
    cpu: u8,
    out: &'a mut Vec<Action>,
}

impl Choices<'_> {
    fn may(&mut self, step: Step) {
        self.with(step, 0);
    }

    fn with(&mut self, step: Step, arg: u8) {
        self.out.push(Action { cpu: self.cpu, step, arg });
    }

    /// A step for each task that may be switched to.
    fn next(&mut self, step: Step) {
        let curr = self.s.cpus[usize::from(self.cpu)].curr;
        for number in 0..self.w.setup.tasks() {
            let t = &self.s.tasks[usize::from(number)];
            let free = t.bits & task::ON_CPU == 0 || self.s.releases(number).is_some();
            let free = self.w.holds(Guard::PickOffCpu, free);
            if free && self.w.holds(Guard::PickAlive, t.pc != pc::DEAD) && number != curr {
                self.with(step, number);
            }
        }
        if curr != IDLE {
            self.with(step, IDLE);
        }
    }

    /// A step for each CPU of a mask, and for each way in which its stores can have reached memory.
    fn each(&mut self, step: Step, mask: u8, writes: impl Fn(u8) -> bool + Copy) {
        for cpu in 0..self.w.setup.cpus {
            if mask & 1 << cpu != 0 {
                self.reads(step, cpu, cpu, writes);
            }
        }
    }

    /// A look at all CPUs of a mask at once, with one of them in mind: for each way in which that
    /// one's stores can have reached memory.
    fn one(&mut self, step: Step, mask: u8, writes: impl Fn(u8) -> bool + Copy) {
        self.with(step, ONE_LOOK);
        for cpu in 0..self.w.setup.cpus {
            let c = &self.s.cpus[usize::from(cpu)];
            if c.held > 0 && cpu != self.cpu && mask & 1 << cpu != 0 {
                for stores in c.prefixes(writes) {
                    self.with(step, cpu | stores << 4);
                }
            }
        }
    }

    /// A read of what CPU `of` stores.
    fn reads(&mut self, step: Step, of: u8, arg: u8, writes: impl Fn(u8) -> bool) {
        if of == self.cpu {
            return self.with(step, arg);
        }
        for stores in self.s.cpus[usize::from(of)].prefixes(writes) {
            self.with(step, arg | stores << 4);
        }
    }

    /// A read of a task's mm: of who may have stored it, and not all of whose stores are out.
    fn reads_mm(&mut self, step: Step, task: u8) {
        let stores = |c: &Cpu| {
            c.buffer[..usize::from(c.held)].iter().any(|&store| store::is_mm_of(store, task))
        };
        match self.s.cpus.iter().position(stores) {
            Some(of) => self.reads(step, of as u8, of as u8, |store| store::is_mm_of(store, task)),
            None => self.with(step, 0),
        }
    }

    fn all(&mut self) {
        let c = &self.s.cpus[usize::from(self.cpu)];
        let in_switch = match c.swm {
            swm::OUT => None,
            swm::SAME => Some(Step::SwitchSame),
            swm::MASK => Some(Step::SwitchMask),
            swm::GEN => Some(Step::SwitchGen),
            _ => Some(Step::SwitchCr3),
        };
        if let Some(step) = in_switch {
            self.may(step);
            if c.ipi == ipi::NONE && self.w.holds(Guard::SwitchIrqsOff, false) {
                self.interrupts();
            }
            return;
        }
        if c.ipi == ipi::EXIT {
            self.may(Step::IpiReturn);
            if self.preemptible() {
                self.next(Step::IpiPreempt);
            }
            return;
        }
        match c.at {
            at::GRAB => {
                self.may(Step::Grab);
                if self.w.holds(Guard::GrabIrqsOff, false) {
                    self.interrupts();
                }
                return;
            }
            at::FINISH => self.may(Step::Finish),
            _ if c.curr == IDLE => {
                self.next(Step::Schedule);
                if self.w.holds(Guard::LeaveLazy, c.lazy != 0)
                    && self.w.holds(Guard::LeaveLoaded, c.loaded != mm::INIT)
                {
                    self.may(Step::Leave);
                }
            }
            _ => self.task(),
        }
        self.interrupts();
    }

    /// The IPIs that wait here.
    fn interrupts(&mut self) {
        let c = &self.s.cpus[usize::from(self.cpu)];
        for bit in 0..8 {
            if c.pend & 1 << bit != 0 {
                self.with(Step::Deliver, bit);
                if self.w.handler_may_not_serialize() && self.preemptible() && !self.goes_lazy(bit)
                {
                    self.next(Step::IpiPreempt);
                    // Which of two it was is told by the number of the other.
                    for action in self.out.iter_mut().rev() {
                        if action.step != Step::IpiPreempt || action.arg >= 8 {
                            break;
                        }
                        action.arg |= (bit + 1) << 4;
                    }
                }
            }
        }
    }

    /// Whether this IPI's handler goes to `init_mm`, which takes steps of its own.
    fn goes_lazy(&self, bit: u8) -> bool {
        let c = &self.s.cpus[usize::from(self.cpu)];
        1 << bit != PEND_CALL && c.loaded == mm::A && c.lazy != 0
    }

    /// Whether an interrupt here may switch to another task on its way out.
    fn preemptible(&self) -> bool {
        let c = &self.s.cpus[usize::from(self.cpu)];
        // The idle task is never preempted: it switches by itself.
        c.at == at::TASK
            && self
                .s
                .tasks
                .get(usize::from(c.curr))
                .is_some_and(|t| t.pc != pc::IRET && !preempt_off(self.w, t))
    }

    /// What the running task may do.
    fn task(&mut self) {
        let (w, s) = (self.w, self.s);
        let curr = s.cpus[usize::from(self.cpu)].curr;
        let t = &s.tasks[usize::from(curr)];
        let all = &s.all;
        if t.bits & task::KERNEL_IRET != 0 {
            return self.may(Step::KernelIret);
        }
        match t.pc {
            pc::USER => {
                if w.setup.fine {
                    self.may(Step::Syscall);
                } else {
                    self.next(Step::Block);
                }
                if t.mm != mm::A {
                    return;
                }
                if all.calls > 0
                    && w.holds(Guard::CallReady, all.registered == 2 || w.setup.private)
                {
                    self.may(Step::Call);
                }
                if all.flushes > 0 {
                    self.may(if w.setup.tables { Step::FlushTables } else { Step::Flush });
                }
                if all.exits > 0 {
                    self.may(Step::Exit);
                }
                if all.execs > 0 {
                    self.may(Step::Exec);
                }
                if all.registrations > 0 {
                    self.may(Step::Register);
                }
                if all.tests > 0 {
                    self.may(Step::StoreY);
                }
            }
            pc::STORED => self.loads(Step::LoadX, store::X),
            pc::CALLED => self.loads(Step::LoadY, store::Y),
            pc::SYSCALL | pc::LEAVING | pc::IRET => {
                self.may(Step::Return);
                self.next(Step::Schedule);
            }
            pc::WORK => self.work(curr),
            pc::EXITED => self.next(Step::Schedule),
            pc::SEND => self.may(Step::Send),
            pc::WAIT if t.bits & task::REGISTERS == 0 => {
                if w.holds(Guard::CallWaits, t.mask == 0) {
                    self.may(Step::CallEnd);
                }
            }
            pc::WAIT => {
                if w.holds(Guard::RegisterWaits, t.mask == 0) {
                    self.may(Step::RegisterEnd);
                }
            }
            pc::FLUSH => self.may(Step::FlushRaise),
            pc::FLUSH_MASK => self.may(Step::FlushMask),
            pc::FLUSH_LOADED if w.setup.fine => {
                self.each(Step::FlushLoaded, t.todo, store::is_loaded);
            }
            pc::FLUSH_LOADED => self.one(Step::FlushLoaded, t.todo, |store| {
                store::is_loaded(store) || store::is_lazy(store)
            }),
            pc::FLUSH_LAZY => self.reads(Step::FlushLazy, t.cur & 7, 0, store::is_lazy),
            pc::FLUSH_SEND => self.may(Step::FlushSend),
            pc::FLUSH_WAIT => {
                if w.holds(Guard::FlushWaits, t.mask == 0) {
                    self.may(Step::FlushEnd);
                }
            }
            pc::DEAD => {}
            _ => {
                self.middle(t);
                // Who may sleep there switches without an interrupt, and so without its IRET.
                let sleeps = matches!(
                    t.pc,
                    pc::CALL
                        | pc::REGISTER
                        | pc::RCU
                        | pc::EXIT
                        | pc::EXIT_PUT
                        | pc::EXEC
                        | pc::EXEC_PUT
                );
                self.next(if sleeps { Step::Schedule } else { Step::Preempt });
            }
        }
        if is_busy(t) && !preempt_off(w, t) {
            self.next(Step::Preempt);
        }
    }

    /// In the middle of something that can be preempted.
    fn middle(&mut self, t: &Task) {
        let Task { pc: at, todo, bits, cur, .. } = *t;
        match at {
            pc::CALL => {
                let free = self.w.holds(Guard::CallMutex, self.s.all.mutex == 0);
                if free || self.w.protocol.call_flushes {
                    self.may(Step::CallLock);
                }
            }
            pc::SCAN if self.w.setup.fine => self.each(Step::ScanCurr, todo, store::is_curr),
            pc::SCAN => {
                self.one(Step::ScanCurr, todo, store::is_curr);
                for cpu in 0..self.w.setup.cpus {
                    let there = &self.s.cpus[usize::from(cpu)];
                    let changes = |task: u8| task != IDLE && self.w.mm_changes(task);
                    if cpu != self.cpu && there.held == 0 && changes(there.m_curr) {
                        self.with(Step::ScanCurr, cpu);
                    }
                }
            }
            pc::SCAN_MM => self.reads_mm(Step::ScanMm, cur >> 3),
            pc::CALL_END if bits & task::REGISTERS == 0 => self.may(Step::CallEnd),
            pc::CALL_END | pc::REGISTERED => self.may(Step::RegisterEnd),
            pc::EXIT => self.may(Step::ExitMm),
            pc::EXIT_PUT => self.may(Step::ExitPut),
            pc::EXEC => self.may(Step::ExecMmap),
            pc::EXEC_PUT => self.may(Step::ExecPut),
            pc::USE_DROP => self.may(Step::UseDrop),
            pc::UNUSE_DROP => self.may(Step::UnuseDrop),
            pc::REGISTER => self.may(Step::RegisterSet),
            pc::RCU => {
                if self.w.holds(Guard::RcuWaits, todo == 0)
                    && self.w.holds(Guard::RegisterMutex, self.s.all.mutex == 0)
                {
                    self.may(Step::CallLock);
                }
                for cpu in 0..self.w.setup.cpus {
                    if todo & 1 << cpu != 0 && quiescent(self.w, self.s, usize::from(cpu)) {
                        self.with(Step::Rcu, cpu);
                    }
                }
            }
            _ => {}
        }
    }

    /// User code reads a variable.
    fn loads(&mut self, step: Step, variable: u8) {
        let writer = self.s.cpus.iter().position(|c| c.holds(variable));
        match writer {
            Some(of) => self.reads(step, of as u8, of as u8, |store| store == variable),
            None => self.may(step),
        }
    }

    /// What a kernel thread may do.
    fn work(&mut self, curr: u8) {
        let t = &self.s.tasks[usize::from(curr)];
        let all = &self.s.all;
        self.next(Step::Schedule);
        if t.mm == mm::A {
            self.may(Step::Unuse);
            if t.bits & task::THEN_LOADS != 0 {
                self.loads(Step::LoadX, store::X);
            } else if all.tests > 0 {
                self.may(Step::StoreY);
            }
        } else if all.uses > 0 && self.w.holds(Guard::UseUsers, all.users > 0) {
            self.may(Step::Use);
        }
    }
}

/// Whether a CPU is where a grace period of RCU may end: not in the middle of a switch, nor anywhere
/// else with preemption off.
fn quiescent(w: &World, s: &State, cpu: usize) -> bool {
    let c = &s.cpus[cpu];
    w.holds(Guard::RcuSwitch, c.at == at::TASK && c.swm == swm::OUT)
        && w.holds(Guard::RcuIrq, c.ipi == ipi::NONE)
        && !s.tasks.get(usize::from(c.curr)).is_some_and(|t| preempt_off(w, t))
}

/// Whether a task sends IPIs or waits for them.
fn is_busy(t: &Task) -> bool {
    matches!(t.pc, pc::SEND | pc::WAIT | pc::FLUSH..=pc::FLUSH_WAIT)
}

/// Whether a task has preemption off.
fn preempt_off(w: &World, t: &Task) -> bool {
    match t.pc {
        pc::SEND | pc::WAIT => w.does(Guard::CallPreemptOff),
        pc::FLUSH..=pc::FLUSH_WAIT => w.does(Guard::FlushPreemptOff),
        _ => false,
    }
}

/// A step in the making.
pub(crate) struct Run<'a, T> {
    pub(crate) w: &'a World,
    pub(crate) s: &'a mut State,
    pub(crate) tell: &'a mut T,
    marks: Marks,
}

impl<T: Tell> Run<'_, T> {
    fn step(&mut self, action: Action) {
        let c = usize::from(action.cpu);
        self.take(c, action);
        if !self.w.setup.fine {
            self.settle(c);
        }
        if !self.w.windows {
            self.forget_buffer(c);
        }
    }

    /// What follows at once, since only the CPU itself can see it: the way out of an interrupt, an
    /// IRET that a task has still to execute, and the return to user mode.
    ///
    /// An IRET that comes as early as it can covers the fewest calls. A return that comes early is
    /// checked against as much: what a call that ends later asks of the CPU is asked of it in user
    /// mode. That a task may be switched out once more before it returns adds nothing that switching
    /// directly from the task before it to the one after it does not do.
    fn settle(&mut self, c: usize) {
        if self.s.cpus[c].ipi == ipi::EXIT {
            self.ipi_return(c);
        }
        let cpu = &self.s.cpus[c];
        if cpu.swm != swm::OUT || cpu.ipi != ipi::NONE {
            return;
        }
        if cpu.at == at::FINISH && !self.w.windows {
            self.finish_late(c);
        }
        let cpu = &self.s.cpus[c];
        if cpu.at != at::TASK || cpu.curr == IDLE {
            return;
        }
        let t = &self.s.tasks[usize::from(cpu.curr)];
        if t.bits & task::KERNEL_IRET != 0 {
            self.kernel_iret(c);
        }
        let me = self.me(c);
        match self.s.tasks[me].pc {
            pc::USE_DROP if !self.w.windows => self.use_drop(c),
            pc::UNUSE_DROP if !self.w.windows => self.unuse_drop(c),
            pc::EXIT_PUT if !self.w.windows => self.exit_put(c),
            pc::EXEC_PUT if !self.w.windows => self.exec_put(c),
            _ => {}
        }
        if matches!(self.s.tasks[me].pc, pc::SYSCALL | pc::LEAVING | pc::IRET) {
            self.go_to_user(c);
        }
    }

    /// Stores of which nobody can tell whether they have reached memory yet, or whose old value asks
    /// for more than the new one: they go at once, so that two states are not told apart by them.
    ///
    /// Whom `on_cpu` keeps from being picked may be picked as soon as it has drained, which it may at
    /// any time. `rq->curr` between two tasks of one mm that keep it looks the same to a call. Who
    /// reads `LOADED_MM_SWITCHING`, or not yet lazy, interrupts the CPU once more.
    fn forget_buffer(&mut self, c: usize) {
        loop {
            let cpu = &self.s.cpus[c];
            if cpu.held == 0 {
                return;
            }
            let (first, arg) = (cpu.buffer[0], cpu.buffer[0] & 0x1f);
            let alike = |old: u8, new: u8| {
                let keeps = |task: u8| task == IDLE || !self.w.mm_changes(task);
                keeps(old) && keeps(new) && self.s.mm_of(old) == self.s.mm_of(new)
            };
            let goes = match first >> 5 {
                1 => alike(cpu.m_curr, arg),
                2 | 5 => true,
                3 => arg == 1,
                _ => false,
            };
            if !goes {
                return;
            }
            self.s.drain_one(c);
        }
    }

    fn take(&mut self, c: usize, action: Action) {
        match action.step {
            Step::Block => {
                self.syscall(c);
                self.schedule(c, action.arg, false);
            }
            Step::Syscall => self.syscall(c),
            Step::Return => self.go_to_user(c),
            Step::Schedule => self.schedule(c, action.arg, false),
            Step::Grab => self.grab(c),
            Step::SwitchSame => self.switch_same(c),
            Step::SwitchMask => self.switch_mask(c),
            Step::SwitchGen => self.switch_gen(c),
            Step::SwitchCr3 => self.switch_cr3(c),
            Step::Finish => self.finish_late(c),
            Step::KernelIret => self.kernel_iret(c),
            Step::Leave => self.leave_mm(c),
            Step::Deliver => self.deliver(c, action.arg),
            Step::IpiReturn => self.ipi_return(c),
            Step::IpiPreempt => {
                if action.arg >> 4 != 0 {
                    self.deliver(c, (action.arg >> 4) - 1);
                }
                self.ipi_preempt(c, action.arg & 7);
            }
            Step::Preempt => self.preempt(c, action.arg),
            Step::Call => self.call(c),
            Step::CallLock => self.call_lock(c),
            Step::ScanCurr => self.scan_curr(c, action.arg),
            Step::ScanMm => self.scan_mm(c, action.arg),
            Step::Send => self.send(c),
            Step::CallEnd => self.call_end(c),
            Step::Flush => self.flush(c, false),
            Step::FlushTables => self.flush(c, true),
            Step::FlushRaise => self.flush_raise(c),
            Step::FlushMask => self.flush_mask(c),
            Step::FlushLoaded => self.flush_loaded(c, action.arg),
            Step::FlushLazy => self.flush_lazy(c, action.arg >> 4),
            Step::FlushSend => self.flush_send(c),
            Step::FlushEnd => self.flush_end(c),
            Step::Use => self.use_mm(c),
            Step::UseDrop => self.use_drop(c),
            Step::Unuse => self.unuse_mm(c),
            Step::UnuseDrop => self.unuse_drop(c),
            Step::Exit => self.exit(c),
            Step::ExitMm => self.exit_mm(c),
            Step::ExitPut => self.exit_put(c),
            Step::Exec => self.exec(c),
            Step::ExecMmap => self.exec_mmap(c),
            Step::ExecPut => self.exec_put(c),
            Step::Register => self.register(c),
            Step::RegisterSet => self.register_set(c),
            Step::Rcu => self.rcu(c, action.arg),
            Step::RegisterEnd => self.register_end(c),
            Step::StoreY => self.store_y(c),
            Step::LoadX => self.load_x(c, action.arg),
            Step::LoadY => self.load_y(c, action.arg),
        }
    }

    fn has(&self, flag: Flag) -> bool {
        self.w.has(flag)
    }

    fn holds(&self, guard: Guard, natural: bool) -> bool {
        self.w.holds(guard, natural)
    }

    fn does(&self, guard: Guard) -> bool {
        self.w.does(guard)
    }

    /// A full barrier: all its stores reach memory before it goes on.
    fn barrier(&mut self, guard: Guard, c: usize) {
        if self.does(guard) {
            self.s.drain(c);
        }
    }

    /// A serializing instruction.
    fn sync(&mut self, guard: Guard, c: usize) {
        if self.does(guard) {
            self.serialize(c);
        }
    }

    /// The running task, which is not the idle one.
    fn me(&self, c: usize) -> usize {
        usize::from(self.s.cpus[c].curr)
    }

    fn jump(&mut self, c: usize, to: u8) {
        let me = self.me(c);
        self.s.tasks[me].pc = to;
    }

    /// Whether this mm is registered for SYNC_CORE, as far as the scheduler cares.
    fn registered(&self, of: u8) -> bool {
        of == mm::A && self.s.all.registered > 0
    }

    /// An instruction serializes the core; that empties its store buffer, too.
    fn serialize(&mut self, c: usize) {
        self.s.drain(c);
        let g = &mut self.s.cpus[c].g;
        if *g & ghost::DEBT != 0 {
            self.marks.check(Rule::R1, true);
        }
        *g &= !(ghost::DEBT | ghost::SINCE[0] | ghost::SINCE[1] | ghost::OWES);
    }

    /// The logical mm of a CPU becomes another one.
    fn logical(&mut self, c: usize, to: u8) {
        let owes = self.registered(to);
        let g = &mut self.s.cpus[c].g;
        *g &= !ghost::DEBT;
        if owes {
            *g |= ghost::DEBT;
        }
    }

    /// The CPU runs user code from here on.
    fn check_user(&mut self, c: usize) {
        let cpu = &mut self.s.cpus[c];
        let me = usize::from(cpu.curr);
        if self.s.tasks[me].mm != mm::A {
            return;
        }
        if cpu.g & ghost::DEBT != 0 {
            self.marks.check(Rule::R1, false);
        }
        if self.s.all.promised != 0 {
            self.marks.check(Rule::R2, cpu.g & ghost::OWES == 0);
        }
        if self.s.all.done_gen > 1 {
            self.marks.check(Rule::R3, cpu.slot >= self.s.all.done_gen);
        }
        // Each is told once.
        cpu.g &= !(ghost::DEBT | ghost::OWES);
    }

    /// Whether a CPU is in user mode, in A, and not in an interrupt of it.
    fn in_user(&self, c: usize) -> bool {
        let cpu = &self.s.cpus[c];
        cpu.at == at::TASK
            && cpu.ipi == ipi::NONE
            && cpu.swm == swm::OUT
            && self.s.tasks.get(usize::from(cpu.curr)).is_some_and(|t| {
                t.mm == mm::A && pc::is_user(t.pc) && t.bits & task::KERNEL_IRET == 0
            })
    }

    fn each_cpu(&self) -> std::ops::Range<usize> {
        0..usize::from(self.w.setup.cpus)
    }

    /// A reference to A is dropped.
    fn drop_a(&mut self) {
        let all = &mut self.s.all;
        all.count = all.count.wrapping_sub(1);
        if all.count == 0 {
            let has = |c: usize| {
                let cpu = &self.s.cpus[c];
                self.s.active(c) == mm::A || cpu.loaded == mm::A
            };
            let held = self.each_cpu().any(has);
            self.marks.check(Rule::R5, !held);
        }
    }

    /// R6: both are to be equal on this CPU now.
    fn check_rq(&mut self, c: usize) {
        let cpu = &self.s.cpus[c];
        let mine = self.s.mm_of(cpu.curr);
        if mine == mm::NONE {
            return;
        }
        let holds = if mine == mm::A {
            self.s.all.registered < 2 || cpu.rq_state == 1 || cpu.g & ghost::CAME_BACK != 0
        } else {
            cpu.rq_state == 0
        };
        self.marks.check(Rule::R6, holds);
    }
}

/// Whether nobody is left who could do anything.
#[must_use]
pub fn is_over(w: &World, s: &State) -> bool {
    (0..w.setup.tasks()).all(|number| s.tasks[usize::from(number)].pc == pc::DEAD)
}
