//! What the host asks of a machine, and what the machine answers: small things, as JSON.

use serde::{Deserialize, Serialize};

/// Where the initramfs holds the job.
pub const JOB_PATH: &str = "/job.json";
/// The folder that is brought back.
pub const OUT_DIR: &str = "/out";
/// What the guest's `PATH` is.
pub const PATH: &str = "/bin:/sbin:/usr/bin:/usr/sbin";

/// What a machine is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Kernel modules, loaded in this order before the command starts: paths in the guest.
    pub modules: Vec<String>,
    /// The command and its arguments.
    pub command: Vec<String>,
}

/// `/init` runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The kernel's `uname -r`.
    pub release: String,
    /// Since boot, in milliseconds.
    pub uptime_ms: u64,
}

/// The command is about to start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Since boot, in milliseconds.
    pub uptime_ms: u64,
}

/// How the command ended. Exactly one of `code` and `signal` is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Its exit code.
    pub code: Option<i32>,
    /// The signal that killed it.
    pub signal: Option<i32>,
    /// The host asked for the end: the signal is the host's doing.
    pub stopped: bool,
    /// Since boot, in milliseconds.
    pub uptime_ms: u64,
}

/// A file or folder below [`OUT_DIR`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHead {
    /// Relative to [`OUT_DIR`].
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Its length in bytes; `None` for a folder.
    pub size: Option<u64>,
}
