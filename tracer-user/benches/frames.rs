//! How long a frame takes: every screen at 200x60, of 256 CPUs with all lists full.
//!
//! ```text
//! cargo bench -p tracer-user --bench frames
//! ```

use std::time::{Duration, Instant};

use ratatui::{buffer::Buffer, layout::Rect};
use unlazy::{
    explain::Call,
    report::{self, Evidence, LastSync},
    tui::{
        keys::Keymap,
        snapshot::{
            CallRow, Cover, CpuRow, FindingRow, IpiCell, MmRow, Moment, Place, Slice, Snapshot,
            Timeline,
        },
        state::{Screen, State},
        view::{self, Shown},
    },
};

const CPUS: u32 = 256;
const FRAMES: u32 = 200;

fn cpu(cpu: u32) -> CpuRow {
    let lazy = cpu.is_multiple_of(3);
    CpuRow {
        state: report::Cpu {
            cpu,
            known: true,
            tid: Some(1000 + cpu),
            comm: Some(format!("worker-{cpu}")),
            logical_mm: Some(if lazy { report::NO_MM } else { u64::from(cpu % 20) + 2 }),
            real_mm: Some(u64::from(cpu % 20) + 2),
            lazy: Some(lazy),
            last_sync: Some(LastSync {
                ns_ago: u64::from(cpu) * 12_345,
                cause: "CR3 write in switch_mm_irqs_off".to_owned(),
                evidence: Evidence::Inferred,
            }),
            ..report::Cpu::default()
        },
        place: Place::User,
        interrupts_per_s: Some(250.0),
        ..CpuRow::default()
    }
}

fn full() -> Snapshot {
    let call = |number: u64| CallRow {
        call: Call {
            number,
            begin_ns: number * 1000,
            tid: 200,
            comm: Some("jit".to_owned()),
            mm: 8,
            latency_ns: Some(12_345),
            ..Call::default()
        },
        coverage: (0..CPUS)
            .map(|cpu| if cpu % 7 == 0 { Cover::Targeted } else { Cover::OtherMm })
            .collect(),
        ..CallRow::default()
    };
    let finding = |number: u64| FindingRow {
        number,
        finding: report::Finding {
            rule: "R2".to_owned(),
            summary: "cpu 1 ran user code without serializing ".repeat(4),
            ..report::Finding::default()
        },
    };
    Snapshot {
        moment: Moment { at_ns: 2_000_000, last_ns: 3_000_000, ..Moment::default() },
        cpus: (0..CPUS).map(cpu).collect(),
        mms: (0..256)
            .map(|id| MmRow {
                state: report::Mm { id: id + 2, ..report::Mm::default() },
                ..MmRow::default()
            })
            .collect(),
        owners: (2..22).map(|id| (id, format!("process-{id}/{id}"))).collect(),
        calls: (1..=512).map(call).collect(),
        findings: (1..=107).map(finding).collect(),
        ipis: unlazy::tui::snapshot::Ipis {
            window_ns: 1_000_000,
            cells: (0..CPUS * CPUS)
                .map(|at| IpiCell { from: Some(at / CPUS), to: at % CPUS, count: u64::from(at) })
                .collect(),
            ..Default::default()
        },
        timeline: Timeline {
            to_ns: 3_000_000,
            known_to_ns: 3_000_000,
            slices: vec![Slice { events: 10, calls: 1, ..Slice::default() }; 1024],
            ..Timeline::default()
        },
        ..Snapshot::default()
    }
}

fn main() {
    let snapshot = full();
    let keymap = Keymap::default();
    let shown = Shown {
        snapshot: &snapshot,
        can_live: true,
        is_live: true,
        progress: None,
        explained: None,
        keymap: &keymap,
    };
    println!("{CPUS} CPUs, 200x60, {FRAMES} frames of each screen");
    for screen in Screen::ALL {
        let mut state = State { screen, ..State::default() };
        let mut buf = Buffer::empty(Rect::new(0, 0, 200, 60));
        let (mut all, mut longest) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..FRAMES {
            buf.reset();
            let begun = Instant::now();
            view::draw(&mut buf, &shown, &mut state);
            let took = begun.elapsed();
            all += took;
            longest = longest.max(took);
        }
        println!(
            "  {:<9} mean {:>7.1} us, longest {:>7.1} us",
            screen.title(),
            all.as_secs_f64() * 1e6 / f64::from(FRAMES),
            longest.as_secs_f64() * 1e6
        );
    }
}
