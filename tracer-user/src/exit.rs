//! The four exit codes; scripts and other people's CI rely on them.

use std::process::{ExitCode, Termination};

use crate::report::Verdict;

/// How the program ends.
///
/// Return it from `main`: it implements [`Termination`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// 0: every check that was made passed.
    Clean = 0,
    /// 1: a rule was broken; the report says where.
    Findings = 1,
    /// 2: wrong usage, or the environment refused something; nothing was judged.
    Error = 2,
    /// 3: something that had to be judged could not be.
    Inconclusive = 3,
}

impl Exit {
    /// The number the shell sees.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Ends the process at once. Destructors do not run: drop what holds probes first.
    pub fn exit(self) -> ! {
        std::process::exit(i32::from(self.code()))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        self.into()
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Clean => Self::Clean,
            Verdict::Findings => Self::Findings,
            Verdict::Inconclusive => Self::Inconclusive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_the_contract() {
        let codes = [Exit::Clean, Exit::Findings, Exit::Error, Exit::Inconclusive].map(Exit::code);
        assert_eq!(codes, [0, 1, 2, 3]);
    }

    #[test]
    fn a_verdict_ends_in_its_code() {
        assert_eq!(Exit::from(Verdict::Clean), Exit::Clean);
        assert_eq!(Exit::from(Verdict::Findings), Exit::Findings);
        assert_eq!(Exit::from(Verdict::Inconclusive), Exit::Inconclusive);
        assert_eq!(ExitCode::from(Exit::Error), ExitCode::from(2));
    }
}
