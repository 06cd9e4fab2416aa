//! The one pass over a recording that makes the checkpoints.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::{
    collect::Collector,
    desk::lock,
    kept::Kept,
    place::{self, Place},
    player::{Blocks, Goal, Played, Player},
};
use crate::{
    judge::recorded,
    report::text::printable,
    trace::{Part, Range, TraceError},
};

/// Passes over a run's parts, until all is known or it is told to stop.
pub(super) fn pass(parts: &Arc<[Part]>, kept: &Mutex<Kept>, stop: &AtomicBool) {
    let _end = End(kept);
    if let Err(error) = run(parts, kept, stop) {
        lock(kept).note = error.to_string();
    }
}

/// However the pass ends, nobody waits for it any longer.
struct End<'a>(&'a Mutex<Kept>);

impl Drop for End<'_> {
    fn drop(&mut self) {
        let mut kept = lock(self.0);
        kept.done = true;
        if thread::panicking() {
            kept.note = "reading failed by a fault of unlazy; what comes later is not known".into();
        }
    }
}

fn run(parts: &Arc<[Part]>, kept: &Mutex<Kept>, stop: &AtomicBool) -> Result<(), TraceError> {
    let Some(first) = parts.first() else {
        return Err(TraceError::Parts("there is no file to replay".to_owned()));
    };
    let mut collector = Collector::new(first.facts());
    collector.notes = true;
    let judge = recorded::begin(parts, Range::default(), collector)?;
    let roll = place::open(parts, Place::default());
    let mut player = Player::new(judge, roll, Some(Arc::clone(parts)));
    let mut blocks = Blocks::default();
    push(&player, kept, &mut blocks, Place::default());
    player.blocks = Some(blocks);
    let mut open = false;
    let mut damaged = 0;
    loop {
        let played = player.play(Goal::Sweep, &mut || stop.load(Ordering::Relaxed))?;
        if played == Played::Paused {
            return Ok(());
        }
        let ts = player.judge().engine().until();
        {
            let mut kept = lock(kept);
            if player.judge().is_open() && !std::mem::replace(&mut open, true) {
                kept.restarted();
            }
            kept.swept(player.judge_mut(), ts);
            if player.damage.len() > damaged {
                damaged = player.damage.len();
                kept.note = damage(parts, &player);
            }
        }
        if played == Played::End {
            let report = player.into_judge().report();
            lock(kept).report = Some(Arc::new(report));
            return Ok(());
        }
        let due = lock(kept).checkpoints.due(player.index());
        if due
            && let Some(place) = player.place()
            && let Some(mut blocks) = player.blocks.take()
        {
            push(&player, kept, &mut blocks, place);
            player.blocks = Some(blocks);
        }
    }
}

/// Makes a checkpoint, if one can be made here.
fn push(player: &Player, kept: &Mutex<Kept>, blocks: &mut Blocks, at: Place) {
    // Packed without the lock, so that nobody who looks has to wait.
    if let Some(checkpoint) = Kept::checkpoint(player.judge(), blocks, at) {
        lock(kept).checkpoints.push(Arc::new(checkpoint));
    }
}

/// What is damaged, in words.
fn damage(parts: &[Part], player: &Player) -> String {
    let bytes: u64 = player.damage.iter().map(|(_, damage)| damage.bytes).sum();
    let Some((part, first)) = player.damage.first() else { return String::new() };
    let path = parts.get(*part).map(|part| part.path().display().to_string()).unwrap_or_default();
    format!(
        "{} damaged: {bytes} bytes passed over, the first at byte {} of {}: {}",
        match player.damage.len() {
            1 => "a place is".to_owned(),
            places => format!("{places} places are"),
        },
        first.offset,
        printable(&path),
        printable(&first.why),
    )
}
