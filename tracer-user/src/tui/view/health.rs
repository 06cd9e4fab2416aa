//! Health: how sure all this is, and what it costs.

use ratatui::layout::Rect;

use super::{
    super::{snapshot::Snapshot, state::State},
    Shown,
    canvas::Canvas,
    words,
};
use crate::report::{
    Attach, Report,
    text::{Ink, Line, Page, count, health},
};

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, shown: &Shown<'_>, state: &mut State) {
    let page = page(shown.snapshot, usize::from(area.width));
    let lines = page.lines().len();
    let room = usize::from(area.height);
    let list = state.list_mut();
    list.columns = 0;
    // Of a page, what is chosen is the first line in view.
    list.lay_out((0..=lines.saturating_sub(room) as u64).collect(), room);
    let from = list.position();
    canvas.page(area, &page, from);
}

/// All of it.
pub(super) fn page(snapshot: &Snapshot, width: usize) -> Page {
    let mut page = Page::new(width);
    sure(snapshot, &mut page);
    cost(snapshot, &mut page);
    probes(snapshot, &mut page);
    health(&report(snapshot), &mut page);
    page
}

fn sure(snapshot: &Snapshot, page: &mut Page) {
    let totals = &snapshot.totals;
    let known = snapshot.cpus.iter().filter(|cpu| cpu.state.known && !cpu.offline).count();
    let online = snapshot.cpus.iter().filter(|cpu| !cpu.offline).count();
    let mut say = |ink: Ink, text: &str| page.hanging(Line::new(), ink, text);
    say(
        Ink::Plain,
        &format!(
            "{} events in {} mode; {known} of {online} CPUs known",
            count(totals.events),
            snapshot.moment.mode.name()
        ),
    );
    if totals.lost > 0 {
        let text = format!(
            "{} events LOST: CPUs are unknown afterwards until they switch, and checks undecided",
            count(totals.lost)
        );
        say(Ink::Doubt, &text);
    }
    if totals.inconclusive > 0 {
        say(Ink::Doubt, &format!("{} checks could not be decided", count(totals.inconclusive)));
    }
    if totals.divergences > 0 {
        let text = format!(
            "{} times the reconstruction differed from the kernel's own variables (R7): a fault of \
             unlazy until shown otherwise",
            count(totals.divergences)
        );
        say(Ink::Bad, &text);
    }
    if totals.lost + totals.inconclusive + totals.divergences == 0 {
        say(Ink::Good, "Nothing lost, nothing undecided, no divergence.");
    }
}

fn cost(snapshot: &Snapshot, page: &mut Page) {
    let cost = &snapshot.health.cost;
    let mut lines = Vec::new();
    if let Some(percent) = cost.cpu_percent {
        lines.push(("unlazy's CPU time", format!("{percent:.1} % of one CPU")));
    }
    if let Some(kib) = cost.rss_kib {
        lines.push(("unlazy's memory", format!("{} MiB", kib / 1024)));
    }
    if let Some(bytes) = cost.history_bytes {
        let back = cost
            .history_ns
            .map_or_else(String::new, |ns| format!(", back to {} ago", words::short(ns)));
        lines.push(("history", format!("{} MiB{back}", bytes >> 20)));
    }
    if let Some(bytes) = cost.ring_bytes_per_cpu {
        let high = cost.ring_high_water.map_or_else(String::new, |high| {
            format!(", the fullest held {} KiB", count(high >> 10))
        });
        lines.push(("buffers", format!("{} KiB a CPU{high}", count(bytes >> 10))));
    }
    if lines.is_empty() && cost.programs.is_none() {
        return;
    }
    page.heading("What watching costs", "");
    for (what, text) in lines {
        page.hanging(Line::new().text(&format!("  {what:<20} ")), Ink::Plain, &text);
    }
    match &cost.programs {
        None => page.hanging(
            Line::new().text(&format!("  {:<20} ", "BPF programs")),
            Ink::Dim,
            "not counted; sysctl kernel.bpf_stats_enabled=1 has the kernel count it, at a cost of its own",
        ),
        Some(programs) => {
            let mut programs: Vec<_> = programs.iter().collect();
            programs.sort_by_key(|program| std::cmp::Reverse(program.ns));
            for program in programs {
                let each = program.ns.checked_div(program.runs).unwrap_or(0);
                let text = format!(
                    "{} in {} runs, {each} ns each",
                    words::short(program.ns),
                    count(program.runs)
                );
                page.hanging(Line::new().text(&format!("  {:<20} ", program.name)), Ink::Plain, &text);
            }
        }
    }
}

fn probes(snapshot: &Snapshot, page: &mut Page) {
    let probes = &snapshot.health.probes;
    if probes.is_empty() {
        return;
    }
    let of = |state: Attach| probes.iter().filter(move |probe| probe.state == state);
    let aside = format!(
        "{} attached, {} failed, {} not wanted here",
        of(Attach::Attached).count(),
        of(Attach::Failed).count(),
        of(Attach::Skipped).count()
    );
    page.heading("Probes", &aside);
    for (state, ink) in [(Attach::Failed, Ink::Bad), (Attach::Skipped, Ink::Dim)] {
        for probe in of(state) {
            let lead =
                Line::new().text("  ").ink(ink, &format!("{} ", state.name())).text(&probe.name);
            page.hanging(lead.text(": "), Ink::Plain, &probe.why);
        }
    }
    let names: Vec<&str> = of(Attach::Attached).map(|probe| &*probe.name).collect();
    if !names.is_empty() {
        page.hanging(
            Line::new().text("  ").ink(Ink::Good, "attached "),
            Ink::Plain,
            &names.join(", "),
        );
    }
}

/// What the report's own sections need.
fn report(snapshot: &Snapshot) -> Report {
    let health = &snapshot.health;
    Report {
        mode: snapshot.moment.mode,
        kernel: health.kernel.clone(),
        rules: health.rules.clone(),
        events: health.events.clone(),
        transitions: health.transitions,
        user_returns: health.user_returns,
        blind_spots: health.blind_spots.clone(),
        text_audit: health.text_audit.clone(),
        ..Report::default()
    }
}
