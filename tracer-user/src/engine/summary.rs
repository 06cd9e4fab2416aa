//! What was judged, in the report's terms.

use std::collections::BTreeMap;

use tracer_common::{
    model::{
        CallCounts, Config, Cpu, Divergence, Doubt, Finding, Mm, Rule, Severity, SyncCause, Tri,
    },
    wire::{UNKNOWN_MM, membarrier_state},
};

use super::{Engine, Observer, Told, chain, totals};
use crate::report;

/// How many mms are listed.
const MMS_LISTED: usize = 256;

/// The parts of a report that come from what was judged.
#[derive(Debug)]
#[expect(missing_docs, reason = "each field is the report's of the same name")]
pub struct Judged {
    pub events: report::Events,
    pub cpus: Vec<report::Cpu>,
    pub membarrier: report::MembarrierTotal,
    pub mms: Vec<report::Mm>,
    pub mms_omitted: u64,
    pub transitions: report::Transitions,
    pub user_returns: report::UserReturns,
    pub rules: Vec<report::Rule>,
    pub findings_total: u64,
    pub findings: Vec<report::Finding>,
    pub findings_omitted: u64,
}

impl<O: Observer> Engine<O> {
    /// What was judged until `now`, in nanoseconds.
    pub fn judged(&self, now: u64) -> Judged {
        let tally = self.store.tally_ref();
        let (membarrier, mms, mms_omitted) = self.mms();
        let returns = tally.returns_observed + tally.returns_inferred;
        let findings = (1..).zip(&self.told).map(|(number, told)| finding(number, told));
        let findings: Vec<_> = findings.collect();
        let if_told = |count: Option<u64>| count.filter(|_| tally.unknown_mms == 0);
        Judged {
            events: self.events_report(),
            cpus: self.cpus(now),
            membarrier,
            mms,
            mms_omitted,
            transitions: report::Transitions {
                switches: tally.switches,
                unseen_switches: tally.unseen_switches,
                logical_changes: if_told(Some(tally.logical_changes)),
                enter_lazy: if_told(Some(tally.enter_lazy)),
                unlazy_same_mm: if_told(self.if_cr3(tally.unlazy_same_mm)),
                unlazy_flushed: if_told(self.if_cr3(tally.unlazy_flushed)),
                lazy_to_init_mm: if_told(self.if_cr3(tally.lazy_to_init_mm)),
                cr3_writes: self.if_cr3(tally.cr3_writes),
            },
            user_returns: report::UserReturns {
                observed: tally.returns_observed,
                inferred: tally.returns_inferred,
                sysret: tally.sysret,
                iret: tally.iret,
                unknown: returns.saturating_sub(tally.sysret + tally.iret),
            },
            rules: Rule::ALL.iter().map(|&rule| self.rule(rule)).collect(),
            findings_total: self.found,
            findings_omitted: self.found - findings.len() as u64,
            findings,
        }
    }

    fn if_cr3(&self, count: u64) -> Option<u64> {
        self.model.config().sees_cr3.then_some(count)
    }

    fn events_report(&self) -> report::Events {
        let by_kind = self.counts.kinds();
        report::Events {
            total: by_kind.values().sum(),
            by_kind,
            lost: report::Lost {
                total: self.lost(),
                by_cpu: self.counts.lost_by_cpu.clone(),
                by_probe: BTreeMap::new(),
            },
            out_of_order: self.counts.out_of_order,
            unreadable: self.counts.unreadable,
        }
    }

    fn cpus(&self, now: u64) -> Vec<report::Cpu> {
        let known = |id: u64| (id != 0).then_some(id);
        let cpu = |(number, cpu): (usize, &Cpu)| report::Cpu {
            cpu: number as u32,
            known: cpu.known,
            tid: cpu.known.then_some(cpu.tid),
            tgid: cpu.known.then(|| self.tgid_on(cpu)).flatten(),
            comm: cpu.known.then(|| self.names.comm(cpu.tid).map(str::to_owned)).flatten(),
            logical_mm: (cpu.known && cpu.logical != UNKNOWN_MM).then_some(cpu.logical),
            active_mm: known(cpu.active),
            real_mm: known(cpu.real),
            lazy: match cpu.lazy {
                Tri::Unknown => None,
                Tri::No => Some(false),
                Tri::Yes => Some(true),
            },
            last_sync: (cpu.sync.cause != SyncCause::None).then(|| report::LastSync {
                ns_ago: now.saturating_sub(cpu.sync.ts),
                cause: cpu.sync.cause.name().to_owned(),
                evidence: chain::evidence(cpu.sync.evidence),
            }),
            inconclusive: cpu.inconclusive,
        };
        self.store.cpus_iter().enumerate().filter(|(_, cpu)| !cpu.offline).map(cpu).collect()
    }

    /// The process of the thread on a CPU, if it is known.
    fn tgid_on(&self, cpu: &Cpu) -> Option<u32> {
        self.names.tgid(cpu.tid).or((cpu.tgid != 0).then_some(cpu.tgid))
    }

    fn mms(&self) -> (report::MembarrierTotal, Vec<report::Mm>, u64) {
        let omitted = self.store.omitted();
        let mut total = omitted.total;
        let mut mms: Vec<report::Mm> = self
            .store
            .mms_iter()
            .filter(|(_, mm)| {
                mm.calls != CallCounts::default() || mm.state & membarrier_state::SYNC_CORE != 0
            })
            .map(|(id, mm)| self.mm(id, mm))
            .collect();
        for mm in &mms {
            total.add(&mm.total());
        }
        mms.sort_by_key(|mm| (std::cmp::Reverse(mm.membarrier.calls()), mm.id));
        let beyond = mms.len().saturating_sub(MMS_LISTED) as u64;
        mms.truncate(MMS_LISTED);
        (total, mms, omitted.mms + beyond)
    }

    fn mm(&self, id: u64, mm: &Mm) -> report::Mm {
        let report::MembarrierTotal { calls, targeted, skipped } = totals::of(mm);
        report::Mm {
            id: if id == UNKNOWN_MM { report::NO_MM } else { id },
            tgid: (mm.tgid != 0).then_some(mm.tgid),
            comm: self.names.comm(mm.tgid).filter(|_| mm.tgid != 0).map(str::to_owned),
            registered: registered(mm.state),
            membarrier: calls,
            targeted,
            skipped,
        }
    }

    fn rule(&self, rule: Rule) -> report::Rule {
        let tally = &self.store.tally_ref().rules[rule as usize];
        let divergences = &self.store.tally_ref().divergences;
        report::Rule {
            id: rule.id().to_owned(),
            name: rule.name().to_owned(),
            severity: severity(rule.severity()),
            checked: tally.checked,
            findings: tally.findings,
            inconclusive: tally.inconclusive,
            inconclusive_by: Doubt::ALL
                .iter()
                .filter(|&&doubt| tally.doubts[doubt as usize] > 0)
                .map(|&doubt| (doubt.name().to_owned(), tally.doubts[doubt as usize]))
                .collect(),
            evidence: report::EvidenceMix {
                observed: tally.evidence[0],
                inferred: tally.evidence[1],
                assumed: tally.evidence[2],
            },
            excused: tally.excused,
            why: premise(rule, self.model.config()).to_owned(),
            divergences: (rule == Rule::R7).then(|| {
                Divergence::ALL
                    .iter()
                    .filter(|&&what| divergences[what as usize] > 0)
                    .map(|&what| (what.name().to_owned(), divergences[what as usize]))
                    .collect()
            }),
        }
    }
}

/// What a rule rests on, where that is not the kernel's work.
const fn premise(rule: Rule, config: &Config) -> &'static str {
    match rule {
        Rule::R1 | Rule::R2 if config.pti => "satisfied by PTI: every return writes CR3",
        _ => "",
    }
}

const fn severity(severity: Severity) -> report::Severity {
    match severity {
        Severity::Violation => report::Severity::Violation,
        Severity::Hazard => report::Severity::Hazard,
        Severity::SelfCheck => report::Severity::SelfCheck,
    }
}

fn registered(state: u8) -> Vec<String> {
    [
        (membarrier_state::PRIVATE_EXPEDITED_READY, "private"),
        (membarrier_state::GLOBAL_EXPEDITED_READY, "global"),
        (membarrier_state::SYNC_CORE_READY, "sync_core"),
        (membarrier_state::RSEQ_READY, "rseq"),
    ]
    .iter()
    .filter(|(bit, _)| state & bit != 0)
    .map(|&(_, name)| name.to_owned())
    .collect()
}

/// Registrations by the kernel's names, without the READY bits.
fn bits(state: u64) -> String {
    let names: Vec<_> = [
        (membarrier_state::PRIVATE_EXPEDITED, "PRIVATE_EXPEDITED"),
        (membarrier_state::GLOBAL_EXPEDITED, "GLOBAL_EXPEDITED"),
        (membarrier_state::SYNC_CORE, "PRIVATE_EXPEDITED_SYNC_CORE"),
        (membarrier_state::RSEQ, "PRIVATE_EXPEDITED_RSEQ"),
    ]
    .into_iter()
    .filter(|&(bit, _)| state & u64::from(bit) != 0)
    .map(|(_, name)| name)
    .collect();
    names.join(" and ")
}

fn finding(number: u64, told: &Told) -> report::Finding {
    let f = &told.finding;
    report::Finding {
        number,
        rule: f.rule.id().to_owned(),
        severity: severity(f.rule.severity()),
        cpu: f.cpu,
        tid: Some(f.tid),
        tgid: told.tgid,
        comm: told.comm.clone(),
        mm: (f.mm != 0).then_some(f.mm),
        ts_ns: f.ts,
        evidence: chain::evidence(f.evidence),
        summary: sentence(f),
        chain: told.chain.clone(),
    }
}

/// One plain sentence.
pub(super) fn sentence(f: &Finding) -> String {
    let Finding { cpu, tid, mm, ts, since, expected, actual, .. } = *f;
    let ago = ts.saturating_sub(since);
    match f.rule {
        Rule::R1 => format!(
            "cpu {cpu} ran user code of thread {tid} in mm {mm} without serializing since its \
             logical mm became mm {mm} {ago} ns before"
        ),
        Rule::R2 => format!(
            "cpu {cpu} ran user code of thread {tid} in mm {mm} without serializing since a \
             SYNC_CORE membarrier that had returned began {ago} ns before"
        ),
        Rule::R3 => format!(
            "cpu {cpu} ran user code of thread {tid} in mm {mm} with its TLB at generation \
             {actual}; a flush to generation {expected} was done"
        ),
        Rule::R4 => format!(
            "a flush of mm {mm} that freed page tables was done while cpu {cpu} stayed lazy on it \
             at generation {actual}, behind {expected}"
        ),
        Rule::R5 => format!("mm {mm} was freed while cpu {cpu} still had it"),
        Rule::R6 => {
            let (lacks, extra) = (bits(expected & !actual), bits(actual & !expected));
            let differs = match (lacks.is_empty(), extra.is_empty()) {
                (false, true) => format!("lacks {lacks}, which mm {mm} has"),
                (true, false) => format!("has {extra}, which mm {mm} does not have"),
                _ => format!("lacks {lacks} and has {extra}, other than mm {mm}"),
            };
            format!("cpu {cpu}'s rq->membarrier_state ({actual:#x}) {differs}")
        }
        Rule::R7 => format!(
            "the reconstruction of cpu {cpu} diverged ({}): expected {expected}, found {actual}",
            f.divergence.map_or("?", Divergence::name)
        ),
    }
}
