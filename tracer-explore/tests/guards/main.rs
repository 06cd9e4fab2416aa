//! No condition of the abstract kernel escapes the table of guards: each that is not a guard's, and
//! so is never dropped by a mutant, stands in the list of exceptions with its reason.

#![expect(
    clippy::expect_used,
    reason = "in an integration test; clippy exempts only what stands under #[test]"
)]

mod exceptions;
mod scan;

use std::{collections::BTreeMap, fs, path::Path};

use exceptions::EXCEPTIONS;

/// Every bare condition of the steps, with the file in which it stands, and how often.
fn found() -> BTreeMap<String, usize> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kernel");
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("the steps") {
        let path = entry.expect("a file").path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        assert!(path.is_file(), "{name}: a folder, of which nothing is looked at here");
        for bare in scan::bare(&fs::read_to_string(&path).expect("its text")) {
            *found.entry(format!("{name}.rs {bare}")).or_default() += 1;
        }
    }
    found
}

#[test]
fn every_condition_is_a_guard_or_listed() {
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for (reason, conditions) in EXCEPTIONS {
        assert!(!reason.is_empty());
        for condition in *conditions {
            *known.entry((*condition).to_owned()).or_default() += 1;
        }
    }
    let found = found();
    let times = |of: &BTreeMap<String, usize>, what: &str| of.get(what).copied().unwrap_or(0);
    let bare: Vec<_> = found.iter().filter(|(what, n)| **n > times(&known, what)).collect();
    assert!(bare.is_empty(), "neither a guard (src/guard.rs) nor an exception: {bare:#?}");
    let gone: Vec<_> = known.iter().filter(|(what, n)| **n > times(&found, what)).collect();
    assert!(gone.is_empty(), "an exception that is not there any more: {gone:#?}");
}

/// What is found, and what is a guard's.
#[test]
fn bare_conditions_are_found() {
    let bare = |body: &str| scan::bare(&format!("impl Run {{ fn step(&mut self) {{ {body} }} }}"));
    for (body, expected) in [
        ("if self.lazy != 0 { self.go(); }", vec!["step: self.lazy != 0"]),
        ("if self.holds(Guard::X, self.lazy != 0) { self.go(); }", vec![]),
        ("if self.does(Guard::X) && self.lazy { self.go(); }", vec!["step: self.lazy"]),
        ("let lazy = self.lazy != 0; if self.holds(Guard::X, lazy) { self.go(); }", vec![]),
        (
            "let lazy = self.lazy != 0; if self.holds(Guard::X, lazy) || lazy { self.go(); }",
            vec!["step: self.lazy != 0"],
        ),
        ("let far = self.is_far(); if far { self.go(); }", vec!["step: self.is_far()"]),
        ("let f = |c| c.lazy; self.all().filter(f).for_each(go);", vec!["step: c.lazy"]),
        ("while self.has(Flag::Y) { self.go(); }", vec![]),
        ("if self.w.setup.fine { self.go(); }", vec![]),
        ("match self.at { 0 => self.go(), _ => {} }", vec!["step: match self.at"]),
        ("match n { n if self.far(n) => {} _ => {} }", vec!["step: match n", "step: self.far(n)"]),
        ("self.n += u8::from(self.far(1));", vec!["step: self.far(1)"]),
        ("self.n += u8::from(self.does(Guard::X));", vec![]),
        ("self.all().filter(|c| c.lazy).for_each(go);", vec!["step: c.lazy"]),
        ("self.all().filter(Self::is_lazy).for_each(go);", vec!["step: Self::is_lazy"]),
        ("let Some(n) = self.first() else { return };", vec!["step: self.first()"]),
        ("self.n = self.n.max(1);", vec!["step: self.n.max(1)"]),
        ("if matches!(self.at, 1) { self.go(); }", vec!["step: matches!(self.at, 1)"]),
    ] {
        assert_eq!(bare(body), expected, "{body}");
    }
}
