//! Kernels of ours that lack something that distributions' kernels have.

use std::fmt;

use super::source::Source;

/// One of our kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    pub(crate) source: Source,
    /// What it lacks.
    pub(crate) without: Option<Without>,
}

/// What a kernel may lack, and unlazy has to do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Without {
    /// `CONFIG_KALLSYMS_ALL`: /proc/kallsyms does not tell where variables are
    KallsymsAll,
    /// `CONFIG_FUNCTION_TRACER`: no program can sit on a function's entry or exit
    Fentry,
}

impl Without {
    /// The options that are off.
    pub(super) const fn options(self) -> &'static [&'static str] {
        match self {
            Self::KallsymsAll => &["CONFIG_KALLSYMS_ALL"],
            Self::Fentry => &[
                "CONFIG_FUNCTION_TRACER",
                "CONFIG_DYNAMIC_FTRACE",
                "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS",
                "CONFIG_FPROBE",
            ],
        }
    }
}

impl fmt::Display for Without {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KallsymsAll => "no-kallsyms-all",
            Self::Fentry => "no-fentry",
        })
    }
}

impl From<Source> for Variant {
    fn from(source: Source) -> Self {
        Self { source, without: None }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        self.without.map_or(Ok(()), |without| write!(f, "-{without}"))
    }
}
