//! The columns of `perf script` (`tools/perf/builtin-script.c:perf_sample__fprintf_start`):
//!
//! ```text
//!     ul-call 10083 [001] 26473.020234:        csd:csd_queue_cpu: cpu=0 ...
//!     ul-call 10074/10083 [001] 26473.020234:  1  csd:csd_queue_cpu: cpu=0 ...
//! ```

use super::text::{Columns, around_cpu, seconds};

/// What stands in the event's place where records were lost.
pub(super) const LOST: &str = "PERF_RECORD_LOST";

/// The columns of a line, if it is an event's.
pub(super) fn parse(line: &str) -> Option<Columns<'_>> {
    around_cpu(line, columns)
}

fn columns<'a>(before: &'a str, cpu: u32, rest: &'a str) -> Option<Columns<'a>> {
    let (comm, ids) = before.trim().rsplit_once(' ')?;
    let (tgid, tid) = ids.split_once('/').unwrap_or((GONE, ids));
    if !is_pid(tgid) || !is_pid(tid) {
        return None;
    }
    let (tgid, tid) = (tgid.parse().ok(), tid.parse().ok());
    let (time, rest) = rest.trim_start().split_once(' ')?;
    let ts = seconds(time.strip_suffix(':')?)?;
    let mut rest = rest.trim_start();
    if let Some((period, after)) = rest.split_once(' ')
        && period.bytes().all(|byte| byte.is_ascii_digit())
    {
        rest = after.trim_start();
    }
    let (event, body) = rest.split_once(' ').unwrap_or((rest, ""));
    let columns = Columns { cpu, ts, tid, tgid, comm: comm.trim(), event, body: body.trim() };
    if event.starts_with(LOST) {
        return Some(columns);
    }
    // subsystem:event: or, of hardware, just event:
    let event = event.strip_suffix(':')?;
    let event = event.rsplit_once(':').map_or(event, |(_, event)| event);
    Some(Columns { event, ..columns })
}

/// Whether it may stand where a pid does.
fn is_pid(text: &str) -> bool {
    text == GONE || text.parse::<u32>().is_ok()
}

/// What stands there if the task was gone already.
const GONE: &str = "-1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_sorts_of_columns() {
        let all = [
            (None, "     ul call    7 [001] 26473.020234:   csd:csd_queue_cpu: cpu=0 x"),
            (Some(5), "     ul call    5/7 [001] 26473.020234:   csd:csd_queue_cpu: cpu=0 x"),
            (None, "     ul call    7 [001] 26473.020234:    1 csd:csd_queue_cpu: cpu=0 x"),
            (None, "     ul call    7 [001] 26473.020234000: csd:csd_queue_cpu: cpu=0 x"),
        ];
        for (group, line) in all {
            let Columns { cpu, ts, tid, tgid, comm, event, body } = parse(line).expect("an event");
            assert_eq!((cpu, ts, tid, tgid), (1, 26_473_020_234_000, Some(7), group), "{line}");
            assert_eq!((comm, event, body), ("ul call", "csd_queue_cpu", "cpu=0 x"), "{line}");
        }
    }

    #[test]
    fn a_task_that_is_gone() {
        let gone = parse("   :-1    -1/-1 [000] 1.000001: tlb:tlb_flush: x").expect("an event");
        assert_eq!((gone.tid, gone.tgid, gone.event), (None, None, "tlb_flush"));
    }

    #[test]
    fn what_was_lost() {
        let lost = parse("  perf 7 [000] 1.000001: PERF_RECORD_LOST lost 12").expect("a loss");
        assert_eq!((lost.event, lost.body), ("PERF_RECORD_LOST", "lost 12"));
    }

    #[test]
    fn what_is_no_event() {
        for line in
            ["", "  ffffffff8100 symbol+0x1 ([kernel])", "a 1 [0] 1.0: x", "a b [0] 1.0: x:"]
        {
            assert!(parse(line).is_none(), "{line}");
        }
    }
}
