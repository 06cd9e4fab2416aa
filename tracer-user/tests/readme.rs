//! The README's table of probes is the table that the loader reads.

use std::{env, fs, path::Path};

use unlazy::probes::table::update_section;

/// Set this to write the README instead of checking it.
const UPDATE: &str = "UPDATE_README";

#[test]
fn readme_has_the_table_of_probes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(&path).expect("the README");
    let wanted = update_section(&readme).expect("its marks `<!-- probes: begin -->` and `end`");
    if env::var_os(UPDATE).is_some() {
        fs::write(&path, wanted).expect("writing the README");
        return;
    }
    assert!(readme == wanted, "the table is out of date; run with {UPDATE}=1 to renew it");
}
