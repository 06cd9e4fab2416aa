//! What the kernel's source promises, and how far the running kernel is known to keep it.

use super::Evidence;

/// Whether a function of the kernel serializes the core where its source says so, and how that is
/// known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Promise {
    /// The source says so; nothing else is known.
    #[default]
    Assumed,
    /// The running kernel's text has a serializing instruction on the path that the source
    /// promises. That this path was taken is inferred.
    Audited,
    /// The running kernel's text has none: the function does nothing.
    Never,
    /// The running kernel's text has one, but under conditions that are not the source's, and no
    /// probe sits on it: it may have serialized, or not.
    Undecided,
    /// A probe sits on the instruction: [`Event::Serialized`](super::Event::Serialized) tells, and
    /// nothing is taken for granted.
    Probed,
}

impl Promise {
    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::Assumed, Self::Audited, Self::Never, Self::Undecided, Self::Probed];

    /// The one of this [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|promise| promise.name() == name)
    }

    /// By what a serialization is known that no probe saw, when the function was on its way;
    /// `None` if there is none to be counted.
    #[must_use]
    pub const fn evidence(self) -> Option<Evidence> {
        match self {
            Self::Assumed => Some(Evidence::Assumed),
            Self::Audited => Some(Evidence::Inferred),
            Self::Never | Self::Undecided | Self::Probed => None,
        }
    }

    /// The word reports use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Assumed => "assumed",
            Self::Audited => "audited",
            Self::Never => "never",
            Self::Undecided => "undecided",
            Self::Probed => "probed",
        }
    }

    /// Whether it may have serialized unseen.
    #[must_use]
    pub const fn possible(self) -> bool {
        matches!(self, Self::Assumed | Self::Audited | Self::Undecided)
    }
}
