//! What messages are about.

use std::fmt;

/// A channel of the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// [`Facts`](crate::stream::Facts): the first message of every file.
    Facts,
    /// [`Opening`](crate::stream::Opening).
    Opened,
    /// [`Closing`](crate::stream::Closing): the last message of a run.
    Closed,
    /// System calls are traced from now on, or no longer.
    SyscallProbes,
    /// All records older than this were handed over: `u64`, little endian.
    Sweep,
    /// Records that were read and dropped: [`Gap`](super::Gap).
    Gap,
    /// A block of a CPU's records: [`super::block`].
    Cpu(u32),
}

/// The channel of CPU 0; those of the others follow.
const FIRST_CPU: u16 = 16;

impl Topic {
    /// Those that are not a CPU's.
    const SINGLE: [Self; 6] =
        [Self::Facts, Self::Opened, Self::Closed, Self::SyscallProbes, Self::Sweep, Self::Gap];

    /// The channel's number, always the same, so that messages are understood even if what declared
    /// the channel is damaged.
    pub(super) const fn id(self) -> u16 {
        match self {
            Self::Facts => 1,
            Self::Opened => 2,
            Self::Closed => 3,
            Self::SyscallProbes => 4,
            Self::Sweep => 5,
            Self::Gap => 6,
            Self::Cpu(cpu) => FIRST_CPU + cpu as u16,
        }
    }

    /// The topic of a channel's number.
    pub(super) fn from_id(id: u16) -> Option<Self> {
        match id.checked_sub(FIRST_CPU) {
            Some(cpu) => Some(Self::Cpu(u32::from(cpu))),
            None => Self::SINGLE.into_iter().find(|topic| topic.id() == id),
        }
    }

    /// The schema's name, encoding and text, and the messages' encoding.
    pub(super) const fn schema(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Facts => ("unlazy.facts/1", "jsonschema", OBJECT, "json"),
            Self::Opened => ("unlazy.opened/1", "jsonschema", OBJECT, "json"),
            Self::Closed => ("unlazy.closed/1", "jsonschema", OBJECT, "json"),
            Self::SyscallProbes => ("unlazy.syscall_probes/1", "jsonschema", OBJECT, "json"),
            Self::Gap => ("unlazy.gap/1", "jsonschema", OBJECT, "json"),
            Self::Sweep => ("unlazy.sweep/1", "unlazy", BINARY, "unlazy"),
            Self::Cpu(_) => ("unlazy.block/1", "unlazy", BINARY, "unlazy"),
        }
    }
}

const OBJECT: &str = r#"{"type":"object"}"#;
const BINARY: &str = "see docs/trace-format.md of unlazy";

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Facts => f.write_str("/facts"),
            Self::Opened => f.write_str("/window/opened"),
            Self::Closed => f.write_str("/window/closed"),
            Self::SyscallProbes => f.write_str("/syscall_probes"),
            Self::Sweep => f.write_str("/sweep"),
            Self::Gap => f.write_str("/gap"),
            Self::Cpu(cpu) => write!(f, "/cpu/{cpu}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_s_number_says_what_it_is_about() {
        let cpus = [0, 1, 8191].map(Topic::Cpu);
        for topic in Topic::SINGLE.into_iter().chain(cpus) {
            assert_eq!(Topic::from_id(topic.id()), Some(topic));
        }
        assert_eq!(Topic::from_id(0), None);
        assert_eq!(Topic::from_id(7), None);
    }
}
