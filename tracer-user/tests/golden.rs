//! Real recordings, of kernels whose faults are known: each is judged exactly as it was when it was
//! made. `tests/data/golden/README.md` says how.
//!
//! After a change of the model that means to judge otherwise, run with `UPDATE_GOLDEN=1`, and read the
//! difference.

#![expect(
    clippy::panic,
    reason = "in an integration test; clippy exempts only what stands under #[test]"
)]

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use unlazy::{
    judge::recorded::{self, Recorded},
    report::Report,
    trace::{self, Range},
};

/// Rule, CPU, thread, mm, time.
type Told = (String, u32, Option<u32>, Option<u64>, u64);

/// What a recording comes to.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Expected {
    /// `unlazy_bug=` of the kernel, or what it is otherwise.
    kernel: String,
    verdict: String,
    events: u64,
    lost: u64,
    /// By rule: checks, findings, undecided, excused.
    rules: BTreeMap<String, [u64; 4]>,
    /// The findings that are told in detail.
    findings: Vec<Told>,
}

impl Expected {
    fn of(report: &Report) -> Self {
        let rules = report.rules.iter().map(|rule| {
            let counts = [rule.checked, rule.findings, rule.inconclusive, rule.excused];
            (rule.id.clone(), counts)
        });
        let findings = report.findings.iter();
        Self {
            kernel: report.kernel.release.clone().unwrap_or_default(),
            verdict: report.verdict.name().to_owned(),
            events: report.events.total,
            lost: report.events.lost.total,
            rules: rules.collect(),
            findings: findings.map(|f| (f.rule.clone(), f.cpu, f.tid, f.mm, f.ts_ns)).collect(),
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden")
}

fn traces() -> Vec<PathBuf> {
    let files = fs::read_dir(folder()).unwrap_or_else(|error| panic!("{error}"));
    let mut traces: Vec<_> = files
        .filter_map(|file| Some(file.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "mcap"))
        .collect();
    traces.sort();
    traces
}

fn judged(path: &Path) -> Recorded {
    let part = trace::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    recorded::judge(&[part], Range::default())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn each_is_judged_as_when_it_was_made() {
    let traces = traces();
    assert!(traces.len() > 10, "{traces:?}");
    for path in traces {
        let size = fs::metadata(&path).map_or(0, |meta| meta.len());
        assert!(size < 200_000, "{}: {size} bytes", path.display());
        let Recorded { report, damage } = judged(&path);
        assert!(damage.is_empty(), "{}: {damage:?}", path.display());
        let now = Expected::of(&report);
        let beside = path.with_extension("json");
        if env::var_os("UPDATE_GOLDEN").is_some() {
            let mut json = serde_json::to_string_pretty(&now).unwrap();
            json.push('\n');
            fs::write(&beside, json).unwrap();
        }
        let text = fs::read_to_string(&beside)
            .unwrap_or_else(|error| panic!("{}: {error}", beside.display()));
        let then: Expected = serde_json::from_str(&text).unwrap();
        assert_eq!(now, then, "{}", path.display());
    }
}

/// The rules that must be found, by the file's name: what the planted bug breaks, and nothing on
/// correct kernels.
const BROKEN: [(&str, &[&str]); 16] = [
    ("lazy-nosync", &["R1"]),
    ("ipi-mb", &["R2"]),
    ("irq-skip", &["R2"]),
    ("caller-skip", &["R2"]),
    ("rq-stale", &["R6"]),
    ("reg-skip", &["R6"]),
    ("exec-norq", &["R6"]),
    ("switching-late", &["R3"]),
    ("switching-ignored", &["R3"]),
    ("cpumask-late", &["R3"]),
    ("unlazy-nogen", &["R3"]),
    ("unlazy-noflush", &["R3"]),
    ("tables-skip", &["R4"]),
    ("lazy-drop", &["R5"]),
    ("hole", &["R1"]),
    ("use-norq", &["R6"]),
];

#[test]
fn what_is_broken_is_found_and_nothing_else_is() {
    for path in traces() {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let report = judged(&path).report;
        let found: Vec<_> = report.rules.iter().filter(|rule| rule.findings > 0).collect();
        let found: Vec<_> = found.iter().map(|rule| rule.id.as_str()).collect();
        match BROKEN.iter().find(|(bug, _)| *bug == name) {
            Some((_, broken)) => {
                for rule in *broken {
                    assert!(found.contains(rule), "{name}: {found:?}");
                }
            }
            None => assert!(found.is_empty(), "{name}: {found:?}"),
        }
        let divergences = report.rules.iter().find(|rule| rule.id == "R7");
        assert_eq!(divergences.map(|rule| rule.findings), Some(0), "{name}");
    }
}

/// What was recorded before a cut or a flipped bit is read, and nothing is found that was not there.
#[test]
fn ten_thousand_damages_find_nothing_new() {
    let traces = traces();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("damaged.mcap");
    // xorshift64*, from a seed that never changes.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = |below: u64| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_F491_4F6C_DD1D) % below.max(1)
    };
    let whole_ones: Vec<_> = traces.iter().map(|path| judged(path).report).collect();
    let cases = if env::var_os("UNLAZY_ALL_DAMAGES").is_some() { 10_000 } else { 150 };
    for case in 0..cases {
        let which = random(traces.len() as u64) as usize;
        let (of, all) = (&traces[which], &whole_ones[which]);
        let mut bytes = fs::read(of).unwrap();
        let mut whole = true;
        if case % 2 == 0 {
            bytes.truncate(random(bytes.len() as u64) as usize);
            whole = false;
        }
        for _ in 0..random(8) {
            let at = random(bytes.len() as u64) as usize;
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random(8);
                whole = false;
            }
        }
        fs::write(&path, &bytes).unwrap();
        let Ok(part) = trace::open(&path) else { continue };
        let Ok(Recorded { report, .. }) = recorded::judge(&[part], Range::default()) else {
            continue;
        };
        let known = |finding: &unlazy::report::Finding| {
            let place = |f: &unlazy::report::Finding| (f.rule.clone(), f.cpu, f.tid, f.mm);
            all.findings.iter().any(|other| place(other) == place(finding))
        };
        // A report lists the first so many; what comes after them can't be held against it.
        let listed = match all.findings.last() {
            Some(last) if all.findings_omitted > 0 => last.ts_ns,
            _ => u64::MAX,
        };
        for finding in report.findings.iter().filter(|finding| finding.ts_ns <= listed) {
            assert!(known(finding), "{} case {case}: {finding:#?}", of.display());
        }
        assert!(
            whole
                || report.verdict != unlazy::report::Verdict::Clean
                || all.verdict == report.verdict
        );
    }
}
