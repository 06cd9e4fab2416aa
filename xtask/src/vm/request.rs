//! What is asked of a machine, and what came of it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::image::Image;

/// A machine and what it is to do.
pub(crate) struct Request {
    /// The kernel.
    pub(crate) kernel: Image,
    /// How many CPUs.
    pub(crate) smp: u32,
    /// QEMU's CPU model, with its flags: `max`, `max,la57=off`.
    pub(crate) cpu: String,
    /// Memory in MiB.
    pub(crate) memory_mib: u32,
    /// Kernel arguments; they replace ours of the same name.
    pub(crate) append: Vec<String>,
    /// What the guest finds besides `unlazy` and `guest`.
    pub(crate) files: Vec<GuestFile>,
    /// Kernel modules, loaded in this order before the command starts.
    pub(crate) modules: Vec<PathBuf>,
    /// The command and its arguments.
    pub(crate) command: Vec<String>,
    /// Where the files of the guest's `/out` go.
    pub(crate) out: PathBuf,
    /// Wall-clock time from power-on on. Then the command is ended; a machine that still answers
    /// has a few seconds more to bring its files back.
    pub(crate) limit: Duration,
    /// Whether the work folder with the console's log stays.
    pub(crate) keep: bool,
    /// Whether the command's output also goes to ours as it comes.
    pub(crate) echo: bool,
    /// Who looks on; the emulator only.
    pub(crate) witness: Option<Witness>,
}

/// A witness in the emulator: see `xtask/witness`.
pub(crate) struct Witness {
    /// The plugin.
    pub(crate) plugin: PathBuf,
    /// Where it writes.
    pub(crate) folder: PathBuf,
}

/// A file that the guest finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GuestFile {
    /// Where it is here.
    pub(crate) host: PathBuf,
    /// Where it is there: an absolute path.
    pub(crate) guest: String,
    /// Its permission bits there.
    pub(crate) mode: u32,
}

/// What came of a [`Request`].
#[derive(Debug)]
pub(crate) struct Outcome {
    /// How it ended.
    pub(crate) end: End,
    /// All of the command's stdout.
    pub(crate) stdout: Vec<u8>,
    /// All of the command's stderr.
    pub(crate) stderr: Vec<u8>,
    /// The console's last lines.
    pub(crate) console_tail: String,
    /// Wall-clock time from power-on to the end.
    pub(crate) time: Duration,
    /// The part of it until the command started; `None` if it did not.
    pub(crate) boot: Option<Duration>,
}

/// How a machine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The command exited with this code.
    Exited(i32),
    /// The command was killed by this signal.
    Signalled(i32),
    /// The kernel panicked, and why.
    Panicked(String),
    /// The limit passed while the command ran; its output and files came back.
    TimedOut,
    /// The machine ended or hung without a word, or could not do its job: what is known.
    Died(String),
}

impl End {
    /// Whether the machine did its job: whatever the command made of it.
    pub(crate) fn is_regular(&self) -> bool {
        matches!(self, Self::Exited(_) | Self::Signalled(_))
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "the command exited with {code}"),
            Self::Signalled(signal) => write!(f, "the command was killed by signal {signal}"),
            Self::Panicked(why) => write!(f, "the guest's kernel panicked: {why}"),
            Self::TimedOut => f.write_str("the command had not ended when its time was over"),
            Self::Died(what) => write!(f, "the machine failed: {what}"),
        }
    }
}
