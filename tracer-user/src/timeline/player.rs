//! Plays a recording to a judge, to any event of it.

use std::{collections::VecDeque, sync::Arc};

use tracer_common::model;

use super::{
    checkpoint::Checkpoint,
    collect::Collector,
    place::{Place, Roll},
};
use crate::{
    engine::Observer,
    judge::Judge,
    stream::{Closing, Opening, Sink},
    trace::{Chunk, Damage, MOST_WAITING, Part, Piece, Topic, TraceError, block, hand_on},
};

/// How many events are judged before it is asked whether to go on.
const TURN: usize = 256;

/// How many blocks with records that wait are remembered.
const BLOCKS: usize = 1 << 16;

/// How far to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// To the last event at or before this time.
    Time(u64),
    /// Until so many events were judged.
    Index(u64),
    /// Until an event is met that is watched for.
    Watched,
    /// Until all has been judged that is complete now.
    Sweep,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Played {
    /// It is there.
    Reached,
    /// There is no more.
    End,
    /// It was told to stop on the way.
    Paused,
}

/// A block of one CPU's records, some of which may wait.
#[derive(Clone, Copy, Debug)]
struct Block {
    place: Place,
    cpu: u32,
    /// The latest time, and the highest number, of any of its records.
    ts: u64,
    seq: u32,
}

/// The blocks whose records wait for their turn.
#[derive(Default)]
pub(super) struct Blocks {
    waiting: VecDeque<Block>,
    /// Some were forgotten: until then it can't be said from where on to read again.
    forgotten: u64,
}

/// Notes of one block while its records are read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extent(Option<(u64, u32)>);

impl Extent {
    pub(super) fn see(&mut self, record: &[u8]) {
        let Ok(header) = model::header(record) else { return };
        let (ts, seq) = self.0.unwrap_or((0, header.seq));
        let later = header.seq.wrapping_sub(seq).cast_signed() > 0;
        self.0 = Some((ts.max(header.ts), if later { header.seq } else { seq }));
    }
}

impl Blocks {
    pub(super) fn push(&mut self, place: Place, cpu: u32, extent: Extent) {
        let Some((ts, seq)) = extent.0 else { return };
        if self.waiting.len() == BLOCKS
            && let Some(first) = self.waiting.pop_front()
        {
            self.forgotten = self.forgotten.max(first.ts);
        }
        self.waiting.push_back(Block { place, cpu, ts, seq });
    }

    /// From where on records are to be read again: `at` if none waits, `None` if that is not known.
    pub(super) fn from<O: Observer>(
        &mut self,
        judge: &Judge<O>,
        ts: u64,
        at: Place,
    ) -> Option<Place> {
        let engine = judge.engine();
        while let Some(first) = self.waiting.front()
            && !engine.waits(first.cpu, first.ts, first.seq)
        {
            self.waiting.pop_front();
        }
        (self.forgotten <= ts && engine.can_freeze())
            .then(|| self.waiting.front().map_or(at, |first| first.place))
    }
}

/// Plays.
pub(super) struct Player<O = Collector> {
    judge: Judge<O>,
    roll: Box<dyn Roll>,
    parts: Option<Arc<[Part]>>,
    chunk: Option<(usize, u64, Chunk)>,
    message: usize,
    /// All records before this time are there.
    sweep: Option<u64>,
    /// What is before this place was read before.
    again: Option<Place>,
    waiting: u64,
    ended: bool,
    /// Kept where checkpoints are made.
    pub(super) blocks: Option<Blocks>,
    /// What could not be read, by part.
    pub(super) damage: Vec<(usize, Damage)>,
}

/// What a message is handed to.
struct Feed<'a, O> {
    judge: &'a mut Judge<O>,
    sweep: &'a mut Option<u64>,
    extent: Extent,
}

impl<O: Observer> Sink for Feed<'_, O> {
    fn record(&mut self, cpu: u32, record: &[u8]) {
        self.extent.see(record);
        self.judge.record(cpu, record);
    }

    fn syscall_probes(&mut self, ts: u64, on: bool) {
        self.judge.syscall_probes(ts, on);
    }

    fn advance(&mut self, until: u64) {
        *self.sweep = Some(until);
    }

    fn opened(&mut self, opening: &Opening) {
        self.judge.opened(opening);
    }

    fn closed(&mut self, closing: &Closing) {
        self.judge.closes(closing);
        *self.sweep = Some(closing.end_ns);
    }
}

impl<O: Observer> Player<O> {
    /// Plays to a judge that has seen nothing.
    pub(super) fn new(judge: Judge<O>, roll: Box<dyn Roll>, parts: Option<Arc<[Part]>>) -> Self {
        Self {
            judge,
            roll,
            parts,
            chunk: None,
            message: 0,
            sweep: None,
            again: None,
            waiting: 0,
            ended: false,
            blocks: None,
            damage: Vec::new(),
        }
    }

    /// Goes on from a checkpoint; `roll` begins with the chunk that it is [from](Checkpoint::from).
    pub(super) fn resume(
        judge: Judge<O>,
        checkpoint: &Checkpoint,
        roll: Box<dyn Roll>,
        parts: Option<Arc<[Part]>>,
    ) -> Self {
        let mut player = Self::new(judge, roll, parts);
        player.message = checkpoint.from.message;
        player.again = Some(checkpoint.at);
        player
    }

    pub(super) const fn judge(&self) -> &Judge<O> {
        &self.judge
    }

    pub(super) const fn judge_mut(&mut self) -> &mut Judge<O> {
        &mut self.judge
    }

    pub(super) fn into_judge(self) -> Judge<O> {
        self.judge
    }

    /// Where the next message stands; only between two sweeps, and only while a chunk is read.
    pub(super) fn place(&self) -> Option<Place> {
        let (part, chunk, _) = self.chunk.as_ref()?;
        Some(Place { part: *part, chunk: *chunk, message: self.message })
    }

    /// Plays until `reached` says so, or there is no more, or `pause` says to stop.
    ///
    /// # Errors
    /// If a file can't be read any further, or claims what can't be.
    pub(super) fn play_while(
        &mut self,
        until: Option<u64>,
        reached: &mut dyn FnMut(&Judge<O>) -> bool,
        by_sweep: bool,
        pause: &mut dyn FnMut() -> bool,
    ) -> Result<Played, TraceError> {
        loop {
            if let Some(sweep) = self.sweep {
                let to = until.map_or(sweep, |until| until.min(sweep));
                self.judge.engine_mut().complete(to);
                loop {
                    for _ in 0..TURN {
                        if reached(&self.judge) {
                            return Ok(Played::Reached);
                        }
                        if self.judge.engine_mut().judge_next().is_none() {
                            break;
                        }
                    }
                    if reached(&self.judge) {
                        return Ok(Played::Reached);
                    }
                    if pause() {
                        return Ok(Played::Paused);
                    }
                    if !self.judge.engine().has_next() {
                        break;
                    }
                }
                self.judge.engine_mut().settle();
                if to < sweep {
                    return Ok(Played::Reached);
                }
                self.judge.advanced(sweep);
                self.sweep = None;
                // What happened at this very moment may be told after it.
                if by_sweep {
                    return Ok(Played::Reached);
                }
            }
            if self.ended {
                return Ok(Played::End);
            }
            if pause() {
                return Ok(Played::Paused);
            }
            self.read()?;
        }
    }

    /// Reads a message, or what comes before one.
    fn read(&mut self) -> Result<(), TraceError> {
        let Some(place) = self.place() else { return self.turn() };
        if self.again.is_some_and(|at| place >= at) {
            self.go_on();
        }
        let Some((part, _, chunk)) = &self.chunk else { return Ok(()) };
        let Some((topic, _, data)) = chunk.message(self.message) else {
            let damage = chunk.damage.clone();
            let part = *part;
            (self.chunk, self.message) = (None, 0);
            if let Some(why) = damage {
                self.damaged(part, Damage { offset: 0, bytes: 0, why });
            }
            return Ok(());
        };
        self.message += 1;
        let result = if self.again.is_some() {
            let Topic::Cpu(cpu) = topic else { return Ok(()) };
            let engine = self.judge.engine_mut();
            let result = block::unpack(data, &mut |record| {
                if let Ok(header) = model::header(record) {
                    engine.take_again(cpu, header, record);
                }
            });
            result.map_err(str::to_owned)
        } else {
            let (judge, sweep) = (&mut self.judge, &mut self.sweep);
            let mut feed = Feed { judge, sweep, extent: Extent::default() };
            let result = hand_on(topic, data, &mut feed, &mut self.waiting);
            if let (Some(blocks), Topic::Cpu(cpu)) = (&mut self.blocks, topic) {
                blocks.push(place, cpu, feed.extent);
            }
            result
        };
        if let Err(why) = result {
            // Its checksum is right, so somebody wrote it so.
            (self.chunk, self.message) = (None, 0);
            self.damaged(place.part, Damage { offset: 0, bytes: 0, why });
        }
        if self.waiting > MOST_WAITING {
            let waiting = self.waiting;
            return Err(TraceError::Absurd(format!(
                "{waiting} records in a row, and none of them is ever complete"
            )));
        }
        Ok(())
    }

    /// The next chunk.
    fn turn(&mut self) -> Result<(), TraceError> {
        match self.roll.next()? {
            Some(Piece::Chunk(part, number, chunk)) => self.chunk = Some((part, number, chunk)),
            Some(Piece::Damage(part, damage)) => self.damaged(part, damage),
            Some(Piece::Part(number)) => {
                self.message = 0;
                let facts =
                    self.parts.as_ref().and_then(|parts| parts.get(number)).map(Part::facts);
                if let Some(facts) = facts.filter(|_| self.again.is_none()) {
                    self.judge.part(facts);
                }
            }
            None => {
                self.go_on();
                self.ended = true;
            }
        }
        Ok(())
    }

    fn go_on(&mut self) {
        if self.again.take().is_some() {
            self.judge.engine_mut().go_on();
        }
    }

    fn damaged(&mut self, part: usize, damage: Damage) {
        if self.again.is_none() {
            self.judge.damaged(damage.bytes.max(1));
            self.damage.push((part, damage));
        }
    }
}

impl Player {
    /// Events judged.
    pub(super) const fn index(&self) -> u64 {
        self.judge.engine().observer().counted.index
    }

    /// Plays on to a goal.
    ///
    /// # Errors
    /// As [`play_while`](Self::play_while).
    pub(super) fn play(
        &mut self,
        goal: Goal,
        pause: &mut dyn FnMut() -> bool,
    ) -> Result<Played, TraceError> {
        match goal {
            Goal::Time(until) => self.play_while(Some(until), &mut |_| false, false, pause),
            Goal::Index(index) => self.play_while(
                None,
                &mut |judge| judge.engine().observer().counted.index >= index,
                false,
                pause,
            ),
            Goal::Watched => self.play_while(
                None,
                &mut |judge| {
                    let watch = judge.engine().observer().watch.as_ref();
                    watch.is_some_and(|watch| watch.hit.is_some())
                },
                false,
                pause,
            ),
            Goal::Sweep => self.play_while(None, &mut |_| false, true, pause),
        }
    }
}
