//! One call: its own story, and then each CPU's.

use super::{
    super::{
        schema::{Call, ExplainedCall, ExplainedCpu, Explanation, Known, Outcome, Until},
        tell::errno,
    },
    cpu, since, some,
};
use crate::report::text::{Ink, Line, Page, count, duration, mm, moment, thread};

/// More CPUs than this do not help in text; the JSON has them all.
const MOST_CPUS: usize = 64;

pub(super) fn put(explanation: &Explanation, call: &ExplainedCall, page: &mut Page) {
    let Call { begin_ns: begin, cpu: on, .. } = call.call;
    let lead = Line::new().ink(Ink::Head, &format!("Call {}: ", call.call.number));
    let text = format!(
        "membarrier PRIVATE_EXPEDITED_SYNC_CORE by {}, mm {}",
        thread(call.call.comm.as_deref(), Some(call.call.tid)),
        mm(Some(call.call.mm)),
    );
    page.hanging(lead, Ink::Plain, &text);
    let began = match call.call.known_by {
        Known::SystemCall => "began",
        Known::Function => "membarrier_private_expedited began",
        Known::Work => "first noticed by its own work (it began earlier, unseen)",
    };
    let at = format!(
        "{began} on cpu {on}, {} after the window opened (at {} s of {})",
        duration(begin.saturating_sub(explanation.window_start_ns)),
        moment(begin),
        explanation.clock
    );
    page.hanging(Line::new().text("  "), Ink::Plain, &at);
    let ended = match (call.call.end_ns, call.call.returned) {
        (Some(end), Some(ret)) => {
            let moved = call.call.end_cpu.filter(|&end| end != on);
            let moved = moved.map_or_else(String::new, |end| format!(", on cpu {end}"));
            let why = if ret < 0 { format!(" ({})", errno(ret)) } else { String::new() };
            let took = duration(end.saturating_sub(begin));
            format!("returned {ret}{why} after {took}{moved}")
        }
        _ => "was not seen to return".to_owned(),
    };
    page.hanging(Line::new().text("  "), Ink::Plain, &ended);
    if let (Some(from), to) = (call.function_begin_ns, call.function_end_ns) {
        let to = to.map_or_else(|| "?".to_owned(), |to| since(to, begin));
        let text = format!("membarrier_private_expedited ran from {} to {to}", since(from, begin));
        page.hanging(Line::new().text("  "), Ink::Plain, &text);
    }
    let targets = match (call.call.targeted, call.call.skipped) {
        (Some(targeted), Some(skipped)) => {
            let cpus = some(targeted, "cpu", "cpus");
            format!("had {cpus} run ipi_sync_core, and left {skipped} alone")
        }
        (Some(0), None) => "failed before it asked any cpu".to_owned(),
        _ => "whom it had run ipi_sync_core was not seen".to_owned(),
    };
    page.hanging(Line::new().text("  "), Ink::Plain, &targets);
    if call.caller_lost {
        let text = "events of the caller's cpu were lost while it chose its targets";
        page.hanging(Line::new().text("  "), Ink::Doubt, text);
    }
    page.heading("CPUs", "times in us since the call began");
    let shown = choose(&call.cpus);
    for one in &shown {
        cpu::put(one, call, page);
    }
    let left_out = call.cpus.len() - shown.len();
    if left_out > 0 {
        let more = format!("{} more cpus, in the JSON", count(left_out as u64));
        page.line(Line::new().text("  ").ink(Ink::Dim, &more));
    }
    if !call.cpus_offline.is_empty() {
        let more =
            format!("{} offline", some(call.cpus_offline.len() as u64, "cpu was", "cpus were"));
        page.line(Line::new().text("  ").ink(Ink::Dim, &more));
    }
    page.blank();
    let looked = match call.looked_until {
        Until::AllSettled => "every cpu had run user code of the mm again",
        Until::Limit => "longer than this no call is followed",
        Until::Failed => "the call failed",
        Until::NotSeenToReturn => "its thread went on, and no return was seen",
        Until::EndOfTrace if explanation.to_ns.is_some() => "what was asked for ends (--to)",
        Until::EndOfTrace => "the trace ends",
    };
    let text = format!("Followed until {}: {looked}.", since(call.looked_until_ns, begin));
    page.hanging(Line::new(), Ink::Dim, &text);
}

/// All of them if they are few; else first those that matter, and in their order.
fn choose(cpus: &[ExplainedCpu]) -> Vec<&ExplainedCpu> {
    let mut all: Vec<&ExplainedCpu> = cpus.iter().collect();
    if all.len() > MOST_CPUS {
        all.sort_by_key(|one| {
            let rank = match one.outcome {
                Outcome::NotCovered => 0,
                Outcome::Undecided => 1,
                _ if one.targeted != Some(false) => 2,
                Outcome::Covered | Outcome::NotRun | Outcome::NoPromise => 3,
            };
            (rank, one.cpu)
        });
        all.truncate(MOST_CPUS);
        all.sort_by_key(|one| one.cpu);
    }
    all
}
