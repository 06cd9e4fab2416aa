//! Running unlazy, and looking at what it leaves behind.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError, atomic::AtomicBool},
    time::{Duration, Instant},
};

use serde_json::Value;
use unlazy::probes::{object, privileges::Privileges, table::PROBES};

/// The program under test.
pub(crate) const UNLAZY: &str = env!("CARGO_BIN_EXE_unlazy");

/// Longer than anything here takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

static TURN: Mutex<()> = Mutex::new(());

/// The machine, for one test alone. As it ends, nothing of ours may be left in the kernel.
pub(crate) struct Machine {
    before: BTreeSet<u32>,
    /// A place for files; anybody may read and write there.
    pub(crate) dir: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// Takes the machine.
pub(crate) fn machine() -> Machine {
    use std::os::unix::fs::PermissionsExt as _;
    assert!(
        Privileges::current().suffice() && rustix::process::geteuid().is_root(),
        "the live tests trace this machine: run them as root, as `cargo xtask test` does"
    );
    assert!(
        object::embedded().is_some(),
        "this unlazy has no eBPF programs inside: use `cargo xtask test`, which builds them"
    );
    signals_at_their_defaults();
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).expect("open to all");
    Machine { before: programs(), dir, _turn: turn }
}

/// Whatever this process inherited as ignored (a shell's `&` does that to SIGINT), what it starts
/// has at its default: a caught signal is not caught across exec. This process ends as by default.
fn signals_at_their_defaults() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let always = Arc::new(AtomicBool::new(true));
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, always)
                .expect("a handler");
        }
    });
}

impl Machine {
    /// A file's name in the test's own directory.
    pub(crate) fn file(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Waits until none of our programs is in the kernel that was not there before; it frees them a
    /// moment after their last user.
    pub(crate) fn nothing_left(&self) {
        until("the kernel has none of our programs", || programs().is_subset(&self.before));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.nothing_left();
        }
    }
}

/// The ids of the kernel's programs that bear our programs' names.
pub(crate) fn programs() -> BTreeSet<u32> {
    let ours: BTreeSet<String> = PROBES
        .iter()
        .flat_map(|probe| [probe.name, probe.again])
        .filter(|name| !name.is_empty())
        // include/linux/bpf.h: BPF_OBJ_NAME_LEN, its last byte NUL.
        .map(|name| name.chars().take(15).collect())
        .collect();
    aya::programs::loaded_programs()
        // One that went away since it was listed.
        .filter_map(Result::ok)
        .filter(|program| program.name_as_str().is_some_and(|name| ours.contains(name)))
        .map(|program| program.id())
        .collect()
}

/// Waits for a condition; fails after a time that is long enough for any machine.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// `unlazy check` with these arguments, without what a test runner's environment might add.
pub(crate) fn check<S: AsRef<OsStr>>(args: &[S]) -> Command {
    let mut command = Command::new(UNLAZY);
    command.arg("check").args(args).stdin(Stdio::null());
    for name in ["SUDO_UID", "SUDO_GID", "SUDO_USER", "NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command
}

/// What came of a run.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ran {
    fn from(Output { status, stdout, stderr }: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: status.code(), out: text(stdout), err: text(stderr) }
    }
}

impl Ran {
    /// Its standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }

    /// Fails unless it ended with this code, and with a message that has all of these words.
    #[track_caller]
    pub(crate) fn refused(&self, words: &[&str]) {
        assert_eq!(self.code, Some(2), "{self}");
        for word in words {
            assert!(self.err.contains(word), "no \"{word}\" in\n{self}");
        }
        self.calm();
    }

    /// Fails if it panicked or spoke of a fault of its own.
    #[track_caller]
    pub(crate) fn calm(&self) {
        assert!(!self.err.contains("panicked") && !self.err.contains("fault of unlazy"), "{self}");
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, out, err } = self;
        write!(f, "code {code:?}\n--- stdout\n{out}\n--- stderr\n{err}")
    }
}

/// Runs it to its end.
pub(crate) fn run(command: &mut Command) -> Ran {
    Ran::from(command.output().expect("unlazy starts"))
}

/// Reads JSON.
pub(crate) fn read(path: impl AsRef<Path>) -> Value {
    let path = path.as_ref();
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}\n{text}", path.display()))
}

/// A number that has to be there.
#[track_caller]
pub(crate) fn number(json: &Value, path: &str) -> u64 {
    json.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path} in {json:#}"))
}

/// The rule of this id.
#[track_caller]
pub(crate) fn rule<'a>(report: &'a Value, id: &str) -> &'a Value {
    let rules = report["rules"].as_array().expect("rules");
    rules.iter().find(|rule| rule["id"] == id).unwrap_or_else(|| panic!("no rule {id}"))
}

/// Fails if anything was found: on a correct kernel there is nothing to find.
#[track_caller]
pub(crate) fn nothing_found(report: &Value) {
    let findings = &report["findings"];
    assert_eq!(number(report, "/findings_total"), 0, "{findings:#}");
    assert_eq!(findings, &Value::Array(Vec::new()));
    for rule in report["rules"].as_array().expect("rules") {
        assert_eq!(rule["findings"], 0, "{rule:#}");
    }
}

/// Fails unless it is clean, with nothing lost and nothing found.
#[track_caller]
pub(crate) fn clean(report: &Value) {
    nothing_found(report);
    assert_eq!(report["verdict"], "clean", "{:#}", report["because"]);
    assert_eq!(number(report, "/events/lost/total"), 0, "{:#}", report["events"]["lost"]);
}

/// Whether a process exists that is not merely waiting to be collected.
pub(crate) fn alive(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok()
}

/// Says that a test was left out. The harness knows no skipping at run time, and hides what a test
/// that passes prints; so this goes past it.
pub(crate) fn skipped(why: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}
