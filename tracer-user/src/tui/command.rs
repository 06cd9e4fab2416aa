//! The table of commands: keymap, palette and help are all made from it, so they cannot disagree.

use super::state::Screen;

/// What a user can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "TABLE says of each what it does")]
pub enum Command {
    Screen(Screen),
    NextScreen,
    PreviousScreen,
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Open,
    Close,
    Pause,
    Live,
    EventBack,
    EventForward,
    CallBack,
    CallForward,
    FindingBack,
    FindingForward,
    ScrubBack,
    ScrubForward,
    ScrubFarBack,
    ScrubFarForward,
    Beginning,
    End,
    Mark,
    NextMark,
    Filter,
    Search,
    NextMatch,
    PreviousMatch,
    Sort,
    Reverse,
    Copy,
    Save,
    Theme,
    Palette,
    Help,
    Redraw,
    Quit,
}

/// What a command has to do with, which is how the help groups them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// The screens.
    Screens,
    /// Rows and pages.
    Rows,
    /// Time.
    Time,
    /// Work with what is shown.
    Work,
    /// The program.
    Program,
}

impl Group {
    /// All of them, in the order of the help.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Screens, "Screens"),
        (Self::Rows, "Rows"),
        (Self::Time, "Time"),
        (Self::Work, "Work"),
        (Self::Program, "Program"),
    ];
}

/// Where a command has a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Everywhere.
    Always,
    /// On a running kernel.
    Live,
}

/// A command with its name, its keys, and what it does.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The command.
    pub command: Command,
    /// Its name: in the palette, and in the configuration file.
    pub name: &'static str,
    /// The keys that stand for it, unless the configuration says otherwise.
    pub keys: &'static [&'static str],
    /// What it does.
    pub what: &'static str,
    /// What it has to do with.
    pub group: Group,
    /// Where it has a meaning.
    pub when: When,
}

const fn entry(
    command: Command,
    name: &'static str,
    keys: &'static [&'static str],
    what: &'static str,
    group: Group,
) -> Entry {
    Entry { command, name, keys, what, group, when: When::Always }
}

const fn live(mut entry: Entry) -> Entry {
    entry.when = When::Live;
    entry
}

/// Every command.
pub const TABLE: &[Entry] = {
    use Command as C;
    use Group as G;
    &[
        entry(C::Screen(Screen::Cpus), "cpus", &["1"], "CPUs: logical and real mm", G::Screens),
        entry(
            C::Screen(Screen::Mms),
            "mms",
            &["2"],
            "mms: what each process asked for",
            G::Screens,
        ),
        entry(
            C::Screen(Screen::Calls),
            "calls",
            &["3"],
            "membarrier calls and flushes",
            G::Screens,
        ),
        entry(C::Screen(Screen::Findings), "findings", &["4"], "broken rules", G::Screens),
        entry(C::Screen(Screen::Ipis), "ipis", &["5"], "who interrupts whom", G::Screens),
        entry(C::Screen(Screen::Health), "health", &["6"], "how sure all this is", G::Screens),
        entry(C::NextScreen, "next-screen", &["tab"], "the next screen", G::Screens),
        entry(C::PreviousScreen, "previous-screen", &["backtab"], "the one before", G::Screens),
        entry(C::Up, "up", &["up", "k"], "one row up", G::Rows),
        entry(C::Down, "down", &["down", "j"], "one row down", G::Rows),
        entry(C::PageUp, "page-up", &["pageup", "ctrl-b"], "a page up", G::Rows),
        entry(C::PageDown, "page-down", &["pagedown", "ctrl-f"], "a page down", G::Rows),
        entry(C::Top, "top", &["home", "g"], "the first row", G::Rows),
        entry(C::Bottom, "bottom", &["end", "G"], "the last row", G::Rows),
        entry(C::Open, "open", &["enter"], "explain the chosen row", G::Rows),
        entry(C::Close, "close", &["esc"], "close this, or drop the filter", G::Rows),
        live(entry(C::Pause, "pause", &["space"], "stand still, or go on", G::Time)),
        live(entry(C::Live, "live", &["l"], "back to now", G::Time)),
        entry(C::EventBack, "event-back", &[","], "one event back", G::Time),
        entry(C::EventForward, "event", &["."], "one event on", G::Time),
        entry(C::CallBack, "call-back", &["<"], "to the SYNC_CORE call before", G::Time),
        entry(C::CallForward, "call", &[">"], "to the next SYNC_CORE call", G::Time),
        entry(C::FindingBack, "finding-back", &["["], "to the finding before", G::Time),
        entry(C::FindingForward, "finding", &["]"], "to the next finding", G::Time),
        entry(C::ScrubBack, "back", &["left"], "a hundredth of the span back", G::Time),
        entry(C::ScrubForward, "on", &["right"], "a hundredth of the span on", G::Time),
        entry(C::ScrubFarBack, "far-back", &["shift-left", "H"], "a tenth back", G::Time),
        entry(C::ScrubFarForward, "far-on", &["shift-right", "L"], "a tenth on", G::Time),
        entry(C::Beginning, "beginning", &["{"], "where the span begins", G::Time),
        entry(C::End, "end", &["}"], "where it ends", G::Time),
        entry(C::Mark, "mark", &["m"], "mark this moment, or unmark it", G::Time),
        entry(C::NextMark, "next-mark", &["'"], "to the next marked moment", G::Time),
        entry(C::Filter, "filter", &["f"], "show only what a query matches", G::Work),
        entry(C::Search, "search", &["/"], "find a row by its text", G::Work),
        entry(C::NextMatch, "next-match", &["n"], "the next row found", G::Work),
        entry(C::PreviousMatch, "previous-match", &["N"], "the row found before", G::Work),
        entry(C::Sort, "sort", &["s"], "sort by the next column", G::Work),
        entry(C::Reverse, "reverse", &["S"], "sort the other way round", G::Work),
        entry(C::Copy, "copy", &["y"], "copy the row or page (OSC 52)", G::Work),
        entry(C::Save, "save", &["w"], "save the span between marks, or all, as a trace", G::Work),
        entry(C::Help, "help", &["?", "f1"], "help for this screen", G::Program),
        entry(C::Palette, "palette", &[":"], "a command by its name", G::Program),
        entry(C::Theme, "theme", &["t"], "other colours", G::Program),
        entry(C::Redraw, "redraw", &["ctrl-l"], "paint everything anew", G::Program),
        entry(C::Quit, "quit", &["q", "ctrl-c"], "quit", G::Program),
    ]
};

/// The entries that have a meaning here.
pub fn entries(live: bool) -> impl Iterator<Item = &'static Entry> {
    TABLE.iter().filter(move |entry| live || entry.when == When::Always)
}

/// The entry of a command.
pub fn entry_of(command: Command) -> Option<&'static Entry> {
    TABLE.iter().find(|entry| entry.command == command)
}
