//! A machine made for tests.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use super::{
    machine::{Direction, Explained, Machine, Moved, Progress, SaveEnd, Saved, Step},
    samples::FIRST,
    snapshot::Snapshot,
};
use crate::{explain::Ask, filter::Filter};

/// What was asked of a [`Fake`].
pub(super) type Log = Rc<RefCell<Vec<String>>>;

/// A machine that shows one snapshot and writes down what is asked of it.
pub(super) struct Fake {
    pub(super) snapshot: Snapshot,
    pub(super) live: Option<Cell<bool>>,
    /// What is to be shown changes all the time.
    pub(super) goes_on: bool,
    pub(super) log: Log,
    pub(super) explained: Explained,
    pub(super) moves: Moved,
    /// What comes of saving; `None` while the disk stalls.
    pub(super) disk: Option<Result<Saved, String>>,
    saving: VecDeque<PathBuf>,
}

impl Fake {
    pub(super) fn new(snapshot: Snapshot) -> Self {
        Self {
            snapshot,
            live: None,
            goes_on: false,
            log: Log::default(),
            explained: Explained::Working,
            moves: Moved::Yes,
            disk: Some(Ok(Saved { events: 5, bytes: 500 })),
            saving: VecDeque::new(),
        }
    }

    fn log(&self, what: impl Into<String>) {
        self.log.borrow_mut().push(what.into());
    }
}

impl Machine for Fake {
    fn work(&mut self, _: Duration) -> bool {
        self.goes_on
    }

    fn busy(&self) -> bool {
        false
    }

    fn snapshot(&mut self) -> Snapshot {
        self.snapshot.clone()
    }

    fn span(&self) -> (u64, u64) {
        (self.snapshot.moment.first_ns, self.snapshot.moment.last_ns)
    }

    fn seek(&mut self, ts: u64) {
        self.snapshot.moment.at_ns = ts;
        self.log(format!("seek {}", ts - FIRST));
    }

    fn step(&mut self, step: Step, direction: Direction) -> Moved {
        self.log(format!("{step:?} {direction:?}"));
        self.moves.clone()
    }

    fn can_live(&self) -> bool {
        self.live.is_some()
    }

    fn is_live(&self) -> bool {
        self.live.as_ref().is_some_and(Cell::get)
    }

    fn live(&mut self) {
        if let Some(live) = &self.live {
            live.set(true);
        }
        self.log("live");
    }

    fn pause(&mut self) {
        if let Some(live) = &self.live {
            live.set(false);
        }
        self.log("pause");
    }

    fn progress(&self) -> Option<Progress> {
        None
    }

    fn explain(&mut self, ask: Ask) -> Explained {
        self.log(format!("explain {ask:?}"));
        self.explained.clone()
    }

    fn set_filter(&mut self, filter: &Filter) {
        if !filter.is_empty() {
            self.log(format!("filter {filter}"));
        }
    }

    fn save(&mut self, span: (u64, u64), path: &Path) -> Result<(), String> {
        self.log(format!("save {} {} {}", span.0 - FIRST, span.1 - FIRST, path.display()));
        self.saving.push_back(path.to_owned());
        Ok(())
    }

    fn saved(&mut self) -> Option<SaveEnd> {
        let result = self.disk.clone()?;
        self.saving.pop_front().map(|path| SaveEnd { path, result })
    }

    fn saving(&self) -> usize {
        self.saving.len()
    }
}
