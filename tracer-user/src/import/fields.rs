//! What an event's fields say, as text.
//!
//! The kernel's own `print fmt`, and what libtraceevent makes of it: its plugins write a context
//! switch their own way, and it prints the numbers of system calls without their names. A name may
//! have any characters, so fields are cut off at those that follow it.

use super::point::{Callee, Calls, NR_MEMBARRIER, What, vector};

/// What an event says.
///
/// # Errors
/// Why its fields are not understood.
pub(super) fn what<'a>(event: &str, body: &'a str) -> Result<What<'a>, &'static str> {
    if let Some((vector, entry)) = vector(event) {
        return Ok(What::Irq { vector, entry });
    }
    let (what, why) = match event {
        "sched_switch" => (switch(body), "fields of sched_switch are not understood"),
        "tlb_flush" => (flush(body), "fields of tlb_flush are not understood"),
        "csd_queue_cpu" => (queue(body), "fields of csd_queue_cpu are not understood"),
        "csd_function_entry" => (
            word(body, "func=").map(|func| What::CsdEntry {
                func: callee(func),
                local: word(body, "csd=").is_some_and(is_null),
            }),
            "fields of csd_function_entry are not understood",
        ),
        "csd_function_exit" => (
            word(body, "func=").map(|func| What::CsdExit { func: callee(func) }),
            "fields of csd_function_exit are not understood",
        ),
        "ipi_send_cpu" => (ipi_cpu(body), "fields of ipi_send_cpu are not understood"),
        "ipi_send_cpumask" => (ipi_mask(body), "fields of ipi_send_cpumask are not understood"),
        "sys_enter_membarrier" | "sys_exit_membarrier" | "sys_membarrier" => {
            (membarrier(event, body), "fields of a membarrier call are not understood")
        }
        "sys_enter" | "sys_exit" => {
            (raw(event == "sys_enter", body), "fields of a system call are not understood")
        }
        "page_fault_user" => (Some(What::PageFault { user: true }), ""),
        "page_fault_kernel" => (Some(What::PageFault { user: false }), ""),
        "sched_process_fork" => (fork(body), "fields of sched_process_fork are not understood"),
        "sched_process_exec" => (exec(body), "fields of sched_process_exec are not understood"),
        "sched_process_exit" => (
            ending(body).map(|tid| What::Exit { tid }),
            "fields of sched_process_exit are not understood",
        ),
        "sched_process_free" => (
            ending(body).map(|tid| What::Free { tid }),
            "fields of sched_process_free are not understood",
        ),
        "task_rename" => (rename(body), "fields of task_rename are not understood"),
        "cpuhp_enter" => (hotplug(body), "fields of cpuhp_enter are not understood"),
        "nmi_handler" => (Some(What::Nmi), ""),
        _ => (Some(What::Unused), ""),
    };
    what.ok_or(why)
}

/// The value of `key` (with its `=`), of fields that have no spaces.
fn word<'a>(body: &'a str, key: &str) -> Option<&'a str> {
    let value = body.split_whitespace().find_map(|word| word.strip_prefix(key))?;
    Some(value.trim_end_matches(','))
}

/// The number that begins here, and what follows it.
fn number(text: &str) -> Option<(u32, &str)> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(end);
    Some((number.parse().ok()?, rest))
}

fn hex(text: &str) -> Option<u64> {
    let text = text.trim().trim_end_matches([',', ')']);
    u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
}

/// A pointer that is NULL, as the kernel and as libtraceevent print it.
fn is_null(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    ["(nil)", "(null)"].contains(&text)
        || (!digits.is_empty() && digits.bytes().all(|byte| byte == b'0'))
}

fn callee(text: &str) -> Callee<'_> {
    let name = text.split(['+', ' ', ',']).next().unwrap_or(text);
    if name.is_empty() || is_null(name) { Callee::None } else { Callee::Name(name) }
}

/// Splits at the only place that makes sense of both sides.
fn only<'a, T>(
    body: &'a str,
    between: &str,
    sense: impl Fn(&'a str, &'a str) -> Option<T>,
) -> Option<T> {
    let mut senses = body
        .match_indices(between)
        .filter_map(|(at, _)| sense(body.get(..at)?, body.get(at + between.len()..)?));
    let first = senses.next()?;
    senses.next().is_none().then_some(first)
}

/// A state as `R+` or `S|D`: whether the task was preempted, and whether it sleeps or dies.
fn state(text: &str) -> Option<(bool, bool)> {
    let bare = text.strip_suffix('+').unwrap_or(text);
    let letter = |c: char| c.is_ascii_alphabetic() || c == '|';
    if bare.is_empty() || !bare.chars().all(letter) {
        return None;
    }
    Some((bare.len() != text.len(), bare != "R"))
}

fn switch(body: &str) -> Option<What<'_>> {
    let made = |(prev, state): (u32, (bool, bool)), (next, next_comm)| {
        let (preempted, blocked) = state;
        What::Switch { prev, next, next_comm, blocked, preempted }
    };
    if body.starts_with("prev_comm=") {
        return only(body, " ==> next_comm=", |prev, next| {
            let (tid, rest) = number(prev.rsplit_once(" prev_pid=")?.1)?;
            let (prio, prev_state) =
                rest.strip_prefix(" prev_prio=")?.split_once(" prev_state=")?;
            prio.parse::<i32>().ok()?;
            let (next_comm, next) = next.rsplit_once(" next_pid=")?;
            let (next, prio) = number(next)?;
            prio.strip_prefix(" next_prio=")?.parse::<i32>().ok()?;
            Some(made((tid, state(prev_state)?), (next, next_comm)))
        });
    }
    // libtraceevent's plugin: prev:1 [120] S ==> next:2 [120]
    only(body, " ==> ", |prev, next| {
        let (prev, prev_state) = prev.rsplit_once(' ')?;
        let (_, tid) = brief(prev)?;
        let (next_comm, next) = brief(next)?;
        Some(made((tid, state(prev_state)?), (next, next_comm)))
    })
}

/// `name:1 [120]`
fn brief(text: &str) -> Option<(&str, u32)> {
    let (task, prio) = text.trim_end().strip_suffix(']')?.rsplit_once(" [")?;
    prio.parse::<i32>().ok()?;
    let (comm, tid) = task.rsplit_once(':')?;
    Some((comm, tid.parse().ok()?))
}

fn flush(body: &str) -> Option<What<'_>> {
    let pages = body.strip_prefix("pages")?.strip_prefix([':', '='])?;
    let (pages, reason) = pages.split_once(" reason")?;
    let reason = reason.strip_suffix(')')?.rsplit_once('(')?.1.parse().ok()?;
    Some(What::TlbFlush { pages: pages.parse::<i64>().ok()? as u64, reason })
}

fn queue(body: &str) -> Option<What<'_>> {
    Some(What::CsdQueue {
        target: word(body, "cpu=")?.parse().ok()?,
        func: callee(word(body, "func=")?),
    })
}

fn ipi_cpu(body: &str) -> Option<What<'_>> {
    Some(What::IpiCpu {
        target: word(body, "cpu=")?.parse().ok()?,
        callsite: callee(word(body, "callsite=")?),
        callback: callee(word(body, "callback=")?),
    })
}

fn ipi_mask(body: &str) -> Option<What<'_>> {
    // Groups of 32 bits, the highest first.
    let mut mask = 0;
    for (index, group) in word(body, "cpumask=")?.rsplit(',').enumerate() {
        let group = u64::from(u32::from_str_radix(group, 16).ok()?);
        mask |= if index < 2 { group << (32 * index) } else { 0 };
    }
    Some(What::IpiMask {
        mask,
        callsite: callee(word(body, "callsite=")?),
        callback: callee(word(body, "callback=")?),
    })
}

fn membarrier<'a>(event: &str, body: &'a str) -> Option<What<'a>> {
    let from = Calls::Own;
    if event == "sys_exit_membarrier" || body.starts_with("->") {
        let ret = hex(body.trim_start_matches("->"))? as i64;
        return Some(What::MembarrierExit { from, ret });
    }
    let argument = |name: &str| {
        let (_, value) = body.split_once(name)?;
        hex(value.trim_start().split([',', ')', ' ']).next()?)
    };
    Some(What::MembarrierEnter {
        from,
        cmd: argument("cmd:")? as i32,
        flags: argument("flags:")? as u32,
        cpu_id: argument("cpu_id:")? as i32,
    })
}

/// `NR 324 (20, 0, 0, 0, 0, 0)`, arguments in hex, or `NR 324 = 0`.
fn raw(enter: bool, body: &str) -> Option<What<'_>> {
    let (nr, rest) = body.strip_prefix("NR ")?.split_once(' ')?;
    let from = Calls::Raw;
    if nr.parse::<i64>().ok()? != NR_MEMBARRIER {
        return Some(What::Unused);
    }
    if !enter {
        let ret = rest.strip_prefix("= ")?.trim().parse().ok()?;
        return Some(What::MembarrierExit { from, ret });
    }
    let mut arguments = rest.strip_prefix('(')?.split(',').map(hex);
    let mut argument = || arguments.next().flatten();
    let (cmd, flags, cpu_id) = (argument()? as i32, argument()? as u32, argument()? as i32);
    Some(What::MembarrierEnter { from, cmd, flags, cpu_id })
}

fn fork(body: &str) -> Option<What<'_>> {
    let (parents, child) = body.rsplit_once(" child_pid=")?;
    let (parent, child_comm) = parents.split_once(" child_comm=")?;
    let parent = parent.rsplit_once(" pid=")?.1.parse().ok()?;
    Some(What::Fork { parent, child: child.trim().parse().ok()?, child_comm })
}

fn exec(body: &str) -> Option<What<'_>> {
    let (tid, old) = body.rsplit_once(" old_pid=")?;
    let tid = tid.rsplit_once(" pid=")?.1.parse().ok()?;
    Some(What::Exec { tid, old: old.trim().parse().ok()? })
}

/// `comm=x pid=7 prio=120`, and perhaps more.
fn ending(body: &str) -> Option<u32> {
    let (tid, rest) = number(body.rsplit_once(" pid=")?.1)?;
    rest.starts_with(" prio=").then_some(tid)
}

fn rename(body: &str) -> Option<What<'_>> {
    let (tid, rest) = number(body.strip_prefix("pid=")?)?;
    let (names, _) = rest.rsplit_once(" oom_score_adj=")?;
    let (_, comm) = names.strip_prefix(" oldcomm=")?.split_once(" newcomm=")?;
    Some(What::Rename { tid, comm })
}

/// `cpu: 0003 target:  24 step:  12 (function)`
fn hotplug(body: &str) -> Option<What<'_>> {
    let (cpu, rest) = number(body.strip_prefix("cpu:")?.trim_start())?;
    let (target, _) = number(rest.trim_start().strip_prefix("target:")?.trim_start())?;
    Some(What::Hotplug { cpu, target })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(body: &str) -> Option<(u32, u32, &str, bool, bool)> {
        match what("sched_switch", body) {
            Ok(What::Switch { prev, next, next_comm, blocked, preempted }) => {
                Some((prev, next, next_comm, blocked, preempted))
            }
            _ => None,
        }
    }

    #[test]
    fn switches() {
        let kernel = "prev_comm=a b prev_pid=7 prev_prio=120 prev_state=R+ ==> next_comm=c d \
                      next_pid=8 next_prio=-1";
        assert_eq!(next(kernel), Some((7, 8, "c d", false, true)));
        assert_eq!(next("a b:7 [120] S ==> c:d:8 [-1]"), Some((7, 8, "c:d", true, false)));
        let sly = "prev_comm=a prev_pid=9 prev_pid=7 prev_prio=120 prev_state=S ==> \
                   next_comm=a next_pid=9 next_pid=8 next_prio=120";
        assert_eq!(next(sly), Some((7, 8, "a next_pid=9", true, false)));
        let two_senses = "a:1 [1] S ==> b:2 [2] R ==> c:3 [3]";
        assert_eq!(next(two_senses), None);
        for bad in ["", " ==> ", "prev_comm=", "a:1 [1] S ==> b:-2 [2]", "a:1 [1] 0 ==> b:2 [2]"] {
            assert_eq!(next(bad), None, "{bad}");
        }
    }

    #[test]
    fn flushes_as_kernel_and_trace_cmd_write_them() {
        let all = What::TlbFlush { pages: u64::MAX, reason: 3 };
        assert_eq!(what("tlb_flush", "pages:-1 reason:local MM shootdown (3)"), Ok(all));
        assert_eq!(what("tlb_flush", "pages=-1 reason=local mm shootdown (3)"), Ok(all));
        assert!(what("tlb_flush", "pages:-1 reason:3").is_err());
    }

    #[test]
    fn calls() {
        let enter = |from| {
            let (cmd, flags, cpu_id) = (32, 0, -1);
            Ok(What::MembarrierEnter { from, cmd, flags, cpu_id })
        };
        let text = "(cmd: 20, flags: 0, cpu_id: ffffffffffffffff)";
        assert_eq!(what("sys_membarrier", text), enter(Calls::Own));
        let text = "cmd: 0x00000020, flags: 0x00000000, cpu_id: 0xffffffff";
        assert_eq!(what("sys_enter_membarrier", text), enter(Calls::Own));
        let text = "NR 324 (20, 0, ffffffff, 0, 0, 0)";
        assert_eq!(what("sys_enter", text), enter(Calls::Raw));
        let exit = |from, ret| Ok(What::MembarrierExit { from, ret });
        assert_eq!(what("sys_membarrier", "-> 0xffffffffffffffea"), exit(Calls::Own, -22));
        assert_eq!(what("sys_exit_membarrier", "0x0"), exit(Calls::Own, 0));
        assert_eq!(what("sys_exit", "NR 324 = -22"), exit(Calls::Raw, -22));
        assert_eq!(what("sys_exit", "NR 1 = 5"), Ok(What::Unused));
    }

    #[test]
    fn functions() {
        let entry = |func, local| Ok(What::CsdEntry { func: Callee::Name(func), local });
        for null in ["(nil)", "0000000000000000", "(null)", "0x0"] {
            let body = format!("func=ipi_sync_core, csd={null}");
            assert_eq!(what("csd_function_entry", &body), entry("ipi_sync_core", true), "{null}");
        }
        let body = "func=ipi_mb, csd=000000001c0ffee0";
        assert_eq!(what("csd_function_entry", body), entry("ipi_mb", false));
        let body = "cpu=1 callsite=update_curr+0x80/0x140 callback=0x0";
        let (callsite, callback) = (Callee::Name("update_curr"), Callee::None);
        let expected = What::IpiCpu { target: 1, callsite, callback };
        assert_eq!(what("ipi_send_cpu", body), Ok(expected));
        let body = "cpumask=1,00000000,00000003 callsite=f callback=g";
        let (callsite, callback) = (Callee::Name("f"), Callee::Name("g"));
        let expected = What::IpiMask { mask: 3, callsite, callback };
        assert_eq!(what("ipi_send_cpumask", body), Ok(expected));
    }

    #[test]
    fn tasks() {
        let body = "comm=a pid=1 b pid=7 child_comm=c d child_pid=8";
        let fork = What::Fork { parent: 7, child: 8, child_comm: "c d" };
        assert_eq!(what("sched_process_fork", body), Ok(fork));
        let body = "filename=/a pid=1 pid=7 old_pid=8";
        assert_eq!(what("sched_process_exec", body), Ok(What::Exec { tid: 7, old: 8 }));
        let body = "comm=x pid=1 pid=7 prio=120 group_dead=true";
        assert_eq!(what("sched_process_exit", body), Ok(What::Exit { tid: 7 }));
        let body = "pid=7 oldcomm=a b newcomm=c d oom_score_adj=0";
        assert_eq!(what("task_rename", body), Ok(What::Rename { tid: 7, comm: "c d" }));
        let body = "cpu: 0003 target:  24 step:  12 (x)";
        assert_eq!(what("cpuhp_enter", body), Ok(What::Hotplug { cpu: 3, target: 24 }));
    }
}
