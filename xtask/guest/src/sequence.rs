//! Several commands in one: one after the other, or side by side.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus};

use anyhow::{Context as _, Result, bail};

/// Between commands that run one after the other.
pub(crate) const THEN: &str = ",";
/// Between commands that run side by side.
pub(crate) const WITH: &str = "+";

/// Cuts a command line into commands.
///
/// # Errors
/// When one of them is empty.
pub(crate) fn split<'a>(words: &'a [String], separator: &str) -> Result<Vec<&'a [String]>> {
    let commands: Vec<&[String]> = words.split(|word| word == separator).collect();
    if commands.iter().any(|command| command.is_empty()) {
        bail!("an empty command: write `COMMAND {separator} COMMAND`");
    }
    Ok(commands)
}

/// Runs commands one after the other until one fails: the last one's exit code.
///
/// # Errors
/// When one cannot be started.
pub(crate) fn one_after_the_other(words: &[String]) -> Result<u8> {
    let mut code = 0;
    for command in split(words, THEN)? {
        code = once(command)?;
        if code != 0 {
            break;
        }
    }
    Ok(code)
}

/// Runs commands one after the other, all of them: the first exit code that is not 0.
///
/// # Errors
/// When one cannot be started.
pub(crate) fn one_after_the_other_whatever_happens(words: &[String]) -> Result<u8> {
    let mut codes = Vec::new();
    for command in split(words, THEN)? {
        codes.push(once(command)?);
    }
    Ok(codes.into_iter().find(|&code| code != 0).unwrap_or(0))
}

/// Runs commands side by side until all have ended: the first exit code that is not 0, in the
/// order in which they were written.
///
/// # Errors
/// When one cannot be started.
pub(crate) fn side_by_side(words: &[String]) -> Result<u8> {
    let mut running = Vec::new();
    for command in split(words, WITH)? {
        running.push(start(command)?);
    }
    let mut codes = Vec::new();
    for mut child in running {
        codes.push(code(child.wait().context("waiting for a command")?));
    }
    Ok(codes.into_iter().find(|&code| code != 0).unwrap_or(0))
}

/// Runs a command: its exit code.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn once(command: &[String]) -> Result<u8> {
    Ok(code(start(command)?.wait().context("waiting for a command")?))
}

fn start(command: &[String]) -> Result<Child> {
    let (program, args) = command.split_first().context("an empty command")?;
    Command::new(program).args(args).spawn().with_context(|| format!("starting `{program}`"))
}

/// An exit code, or as a shell has it, 128 and the signal.
pub(crate) fn code(status: ExitStatus) -> u8 {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn commands_are_cut_at_their_own_separator_only() {
        let line = words("a -- b + c , d");
        assert_eq!(split(&line, THEN).unwrap().len(), 2);
        assert_eq!(split(&line, WITH).unwrap(), [&words("a -- b")[..], &words("c , d")[..]]);
        assert!(split(&words("a , , b"), THEN).is_err());
        assert!(split(&words(""), THEN).is_err());
        assert!(split(&words("a +"), WITH).is_err());
    }

    #[test]
    fn a_sequence_stops_at_the_first_failure() {
        assert_eq!(one_after_the_other(&words("true , false , no-such-program")).unwrap(), 1);
        assert_eq!(one_after_the_other(&words("true , true")).unwrap(), 0);
        assert!(one_after_the_other(&words("no-such-program")).is_err());
    }

    #[test]
    fn a_failure_does_not_end_a_sequence_of_all() {
        let line = ["sh", "-c", "exit 3", ",", "sh", "-c", "exit 4", ",", "true"];
        let line: Vec<String> = line.map(str::to_owned).to_vec();
        assert_eq!(one_after_the_other_whatever_happens(&line).unwrap(), 3);
        assert!(one_after_the_other_whatever_happens(&words("false , no-such-program")).is_err());
    }

    #[test]
    fn side_by_side_all_end_and_the_first_failure_counts() {
        let line = ["sh", "-c", "exit 3", "+", "true", "+", "sh", "-c", "kill -9 $$"];
        let line: Vec<String> = line.map(str::to_owned).to_vec();
        assert_eq!(side_by_side(&line).unwrap(), 3);
        assert_eq!(side_by_side(&line[4..]).unwrap(), 137);
    }
}
