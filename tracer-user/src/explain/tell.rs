//! From what was collected to `unlazy.explain/1`.

use tracer_common::{
    model::{self, Answer, Skip, SyncPoint, UserRan},
    wire::Frame,
};

use super::{
    Ask, ExplainError, Explainer,
    detail::{Detail, OneCpu},
    nth,
    schema::{
        BelongsTo, ExplainedCall, ExplainedCpu, ExplainedFinding, Explanation, Known, List,
        ListedFinding, Outcome, SCHEMA, Serialized, Skipped, Until, User,
    },
};
use crate::report::{Evidence, Report};

/// Tells what was asked for.
pub(super) fn tell(
    explainer: Explainer,
    report: &Report,
    ask: Ask,
) -> Result<Explanation, ExplainError> {
    let Explainer { config, mut index, detail, .. } = explainer;
    let calls_hidden = index.close();
    let belongs_to =
        |number: u64| nth(&index.found, number).map_or(BelongsTo::Nothing, |one| one.belongs_to);
    let finding = match ask {
        Ask::Finding(asked) => {
            let no_finding = || ExplainError::NoFinding {
                asked,
                total: report.findings_total,
                kept: report.findings.len() as u64,
            };
            let finding = nth(&report.findings, asked).ok_or_else(no_finding)?.clone();
            Some(ExplainedFinding { finding, belongs_to: belongs_to(asked) })
        }
        Ask::List | Ask::Call(_) => None,
    };
    if let (Ask::Call(asked), None) = (ask, &detail) {
        return Err(ExplainError::NoCall { asked, total: index.total() });
    }
    let shown = || report.findings.iter().filter(|finding| index.filter.matches(*finding));
    let list = (ask == Ask::List).then(|| List {
        filter: (!index.filter.is_empty()).then(|| index.filter.to_string()),
        calls_omitted: index.total() - calls_hidden - index.listed.len() as u64,
        calls_hidden,
        calls: index.listed.clone(),
        slowest: index.slowest.clone(),
        findings: shown()
            .map(|finding| ListedFinding {
                number: finding.number,
                rule: finding.rule.clone(),
                ts_ns: finding.ts_ns,
                cpu: finding.cpu,
                summary: finding.summary.clone(),
                belongs_to: belongs_to(finding.number),
            })
            .collect(),
        findings_omitted: report.findings_omitted,
        findings_hidden: (report.findings.len() - shown().count()) as u64,
    });
    Ok(Explanation {
        schema: SCHEMA,
        verdict: report.verdict,
        mode: report.mode,
        clock: report.window.clock.clone(),
        window_start_ns: report.window.start_ns,
        window_end_ns: report.window.end_ns,
        from_ns: None,
        to_ns: None,
        skew_ns: config.skew,
        lost: report.events.lost.total,
        calls_total: index.total(),
        findings_total: report.findings_total,
        list,
        finding,
        call: detail.map(|detail| call(detail, config.sees_csd)),
    })
}

fn call(detail: Detail, sees_csd: bool) -> ExplainedCall {
    let offline = |one: &OneCpu| one.offline;
    let numbered = || (0..).zip(&detail.cpus);
    ExplainedCall {
        cpus: numbered()
            .filter(|(_, one)| !offline(one))
            .map(|(number, one)| cpu(number, one, &detail, sees_csd))
            .collect(),
        cpus_offline: numbered().filter(|(_, one)| offline(one)).map(|(cpu, _)| cpu).collect(),
        function_begin_ns: detail.function_begin,
        function_end_ns: detail.function_end,
        decided_ns: detail.decided,
        caller_lost: detail.caller_lost,
        looked_until_ns: detail.until,
        looked_until: detail.ended.unwrap_or(Until::EndOfTrace),
        call: detail.call,
    }
}

fn cpu(number: u32, one: &OneCpu, detail: &Detail, sees_csd: bool) -> ExplainedCpu {
    // What was queued before the model knew of the call, or was lost, went unseen.
    let failed = detail.call.returned.is_some_and(|ret| ret < 0);
    let sure = sees_csd
        && !detail.caller_lost
        && (detail.decided.is_some() || failed)
        && detail.call.known_by != Known::Work;
    let targeted = if one.targeted { Some(true) } else { sure.then_some(false) };
    let (outcome, why) = outcome(one, detail);
    let work = one.works.told(detail.config.ipi_sync_core);
    ExplainedCpu {
        cpu: number,
        at_begin: one.at_begin.clone(),
        at_decision: one.at_decision.clone(),
        targeted,
        skipped: one
            .skipped
            .filter(|_| targeted == Some(false) && work.is_none())
            .map(|skip| skipped(skip, one)),
        work,
        serialized: one.sync.map(|(sync, known_ns)| serialized(sync, Some(known_ns))),
        serialized_last: one
            .last_sync
            .filter(|last| one.sync.is_some_and(|(first, _)| first.ts < last.ts))
            .map(|sync| serialized(sync, None)),
        user: one.user.as_ref().map(|(ran, comm)| user(ran, comm.clone())),
        lost: one.lost,
        outcome,
        decided_ns: one.decided.map(|decided| decided.ts),
        why,
        finding: one.finding,
    }
}

const fn serialized(sync: SyncPoint, known_ns: Option<u64>) -> Serialized {
    let SyncPoint { ts, cause, evidence: known } = sync;
    Serialized { ts_ns: ts, known_ns, cause: cause.name(), evidence: evidence(known) }
}

/// What it comes to, and why no more can be said.
fn outcome(one: &OneCpu, detail: &Detail) -> (Outcome, String) {
    if one.finding.is_some() {
        return (Outcome::NotCovered, String::new());
    }
    if !detail.promises() {
        let why = match (detail.call.known_by, detail.call.returned) {
            (_, Some(ret)) => format!("the call failed: {}", errno(ret)),
            (Known::Work, None) => "only the call's work was seen".to_owned(),
            (_, None) => "the call was not seen to return".to_owned(),
        };
        return (Outcome::NoPromise, why);
    }
    if detail.call.known_by == Known::Work {
        return (Outcome::NoPromise, "when the call began was not seen".to_owned());
    }
    match (one.decided.map(|decided| decided.answer), &one.sync) {
        (Some(Answer::Yes), _) | (None, Some(_)) => (Outcome::Covered, String::new()),
        (Some(Answer::Doubted(doubt)), _) => (Outcome::Undecided, doubt.name().to_owned()),
        // The finding was beyond those that are kept.
        (Some(Answer::No), _) => (Outcome::NotCovered, String::new()),
        (None, None) => (Outcome::NotRun, String::new()),
    }
}

const fn evidence(evidence: model::Evidence) -> Evidence {
    match evidence {
        model::Evidence::Observed => Evidence::Observed,
        model::Evidence::Inferred => Evidence::Inferred,
        model::Evidence::Assumed => Evidence::Assumed,
    }
}

/// The model's reason. Its kernel threads include threads that have let go of their mm, as they exit
/// (`kernel/exit.c:exit_mm`).
fn skipped(skip: Skip, one: &OneCpu) -> Skipped {
    let exiting = one.at_decision.as_ref().is_some_and(|ran| ran.kthread == Some(false));
    let (reason, what) = match skip {
        Skip::KthreadLazy if exiting => {
            ("kthread_lazy", "it ran an exiting thread without an mm, lazy on this mm")
        }
        Skip::KthreadOther if exiting => {
            ("kthread_other", "it ran an exiting thread without an mm, on another mm")
        }
        Skip::KthreadLazy => ("kthread_lazy", skip.name()),
        Skip::KthreadOther => ("kthread_other", skip.name()),
        Skip::IdleLazy => ("idle_lazy", skip.name()),
        Skip::IdleOther => ("idle_other", skip.name()),
        Skip::OtherMm => ("other_mm", skip.name()),
        Skip::Offline => ("offline", skip.name()),
        Skip::Raced if one.missed => {
            ("missed", "though it ran this mm all the while, as far as was seen")
        }
        Skip::Raced => (
            "raced",
            "it ran this mm when the call's work was seen, but not, or not yet, when the call looked",
        ),
        Skip::Unknown => ("unknown", "why is not known, as its state was not"),
    };
    Skipped { reason, what }
}

/// A negative errno in words.
pub(super) fn errno(ret: i64) -> String {
    let code = i32::try_from(ret.unsigned_abs()).unwrap_or(i32::MAX);
    std::io::Error::from_raw_os_error(code).to_string()
}

fn user(ran: &UserRan, comm: Option<String>) -> User {
    User {
        tid: ran.tid,
        comm,
        since_ns: (ran.since != 0).then_some(ran.since),
        seen_ns: ran.ts,
        way: match ran.frame {
            Frame::Sysret => Some("sysret"),
            Frame::SyscallIret | Frame::Interrupt => Some("iret"),
            Frame::Compat => Some("compat"),
            Frame::Unknown => None,
        },
        evidence: evidence(ran.evidence),
        on_its_way: ran.on_its_way,
    }
}
