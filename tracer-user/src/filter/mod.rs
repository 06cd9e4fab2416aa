//! A small query language: which rows and events are of interest.
//!
//! ```text
//! mm=8 cpu=0-3,7                 both
//! rule=R1 or rule=R2             either
//! not comm=swapper*              what does not match; * stands for any characters
//! kind=flush latency>100us       numbers compare; times take a unit
//! jit                            a bare word: part of a name
//! ```
//!
//! A thing that has no such field is not judged by it: `rule=R2` hides findings of other rules and no
//! CPU. A field that it has, but whose value is not known, matches `?` and nothing else.

mod error;
mod events;
pub mod language;
mod parse;
mod subjects;
#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

pub use error::FilterError;
pub(crate) use subjects::Returned;

/// What can be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// A CPU's number.
    Cpu,
    /// An mm's `ctx_id`; of a CPU, the logical or the real one. `none` and `init` are names.
    Mm,
    /// A thread.
    Tid,
    /// A process.
    Pid,
    /// A thread's or process's name.
    Comm,
    /// A rule's id or name.
    Rule,
    /// A finding's severity.
    Severity,
    /// How a finding is known.
    Evidence,
    /// What kind of call or event it is.
    Kind,
    /// A call's length.
    Latency,
    /// Whether a CPU is lazy.
    Lazy,
    /// Whether a CPU's state is known.
    Known,
}

impl Field {
    /// All of them, with their names and what they are, in the order in which the help lists them.
    pub const ALL: [(Self, &'static str, &'static str); 12] = [
        (Self::Cpu, "cpu", "a CPU: 3, 0-3,7"),
        (Self::Mm, "mm", "an mm's ctx_id; none; init; of a CPU either of its two, of an event any"),
        (Self::Tid, "tid", "a thread; of an event any that it names"),
        (Self::Pid, "pid", "a process; of an event any that it names"),
        (Self::Comm, "comm", "a thread's or process's name; * stands for any characters"),
        (Self::Rule, "rule", "of a finding: R2, or membarrier"),
        (Self::Severity, "severity", "violation, hazard, self-check"),
        (Self::Evidence, "evidence", "observed, inferred, assumed"),
        (Self::Kind, "kind", "of a call: sync_core, membarrier, flush; of an event, its name"),
        (Self::Latency, "latency", "how long a call took: latency>100us"),
        (Self::Lazy, "lazy", "yes or no"),
        (Self::Known, "known", "yes or no: whether a CPU's state is known"),
    ];

    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == name).map(|&(field, ..)| field)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(field, ..)| *field == self).map_or("", |&(_, name, _)| name)
    }

    const fn kind(self) -> FieldKind {
        match self {
            Self::Cpu | Self::Tid | Self::Pid => FieldKind::Number,
            Self::Mm => FieldKind::Mm,
            Self::Latency => FieldKind::Time,
            Self::Comm | Self::Rule | Self::Severity | Self::Evidence | Self::Kind => {
                FieldKind::Text
            }
            Self::Lazy | Self::Known => FieldKind::Flag,
        }
    }
}

/// How a field's values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldKind {
    Number,
    Mm,
    Time,
    Text,
    Flag,
}

/// A value of something that is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// It has the field; what is in it is not known.
    Unknown,
    /// A number, or a time in nanoseconds.
    Number(u64),
    /// A word.
    Text(&'a str),
    /// Yes or no.
    Flag(bool),
}

impl<'a> Value<'a> {
    /// A number that may not be known.
    pub fn number(number: Option<impl Into<u64>>) -> Self {
        number.map_or(Self::Unknown, |number| Self::Number(number.into()))
    }

    /// A word that may not be known.
    pub fn text(text: Option<&'a str>) -> Self {
        text.map_or(Self::Unknown, Self::Text)
    }

    /// A flag that may not be known.
    pub fn flag(flag: Option<bool>) -> Self {
        flag.map_or(Self::Unknown, Self::Flag)
    }
}

/// What can be asked.
pub trait Subject {
    /// Hands every value of a field to `test`, until one passes; `None` if there is no such field.
    fn any(&self, field: Field, test: &mut dyn FnMut(Value<'_>) -> bool) -> Option<bool>;
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Is,
    Less,
    AtMost,
    More,
    AtLeast,
}

/// What a value is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Unknown,
    Range(u64, u64),
    /// In lower case; `*` stands for any characters.
    Pattern(String),
    Flag(bool),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Expr {
    Test { field: Field, compare: Compare, wanted: Vec<Wanted> },
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
}

/// A query. The default lets everything pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    text: String,
    expr: Option<Expr>,
}

impl Filter {
    /// Whether everything passes.
    pub const fn is_empty(&self) -> bool {
        self.expr.is_none()
    }

    /// Whether a thing passes.
    pub fn matches(&self, subject: &(impl Subject + ?Sized)) -> bool {
        self.expr.as_ref().and_then(|expr| expr.eval(subject)).unwrap_or(true)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        Ok(Self { text: text.trim().to_owned(), expr: parse::parse(text)? })
    }
}

impl Expr {
    /// `None`: it says nothing about such a thing.
    fn eval(&self, subject: &(impl Subject + ?Sized)) -> Option<bool> {
        match self {
            Self::Test { field, compare, wanted } => subject
                .any(*field, &mut |value| wanted.iter().any(|wanted| wanted.met(*compare, value))),
            Self::Not(expr) => expr.eval(subject).map(|passes| !passes),
            Self::All(all) => all.iter().fold(None, |sum, expr| match (sum, expr.eval(subject)) {
                (Some(one), Some(other)) => Some(one && other),
                (one, other) => one.or(other),
            }),
            Self::Any(any) => any.iter().fold(None, |sum, expr| match (sum, expr.eval(subject)) {
                (Some(one), Some(other)) => Some(one || other),
                (one, other) => one.or(other),
            }),
        }
    }
}

impl Wanted {
    fn met(&self, compare: Compare, value: Value<'_>) -> bool {
        match (self, value) {
            (Self::Unknown, Value::Unknown) => true,
            (Self::Range(from, to), Value::Number(number)) => match compare {
                Compare::Is => (*from..=*to).contains(&number),
                Compare::Less => number < *from,
                Compare::AtMost => number <= *to,
                Compare::More => number > *to,
                Compare::AtLeast => number >= *from,
            },
            (Self::Pattern(pattern), Value::Text(text)) => like(pattern, &text.to_lowercase()),
            (Self::Flag(wanted), Value::Flag(flag)) => *wanted == flag,
            _ => false,
        }
    }
}

/// Whether `text` is as `pattern` says, where `*` stands for any characters.
fn like(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else { return rest.is_empty() };
    for piece in middle {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}
