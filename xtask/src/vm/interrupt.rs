//! Ctrl-C while a machine runs.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Result, anyhow};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

static FLAGS: OnceLock<io::Result<Flags>> = OnceLock::new();
static RUNNING: AtomicUsize = AtomicUsize::new(0);

struct Flags {
    /// A signal came.
    came: Arc<AtomicBool>,
    /// No machine runs: a signal does what it always does.
    idle: Arc<AtomicBool>,
}

/// While one of these lives, a signal that would end us only says so, and we can clean up.
pub(super) struct Guard {
    flags: &'static Flags,
}

impl Guard {
    /// # Errors
    /// When signals cannot be caught.
    pub(super) fn new() -> Result<Self> {
        let flags = FLAGS.get_or_init(register);
        let flags = flags.as_ref().map_err(|error| anyhow!("catching Ctrl-C: {error}"))?;
        RUNNING.fetch_add(1, Ordering::SeqCst);
        flags.idle.store(false, Ordering::SeqCst);
        Ok(Self { flags })
    }

    /// Whether we are to end. It stays true: every machine of ours is meant.
    pub(super) fn came(&self) -> bool {
        self.flags.came.load(Ordering::SeqCst)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if RUNNING.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.flags.idle.store(true, Ordering::SeqCst);
        }
    }
}

fn register() -> io::Result<Flags> {
    let flags = Flags { came: Arc::default(), idle: Arc::new(AtomicBool::new(true)) };
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register_conditional_default(signal, Arc::clone(&flags.idle))?;
        flag::register(signal, Arc::clone(&flags.came))?;
    }
    Ok(flags)
}
