//! The command line itself: what needs no root and traces nothing.

#![expect(
    clippy::expect_used,
    reason = "in an integration test; clippy exempts only what stands under #[test]"
)]

mod program;

use std::process::Command;

use program::unlazy;

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("text")
}

#[test]
fn every_help_says_what_to_type_and_how_it_ends() {
    let help = unlazy(&["--help"]);
    assert!(help.status.success());
    for command in ["doctor", "check", "stress"] {
        assert!(text(&help.stdout).contains(command), "{command}");
        let help = unlazy(&[command, "--help"]);
        assert_eq!(help.status.code(), Some(0), "{command}");
        let help = text(&help.stdout);
        for word in ["Usage:", "--json", command] {
            assert!(help.contains(word), "{command}: no {word} in {help}");
        }
        for line in help.lines() {
            assert!(line.chars().count() <= 100, "{command}: {line}");
        }
        assert!(!help.contains('\u{1b}'), "colours in a pipe: {help:?}");
    }
    for command in ["check", "stress"] {
        let help = unlazy(&[command, "--help"]);
        let help = text(&help.stdout);
        for word in ["Exit codes", "Ctrl-C", "--for"] {
            assert!(help.contains(word), "{command}: no {word}");
        }
    }
}

#[test]
fn the_version_is_one_line() {
    let version = unlazy(&["--version"]);
    let version = text(&version.stdout);
    assert!(version.starts_with("unlazy ") && version.lines().count() == 1, "{version}");
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
}

#[test]
fn wrong_usage_ends_with_2_and_a_word_about_it() {
    for (args, reason) in [
        (&[][..], "Usage:"),
        (&["chekc"], "check"),
        (&["check", "--fro", "1s"], "--fro"),
        (&["check", "--for", "0"], "at least 1ms"),
        (&["check", "--for", "0s"], "at least 1ms"),
        (&["check", "--for", "ten"], "500ms"),
        (&["check", "--for=-1s"], "--for"),
        (&["check", "--buffer", "0"], "holds nothing"),
        (&["check", "--buffer", "lots"], "lots"),
        (&["check", "--syscalls", "never"], "always"),
        (&["check", "--user", "nobody"], "CMD"),
        (&["check", "--as-root", "--user", "nobody", "--", "true"], "--as-root"),
        (&["check", "stray"], "stray"),
        (&["doctor", "stray"], "stray"),
        (&["stress", "--scenario", "nope"], "sync-core"),
    ] {
        let output = unlazy(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        let said = text(&output.stderr);
        assert!(said.contains(reason), "{args:?}: no \"{reason}\" in {said}");
        assert!(!said.contains("panicked"), "{args:?}: {said}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn doctor_answers_whoever_asks() {
    let output = unlazy(&["doctor", "--json"]);
    assert!(matches!(output.status.code(), Some(0 | 2)), "{output:?}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stdout));
    });
    assert_eq!(json["schema"], "unlazy.doctor/1");
    assert_eq!(json["modes"]["tracepoint"]["ok"], output.status.code() == Some(0));
    assert!(json["probes"].as_array().is_some_and(|probes| probes.len() > 30));
    // Where it can't work, it says what to do.
    let advice = json["advice"].as_array().expect("advice");
    assert!(output.status.code() == Some(0) || !advice.is_empty(), "{json:#}");
    let output = unlazy(&["doctor", "--btf", "/no/such/btf"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stdout).contains("/no/such/btf"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let script = "{ \"$0\" doctor; echo $? >&2; } | true";
    let output = Command::new("sh").args(["-c", script, env!("CARGO_BIN_EXE_unlazy")]).output();
    let output = output.expect("a shell");
    assert!(["0\n", "2\n"].contains(&text(&output.stderr)), "{output:?}");
}

#[test]
fn doctor_refuses_a_place_that_cannot_be_written() {
    for place in ["/no/such/dir/doctor.json", "/dev/full"] {
        let output = unlazy(&["doctor", "--json", place]);
        assert_eq!(output.status.code(), Some(2), "{place}: {output:?}");
        assert!(text(&output.stderr).contains(place), "{place}: {output:?}");
    }
}
