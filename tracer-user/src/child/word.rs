//! What the child says to its parent before it becomes the program.

/// A step on the way to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// Making a process at all.
    Fork,
    /// Giving limits, scheduling, affinity and OOM score back.
    Restore,
    /// Taking the user's groups.
    Groups,
    /// Taking the user's group id.
    Gid,
    /// Taking the user's id.
    Uid,
    /// Giving up capabilities.
    Capabilities,
    /// Setting signals to their defaults.
    Signals,
    /// Closing descriptors.
    Descriptors,
    /// Finding the program.
    Find,
    /// Executing it.
    Exec,
}

impl Step {
    const ALL: [Self; 10] = [
        Self::Fork,
        Self::Restore,
        Self::Groups,
        Self::Gid,
        Self::Uid,
        Self::Capabilities,
        Self::Signals,
        Self::Descriptors,
        Self::Find,
        Self::Exec,
    ];

    /// What it does, after "cannot".
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Fork => "start a process",
            Self::Restore => "restore limits and scheduling",
            Self::Groups => "take the user's groups",
            Self::Gid => "take the user's group",
            Self::Uid => "take the user's id",
            Self::Capabilities => "give up capabilities",
            Self::Signals => "reset signals",
            Self::Descriptors => "close descriptors",
            Self::Find => "find the program",
            Self::Exec => "execute the program",
        }
    }

    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::Fork => "check ulimit -u and free memory",
            Self::Groups | Self::Gid | Self::Uid | Self::Capabilities => {
                "run unlazy as full root, or keep the identity with --as-root"
            }
            Self::Restore => "run unlazy as full root, or start the command by itself",
            Self::Signals | Self::Descriptors | Self::Find | Self::Exec => {
                "start the command by itself and trace with --for"
            }
        }
    }
}

/// What the child tells its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// At the gate.
    Ready,
    /// A step failed.
    Failed(Step, i32),
}

impl Word {
    /// Its length in the pipe.
    pub(super) const LEN: usize = 5;
    const READY: u8 = 0xff;

    /// For the pipe, without allocation.
    pub(super) fn encode(self) -> [u8; Self::LEN] {
        let (tag, errno) = match self {
            Self::Ready => (Self::READY, 0),
            Self::Failed(step, errno) => (step as u8, errno),
        };
        let [a, b, c, d] = errno.to_ne_bytes();
        [tag, a, b, c, d]
    }

    /// `None` for anything that [`Word::encode`] does not write.
    pub(super) fn decode(bytes: [u8; Self::LEN]) -> Option<Self> {
        let [tag, a, b, c, d] = bytes;
        if tag == Self::READY {
            return Some(Self::Ready);
        }
        let step = Step::ALL.into_iter().find(|&step| step as u8 == tag)?;
        Some(Self::Failed(step, i32::from_ne_bytes([a, b, c, d])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_pipe() {
        for step in Step::ALL {
            let word = Word::Failed(step, -7);
            assert_eq!(Word::decode(word.encode()), Some(word));
        }
        assert_eq!(Word::decode(Word::Ready.encode()), Some(Word::Ready));
        assert_eq!(Word::decode([200, 0, 0, 0, 0]), None);
    }
}
