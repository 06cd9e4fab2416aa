//! What the user has chosen: the screen, rows, orders, queries. Nothing of the machine is in here.

mod list;
mod prompt;

use crate::{explain::Ask, filter::Filter};

use super::{
    command::Command,
    theme::{Theme, Tone},
};

pub use list::{Key, List};
pub use prompt::{Prompt, PromptKind};

/// The screens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(usize)]
pub enum Screen {
    /// A row per CPU.
    #[default]
    Cpus,
    /// A row per mm.
    Mms,
    /// A row per call or flush.
    Calls,
    /// A row per finding.
    Findings,
    /// Who interrupts whom.
    Ipis,
    /// Probes, evidence, cost.
    Health,
}

impl Screen {
    /// All of them, in order.
    pub const ALL: [Self; 6] =
        [Self::Cpus, Self::Mms, Self::Calls, Self::Findings, Self::Ipis, Self::Health];

    /// What its tab says.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Cpus => "CPUs",
            Self::Mms => "mms",
            Self::Calls => "Calls",
            Self::Findings => "Findings",
            Self::Ipis => "IPIs",
            Self::Health => "Health",
        }
    }

    /// The screen of this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|screen| screen.title().eq_ignore_ascii_case(name))
    }

    /// The screen so many further, round and round.
    #[must_use]
    pub const fn further(self, by: usize) -> Self {
        Self::ALL[(self as usize + by) % Self::ALL.len()]
    }
}

/// What lies over the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Popup {
    /// The help for this screen.
    Help,
    /// A row in words.
    Detail(Screen, Key),
    /// An explanation that was asked for.
    Explain(Ask),
}

/// A word to the user in the last line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The word.
    pub text: String,
    /// What it means.
    pub tone: Tone,
}

/// What a place on the screen does if it is clicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Chooses a screen.
    Screen(Screen),
    /// Chooses a row.
    Row(Key),
    /// Sorts by a column.
    Column(usize),
    /// Goes to a moment: the timeline.
    Timeline,
}

/// What the user has chosen.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// The screen.
    pub screen: Screen,
    /// Of each screen, its rows.
    pub lists: [List; 6],
    /// What lies over it.
    pub popup: Option<Popup>,
    /// How far that is scrolled.
    pub scroll: usize,
    /// What is being typed.
    pub prompt: Option<Prompt>,
    /// What is shown.
    pub filter: Filter,
    /// What was searched for last, in lower case.
    pub search: String,
    /// A word to the user.
    pub message: Option<Message>,
    /// Marked moments, in order.
    pub marks: Vec<u64>,
    /// The colours.
    pub theme: Theme,
    /// What was drawn where, for the mouse.
    pub targets: Vec<(ratatui::layout::Rect, Target)>,
    /// Lines that the popup shows at once, as last drawn.
    pub popup_page: usize,
}

impl State {
    /// The rows of the screen that is shown.
    pub fn list(&self) -> &List {
        &self.lists[self.screen as usize]
    }

    /// The rows of the screen that is shown.
    pub fn list_mut(&mut self) -> &mut List {
        &mut self.lists[self.screen as usize]
    }

    /// Says a word.
    pub fn say(&mut self, tone: Tone, text: impl Into<String>) {
        self.message = Some(Message { text: text.into(), tone });
    }

    /// Opens something over the screen.
    pub fn open(&mut self, popup: Popup) {
        self.popup = Some(popup);
        self.scroll = 0;
    }

    /// Marks a moment, or unmarks it; whether it is marked now.
    pub fn mark(&mut self, ts: u64) -> bool {
        match self.marks.binary_search(&ts) {
            Ok(at) => {
                self.marks.remove(at);
                false
            }
            Err(at) => {
                self.marks.insert(at, ts);
                true
            }
        }
    }

    /// The marked moment after `ts`, the first one after the last.
    pub fn next_mark(&self, ts: u64) -> Option<u64> {
        self.marks.iter().find(|&&mark| mark > ts).or(self.marks.first()).copied()
    }

    /// Moves rows or the page by a command; whether it was such a command.
    pub fn moved(&mut self, command: Command) -> bool {
        if self.popup.is_some() {
            let page = self.popup_page.max(1);
            self.scroll = match command {
                Command::Up => self.scroll.saturating_sub(1),
                Command::Down => self.scroll.saturating_add(1),
                Command::PageUp => self.scroll.saturating_sub(page),
                Command::PageDown => self.scroll.saturating_add(page),
                Command::Top => 0,
                Command::Bottom => usize::MAX,
                _ => return false,
            };
            return true;
        }
        self.list_mut().moved(command)
    }
}
