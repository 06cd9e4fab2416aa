//! One CPU's part in a call.

use super::{
    super::schema::{ExplainedCall, ExplainedCpu, Outcome, Ran, Serialized, User, Work},
    since,
};
use crate::report::{
    Evidence,
    text::{Ink, Line, Page, count, mm, thread},
};

/// The width of a label.
const LABEL: usize = 12;

pub(super) fn put(one: &ExplainedCpu, call: &ExplainedCall, page: &mut Page) {
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
    if !failed(call) {
        match &one.serialized {
            Some(sync) if one.outcome == Outcome::NotCovered => {
                let text = format!("too late, {}", serialized(sync, begin));
                row("serialized", Ink::Plain, &text);
            }
            Some(sync) => {
                let last = one.serialized_last.as_ref().map(|last| serialized(last, begin));
                let last = last.map_or_else(String::new, |last| format!("; last {last}"));
                row("serialized", Ink::Plain, &format!("{}{last}", serialized(sync, begin)));
            }
            None => row("serialized", Ink::Plain, "not seen to, since the call began"),
        }
        match &one.user {
            Some(user) => row("user code", Ink::Plain, &ran_user(user, begin)),
            None if call.call.end_ns.is_some() => {
                row("user code", Ink::Plain, "none of this mm seen after the return");
            }
            None => {}
        }
    }
    if one.lost > 0 {
        row("lost", Ink::Doubt, &format!("{} events of this cpu", count(one.lost)));
    }
    row("so", ink, &so(one));
}

/// Nothing that happened then has to do with a call that failed.
fn failed(call: &ExplainedCall) -> bool {
    call.call.returned.is_some_and(|ret| ret < 0)
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
    match (&one.work, one.targeted) {
        (Some(work), _) => way(work, begin),
        _ if failed(call) => "did not come so far".to_owned(),
        (None, Some(_)) => "did not target it".to_owned(),
        (None, None) => "whether it targeted this cpu was not seen".to_owned(),
    }
}

/// The way of the function.
fn way(work: &Work, begin: u64) -> String {
    let at = |ts: Option<u64>| ts.map_or_else(|| "?".to_owned(), |ts| since(ts, begin));
    if work.direct {
        return format!(
            "the caller's own cpu: {} ran here by a direct call at {}{}",
            work.handler.unwrap_or("it"),
            at(work.handler_begin_ns),
            and_serialized(work)
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
        let (end, and) = (end.unwrap_or_default(), and_serialized(work));
        parts.push(format!("{handler} ran from {}{end}{and}", since(ts, begin)));
    }
    parts.join(", ")
}

/// What the function did, where that is known.
const fn and_serialized(work: &Work) -> &'static str {
    match work.handler_serialized {
        Some(true) => " and serialized",
        Some(false) => " and did NOT serialize",
        None => "",
    }
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
        Some(ts) if user.evidence == Evidence::Observed => {
            format!("{who}, returned {way} at {} ({how})", since(ts, begin))
        }
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
