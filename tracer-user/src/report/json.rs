//! The report as JSON.

use std::io::{self, Write};

use super::Report;

/// Writes `report` as indented JSON with a newline at the end.
///
/// # Errors
/// Whatever `to` refuses, as it reports it: a full disk and a closed pipe keep their kind.
pub fn write_json(report: &Report, mut to: impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut to, report)?;
    to.write_all(b"\n")?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::report::{ChainLink, Cpu, Finding, LastSync, Mm, Probe, Rule};

    fn keys(value: &Value) -> BTreeSet<&str> {
        value.as_object().expect("an object").keys().map(String::as_str).collect()
    }

    fn assert_has(value: &Value, wanted: &[&str]) {
        let have = keys(value);
        for key in wanted {
            assert!(have.contains(key), "no key `{key}` in {have:?}");
        }
    }

    fn one_of_each() -> Report {
        Report {
            probes: vec![Probe::default()],
            cpus: vec![Cpu { last_sync: Some(LastSync::default()), ..Cpu::default() }],
            mms: vec![Mm::default()],
            rules: vec![Rule::default()],
            findings: vec![Finding { chain: vec![ChainLink::default()], ..Finding::default() }],
            ..Report::default()
        }
    }

    fn value(report: &Report) -> Value {
        let mut out = Vec::new();
        write_json(report, &mut out).expect("a Vec takes everything");
        assert_eq!(out.last(), Some(&b'\n'));
        serde_json::from_slice(&out).expect("our own JSON")
    }

    #[test]
    fn every_key_of_the_contract_is_there() {
        let v = value(&one_of_each());
        assert_eq!(v["schema"], "unlazy.report/1");
        assert_has(
            &v,
            &[
                "schema",
                "verdict",
                "mode",
                "kernel",
                "probes",
                "duration_ns",
                "events",
                "cpus",
                "mms",
                "transitions",
                "user_returns",
                "rules",
                "findings",
            ],
        );
        assert_has(
            &v["kernel"],
            &[
                "release",
                "machine",
                "cpus_online",
                "cpu_vendor",
                "pti",
                "pcid",
                "serialize",
                "invlpgb",
                "flush_tlb_multi",
            ],
        );
        assert_has(&v["probes"][0], &["name", "kind", "state", "why"]);
        assert_has(&v["events"], &["total", "by_kind", "lost"]);
        assert_has(&v["events"]["lost"], &["total", "by_cpu", "by_probe"]);
        assert_has(
            &v["cpus"][0],
            &[
                "cpu",
                "known",
                "tid",
                "comm",
                "logical_mm",
                "active_mm",
                "real_mm",
                "lazy",
                "last_sync",
            ],
        );
        assert_has(&v["cpus"][0]["last_sync"], &["ns_ago", "cause", "evidence"]);
        let mm = &v["mms"][0];
        assert_has(mm, &["id", "tgid", "comm", "registered", "membarrier", "targeted", "skipped"]);
        assert_has(&mm["membarrier"], &["sync_core", "private", "global", "rseq"]);
        assert_has(&mm["skipped"], &["kthread_lazy", "kthread_other", "other_mm"]);
        assert_has(
            &v["transitions"],
            &[
                "switches",
                "logical_changes",
                "enter_lazy",
                "unlazy_same_mm",
                "unlazy_flushed",
                "lazy_to_init_mm",
                "cr3_writes",
            ],
        );
        assert_has(&v["user_returns"], &["observed", "inferred", "sysret", "iret"]);
        assert_has(&v["rules"][0], &["id", "checked", "findings", "inconclusive", "excused"]);
        assert_has(
            &v["findings"][0],
            &[
                "rule", "severity", "cpu", "tid", "comm", "mm", "ts_ns", "evidence", "summary",
                "chain",
            ],
        );
        assert_has(&v["findings"][0]["chain"][0], &["ts_ns", "cpu", "what", "evidence"]);
    }

    #[test]
    fn unknown_is_null_and_never_left_out() {
        let v = value(&one_of_each());
        for key in ["tid", "comm", "logical_mm", "real_mm", "lazy"] {
            assert!(v["cpus"][0][key].is_null(), "{key}");
        }
        assert!(v["transitions"]["enter_lazy"].is_null());
        assert!(v["window"]["known_after_ns"].is_null());
        assert!(v["command"].is_null());
        assert!(v["kernel"]["pti"].is_null());
    }

    #[test]
    fn an_unfilled_report_is_not_clean() {
        assert_eq!(value(&Report::default())["verdict"], "inconclusive");
    }

    #[test]
    fn extreme_numbers_and_names_survive_the_round_trip() {
        let mut report = one_of_each();
        report.events.total = u64::MAX;
        report.mms[0].id = u64::MAX;
        report.cpus[0].comm = Some("\u{1b}[31m\n\0\u{202e}名".to_owned());
        let mut out = Vec::new();
        write_json(&report, &mut out).expect("a Vec takes everything");
        let back: Report = serde_json::from_slice(&out).expect("our own JSON");
        assert_eq!(back, report);
    }

    #[test]
    fn a_reader_ignores_keys_of_later_versions() {
        let text = r#"{"schema": "unlazy.report/1", "verdict": "clean", "later": {"x": 1}}"#;
        let report: Report = serde_json::from_str(text).expect("known keys suffice");
        assert_eq!(report.verdict, crate::report::Verdict::Clean);
    }

    #[test]
    fn a_refusing_writer_keeps_its_error_kind() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let err = write_json(&Report::default(), Full).expect_err("nothing fits");
        assert_eq!(err.kind(), io::ErrorKind::StorageFull);
    }
}
