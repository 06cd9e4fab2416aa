//! `/proc`: the kernel's own count of switches, and who is there.
//!
//! Ids read here are those of **our** pid namespace; events carry the initial namespace's. They are
//! the same only in the initial namespace ([`in_initial_pid_ns`]).

use std::{
    fs::{self, ReadDir},
    io,
    os::unix::fs::MetadataExt,
};

/// The inode of the initial pid namespace (`include/linux/proc_ns.h:PROC_PID_INIT_INO`).
const INITIAL_PID_NS: u64 = 0xEFFF_FFFC;

/// Context switches since boot, over all CPUs: `ctxt` of `/proc/stat`.
///
/// # Errors
/// If `/proc/stat` cannot be read or has no such line.
pub fn proc_stat_ctxt() -> io::Result<u64> {
    let missing = || io::Error::new(io::ErrorKind::InvalidData, "/proc/stat has no ctxt line");
    parse_ctxt(&fs::read_to_string("/proc/stat")?).ok_or_else(missing)
}

fn parse_ctxt(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("ctxt "))?.trim().parse().ok()
}

/// The kernel's name for this boot: times of one boot can be compared.
pub fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// The name of a process (its leader's), or of a thread; `None` once it is gone.
pub fn proc_comm(id: u32) -> Option<String> {
    comm(&format!("/proc/{id}/comm"))
}

fn comm(path: &str) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    let name = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    Some(String::from_utf8_lossy(name).into_owned())
}

/// Whether our pid namespace is the initial one; `None` if that cannot be seen.
pub fn in_initial_pid_ns() -> Option<bool> {
    fs::metadata("/proc/self/ns/pid").ok().map(|meta| meta.ino() == INITIAL_PID_NS)
}

/// A thread that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub tid: u32,
    /// Its process's id.
    pub tgid: u32,
    /// Its name.
    pub comm: String,
}

/// Every thread in `/proc`, kernel threads included, one after the other. Those that come or go
/// meanwhile may be missing.
///
/// # Errors
/// If `/proc` cannot be read.
pub fn tasks() -> io::Result<Tasks> {
    Ok(Tasks { processes: fs::read_dir("/proc")?, threads: None })
}

/// The iterator of [`tasks`].
#[derive(Debug)]
pub struct Tasks {
    processes: ReadDir,
    threads: Option<(u32, ReadDir)>,
}

impl Iterator for Tasks {
    type Item = Task;

    fn next(&mut self) -> Option<Task> {
        loop {
            if let Some((tgid, threads)) = &mut self.threads {
                let tgid = *tgid;
                if let Some(tid) = next_id(threads) {
                    match comm(&format!("/proc/{tgid}/task/{tid}/comm")) {
                        Some(comm) => return Some(Task { tid, tgid, comm }),
                        None => continue,
                    }
                }
            }
            let tgid = next_id(&mut self.processes)?;
            self.threads = fs::read_dir(format!("/proc/{tgid}/task")).ok().map(|dir| (tgid, dir));
        }
    }
}

/// The next entry that is a number. An entry that cannot be read is one that just went.
fn next_id(dir: &mut ReadDir) -> Option<u32> {
    dir.filter_map(Result::ok).find_map(|entry| entry.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_of_switches_is_found_and_grows() {
        assert_eq!(parse_ctxt("cpu 1 2\nctxt 744111\nbtime 5\n"), Some(744_111));
        assert_eq!(parse_ctxt("cpu 1 2\n"), None);
        assert_eq!(parse_ctxt("ctxt x\n"), None);
        let before = proc_stat_ctxt().expect("/proc is mounted");
        // Each hand-over makes this thread wait at least once.
        let (to, from) = std::sync::mpsc::sync_channel::<()>(0);
        let other = std::thread::spawn(move || from.into_iter().count());
        for () in [(); 100] {
            to.send(()).expect("it listens");
        }
        drop(to);
        assert_eq!(other.join().expect("it counts"), 100);
        assert!(proc_stat_ctxt().expect("/proc is mounted") > before);
    }

    #[test]
    fn we_are_among_the_tasks_with_every_thread() {
        let name = "unlazy-scan";
        let (to, from) = std::sync::mpsc::sync_channel::<()>(0);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || from.recv())
            .expect("a thread");
        let me = std::process::id();
        // The thread names itself once it runs: look until it has.
        let found = loop {
            let mine: Vec<_> = tasks().expect("/proc").filter(|task| task.tgid == me).collect();
            assert!(mine.iter().any(|task| task.tid == me));
            if let Some(task) = mine.into_iter().find(|task| task.comm == name) {
                break task;
            }
        };
        assert_ne!(found.tid, me);
        assert_eq!(proc_comm(found.tid).as_deref(), Some(name));
        drop(to);
        assert!(thread.join().expect("it ends").is_err());
        assert_eq!(proc_comm(u32::MAX), None);
    }
}
