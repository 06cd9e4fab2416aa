//! A machine with many CPUs on which thousands of processes take turns.

use tracer_common::wire::{Header, Irq, Kind, Switch, Vector};
use unlazy::stream::{Facts, Opening, Sink};
use zerocopy::IntoBytes;

/// Its CPUs.
pub(crate) const CPUS: u32 = 256;
/// Its processes.
pub(crate) const PROCESSES: u32 = 4000;

/// xorshift64*, from a seed that never changes.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below this.
    pub(crate) fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % below.max(1)
    }
}

/// What each CPU does next.
pub(crate) struct Busy {
    random: Random,
    running: Vec<u32>,
    seqs: Vec<u32>,
    ts: u64,
    /// How many events there were.
    pub(crate) events: u64,
}

fn record<T: IntoBytes + zerocopy::Immutable>(
    ts: u64,
    seq: u32,
    kind: Kind,
    payload: &T,
) -> Vec<u8> {
    [Header { ts, seq, kind: kind as u16, flags: 0 }.as_bytes(), payload.as_bytes()].concat()
}

/// What holds of it throughout.
pub(crate) fn facts() -> Facts {
    Facts { cpus_possible: CPUS, cpus_online: (0..CPUS).collect(), ..Facts::default() }
}

impl Busy {
    /// The window opens.
    pub(crate) fn begin(sink: &mut dyn Sink) -> Self {
        sink.opened(&Opening { start_ns: 1, known_at_ns: Some(1) });
        Self {
            random: Random(7),
            running: (0..CPUS).map(|cpu| 100 + cpu).collect(),
            seqs: vec![0; CPUS as usize],
            ts: 1_000_000,
            events: 0,
        }
    }

    /// Every CPU switches once, and is interrupted once.
    pub(crate) fn round(&mut self, sink: &mut dyn Sink) {
        for cpu in 0..CPUS {
            let next = 100 + self.random.below(PROCESSES.into()) as u32;
            let (slot, seq) = (&mut self.running[cpu as usize], &mut self.seqs[cpu as usize]);
            self.ts += 20;
            let ts = self.ts;
            let switch = Switch {
                prev_mm: u64::from(*slot) + 1000,
                prev_active: u64::from(*slot) + 1000,
                next_mm: u64::from(next) + 1000,
                prev_tid: *slot,
                next_tid: next,
                next_tgid: next,
                prev_state: 0x30,
                next_state: 0x30,
                prev_frame: 1,
                next_frame: 1,
            };
            sink.record(cpu, &record(ts, *seq, Kind::Switch, &switch));
            let vector = Vector::CallFunction as u8;
            let irq = Irq { tid: next, vector, frame: 1, state: 0x30, zero: 0 };
            sink.record(cpu, &record(ts + 5, *seq + 1, Kind::IrqEntry, &irq));
            sink.record(cpu, &record(ts + 9, *seq + 2, Kind::IrqExit, &irq));
            (*slot, *seq, self.events) = (next, *seq + 3, self.events + 3);
        }
        sink.advance(self.ts);
    }
}
