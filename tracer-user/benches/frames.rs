//! How long a frame takes, at 200x60, of a machine with 256 CPUs: drawing every screen with all lists full,
//! and the whole frame of a live run, from its snapshot to what is sent to the terminal.
//!
//! ```text
//! cargo bench -p tracer-user --bench frames
//! ```

mod busy;

use std::{
    io,
    time::{Duration, Instant},
};

use busy::{Busy, CPUS};
use ratatui::{
    Terminal, TerminalOptions, Viewport, backend::CrosstermBackend, buffer::Buffer, layout::Rect,
};
use unlazy::{
    explain::Call,
    report::{self, Evidence, LastSync},
    timeline::Live,
    tui::{
        app::App,
        command::Command,
        config::Settings,
        keys::Keymap,
        snapshot::{
            CallRow, Cover, CpuRow, FindingRow, IpiCell, MmRow, Moment, Place, Slice, Snapshot,
            Timeline,
        },
        state::{Screen, State},
        view::{self, Shown},
    },
};

const FRAMES: u32 = 200;
const AREA: Rect = Rect { x: 0, y: 0, width: 200, height: 60 };

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

/// Times of one screen's frames.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    fn tell(mut self, screen: Screen) {
        self.0.sort();
        let all: Duration = self.0.iter().sum();
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        let at = |share: usize| self.0.get((self.0.len() - 1) * share / 100).copied();
        println!(
            "  {:<9} mean {:>8.1} us, median {:>8.1}, 99 % {:>8.1}, longest {:>8.1}",
            screen.title(),
            us(all) / self.0.len() as f64,
            us(at(50).unwrap_or_default()),
            us(at(99).unwrap_or_default()),
            us(at(100).unwrap_or_default()),
        );
    }
}

/// Only drawing, into memory, with every list full.
fn drawing() {
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
    println!("drawing, with every list full, {FRAMES} frames of each screen");
    for screen in Screen::ALL {
        let mut state = State { screen, ..State::default() };
        let mut buf = Buffer::empty(AREA);
        let mut times = Times::default();
        for _ in 0..FRAMES {
            buf.reset();
            let begun = Instant::now();
            view::draw(&mut buf, &shown, &mut state);
            times.0.push(begun.elapsed());
        }
        times.tell(screen);
    }
}

/// All of a frame of a run that goes on: the snapshot, drawing, and the bytes of what has changed.
fn whole() -> anyhow::Result<()> {
    let mut app = App::new(Live::new(&busy::facts()), &Settings::default());
    let mut busy = Busy::begin(app.machine());
    for _ in 0..1_000 {
        busy.round(app.machine());
    }
    println!("whole frames of a live run, {FRAMES} of each screen");
    let options = TerminalOptions { viewport: Viewport::Fixed(AREA) };
    let mut terminal = Terminal::with_options(CrosstermBackend::new(io::sink()), options)?;
    for screen in Screen::ALL {
        app.run(Command::Screen(screen));
        let mut times = Times::default();
        for _ in 0..FRAMES {
            busy.round(app.machine());
            let begun = Instant::now();
            app.work(Duration::ZERO);
            terminal.draw(|frame| app.draw(frame.buffer_mut()))?;
            times.0.push(begun.elapsed());
        }
        times.tell(screen);
    }
    Ok(())
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

fn main() -> anyhow::Result<()> {
    println!("{CPUS} CPUs, {}x{}; load {}", AREA.width, AREA.height, load());
    drawing();
    whole()
}
