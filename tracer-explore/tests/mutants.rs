//! Every guard of the abstract kernel dropped in turn: caught, or shown to be as good.

use std::sync::LazyLock;

use tracer_explore::{
    guard::Guard,
    mutant::{Found, Hunt, Mutant, SPACES, SURVIVORS, Why},
};

/// The spaces of the kernel with all its guards, looked through once for all tests.
static HUNT: LazyLock<Hunt> = LazyLock::new(|| Hunt::new(SPACES));

fn unsettled(found: &[Found]) -> Vec<String> {
    let unsettled = found.iter().filter(|found| !found.is_settled());
    unsettled.map(|found| format!("{}: {:?}", found.mutant.name(), found.fate)).collect()
}

/// The kernel with all its guards breaks no rule, is never at odds with itself, and what was begun can
/// always end.
#[test]
fn without_a_dropped_guard_nothing_is_found() {
    for (space, graph) in HUNT.wholes() {
        assert_eq!(graph.caught, None, "{}", space.name);
        assert!(!graph.too_many, "{}", space.name);
    }
}

/// Whatever is not known to be as good is caught.
#[test]
fn each_that_is_not_as_good_is_caught() {
    let survives = |mutant: &Mutant| SURVIVORS.iter().any(|known| known.name == mutant.name());
    let mutants: Vec<_> = Mutant::all().filter(|mutant| !survives(mutant)).collect();
    let found = HUNT.hunt_all(&mutants, &|_| {});
    assert_eq!(unsettled(&found), Vec::<String>::new());
}

/// And what is known to be as good is caught in no space.
#[test]
#[ignore = "minutes"]
fn each_is_caught_or_as_good() {
    let mutants: Vec<_> = Mutant::all().collect();
    let found = HUNT.hunt_all(&mutants, &|found| {
        println!("{:<24} {:?}", found.mutant.name(), found.fate);
    });
    assert_eq!(unsettled(&found), Vec::<String>::new());
}

#[test]
fn survivors_are_mutants_with_a_reason() {
    for survivor in SURVIVORS {
        assert!(Mutant::from_name(survivor.name).is_some(), "{}", survivor.name);
        assert!(survivor.reason.len() > 20, "{}", survivor.name);
        assert_eq!(SURVIVORS.iter().filter(|other| other.name == survivor.name).count(), 1);
    }
    assert!(SURVIVORS.iter().any(|survivor| survivor.why == Why::Same));
}

/// The table is complete as far as barriers go: none stands in the kernel but by a guard, and every
/// guard stands there.
#[test]
fn no_barrier_stands_beside_the_table() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kernel");
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        all += &std::fs::read_to_string(entry.path()).unwrap_or_default();
    }
    for guard in Guard::ALL {
        assert!(all.contains(&format!("Guard::{guard:?}")), "{guard:?} stands nowhere");
    }
    // A serializing instruction and a barrier each have one way to be made, and besides stand where a
    // guard or a flag has just been asked.
    let bare = |call: &str| {
        let lines: Vec<_> = all.lines().collect();
        let near = |at: usize| {
            let before = lines[at.saturating_sub(9)..=at].join(" ");
            ["self.does(", "Flag::", "fn serialize", "fn sync_in_use"]
                .iter()
                .any(|word| before.contains(word))
        };
        (0..lines.len()).filter(|&at| lines[at].contains(call) && !near(at)).count()
    };
    assert_eq!(bare("self.s.drain("), 0);
    assert_eq!(bare("self.serialize("), 0);
}
