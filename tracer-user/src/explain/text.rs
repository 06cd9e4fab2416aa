//! The explanation as text for people.

use std::io::{self, Write};

use super::schema::{
    BelongsTo, Call, ExplainedCall, ExplainedCpu, ExplainedFinding, Explanation, Known, List,
    Outcome, Ran, Serialized, Until, User, Work,
};
use crate::report::text::{
    Cell, Ink, Kind, Line, MAX_WIDTH, MIN_WIDTH, Page, Style, Table, chain, count, duration, mm,
    moment, relative_us, thread,
};

/// More CPUs than this do not help in text; the JSON has them all.
const MOST_CPUS: usize = 64;

/// The width of a label.
const LABEL: usize = 12;

/// Writes `explanation` as text.
///
/// # Errors
/// Whatever `to` refuses.
pub fn render(explanation: &Explanation, to: &mut impl Write, style: Style) -> io::Result<()> {
    let mut page = Page::new(style.width.clamp(MIN_WIDTH, MAX_WIDTH));
    if let Some(list) = &explanation.list {
        listed(explanation, list, &mut page);
    }
    if let Some(found) = &explanation.finding {
        finding(explanation, found, &mut page);
    }
    if let Some(call) = &explanation.call {
        if explanation.finding.is_some() {
            page.blank();
        }
        explained(explanation, call, &mut page);
    }
    if explanation.lost > 0 {
        page.blank();
        let text = format!(
            "{} events of this run were lost: what is not seen here may have happened all the same.",
            count(explanation.lost)
        );
        page.hanging(Line::new(), Ink::Doubt, &text);
    }
    page.write(to, style.colour)
}

fn listed(explanation: &Explanation, list: &List, page: &mut Page) {
    let start = explanation.window_start_ns;
    let text = format!(
        "{} SYNC_CORE calls and {} findings in {}",
        count(explanation.calls_total),
        count(explanation.findings_total),
        duration(explanation.window_end_ns.saturating_sub(start)),
    );
    page.hanging(Line::new(), Ink::Head, &text);
    if !list.calls.is_empty() {
        page.heading("Calls", "--call N; times in us since the window opened");
        calls(&list.calls, start, page);
        if list.calls_omitted > 0 {
            let more = format!("and {} more, by their numbers", count(list.calls_omitted));
            page.line(Line::new().text("  ").ink(Ink::Dim, &more));
        }
    }
    // They may be among the first, and few are told twice for the sake of one table.
    if list.calls_omitted > 0 && !list.slowest.is_empty() {
        page.heading("The slowest", "the longest first");
        calls(&list.slowest, start, page);
    }
    if !list.findings.is_empty() {
        page.heading("Findings", "--finding N");
        for one in &list.findings {
            let lead = Line::new()
                .text(&format!("  {}. ", one.number))
                .ink(Ink::Bad, &one.rule)
                .text("  ");
            let belongs = match one.belongs_to {
                BelongsTo::Call { number: Some(number), .. } => format!(" (call {number})"),
                _ => String::new(),
            };
            page.hanging(lead, Ink::Plain, &format!("{}{belongs}", one.summary));
        }
        if list.findings_omitted > 0 {
            let more = format!("and {} more that were not kept", count(list.findings_omitted));
            page.line(Line::new().text("  ").ink(Ink::Dim, &more));
        }
    }
}

fn calls(calls: &[Call], start: u64, page: &mut Page) {
    let mut table = Table::new(&[
        ("call", Kind::Right),
        ("began", Kind::Right),
        ("cpu", Kind::Right),
        ("thread", Kind::Text),
        ("mm", Kind::Right),
        ("took", Kind::Right),
        ("targeted", Kind::Number),
        ("skipped", Kind::Number),
        ("returned", Kind::Right),
    ]);
    for call in calls {
        let returned = call.returned.map_or_else(|| "?".to_owned(), |ret| ret.to_string());
        table.row(vec![
            Cell::text(&call.number.to_string()),
            Cell::text(&relative_us(call.begin_ns, start)),
            Cell::text(&call.cpu.to_string()),
            Cell::text(&thread(call.comm.as_deref(), Some(call.tid))),
            Cell::text(&mm(Some(call.mm))),
            Cell::text(&call.latency_ns.map_or_else(|| "?".to_owned(), duration)),
            Cell::maybe(call.targeted.map(u64::from)),
            Cell::maybe(call.skipped.map(u64::from)),
            Cell::text(&returned).ink(if call.returned.is_some_and(|ret| ret < 0) {
                Ink::Doubt
            } else {
                Ink::Plain
            }),
        ]);
    }
    table.show(page);
}

fn finding(explanation: &Explanation, found: &ExplainedFinding, page: &mut Page) {
    let ExplainedFinding { number, finding, belongs_to } = found;
    let lead = Line::new()
        .ink(Ink::Head, &format!("Finding {number}: "))
        .ink(Ink::Bad, &format!("{} {}", finding.rule, finding.severity.name()))
        .text("  ");
    let place = format!(
        "CPU {}, {}, mm {}, {}",
        finding.cpu,
        thread(finding.comm.as_deref(), finding.tid),
        mm(finding.mm),
        finding.evidence.name()
    );
    page.hanging(lead, Ink::Plain, &place);
    page.hanging(Line::new().text("  "), Ink::Plain, &finding.summary);
    let ago = |ts: u64| format!("{} us", relative_us(ts, finding.ts_ns));
    let belongs = match *belongs_to {
        BelongsTo::Call { number: Some(number), .. } => format!("call {number}, explained below"),
        BelongsTo::Call { number: None, begin_ns } => format!(
            "a call that began at {}: before the window, or too many calls ago to have a number here",
            ago(begin_ns)
        ),
        BelongsTo::Switch { ts_ns, prev_tid, prev_mm, next_tid, next_mm } => format!(
            "the switch at {} from thread {prev_tid} (mm {}) to thread {next_tid} (mm {})",
            ago(ts_ns),
            mm(Some(prev_mm)),
            mm(Some(next_mm))
        ),
        BelongsTo::MmChange { ts_ns } => format!(
            "a change of the logical mm without a switch (kthread_use_mm, exec), at {} or later",
            ago(ts_ns)
        ),
        BelongsTo::Flush { ts_ns } => format!("a flush, at {}", ago(ts_ns)),
        BelongsTo::Nothing => String::new(),
    };
    if !belongs.is_empty() {
        page.hanging(Line::new().text("  "), Ink::Plain, &format!("It belongs to {belongs}."));
    }
    page.heading("What led there", "times in us before the finding");
    chain(&finding.chain, finding.ts_ns, page);
    let at = format!("at {} s of {}", moment(finding.ts_ns), explanation.clock);
    page.line(Line::new().text("  ").ink(Ink::Dim, &at));
}

fn explained(explanation: &Explanation, call: &ExplainedCall, page: &mut Page) {
    let Call { begin_ns: begin, cpu, .. } = call.call;
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
        "  {began} on cpu {cpu}, {} after the window opened (at {} s of {})",
        duration(begin.saturating_sub(explanation.window_start_ns)),
        moment(begin),
        explanation.clock
    );
    page.hanging(Line::new().text("  "), Ink::Plain, at.trim_start());
    let ended = match (call.call.end_ns, call.call.returned) {
        (Some(end), Some(ret)) => {
            let moved = call.call.end_cpu.filter(|&end| end != cpu);
            let moved = moved.map_or_else(String::new, |end| format!(", on cpu {end}"));
            format!("returned {ret} after {}{moved}", duration(end.saturating_sub(begin)))
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
            format!("had {targeted} cpus run ipi_sync_core, and left {skipped} alone")
        }
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
        each(one, call, page);
    }
    let left_out = call.cpus.len() - shown.len();
    if left_out > 0 {
        let more = format!("{} more cpus, in the JSON", count(left_out as u64));
        page.line(Line::new().text("  ").ink(Ink::Dim, &more));
    }
    if !call.cpus_offline.is_empty() {
        let more = format!("{} cpus were offline", count(call.cpus_offline.len() as u64));
        page.line(Line::new().text("  ").ink(Ink::Dim, &more));
    }
    page.blank();
    let looked = match call.looked_until {
        Until::AllSettled => "every cpu had run user code of the mm again",
        Until::Limit => "longer than this no call is followed",
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

/// A time since the call began, in microseconds.
fn since(ts: u64, begin: u64) -> String {
    relative_us(ts, begin)
}

fn each(one: &ExplainedCpu, call: &ExplainedCall, page: &mut Page) {
    let begin = call.call.begin_ns;
    let (ink, word) = match one.outcome {
        Outcome::Covered => (Ink::Good, "covered"),
        Outcome::NotCovered => (Ink::Bad, "NOT COVERED"),
        Outcome::Undecided => (Ink::Doubt, "undecided"),
        Outcome::NotRun => (Ink::Plain, "nothing owed yet"),
        Outcome::NoPromise => (Ink::Dim, "no promise"),
    };
    page.line(Line::new().ink(Ink::Head, &format!("  cpu {}  ", one.cpu)).ink(ink, word));
    let mut row = |label: &str, ink: Ink, text: &str| {
        let lead = Line::new().text("    ").ink(Ink::Dim, &format!("{label:<LABEL$}"));
        page.hanging(lead, ink, text);
    };
    let decided = one.at_decision.as_ref().unwrap_or(&one.at_begin);
    if differs(decided, &one.at_begin) {
        row("at first", Ink::Plain, &ran(&one.at_begin, begin));
    }
    row("ran", Ink::Plain, &ran(decided, begin));
    row("call", Ink::Plain, &targeted(one, call, begin));
    match &one.serialized {
        Some(sync) => row("serialized", Ink::Plain, &serialized(sync, begin)),
        None => row("serialized", Ink::Plain, "not seen to, since the call began"),
    }
    if let Some(user) = &one.user {
        row("user code", Ink::Plain, &ran_user(user, begin));
    } else if call.call.end_ns.is_some() {
        row("user code", Ink::Plain, "none of this mm seen after the return");
    }
    if one.lost > 0 {
        row("lost", Ink::Doubt, &format!("{} events of this cpu", count(one.lost)));
    }
    row("so", ink, &so(one));
}

/// Whether something else ran.
fn differs(one: &Ran, other: &Ran) -> bool {
    let essence = |ran: &Ran| (ran.tid, ran.logical_mm, ran.real_mm, ran.lazy);
    essence(one) != essence(other)
}

fn ran(ran: &Ran, begin: u64) -> String {
    let Some(tid) = ran.tid else {
        return format!("not known (at {})", since(ran.ts_ns, begin));
    };
    let lazy = match ran.lazy {
        Some(true) => "lazy",
        Some(false) => "not lazy",
        None => "lazy or not is not known",
    };
    let kind = match (tid, ran.kthread) {
        (0, _) => " (idle)",
        (_, Some(true)) => " (kernel thread)",
        _ => "",
    };
    format!(
        "{}{kind}: logical mm {}, real mm {}, {lazy} (at {})",
        thread(ran.comm.as_deref(), Some(tid)),
        mm(ran.logical_mm),
        mm(ran.real_mm),
        since(ran.ts_ns, begin)
    )
}

fn targeted(one: &ExplainedCpu, call: &ExplainedCall, begin: u64) -> String {
    if let Some(skipped) = &one.skipped {
        return format!("left it alone: {}", skipped.what);
    }
    match &one.work {
        Some(work) if one.targeted == Some(true) => way(work, begin),
        _ if call.call.returned.is_some_and(|ret| ret < 0) => {
            "failed before it chose its targets, or after: nothing was seen to go here".to_owned()
        }
        _ => "whether it targeted this cpu was not seen".to_owned(),
    }
}

/// The way of the function.
fn way(work: &Work, begin: u64) -> String {
    let at = |ts: Option<u64>| ts.map_or_else(|| "?".to_owned(), |ts| since(ts, begin));
    if work.direct {
        return format!(
            "the caller's own cpu: ipi_sync_core ran here by a direct call at {}",
            at(work.handler_begin_ns)
        );
    }
    let mut parts = vec![format!("targeted: queued at {}", at(work.queued_ns))];
    if let Some(behind) = work.behind.filter(|&behind| behind > 0) {
        parts.push(format!("behind {behind} of other calls"));
    }
    parts.extend(work.ipi_ns.map(|ts| format!("IPI sent at {}", since(ts, begin))));
    parts.push(match (work.arrived_ns, work.handler_begin_ns, work.vector) {
        (Some(arrived), Some(_), Some(vector)) => {
            format!("{vector} interrupt at {}", since(arrived, begin))
        }
        (_, Some(_), _) => "no interrupt of its own seen".to_owned(),
        (_, None, _) => "not seen to run".to_owned(),
    });
    if let (Some(handler), Some(ts)) = (work.handler, work.handler_begin_ns) {
        let end = work.handler_end_ns.map(|end| format!(" to {}", since(end, begin)));
        parts.push(format!("{handler} ran from {}{}", since(ts, begin), end.unwrap_or_default()));
    }
    parts.join(", ")
}

fn serialized(sync: &Serialized, begin: u64) -> String {
    format!("by {} at {} or later ({})", sync.cause, since(sync.ts_ns, begin), sync.evidence.name())
}

fn ran_user(user: &User, begin: u64) -> String {
    let who = thread(user.comm.as_deref(), Some(user.tid));
    let way = match user.way {
        Some("sysret") => "by SYSRET",
        Some("iret") => "by IRET",
        Some(_) => "by SYSEXIT or SYSRETL",
        None => "by a way that was not seen",
    };
    let seen = since(user.seen_ns, begin);
    let how = user.evidence.name();
    match user.since_ns {
        Some(ts) if user.on_its_way => format!(
            "{who} on its way back {way} since {} ({how}), perhaps there before {seen}",
            since(ts, begin)
        ),
        Some(ts) => {
            format!(
                "{who}, returned {way} at {} or later ({how}), seen there by {seen}",
                since(ts, begin)
            )
        }
        None => format!("{who}, returned {way}, seen there by {seen} ({how})"),
    }
}

fn so(one: &ExplainedCpu) -> String {
    match (one.outcome, one.user.is_some()) {
        (Outcome::Covered, true) => {
            "it serialized after the call began and before user code of the mm ran on it again"
                .to_owned()
        }
        (Outcome::Covered, false) => {
            "it serialized after the call began; whatever runs next here is covered".to_owned()
        }
        (Outcome::NotCovered, _) => {
            let finding =
                one.finding.map_or_else(String::new, |number| format!(": finding {number}"));
            format!(
                "it ran user code of the mm without having serialized since the call began{finding}"
            )
        }
        (Outcome::NotRun, _) => {
            "it has not serialized, and has not run user code of the mm either".to_owned()
        }
        (Outcome::Undecided | Outcome::NoPromise, _) => one.why.clone(),
    }
}
