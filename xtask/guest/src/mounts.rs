//! What a program expects to find mounted.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};

/// Type, place, and whether there is no going on without it.
const MOUNTS: [(&str, &str, bool); 10] = [
    ("devtmpfs", "/dev", true),
    ("proc", "/proc", true),
    ("sysfs", "/sys", true),
    ("tracefs", "/sys/kernel/tracing", false),
    ("debugfs", "/sys/kernel/debug", false),
    ("bpf", "/sys/fs/bpf", false),
    ("cgroup2", "/sys/fs/cgroup", false),
    ("tmpfs", "/run", false),
    ("tmpfs", "/tmp", false),
    ("tmpfs", "/dev/shm", false),
];

/// Mounts all of it; what could not be mounted though the kernel has it.
///
/// # Errors
/// When one that nothing works without fails.
pub(crate) fn all() -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for (kind, place, needed) in MOUNTS {
        // sysfs makes its mount points itself, and refuses others.
        let _ = fs::create_dir_all(place);
        match mount(kind, place, kind, MountFlags::empty(), None) {
            Err(error) if needed => {
                return Err(error).with_context(|| format!("mounting {kind} on {place}"));
            }
            // The kernel may have been built without it.
            Ok(()) | Err(Errno::NODEV | Errno::NOENT) => {}
            Err(error) => notes.push(format!("{kind} is not mounted on {place}: {error}")),
        }
    }
    for place in ["/tmp", "/dev/shm"] {
        if let Err(error) = fs::set_permissions(place, Permissions::from_mode(0o1777)) {
            notes.push(format!("{place} is not open to all: {error}"));
        }
    }
    Ok(notes)
}
