//! Saving a span: begun, told of when it ends, and waited for when the user quits.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::App;
use crate::tui::{
    machine::{Machine, SaveEnd},
    theme::Tone,
};

/// For how long it is waited before a word is said of it.
const SILENCE: Duration = Duration::from_millis(200);

/// What was being saved as the user quit is not there.
#[derive(Debug, thiserror::Error)]
pub enum Unsaved {
    /// A signal said not to wait any longer.
    #[error("not saved: it was given up, and nothing of it is kept")]
    GivenUp,
    /// It could not be written.
    #[error("not saved: {0}")]
    Failed(String),
}

impl<M: Machine> App<M> {
    /// The span that is saved: between the first and the last mark, or all of it.
    fn to_be_saved(&self) -> (u64, u64) {
        match self.state.marks[..] {
            [first, .., last] => (first, last),
            _ => self.machine.span(),
        }
    }

    /// Begins to save the span under a name.
    pub(super) fn save(&mut self, name: &str) {
        if name.is_empty() {
            return;
        }
        match self.machine.save(self.to_be_saved(), Path::new(name)) {
            Ok(()) => self.state.say(Tone::Plain, format!("saving {name}")),
            Err(why) => self.state.say(Tone::Bad, format!("not saved: {why}")),
        }
    }

    /// Tells of what has been saved since.
    pub(super) fn look_for_saved(&mut self) {
        while let Some(end) = self.machine.saved() {
            match told(&end) {
                Ok(text) => self.say(Tone::Good, text),
                Err(why) => self.say(Tone::Bad, format!("not saved: {why}")),
            }
        }
    }

    /// Once the screen is gone: waits until all that is being saved is written, and hands words about it
    /// to `say`, a line each. Whoever raises `stop` meanwhile gives it up.
    ///
    /// # Errors
    /// [`Unsaved`] if not all of it was written.
    pub fn finish_saving(
        &mut self,
        stop: &AtomicBool,
        say: &mut dyn FnMut(&str),
    ) -> Result<(), Unsaved> {
        let begun = Instant::now();
        let (mut waiting, mut failed) = (false, None);
        while self.machine.saving() > 0 {
            if let Some(end) = self.machine.saved() {
                match told(&end) {
                    Ok(text) => say(&text),
                    // What failed first is the better explanation.
                    Err(why) => _ = failed.get_or_insert(why),
                }
                continue;
            }
            if stop.load(Ordering::Relaxed) {
                return Err(Unsaved::GivenUp);
            }
            if !waiting && begun.elapsed() >= SILENCE {
                waiting = true;
                say("still saving; Ctrl-C gives it up");
            }
            thread::sleep(Duration::from_millis(5));
        }
        failed.map_or(Ok(()), |why| Err(Unsaved::Failed(why)))
    }
}

fn told(end: &SaveEnd) -> Result<String, String> {
    let saved = end.result.as_ref().map_err(String::clone)?;
    Ok(format!("{} events, {} bytes in {}", saved.events, saved.bytes, end.path.display()))
}
