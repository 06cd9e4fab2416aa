//! Bugs of an mm's lifetime.

use super::{Bug, Expect, Odds, Rule, Workload};
use crate::kernel::edit::{Change, Edit};

pub(super) const LAZY_DROP: Bug = Bug {
    name: "lazy-drop",
    what: "exit_mm takes no reference for the mm that its CPU goes on using lazily, so the mm is \
        dropped from under it. So that the machine lives to tell, this is every 4th exit of a \
        last user only, at most 4096 in all, and __mmdrop then frees nothing.",
    recreates: "nothing of the kernel's: the reference has always been there",
    expect: Expect::all(&[Rule::R5]),
    workload: Workload::Exit,
    cpus: 2,
    odds: Odds::Certain,
    edits: &[
        Edit {
            file: "kernel/exit.c",
            anchor: "(mm); BUG_ON(mm != current->active_mm);",
            change: Change::Before("if (!unlazy_bug(LAZY_DROP) || !unlazy_bug_drop(mm))"),
        },
        Edit {
            file: "kernel/fork.c",
            anchor: "WARN_ON_ONCE(mm == current->mm);",
            change: Change::After(
                "if (unlazy_bug(LAZY_DROP) && unlazy_bug_leaked(mm))\n\
                 \treturn;",
            ),
        },
    ],
};
