use std::collections::HashSet;

use super::*;

#[test]
fn names_are_unique_and_rows_complete() {
    let mut names = HashSet::new();
    for probe in PROBES {
        assert!(names.insert(probe.name), "{} stands twice", probe.name);
        for text in [probe.subsystem, probe.gives, probe.since, probe.lost_without] {
            assert!(!text.is_empty(), "{} is incomplete", probe.name);
            assert!(!text.contains('|'), "{} would break the README's table", probe.name);
        }
        assert!(probe.args.is_sorted_by_key(|arg| arg.index), "{}", probe.name);
    }
}

#[test]
fn only_sched_switch_is_indispensable() {
    let required: Vec<_> = PROBES
        .iter()
        .filter(|probe| probe.need == Need::Required)
        .map(|probe| probe.name)
        .collect();
    assert_eq!(required, ["sched_switch"]);
}

#[test]
fn what_everybody_would_pay_for_is_attached_only_when_needed() {
    for name in ["sys_enter", "sys_exit", "page_fault_user", "page_fault_kernel"] {
        assert_eq!(find(name).unwrap().when, When::WhileRegistered, "{name}");
    }
}

/// They are attached in this order and taken away in the other.
#[test]
fn whoever_is_seen_to_begin_a_system_call_is_seen_to_end_it() {
    let place = |name: &str| PROBES.iter().position(|probe| probe.name == name).unwrap();
    assert!(place("sys_exit") < place("sys_enter"));
}

#[test]
fn the_table_goes_between_its_comments() {
    let document = "# Title\n<!-- probes: begin -->\noutdated\n<!-- probes: end -->\nrest\n";
    let new = update_section(document).unwrap();
    assert!(new.starts_with("# Title\n") && new.ends_with("\nrest\n"));
    assert!(new.contains("`sched:sched_switch`") && !new.contains("outdated"));
    assert_eq!(update_section(&new).as_deref(), Some(&*new), "a second time changes nothing");
    assert_eq!(update_section("no table here"), None);
}
