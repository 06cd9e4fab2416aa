//! Running a command whose whole life falls into the traced window.
//!
//! [`prepare`] forks, gives the child its identity and its limits, closes what it must not have,
//! finds the program as that user, and then holds it at a gate just before `execve`. All that can
//! go wrong up to there is an error before anything is traced. [`Prepared::release`] opens the
//! gate; [`Running`] waits.
//!
//! What the command gets:
//! - **Identity.** Under sudo, that of the user who called sudo ([`Identity::Invoking`]).
//! - **Nothing of ours.** No descriptor but 0 to 2, no capability, no handler. Signals that were
//!   ignored when we were started stay ignored (`nohup`), except SIGPIPE, which Rust's runtime
//!   ignores for itself. Limits, scheduling, affinity and OOM score are those that we were started
//!   with ([`Start`]). `no_new_privs` is not set: setuid programs work.
//! - **The terminal.** It stays in our session and process group, so Ctrl-C reaches both: we take
//!   it as "end early and report", the command does with it what it likes.
//! - **Its own life.** If we die, it goes on: it is the user's program, and there is no
//!   `PR_SET_PDEATHSIG`. A child that is still at the gate then ends by itself.

mod environ;
mod error;
mod identity;
mod lookup;
mod running;
mod start;
mod sys;
mod users;
mod word;

use std::ffi::{CString, OsString};

pub use error::ChildError;
pub use identity::{Account, Identity};
pub use running::{Ended, Prepared, Running};
pub use start::Start;
pub(crate) use sys::real_time;
pub use word::Step;

use environ::Environ;

/// Where the command's standard output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stdout {
    /// Where ours goes.
    #[default]
    Ours,
    /// To standard error: ours is kept for something else.
    Stderr,
    /// Nowhere, and neither does its standard error; and nothing comes from standard input. The
    /// terminal is kept for something else.
    Nowhere,
}

/// Brings `argv` to the gate as `identity`, with everything else as in `start`.
///
/// The program is looked for in `PATH` as it stands (sudo may have set it).
///
/// # Errors
/// [`ChildError`]: no such user, no such program, not executable by that user, or the system
/// refused a step. Nothing is left running then.
pub fn prepare(
    argv: &[OsString],
    identity: &Identity,
    start: &Start,
    stdout: Stdout,
) -> Result<Prepared, ChildError> {
    prepare_in(argv, identity, start, stdout, Environ::current())
}

fn prepare_in(
    argv: &[OsString],
    identity: &Identity,
    start: &Start,
    stdout: Stdout,
    mut environ: Environ,
) -> Result<Prepared, ChildError> {
    let Some(program) = argv.first() else { return Err(ChildError::Empty) };
    let account = identity.resolve(&environ)?;
    if let Some(account) = &account {
        environ.become_theirs(account);
    }
    let words = argv.iter().map(|word| c_string(word)).collect::<Result<_, _>>()?;
    let paths = lookup::candidates(program, environ.get("PATH"))
        .iter()
        .map(|path| c_string(path.as_os_str()))
        .collect::<Result<_, _>>()?;
    let mut plan = sys::Plan::new(paths, words, environ.to_c_strings()?);
    plan.stdout = stdout;
    plan.restore = start.differences();
    plan.ignored = start.ignored();
    plan.blocked = start.blocked();
    plan.account = account.as_ref().map(sys::Ids::from);
    Prepared::fork(program, plan, account)
}

fn c_string(text: &std::ffi::OsStr) -> Result<CString, ChildError> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(text.as_bytes()).map_err(|_| ChildError::Nul { text: text.to_owned() })
}

#[cfg(test)]
mod tests;
