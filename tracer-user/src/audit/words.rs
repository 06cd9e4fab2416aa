//! The audit for a person.

use super::{
    Audit, FINISH_TASK_SWITCH, Function, KTHREAD_USE_MM, Order, Outcome, Promise, SWITCH_MM,
    SYSCALL, Site, Switching,
};

/// Label and text, line by line. `pti` is whether page table isolation is on.
pub fn lines(audit: &Audit, pti: bool) -> Vec<(&'static str, String)> {
    let Some(source) = audit.source else {
        let assumed = "what the kernel's source promises is assumed";
        return vec![("text audit", format!("not possible, so {assumed}: {}", audit.why))];
    };
    let mut lines = vec![("text audit", format!("from {source}"))];
    for function in &audit.functions {
        lines.push((function.name, described(function, pti)));
    }
    let switching = &audit.loaded_mm_switching;
    lines.push(("LOADED_MM_SWITCHING", order(switching)));
    if audit.syscall_exit.serializes == Some(true) {
        let text = "every 64-bit system call serializes on its way back to user mode";
        lines.push((SYSCALL, text.to_owned()));
    }
    if switching.unlazy_checks_tlb_gen == Some(false) {
        let text = "a CPU that was lazy is not seen to catch up with flushes that it missed";
        lines.push(("unlazying", text.to_owned()));
    }
    lines
}

fn described(function: &Function, pti: bool) -> String {
    let verdict = match (function.promise, function.outcome, function.name) {
        (Promise::Assumed, _, KTHREAD_USE_MM) => {
            return format!("assumed not to serialize: {}", function.why);
        }
        (Promise::Assumed, ..) => return format!("assumed to serialize: {}", function.why),
        // arch/x86/include/asm/sync_core.h:sync_core_before_usermode
        (Promise::Never, ..) if pti => {
            return "never serializes: with PTI every return to user mode does".to_owned();
        }
        (Promise::Never, ..) => return "never serializes".to_owned(),
        (_, Outcome::Always, _) => "always serializes",
        (Promise::Audited, _, FINISH_TASK_SWITCH) => "serializes on its source's conditions",
        (Promise::Audited, _, KTHREAD_USE_MM) => "serializes if the mm is registered",
        (Promise::Undecided, _, KTHREAD_USE_MM) => {
            "serializes on conditions of its own: only a probe there can tell"
        }
        (Promise::Audited, _, SWITCH_MM) => "serializes whenever it switches to another mm",
        (Promise::Audited, ..) => "serializes",
        (Promise::Undecided, ..) => {
            "serializes on conditions that are not its source's: only a probe there can tell"
        }
    };
    let symbol = function.symbol.as_deref().unwrap_or(function.name);
    let sites: Vec<_> = function.sites.iter().map(|site| place(site, symbol)).collect();
    let mut text = format!("{verdict}: {}", sites.join(", "));
    if symbol != function.name {
        text = format!("{text} in {symbol}");
    }
    let probes = function.sites.iter().filter(|site| site.probe_offset.is_none()).count();
    if probes > 0 {
        text = format!("{text}; {probes} of them can't be probed");
    }
    if !function.not_counted.is_empty() {
        let also: Vec<_> = function
            .not_counted
            .iter()
            .map(|other| format!("{} at +{:#x}", other.instruction, other.offset))
            .collect();
        text = format!("{text}; not counted: {}", also.join(", "));
    }
    text
}

fn place(site: &Site, symbol: &str) -> String {
    let Site { instruction, offset, .. } = site;
    let at = if site.symbol == symbol {
        format!("{instruction} at +{offset:#x}")
    } else {
        format!("{instruction} at {}+{offset:#x}", site.symbol)
    };
    match &site.via {
        Some(via) => format!("{at} (by {via})"),
        None => at,
    }
}

fn order(switching: &Switching) -> String {
    let at = |offsets: &[u64]| {
        let offsets: Vec<_> = offsets.iter().map(|offset| format!("+{offset:#x}")).collect();
        offsets.join(", ")
    };
    let Switching { stores, reads, early, why, .. } = switching;
    match switching.order {
        Order::BeforeTlbGen => format!(
            "stored ({}) before next's tlb_gen is read ({}), as it should be",
            at(stores),
            at(reads)
        ),
        Order::AfterTlbGen => format!(
            "stored ({}) only after next's tlb_gen is read ({}): a flush in between is missed",
            at(stores),
            at(early)
        ),
        Order::NotFound => format!("not found in {SWITCH_MM}: {why}"),
        Order::Unreadable => format!("not known: {why}"),
    }
}
