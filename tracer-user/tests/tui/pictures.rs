//! Pictures of screens: made by a command from golden traces, so that documents can't go stale.

use std::{env, fs, process::Command};

use crate::golden;

/// Set this to write the documents instead of checking them.
const UPDATE: &str = "UPDATE_PICTURES";

fn picture(args: &[&str]) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_unlazy"))
        .arg("replay")
        .args(args)
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .env_remove("NO_COLOR")
        .output()
        .expect("unlazy starts");
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("text")
}

/// Every block of `docs/tui.md` between `<!-- picture: ARGS -->` and `<!-- end -->` is what
/// `unlazy replay ARGS` prints; golden traces go by their names.
fn renewed(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("<!-- picture: ") {
        let (before, mark) = rest.split_at(at);
        let (line, after) = mark.split_once('\n').expect("a line for the mark");
        let args = line.trim_start_matches("<!-- picture: ").trim_end_matches(" -->");
        let mut words: Vec<String> = args.split(' ').map(|word| word.replace('+', " ")).collect();
        words[0] = golden(&words[0]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (_, after) = after.split_once("<!-- end -->").expect("an end of the picture");
        out += before;
        let drawn = picture(&words);
        out.extend([line, "\n```\n", &drawn, "```\n<!-- end -->"]);
        rest = after;
    }
    out + rest
}

#[test]
fn the_pictures_in_the_documents_are_what_the_program_draws() {
    for name in ["docs/tui.md", "README.md"] {
        let path = format!("{}/../{name}", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(&path).expect("a document");
        let wanted = renewed(&text);
        if env::var_os(UPDATE).is_some() {
            fs::write(&path, &wanted).expect("writing it");
        } else {
            assert!(text == wanted, "{name} is out of date; run with {UPDATE}=1 to renew it");
        }
    }
}

#[test]
fn a_picture_is_the_same_every_time_and_as_svg() {
    let args = [&golden("hole"), "--screen", "findings", "--picture", "100x20"];
    let text = picture(&args);
    assert_eq!(text, picture(&args));
    assert_eq!(text.lines().count(), 20);
    let svg = picture(&[&args[..], &["--svg"]].concat());
    assert!(svg.starts_with("<svg ") && svg.contains("FINDINGS"), "{svg}");
    assert!(!svg.contains('\u{1b}'));
}
