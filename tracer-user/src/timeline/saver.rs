//! Saves spans on a thread of its own: who reads the kernel's buffers never waits for a disk.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, TryRecvError, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::save::{Span, given_up};
use crate::tui::machine::{SaveEnd, Saved};

/// How many spans there may be at once: one that is written and one that waits. Each holds on to what
/// it needs of a live run's history, so that this is a bound on memory too.
const MOST: usize = 2;

/// How long the thread may take to remove a half-written file that was given up.
const PARTING: Duration = Duration::from_millis(300);

/// Opens a file that is not there yet.
type Create = Arc<dyn Fn(&Path) -> io::Result<Box<dyn Write>> + Send + Sync>;

/// What is to be written where.
struct Order {
    span: Span,
    path: PathBuf,
}

/// The thread, and the two ends of its queues.
struct Worker {
    orders: Sender<Order>,
    ends: Receiver<SaveEnd>,
    thread: JoinHandle<()>,
}

/// Saves one span after the other.
pub(super) struct Saver {
    create: Create,
    worker: Option<Worker>,
    /// Those whose end was not told yet.
    files: Vec<PathBuf>,
    stop: Arc<AtomicBool>,
}

impl Saver {
    /// To files.
    pub(super) fn new() -> Self {
        Self::to(|path| Ok(Box::new(File::create_new(path)?)))
    }

    /// To whatever `create` opens.
    pub(super) fn to(
        create: impl Fn(&Path) -> io::Result<Box<dyn Write>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            create: Arc::new(create),
            worker: None,
            files: Vec::new(),
            stop: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Has a span be written, after those before it.
    ///
    /// # Errors
    /// Why that is not even begun, in words: too many others wait, or there is no thread for it.
    pub(super) fn save(&mut self, span: Span, path: &Path) -> Result<(), String> {
        if self.files.len() >= MOST {
            let first = self.files.first().map_or(path, PathBuf::as_path);
            return Err(format!("{} is still being written, and another waits", first.display()));
        }
        if self.worker.is_none() {
            self.worker = Some(self.start().map_err(|error| format!("no thread for it: {error}"))?);
        }
        let order = Order { span, path: path.to_owned() };
        if self.worker.as_ref().is_none_or(|worker| worker.orders.send(order).is_err()) {
            return Err("the thread that writes has ended".to_owned());
        }
        self.files.push(path.to_owned());
        Ok(())
    }

    fn start(&self) -> io::Result<Worker> {
        let (orders, waiting) = channel::<Order>();
        let (tell, ends) = channel();
        let (create, stop) = (Arc::clone(&self.create), Arc::clone(&self.stop));
        let writing = move || {
            for Order { span, path } in waiting {
                let result = write(span, &path, &create, &stop);
                if tell.send(SaveEnd { path, result }).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("unlazy-save".to_owned()).spawn(writing)?;
        Ok(Worker { orders, ends, thread })
    }

    /// What came of the next one, once it is known.
    pub(super) fn saved(&mut self) -> Option<SaveEnd> {
        let worker = self.worker.as_ref()?;
        match worker.ends.try_recv() {
            Ok(end) => {
                self.files.remove(0);
                Some(end)
            }
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                self.worker = None;
                let path = std::mem::take(&mut self.files).into_iter().next()?;
                let result = Err("writing failed by a fault of unlazy".to_owned());
                Some(SaveEnd { path, result })
            }
        }
    }

    /// How many there are whose end was not told yet.
    pub(super) const fn saving(&self) -> usize {
        self.files.len()
    }
}

impl Drop for Saver {
    fn drop(&mut self) {
        // Without the flag, what was not told would be written to its end; nobody waits for it now.
        self.stop.store(true, Ordering::Relaxed);
        let Some(Worker { orders, ends: _, thread }) = self.worker.take() else { return };
        drop(orders);
        let begun = Instant::now();
        while !thread.is_finished() && begun.elapsed() < PARTING {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Counts what is written, and writes nothing more once it is given up.
struct Counted<'a> {
    to: Box<dyn Write>,
    bytes: &'a mut u64,
    stop: &'a AtomicBool,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(given_up());
        }
        let written = self.to.write(bytes)?;
        *self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn write(span: Span, path: &Path, create: &Create, stop: &AtomicBool) -> Result<Saved, String> {
    let words = |error: io::Error| format!("{}: {error}", path.display());
    if stop.load(Ordering::Relaxed) {
        return Err(words(given_up()));
    }
    let mut bytes = 0;
    let to = Counted { to: create(path).map_err(words)?, bytes: &mut bytes, stop };
    match span.write(BufWriter::new(to), stop) {
        Ok(events) => Ok(Saved { events, bytes }),
        Err(error) => {
            // Half of it is of no use to anybody.
            let _ = fs::remove_file(path);
            Err(words(error))
        }
    }
}
