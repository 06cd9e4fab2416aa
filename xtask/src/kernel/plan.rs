//! What a tree must look like: every edited file, every file of ours, and the key of it all.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::bugs::BUGS;
use super::edit::{Change, Edit};
use super::source::Archive;

/// What lets the tree know of our files.
const PLUMBING: &[Edit] = &[
    Edit {
        file: "kernel/Makefile",
        anchor: "obj-y += sched/",
        change: Change::Before("obj-y += unlazy_bug.o"),
    },
    // Most files come by the switch through this one, with linux/sched/mm.h.
    Edit {
        file: "arch/x86/include/asm/sync_core.h",
        anchor: "#include <asm/special_insns.h>",
        change: Change::After("#include <linux/unlazy_bug.h>"),
    },
    Edit {
        file: "arch/x86/mm/tlb.c",
        anchor: "#include <asm/mmu_context.h>",
        change: Change::After("#include <linux/unlazy_bug.h>"),
    },
    Edit {
        file: "arch/x86/include/asm/entry-common.h",
        anchor: "#include <linux/user-return-notifier.h>",
        change: Change::After("#include <linux/unlazy_bug.h>\n#include <asm/sync_core.h>"),
    },
];

/// Everything that is done to a fresh source, and with what it is then built.
pub(crate) struct Plan {
    /// The edits of each file, in the order in which they are made.
    pub(crate) edits: BTreeMap<&'static str, Vec<Edit>>,
    /// Files of ours and their text.
    pub(crate) files: Vec<(&'static str, String)>,
    /// `<upstream version>-<key>`: two builds with the same name are the same kernel.
    pub(crate) name: String,
}

impl Plan {
    /// Lays down what is to be built from `archive`, configured by `fragment`, with `tools`.
    pub(crate) fn new(archive: &Archive, tools: &[String], fragment: &str) -> Self {
        let mut edits: BTreeMap<&'static str, Vec<Edit>> = BTreeMap::new();
        for edit in PLUMBING.iter().chain(BUGS.iter().flat_map(|bug| bug.edits)) {
            edits.entry(edit.file).or_default().push(*edit);
        }
        let files = vec![
            ("kernel/unlazy_bug.c", include_str!("tree/unlazy_bug.c").to_owned()),
            ("include/linux/unlazy_bug.h", include_str!("tree/unlazy_bug.h").to_owned()),
            ("include/linux/unlazy_bug_list.h", list()),
        ];
        let key = key(archive, tools, fragment, &edits, &files);
        // Debian's revision says nothing about a kernel that Debian did not build.
        let upstream = archive.version.split('-').next().unwrap_or(&archive.version);
        Self { edits, files, name: format!("{upstream}-{key}") }
    }
}

/// The kernel's own list of the bugs: the table's, in the table's order.
fn list() -> String {
    let mut list = String::from("/* SPDX-License-Identifier: GPL-2.0 */\n");
    for bug in BUGS {
        // Writing to a String cannot fail.
        let _ = writeln!(list, "UNLAZY_BUG({}, \"{}\")", bug.id(), bug.name);
    }
    list
}

/// Twelve hexadecimal digits of everything that decides what the image will be.
fn key(
    archive: &Archive,
    tools: &[String],
    fragment: &str,
    edits: &BTreeMap<&'static str, Vec<Edit>>,
    files: &[(&'static str, String)],
) -> String {
    let mut hash = Sha256::new();
    // With their lengths, so that no two lists of words run together into the same bytes.
    let mut add = |word: &str| {
        hash.update((word.len() as u64).to_le_bytes());
        hash.update(word.as_bytes());
    };
    add(&archive.version);
    add(&archive.sha256);
    for tool in tools {
        add(tool);
    }
    add(fragment);
    for edit in edits.values().flatten() {
        add(edit.file);
        add(edit.anchor);
        add(edit.change.verb());
        add(edit.change.code());
    }
    for (file, text) in files {
        add(file);
        add(text);
    }
    let mut key = format!("{:x}", hash.finalize());
    key.truncate(12);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Archive {
        Archive {
            package: "linux-source-6.12".to_owned(),
            version: "6.12.117-1~deb12u1".to_owned(),
            sha256: "00".repeat(32),
            tar: "linux-source-6.12.tar.xz".to_owned(),
        }
    }

    const FRAGMENT: &str = "CONFIG_SMP=y\n";

    fn tools(gcc: &str) -> Vec<String> {
        vec![format!("gcc: {gcc}"), "ld: 2.40".to_owned()]
    }

    fn name(archive: &Archive, gcc: &str, fragment: &str) -> String {
        Plan::new(archive, &tools(gcc), fragment).name
    }

    #[test]
    fn the_name_is_the_version_and_the_key() {
        let name_12 = name(&archive(), "12", FRAGMENT);
        let (version, key) = name_12.split_once('-').unwrap();
        assert_eq!(version, "6.12.117");
        assert_eq!(key.len(), 12);
        assert_eq!(name_12, name(&archive(), "12", FRAGMENT));
    }

    #[test]
    fn archive_tools_and_configuration_are_in_the_key() {
        let base = name(&archive(), "12", FRAGMENT);
        let revision = Archive { version: "6.12.117-2".to_owned(), ..archive() };
        let content = Archive { sha256: "11".repeat(32), ..archive() };
        assert_ne!(name(&revision, "12", FRAGMENT), base);
        assert_ne!(name(&content, "12", FRAGMENT), base);
        assert_ne!(name(&archive(), "13", FRAGMENT), base);
        assert_ne!(name(&archive(), "12", "CONFIG_SMP=n\n"), base);
    }

    #[test]
    fn edits_and_our_files_are_in_the_key() {
        let Plan { edits, files, .. } = Plan::new(&archive(), &tools("12"), FRAGMENT);
        let key_of = |edits: &_, files: &_| key(&archive(), &tools("12"), FRAGMENT, edits, files);
        let base = key_of(&edits, &files);
        for change in [Change::Before("y;"), Change::After("y;"), Change::Before("z;")] {
            let mut more = edits.clone();
            let edit = Edit { file: "kernel/exit.c", anchor: "x;", change };
            more.entry(edit.file).or_default().push(edit);
            assert_ne!(key_of(&more, &files), base);
        }
        let mut changed = files.clone();
        changed[0].1.push('\n');
        assert_ne!(key_of(&edits, &changed), base);
    }

    #[test]
    fn the_kernels_list_is_the_tables() {
        let list = list();
        assert!(list.contains("UNLAZY_BUG(LAZY_NOSYNC, \"lazy-nosync\")\n"), "{list}");
        assert_eq!(list.matches("UNLAZY_BUG(").count(), BUGS.len());
    }
}
