//! A CPU that goes and comes back.

use std::{fs, process::Stdio, thread::sleep, time::Duration};

use crate::support::{UNLAZY, check, machine, nothing_found, number, read, rule, skipped};

const ONLINE: &str = "/sys/devices/system/cpu/cpu1/online";

/// Brings the CPU back whatever happens.
struct BackOnline;

impl Drop for BackOnline {
    fn drop(&mut self) {
        let _ = fs::write(ONLINE, "1");
    }
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn a_cpu_that_goes_and_comes_back_is_no_finding() {
    let machine = machine();
    let _back = BackOnline;
    if fs::write(ONLINE, "0").and_then(|()| fs::write(ONLINE, "1")).is_err() {
        skipped(&format!("{ONLINE} is not there or can't be written: no CPU hotplug here"));
        return;
    }
    let report = machine.file("report.json");
    let mut tracer = check(&["--json", &report, "--", UNLAZY, "stress", "--for", "6s"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("unlazy starts");
    while tracer.try_wait().expect("waitable").is_none() {
        // It may be refused for a moment; the next round tries again.
        let _ = fs::write(ONLINE, "0");
        sleep(Duration::from_millis(300));
        let _ = fs::write(ONLINE, "1");
        sleep(Duration::from_millis(300));
    }
    let report = read(report);
    nothing_found(&report);
    assert_eq!(rule(&report, "R7")["divergences"], serde_json::json!({}));
    assert!(number(rule(&report, "R1"), "/checked") > 0);
    assert!(number(rule(&report, "R2"), "/checked") > 0);
}
