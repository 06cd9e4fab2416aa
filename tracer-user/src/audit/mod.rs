//! The text audit: does the running kernel's text have the serializing instructions that its source
//! promises?
//!
//! The functions are read from the kernel's own memory, where alternatives, static calls and jump
//! labels stand as they were patched. From each entry control is followed along every way that the
//! live text leaves open (`graph.rs`), into direct callees as far as these are what serializes
//! (`examine.rs`). For `finish_task_switch` the branches around the serialization are held against
//! those of the source (`guards.rs`); for `switch_mm_irqs_off` the order of two accesses is found
//! (`switching.rs`), from what registers hold on every path (`values.rs`) and not from how one
//! compiler arranges them.
//!
//! What can't be read is said to be unreadable, with the reason, and then the model has only the
//! source's word.

mod examine;
mod exit;
mod graph;
mod guards;
pub mod memory;
mod place;
mod report;
mod serializing;
mod switching;
mod text;
mod values;
mod words;

use std::time::Duration;

use examine::Examiner;
use graph::End;
use memory::{KCore, Memory};
use text::Text;

pub use examine::Outcome;
pub use exit::SyscallExit;
pub use guards::{Condition, Guard, Tested};
pub use report::{Audit, Doubtful, Function, Promise, Site, SyncSite};
pub use switching::{Fields, Order, Switching};
pub use words::lines;

use crate::{
    kernel::{SymbolTable, TextSymbol},
    probes::btf::Btf,
};

/// `kernel/sched/core.c:finish_task_switch`.
pub const FINISH_TASK_SWITCH: &str = "finish_task_switch";
/// `kernel/sched/membarrier.c:ipi_sync_core`.
pub const IPI_SYNC_CORE: &str = "ipi_sync_core";
/// `kernel/kthread.c:kthread_use_mm`. Its source promises nothing: on kernels that close the hole
/// which that leaves, it serializes by itself.
pub const KTHREAD_USE_MM: &str = "kthread_use_mm";
/// `arch/x86/mm/tlb.c:switch_mm_irqs_off`.
pub const SWITCH_MM: &str = "switch_mm_irqs_off";
/// `arch/x86/entry/common.c:do_syscall_64`.
pub const SYSCALL: &str = "do_syscall_64";

/// All that are examined.
const FUNCTIONS: [&str; 4] = [FINISH_TASK_SWITCH, IPI_SYNC_CORE, KTHREAD_USE_MM, SWITCH_MM];

/// Text that is being patched has an INT3 for a moment (`arch/x86/kernel/alternative.c`,
/// `text_poke_bp_batch`): so often it is looked at again.
const TRIES: u32 = 4;

/// Between two of them.
const PAUSE: Duration = Duration::from_millis(20);

/// What the audit reads.
pub struct Sources {
    /// The text, or why there is none.
    pub memory: Result<Box<dyn Memory>, String>,
    /// The symbols, or why there are none.
    pub symbols: Result<SymbolTable, String>,
    /// Where the members are that `finish_task_switch` tests.
    pub tested: Tested,
    /// Where the fields are whose order is asked for, or why that is unknown.
    pub fields: Result<Fields, String>,
}

impl Sources {
    /// The running kernel. `btf` is its own.
    pub fn live(btf: Option<&Btf>) -> Self {
        let memory = KCore::open().map(|kcore| Box::new(kcore) as _);
        Self::with(
            memory.map_err(|error| error.to_string()),
            SymbolTable::live().map_err(|error| error.to_string()),
            btf,
        )
    }

    /// Any kernel, of which these are the text, the symbols and the BTF. Without BTF the order in
    /// `switch_mm_irqs_off` stays unknown, and what `finish_task_switch` tests is not recognized.
    pub fn with(
        memory: Result<Box<dyn Memory>, String>,
        symbols: Result<SymbolTable, String>,
        btf: Option<&Btf>,
    ) -> Self {
        Self {
            memory,
            tested: btf.map(tested).unwrap_or_default(),
            fields: fields(btf, symbols.as_ref().ok()),
            symbols,
        }
    }
}

/// Audits the running kernel. Never fails: what can't be read says why.
pub fn run(sources: &Sources) -> Audit {
    let (memory, symbols) = match (&sources.memory, &sources.symbols) {
        (Ok(memory), Ok(symbols)) => (memory.as_ref(), symbols),
        (Err(why), _) | (_, Err(why)) => return unreadable(why),
    };
    let mut audit = look(memory, symbols, sources);
    for _ in 1..TRIES {
        if !audit.1 {
            break;
        }
        std::thread::sleep(PAUSE);
        audit = look(memory, symbols, sources);
    }
    audit.0
}

/// The audit of a kernel whose text can't be read, because of `why`.
pub fn unreadable(why: &str) -> Audit {
    Audit {
        source: None,
        why: why.to_owned(),
        functions: FUNCTIONS.map(|name| Function::unreadable(name, why)).into(),
        loaded_mm_switching: Switching::unreadable(why),
        syscall_exit: SyscallExit::unreadable(why),
    }
}

/// Reads everything once. The second says that something stood there that may be gone in a moment.
fn look(memory: &dyn Memory, symbols: &SymbolTable, sources: &Sources) -> (Audit, bool) {
    let text = Text::new(memory, symbols);
    let mut examiner = Examiner::new(&text);
    let mut again = false;
    let mut functions = Vec::new();
    let mut switching = Switching::unreadable(format!("no symbol {SWITCH_MM}"));
    // That it may write CR3 by switch_mm_irqs_off is seen by other means.
    let others = symbols.functions(SWITCH_MM).map(|symbol| symbol.address).collect();
    let mut apart = Examiner::without(&text, others);
    for name in FUNCTIONS {
        let found: Vec<_> = symbols.functions(name).collect();
        if found.is_empty() {
            functions.push(Function::unreadable(
                name,
                format!("no symbol {name}: the compiler put it into its callers"),
            ));
        }
        for symbol in found {
            let examiner = if name == KTHREAD_USE_MM { &mut apart } else { &mut examiner };
            let examined = match examiner.examine(&symbol) {
                Ok(examined) => examined,
                Err(why) => {
                    functions.push(described(name, &symbol, Function::unreadable(name, why)));
                    continue;
                }
            };
            again |= examined
                .graph
                .nodes
                .iter()
                .any(|node| node.ends.contains(&End::Unknown(graph::INT3)));
            let states = values::states(&examined.graph);
            if name == SWITCH_MM {
                switching = match &sources.fields {
                    Ok(fields) => switching::order(&examined, &states, symbol.name, *fields),
                    Err(why) => Switching::unreadable(why),
                };
            }
            let conditional = examined.outcome == Outcome::Conditional && name != SWITCH_MM;
            let promise = match (name, examined.outcome) {
                // The source promises nothing, so there is nothing to be assumed.
                (KTHREAD_USE_MM, Outcome::Unreadable) => Promise::Undecided,
                (_, Outcome::Unreadable) => Promise::Assumed,
                (_, Outcome::Always) => Promise::Audited,
                (_, Outcome::None) => Promise::Never,
                (SWITCH_MM, _) if switching.real_switch_serializes == Some(true) => {
                    Promise::Audited
                }
                (FINISH_TASK_SWITCH | KTHREAD_USE_MM, _)
                    if guards::as_in_source(&examined, &states, sources.tested) =>
                {
                    Promise::Audited
                }
                _ => Promise::Undecided,
            };
            let guards = conditional.then(|| {
                guards::guards(&examined.graph, &states, sources.tested, &examined.certain())
            });
            let function = Function {
                outcome: examined.outcome,
                why: examined.why.clone(),
                promise,
                sites: report::sites(&text, &examined),
                guards: guards.unwrap_or_default(),
                not_counted: report::not_counted(&text, &examined),
                ..Function::unreadable(name, "")
            };
            functions.push(described(name, &symbol, function));
        }
    }
    let syscall_exit = symbols.functions(SYSCALL).next().map_or_else(
        || SyscallExit::unreadable(format!("no symbol {SYSCALL}")),
        |symbol| exit::syscall_exit(&text, &symbol),
    );
    let audit = Audit {
        source: Some(memory.name()),
        why: String::new(),
        functions,
        loaded_mm_switching: switching,
        syscall_exit,
    };
    (audit, again)
}

fn described(name: &'static str, symbol: &TextSymbol<'_>, function: Function) -> Function {
    Function {
        name,
        symbol: Some(symbol.name.to_owned()),
        address: Some(symbol.address),
        size: Some(symbol.size),
        ..function
    }
}

/// Where BTF has the members that `finish_task_switch` tests.
fn tested(btf: &Btf) -> Tested {
    let offset = |path| btf.member(path).ok().map(|member| i64::from(member.offset));
    Tested {
        prev_mm: offset("rq.prev_mm"),
        mm: offset("task_struct.mm"),
        membarrier_state: offset("mm_struct.membarrier_state"),
    }
}

/// Where the two accesses of `switch_mm_irqs_off` go.
fn fields(btf: Option<&Btf>, symbols: Option<&SymbolTable>) -> Result<Fields, String> {
    let btf = btf.ok_or("this kernel's BTF can't be read")?;
    let member = |path| {
        btf.member_sized(path, 8).map(|member| member.offset).map_err(|error| error.to_string())
    };
    let loaded_mm = u64::from(member("tlb_state.loaded_mm")?);
    // Data symbols are listed with CONFIG_KALLSYMS_ALL only.
    let variable = symbols.and_then(|symbols| symbols.data("cpu_tlbstate"));
    Ok(Fields {
        loaded_mm: variable.map(|variable| variable.wrapping_add(loaded_mm)),
        tlb_gen: i64::from(member("mm_struct.context.tlb_gen")?),
    })
}

#[cfg(test)]
mod tests;
