//! What each command does.

use super::{App, shown};
use crate::{
    explain::Ask,
    filter::Filter,
    tui::{
        command::Command,
        machine::{Direction, Machine, Step},
        state::{Popup, Prompt, PromptKind, Screen},
        theme::Tone,
        view,
    },
};

impl<M: Machine> App<M> {
    fn open(&mut self) {
        let Some(key) = self.state.list().key() else { return };
        match view::question(self.state.screen, key, &self.snapshot) {
            Some(ask) => self.explain(ask),
            None if self.state.screen == Screen::Health => {}
            None => self.state.open(Popup::Detail(self.state.screen, key)),
        }
    }

    fn explain(&mut self, ask: Ask) {
        self.explained = Some(self.machine.explain(ask));
        self.state.open(Popup::Explain(ask));
    }

    /// Does what a command says.
    pub fn run(&mut self, command: Command) {
        use Command as C;
        self.dirty = true;
        if self.state.moved(command) {
            return;
        }
        match command {
            C::Screen(screen) => self.show(screen),
            C::NextScreen => self.show(self.state.screen.further(1)),
            C::PreviousScreen => self.show(self.state.screen.further(Screen::ALL.len() - 1)),
            C::Open => self.open(),
            C::Close => self.close(),
            C::Pause if self.machine.is_live() => {
                self.machine.pause();
                self.stale = true;
            }
            C::Pause | C::Live => {
                self.machine.live();
                self.stale = true;
            }
            C::EventBack => self.step(Step::Event, Direction::Back),
            C::EventForward => self.step(Step::Event, Direction::Forward),
            C::CallBack => self.step(Step::Call, Direction::Back),
            C::CallForward => self.step(Step::Call, Direction::Forward),
            C::FindingBack => self.step(Step::Finding, Direction::Back),
            C::FindingForward => self.step(Step::Finding, Direction::Forward),
            C::ScrubBack => self.scrub(-10),
            C::ScrubForward => self.scrub(10),
            C::ScrubFarBack => self.scrub(-100),
            C::ScrubFarForward => self.scrub(100),
            C::Beginning => self.seek(self.machine.span().0),
            C::End => self.seek(self.machine.span().1),
            C::Mark => {
                let marked = self.state.mark(self.snapshot.moment.at_ns);
                self.state.say(Tone::Plain, if marked { "marked" } else { "unmarked" });
            }
            C::NextMark => match self.state.next_mark(self.snapshot.moment.at_ns) {
                Some(ts) => self.seek(ts),
                None => self.state.say(Tone::Doubt, "no moment is marked"),
            },
            C::Filter => {
                let text = self.state.filter.to_string();
                self.state.prompt = Some(Prompt::new(PromptKind::Filter, text));
            }
            C::Search => self.state.prompt = Some(Prompt::new(PromptKind::Search, "")),
            C::NextMatch => self.search(Direction::Forward, false),
            C::PreviousMatch => self.search(Direction::Back, false),
            C::Sort => {
                self.state.list_mut().sort_next();
                self.say_sort();
            }
            C::Reverse => {
                let list = self.state.list_mut();
                list.reverse = !list.reverse;
                self.say_sort();
            }
            C::Copy => self.copy(),
            C::Save => {
                let name = format!("unlazy-{}.mcap", self.snapshot.moment.at_ns);
                self.state.prompt = Some(Prompt::new(PromptKind::Save, name));
            }
            C::Theme => {
                self.state.theme = self.state.theme.next();
                let text = format!("colours: {}", self.state.theme.name());
                self.state.say(Tone::Plain, text);
            }
            C::Palette => self.state.prompt = Some(Prompt::new(PromptKind::Palette, "")),
            C::Help => match self.state.popup {
                Some(Popup::Help) => self.state.popup = None,
                _ => self.state.open(Popup::Help),
            },
            C::Redraw => self.repaint = true,
            C::Quit => self.quit = true,
            C::Up | C::Down | C::PageUp | C::PageDown | C::Top | C::Bottom => {}
        }
    }

    fn show(&mut self, screen: Screen) {
        self.state.screen = screen;
        self.state.popup = None;
    }

    fn close(&mut self) {
        self.waiting.clear();
        if self.state.popup.take().is_none() {
            if !self.state.search.is_empty() {
                self.state.search.clear();
            } else if !self.state.filter.is_empty() {
                self.set_filter(Filter::default());
                self.state.say(Tone::Plain, "no filter any more");
            }
        }
    }

    fn say_sort(&mut self) {
        let list = self.state.list();
        let by = match list.sort {
            Some(column) => format!("sorted by {}", view::column_title(self.state.screen, column)),
            None => "in the screen's own order".to_owned(),
        };
        let way = if list.reverse { ", reversed" } else { "" };
        self.state.say(Tone::Plain, format!("{by}{way}"));
    }

    fn copy(&mut self) {
        let shown = shown(&self.machine, &self.snapshot, self.explained.as_ref(), &self.keymap);
        let text = view::copied(&shown, &self.state);
        if text.is_empty() {
            self.state.say(Tone::Doubt, "there is nothing to copy");
            return;
        }
        let lines = text.lines().count();
        self.clipboard = Some(text);
        let words = format!("{lines} lines handed to the terminal's clipboard, if it takes them");
        self.state.say(Tone::Plain, words);
    }

    pub(super) fn set_filter(&mut self, filter: Filter) {
        self.machine.set_filter(&filter);
        self.state.filter = filter;
        self.stale = true;
    }

    pub(super) fn search(&mut self, direction: Direction, here_too: bool) {
        if self.state.search.is_empty() {
            return;
        }
        let shown = shown(&self.machine, &self.snapshot, self.explained.as_ref(), &self.keymap);
        let found = view::matching(&shown, &self.state, &self.state.search);
        let keys = &self.state.list().keys;
        let place = |key: &u64| keys.iter().position(|known| known == key).unwrap_or(0);
        let now = self.state.list().position();
        let next = match direction {
            Direction::Forward => found
                .iter()
                .find(|key| place(key) > now || (here_too && place(key) == now))
                .or(found.first()),
            Direction::Back => found.iter().rev().find(|key| place(key) < now).or(found.last()),
        };
        if let Some(at) = next.map(place) {
            self.state.list_mut().choose_at(at);
        } else {
            let text = format!("no row has {}", self.state.search);
            self.state.say(Tone::Doubt, text);
        }
    }
}
