//! The columns of ftrace's text (`kernel/trace/trace_output.c:trace_print_context`) and of
//! `trace-cmd report`, which is nearly the same:
//!
//! ```text
//!           ul-call-10064   (  10055) [000] d..2. 26472.164230: csd_function_entry: func=...
//!           ul-call-10064 [000] 26472.164230: csd_function_entry:   func=...
//! buffer:   ul-call-10064 [000] 26472.164230: csd_function_entry:   func=...
//! ```

use super::text::{Columns, around_cpu, seconds};

/// The columns of a line, if it is an event's.
pub(super) fn parse(line: &str) -> Option<Columns<'_>> {
    around_cpu(line, columns)
}

fn columns<'a>(before: &'a str, cpu: u32, rest: &'a str) -> Option<Columns<'a>> {
    let (comm, tid, tgid) = task(before.trim())?;
    // Flags may stand before the time, and have no colon.
    let (first, after) = rest.trim_start().split_once(' ')?;
    let (time, after) =
        if first.ends_with(':') { (first, after) } else { after.trim_start().split_once(' ')? };
    let ts = seconds(time.strip_suffix(':')?)?;
    let after = after.trim_start();
    let (event, body) = match after.split_once(' ') {
        _ if after.starts_with("sys_membarrier(") => after.split_at("sys_membarrier".len()),
        Some((event, body)) => (event.strip_suffix(':').unwrap_or(event), body),
        None => (after.strip_suffix(':').unwrap_or(after), ""),
    };
    Some(Columns { cpu, ts, tid: Some(tid), tgid, comm, event, body: body.trim() })
}

/// `comm-tid`, and its group where that is told: `(  123)`, or `(-------)` where it is not known.
fn task(text: &str) -> Option<(&str, u32, Option<u32>)> {
    let (task, tgid) = match text.strip_suffix(')').and_then(|text| text.rsplit_once('(')) {
        Some((task, tgid)) if task.ends_with(' ') => (task.trim_end(), tgid.trim().parse().ok()),
        _ => (text, None),
    };
    let (comm, tid) = task.rsplit_once('-')?;
    let tid = tid.parse().ok()?;
    // trace-cmd's instances have their names before the task.
    let comm = comm.rsplit_once(": ").map_or(comm, |(_, comm)| comm);
    Some((comm.trim_start(), tid, tgid))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(line: &str) -> (u32, u64, u32, Option<u32>, &str, &str, &str) {
        let Columns { cpu, ts, tid, tgid, comm, event, body } = parse(line).expect("an event");
        (cpu, ts, tid.expect("a task"), tgid, comm, event, body)
    }

    #[test]
    fn all_sorts_of_columns() {
        let all = [
            "          ul-call-7   [001] d..2. 27024.412577: tlb_flush: pages:1 reason:x (3)",
            "          ul-call-7   (-------) [001] d..2. 27024.412577: tlb_flush: pages:1 reason:x (3)",
            "          ul-call-7 [001] 27024.412577: tlb_flush:            pages:1 reason:x (3)",
            "uimp:     ul-call-7 [001] 27024.412577: tlb_flush:            pages:1 reason:x (3)",
            "          ul-call-7 [001] 27024.412577000: tlb_flush: pages:1 reason:x (3)",
        ];
        for line in all {
            let body = "pages:1 reason:x (3)";
            let expected = (1, 27_024_412_577_000, 7, None, "ul-call", "tlb_flush", body);
            assert_eq!(columns(line), expected, "{line}");
        }
        let tgid = "  <idle>-0     (     12) [003]  1.5: x: y";
        assert_eq!(columns(tgid), (3, 1_500_000_000, 0, Some(12), "<idle>", "x", "y"));
    }

    #[test]
    fn system_calls_have_no_colon() {
        let enter = "a-7 [000] ..... 1.000001: sys_membarrier(cmd: 20, flags: 0, cpu_id: 0)";
        assert_eq!(columns(enter).5, "sys_membarrier");
        assert_eq!(columns(enter).6, "(cmd: 20, flags: 0, cpu_id: 0)");
        let exit = "a-7 [000] ..... 1.000001: sys_membarrier -> 0x0";
        assert_eq!((columns(exit).5, columns(exit).6), ("sys_membarrier", "-> 0x0"));
    }

    #[test]
    fn names_have_all_sorts_of_characters() {
        let name = "  kworker/u8:2-1 [0] x-99 [002] d..2. 1.000001: e: b";
        assert_eq!(columns(name).4, "kworker/u8:2-1 [0] x");
        assert_eq!(columns("a b (c)-7 [000] 1.0: e: b").4, "a b (c)");
    }

    #[test]
    fn what_is_no_event() {
        for line in ["", "[", "cpus=2", "x [000] 1.0: e:", "a-1 [000] e:", "a-1 [000] 17: e: b"] {
            assert_eq!(parse(line).map(|columns| columns.ts), None, "{line}");
        }
    }
}
