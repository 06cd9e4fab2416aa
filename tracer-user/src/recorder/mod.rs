//! Writing a run down while it goes on, without ever keeping its reader waiting.
//!
//! ```text
//! Recorder (a Sink) -> Composer -> queue, bounded -> a thread: Stream (files) or Flight (memory)
//! ```
//!
//! What the queue has no room for, because the disk does not keep up, is dropped, counted and marked.

mod disk;
mod flight;
mod stream;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{
    stream::{Closing, Facts, Opening, Sink},
    trace::{Batch, Composer},
};

use self::{disk::Disk, flight::Ring, stream::Stream};
pub use self::{disk::DiskError, stream::Rotate};

/// Bytes that may wait for the disk.
const QUEUE: usize = 16 << 20;

/// How often what was written becomes a chunk of its own, which stays readable.
const FLUSH: Duration = Duration::from_millis(500);

/// What is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The file, or what the files are named after.
    pub path: PathBuf,
    /// When another file is begun; `None` for a single one.
    pub rotate: Option<Rotate>,
    /// Only the last of it is kept, in memory, until it is asked for.
    pub last: Option<Last>,
}

/// How much of the last is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Last {
    /// So long.
    pub span: Duration,
    /// And no more than so many bytes, packed.
    pub memory: u64,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The files, oldest first; those that were deleted again are not among them.
    pub files: Vec<PathBuf>,
    /// Bytes in all files that were written.
    pub bytes: u64,
}

/// What the reader's thread sees of the writer's.
#[derive(Default)]
struct Shared {
    queued: AtomicUsize,
    bytes: AtomicU64,
    /// There is nothing more to come: whoever waits for the disk must not do so for ever.
    ending: AtomicBool,
    /// Why nothing can be written at present.
    trouble: Mutex<Option<String>>,
}

impl Shared {
    fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

enum Order {
    Batch(Batch),
    /// Begin another file, or write out what is kept.
    Cut,
}

/// Somewhere that batches go.
trait Store {
    /// Takes a batch.
    ///
    /// # Errors
    /// What can't be mended by waiting.
    fn take(&mut self, batch: Batch) -> Result<(), DiskError>;

    /// Whether it could take another batch now.
    fn ready(&mut self) -> bool;

    /// What was taken so far becomes readable.
    ///
    /// # Errors
    /// What can't be mended by waiting.
    fn flush(&mut self) -> Result<(), DiskError>;

    /// A new file, or what is kept is written out.
    ///
    /// # Errors
    /// What can't be mended by waiting.
    fn cut(&mut self) -> Result<(), DiskError>;

    /// The end.
    ///
    /// # Errors
    /// If something could not be written after all.
    fn finish(self: Box<Self>) -> Result<Recorded, DiskError>;
}

/// Where a recording goes.
enum To {
    Disk(Disk),
    Memory(Last),
}

/// Puts a batch into the queue, or gives it back.
type HandOn = Box<dyn FnMut(Batch) -> Result<(), Batch>>;

/// Writes a run down.
pub struct Recorder {
    composer: Composer<HandOn>,
    orders: Option<Sender<Order>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<Recorded, DiskError>>>,
}

impl Recorder {
    /// Opens the file and starts the thread.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn start(plan: &Plan, facts: &Facts) -> Result<Self, DiskError> {
        let shared = Arc::new(Shared::default());
        // Known before anything is traced: whether there is a place to write to.
        let to = match plan.last {
            Some(last) => To::Memory(last),
            None => To::Disk(Disk::create(&stream::name(plan, 0), &shared)?),
        };
        let (orders, receiver) = channel();
        let queue = (orders.clone(), Arc::clone(&shared));
        let hand_on = move |batch: Batch| {
            let (orders, shared) = &queue;
            let size = batch.len();
            if shared.queued.load(Ordering::Relaxed) + size > QUEUE {
                return Err(batch);
            }
            shared.queued.fetch_add(size, Ordering::Relaxed);
            orders.send(Order::Batch(batch)).map_err(|error| match error.0 {
                Order::Batch(batch) => batch,
                Order::Cut => Batch::default(),
            })
        };
        let writing = {
            let (plan, facts, shared) = (plan.clone(), facts.clone(), Arc::clone(&shared));
            move || {
                let store: Box<dyn Store> = match to {
                    To::Disk(disk) => Box::new(Stream::new(plan, facts, disk, &shared)?),
                    To::Memory(last) => Box::new(Ring::new(plan, last, facts, &shared)),
                };
                write(store, &receiver, &shared)
            }
        };
        let thread = thread::Builder::new()
            .name("unlazy-record".to_owned())
            .spawn(writing)
            .map_err(DiskError::Thread)?;
        Ok(Self {
            composer: Composer::new(facts.cpus_possible, Box::new(hand_on)),
            orders: Some(orders),
            shared,
            thread: Some(thread),
        })
    }

    /// Begins another file, or writes out what is kept of the last.
    pub fn cut(&self) {
        if let Some(orders) = &self.orders {
            // If nobody takes it, finish() says why.
            let _ = orders.send(Order::Cut);
        }
    }

    /// Records that were dropped, bytes that were written, and why nothing can be written at present.
    pub fn state(&self) -> (u64, u64, Option<String>) {
        let trouble = self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (self.composer.dropped(), self.shared.bytes.load(Ordering::Relaxed), trouble)
    }

    /// Whether the thread has ended, which it does early only if it can't go on.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Writes what is left, and ends the file.
    ///
    /// # Errors
    /// If not all of it could be written; what was is readable.
    pub fn finish(mut self) -> Result<Recorded, DiskError> {
        let Some(thread) = self.thread.take() else { return Ok(Recorded::default()) };
        self.shared.ending.store(true, Ordering::Relaxed);
        drop(self.orders.take());
        // It holds the other end of the queue.
        drop(self.composer);
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn write(
    mut store: Box<dyn Store>,
    orders: &Receiver<Order>,
    shared: &Shared,
) -> Result<Recorded, DiskError> {
    let mut flushed = std::time::Instant::now();
    loop {
        // While the disk takes nothing, what comes stays in the queue, until that is full.
        while !store.ready() && !shared.ending.load(Ordering::Relaxed) {
            thread::sleep(FLUSH / 10);
        }
        let order = orders.recv_timeout(FLUSH / 4);
        match order {
            Ok(Order::Batch(batch)) => {
                let size = batch.len();
                store.take(batch)?;
                shared.queued.fetch_sub(size, Ordering::Relaxed);
            }
            Ok(Order::Cut) => store.cut()?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return store.finish(),
        }
        if flushed.elapsed() >= FLUSH {
            store.flush()?;
            flushed = std::time::Instant::now();
        }
    }
}

impl Sink for Recorder {
    fn record(&mut self, cpu: u32, record: &[u8]) {
        self.composer.record(cpu, record);
    }

    fn syscall_probes(&mut self, ts: u64, on: bool) {
        self.composer.syscall_probes(ts, on);
    }

    fn advance(&mut self, until: u64) {
        self.composer.advance(until);
    }

    fn opened(&mut self, opening: &Opening) {
        self.composer.opened(opening);
    }

    fn closed(&mut self, closing: &Closing) {
        self.composer.closed(closing);
    }
}
