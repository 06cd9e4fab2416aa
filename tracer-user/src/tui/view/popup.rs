//! Pages over the screen: help, a row in words, explanations.

use ratatui::layout::Rect;

use super::{
    super::{
        command::{Group, entries},
        machine::Explained,
        state::{Popup, Screen, State},
        theme::{Theme, Tone},
    },
    Shown, calls,
    canvas::{Canvas, row, top},
    findings,
};
use crate::{
    explain::{Ask, text},
    filter::Field,
    report::text::{Ink, Line, Page},
};

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, shown: &Shown<'_>, state: &mut State) {
    let Some(popup) = state.popup.clone() else { return };
    let (head, body) = top(area, 1);
    let page = page(&popup, shown, state, usize::from(body.width));
    let (lines, room) = (page.lines().len(), usize::from(body.height));
    state.scroll = state.scroll.min(lines.saturating_sub(room));
    state.popup_page = room;
    let title = match popup {
        Popup::Help => format!("Help: {}", state.screen.title()),
        Popup::Detail(screen, _) => screen.title().to_owned(),
        Popup::Explain(Ask::Call(n)) => format!("Call {n}, CPU by CPU"),
        Popup::Explain(Ask::Finding(n)) => format!("Finding {n}"),
        Popup::Explain(Ask::List) => String::new(),
    };
    let more = if lines > room {
        format!("   lines {} to {} of {lines}", state.scroll + 1, (state.scroll + room).min(lines))
    } else {
        String::new()
    };
    canvas.put(row(head, 0), &[(Tone::Head, title), (Tone::Dim, more)]);
    canvas.page(body, &page, state.scroll);
}

/// A popup's page.
pub(super) fn page(popup: &Popup, shown: &Shown<'_>, state: &State, width: usize) -> Page {
    match popup {
        Popup::Help => help(shown, state, width),
        Popup::Detail(screen, key) => {
            super::detail_page(*screen, *key, shown.snapshot, width as u16)
        }
        Popup::Explain(ask) => explanation(*ask, shown, width),
    }
}

fn explanation(ask: Ask, shown: &Shown<'_>, width: usize) -> Page {
    let mut page = Page::new(width);
    if let Ask::Finding(number) = ask
        && let Some(row) = shown.snapshot.findings.iter().find(|row| row.number == number)
    {
        findings::detail(row, shown.snapshot, &mut page);
        findings::lanes(&row.finding, &mut page);
        page.blank();
    }
    match shown.explained {
        None | Some(Explained::Working) => {
            page.line(Line::new().ink(Ink::Dim, "The explanation is being worked out ..."));
        }
        Some(Explained::No(why)) => page.hanging(Line::new(), Ink::Doubt, why),
        Some(Explained::Ready(explanation)) => {
            let mut explanation = (**explanation).clone();
            // The finding has its lanes; what is left to tell is what it belongs to.
            if let Some(found) = explanation.finding.take_if(|_| matches!(ask, Ask::Finding(_))) {
                let belongs = text::belongs(&found.belongs_to, found.finding.ts_ns);
                if !belongs.is_empty() {
                    page.hanging(Line::new(), Ink::Plain, &format!("It belongs to {belongs}."));
                    page.blank();
                }
            }
            let told = text::page(&explanation, width);
            for line in told.lines() {
                let pieces = line.iter().fold(Line::new(), |all, (ink, text)| all.ink(*ink, text));
                page.line(pieces);
            }
        }
    }
    page
}

/// What a screen shows, and what its signs mean.
fn about(screen: Screen, page: &mut Page) {
    let mut say = |lead: &str, text: &str| {
        page.hanging(Line::new().ink(Ink::Head, &format!("{lead:<10} ")), Ink::Plain, text);
    };
    match screen {
        Screen::Cpus => {
            say(
                "logical",
                "the mm of the thread that the scheduler runs there (rq->curr->mm); - is none: a kernel thread or the idle task",
            );
            say("real", "the mm that the MMU has loaded (cpu_tlbstate.loaded_mm); ? is not known");
            say("==  same", "both are the same process's");
            say(
                "~~  LAZY",
                "no process runs there, but the MMU keeps the last one's mm. If it comes back, nothing need be loaded, so nothing need serialize; SYNC_CORE calls don't interrupt such a CPU",
            );
            say(
                "=~  LAZY,",
                "the process is back (or a kernel thread took its mm), and laziness has not been cleared yet",
            );
            say("!=  DIFFER", "they differ and nothing explains it: worth a look");
            say("kernel", "no process's mm is loaded");
            say("sync, by", "how long ago the CPU last serialized, and by what");
            say(
                "owes",
                "its logical mm is registered for SYNC_CORE and became it without serializing: before it returns to user mode it has to (rule R1)",
            );
            say(
                "left alone",
                "a SYNC_CORE call did not interrupt it, why, and it has not serialized since",
            );
            say("lag", "TLB flushes that it has not caught up with");
            say(
                "map",
                "where CPUs are too many: ! differ, ~ lazy, L lazy on its own, = same, . kernel, > switching, ? unknown, x offline",
            );
        }
        Screen::Mms => {
            say("reg", "registrations: private, sync_core, rseq, global");
            say("cost", "time that its threads spent in membarrier calls");
            say("targets", "CPUs that its SYNC_CORE calls interrupted, summed");
            say("lazy", "CPUs that they left alone although these kept its mm, lazily");
            say("idle,", "CPUs that they left alone: idle with another mm; any other reason");
            say("other", "");
            say(
                "sent, recv",
                "IPIs for TLB flushes that its threads sent; that arrived while it ran",
            );
            say("on, kept", "CPUs whose logical mm it is; CPUs that only keep it loaded");
        }
        Screen::Calls => {
            say("tgt, skip", "CPUs that the call interrupted, and that it left alone");
            say("per CPU", calls::LEGEND);
            say("took", "from entry to return; ... is still under way");
        }
        Screen::Findings => {
            say("violation", "a promise of the kernel was broken");
            say(
                "hazard",
                "the discipline that keeps the promise was broken; another event may yet have saved it",
            );
            say(
                "self-check",
                "the reconstruction disagrees with the kernel: a fault of unlazy until shown otherwise",
            );
            say(
                "evidence",
                "the weakest link: observed by a probe, inferred from what surrounds it, or assumed from source",
            );
            say("R1", "a CPU serializes between taking up a registered mm and its user code");
            say(
                "R2",
                "after a SYNC_CORE call returned, no CPU runs user code of the mm without having serialized since the call began",
            );
            say("R3", "no CPU runs user code with its TLB behind a flush that was done");
            say("R4", "no flush with freed page tables is done while a CPU stays lazy on the mm");
            say("R5", "no mm is freed while a CPU has it");
            say("R6", "rq->membarrier_state is the mm's");
        }
        Screen::Ipis => {
            say("map", "interprocessor interrupts, sources downwards, targets to the right");
            say("call", "interrupts that run a function: TLB flushes, membarriers");
            say("because of", "the function that most of them were for");
        }
        Screen::Health => {
            say(
                "lost",
                "events that the kernel side could not hand over: nothing is concluded across them",
            );
            say("inconclus.", "checks that could not be decided; they never read as passed");
        }
    }
    say(
        "timeline",
        "F finding, c SYNC_CORE call, L lost, m mark, . and : how busy, ? not read yet, ^ here",
    );
}

fn help(shown: &Shown<'_>, state: &State, width: usize) -> Page {
    let mut page = Page::new(width);
    about(state.screen, &mut page);
    for (group, title) in Group::ALL {
        page.heading(title, "");
        for entry in entries(shown.can_live).filter(|entry| entry.group == group) {
            let keys: Vec<String> =
                shown.keymap.keys(entry.command).map(|chord| chord.to_string()).collect();
            let lead = Line::new().ink(Ink::Head, &format!("  {:<17} ", keys.join(" ")));
            page.hanging(lead, Ink::Plain, &format!("{} ({})", entry.what, entry.name));
        }
    }
    page.heading("Filter", "terms side by side must all match; or, not and ( ) work");
    for (field, name, what) in Field::ALL {
        let operators = match field {
            Field::Latency => "> <",
            _ => "=",
        };
        page.hanging(
            Line::new().text(&format!("  {:<11} ", format!("{name}{operators}"))),
            Ink::Plain,
            what,
        );
    }
    page.heading("Colours", "");
    for (theme, name, what) in Theme::ALL {
        let now = if theme == state.theme { " (now)" } else { "" };
        page.hanging(
            Line::new().text(&format!("  {name:<11} ")),
            Ink::Plain,
            &format!("{what}{now}"),
        );
    }
    page
}
