//! A pseudo-terminal, what a terminal would show, and how a user saves.

use std::{
    fs::OpenOptions,
    io::{Read as _, Write},
    num::NonZeroU16,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    process::Command,
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    fs::OFlags,
};
use unlazy::{
    judge::recorded,
    report::Report,
    trace::{self, Range},
};
use vt100::{MouseProtocolMode, Parser, Screen};

/// How long anything may take, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < PATIENCE, "waiting for this: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

struct Seen {
    parser: Parser,
    bytes: Vec<u8>,
    over: bool,
    /// Nothing is read: the terminal takes no output.
    frozen: bool,
}

/// The program in its terminal.
pub(crate) struct Pty {
    master: Box<dyn MasterPty + Send>,
    writer: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

fn nonzero(side: u16) -> NonZeroU16 {
    NonZeroU16::new(side).expect("a size")
}

const fn size(columns: u16, lines: u16) -> PtySize {
    PtySize { rows: lines, cols: columns, pixel_width: 0, pixel_height: 0 }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

type Spawned = (Box<dyn MasterPty + Send>, Box<dyn Child + Send + Sync>);

fn spawn(args: &[&str], size: PtySize, vars: &[(&str, &str)]) -> Spawned {
    let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_unlazy"));
    command.args(args);
    command.env("TERM", "xterm-256color");
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    command.env_remove("NO_COLOR");
    for (name, value) in vars {
        command.env(name, value);
    }
    let child = pair.slave.spawn_command(command).expect("unlazy starts");
    (pair.master, child)
}

impl Pty {
    pub(crate) fn start(args: &[&str], columns: u16, lines: u16) -> Self {
        Self::start_with(args, columns, lines, &[])
    }

    pub(crate) fn start_with(
        args: &[&str],
        columns: u16,
        lines: u16,
        vars: &[(&str, &str)],
    ) -> Self {
        let (master, child) = spawn(args, size(columns, lines), vars);
        let seen = Seen {
            parser: Parser::new(nonzero(lines), nonzero(columns), 0),
            bytes: Vec::new(),
            over: false,
            frozen: false,
        };
        let seen = Arc::new((Mutex::new(seen), Condvar::new()));
        let mut reader = master.try_clone_reader().expect("a reader");
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            loop {
                let read = reader.read(&mut bytes).unwrap_or(0);
                let mut seen = shared.0.lock().expect("no panic beside");
                seen.parser.process(&bytes[..read]);
                seen.bytes.extend_from_slice(&bytes[..read]);
                seen.over = read == 0;
                shared.1.notify_all();
                if read == 0 {
                    return;
                }
                while seen.frozen {
                    seen = shared.1.wait(seen).expect("no panic beside");
                }
            }
        });
        let writer = master.take_writer().expect("a writer");
        Self { master, writer, child, seen }
    }

    /// Starts it, closes the terminal once there is something on it, and waits for its end.
    pub(crate) fn hang_up(args: &[&str]) {
        let (master, mut child) = spawn(args, size(80, 24), &[]);
        let mut reader = master.try_clone_reader().expect("a reader");
        let mut bytes = [0; 4096];
        let mut read = 0;
        while read < 1000 {
            read += reader.read(&mut bytes).expect("it draws");
        }
        drop((reader, master));
        let begun = Instant::now();
        while child.try_wait().expect("waitable").is_none() {
            if begun.elapsed() > PATIENCE {
                let _ = child.kill();
                panic!("it goes on without a terminal");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.process_id().expect("it runs")
    }

    /// Types.
    pub(crate) fn keys(&mut self, keys: &str) {
        // An escape is only a key of its own if nothing follows at once.
        self.writer.write_all(keys.as_bytes()).expect("a terminal");
        self.writer.flush().expect("a terminal");
    }

    pub(crate) fn resize(&mut self, columns: u16, lines: u16) {
        self.seen
            .0
            .lock()
            .expect("no panic beside")
            .parser
            .screen_mut()
            .set_size(nonzero(lines), nonzero(columns));
        self.master.resize(size(columns, lines)).expect("a new size");
    }

    /// From here on the terminal takes no output, or takes it again.
    pub(crate) fn freeze(&mut self, frozen: bool) {
        self.seen.0.lock().expect("no panic beside").frozen = frozen;
        self.seen.1.notify_all();
    }

    /// Whether who writes to it now would sleep.
    pub(crate) fn is_full(&self) -> bool {
        let name = self.master.tty_name().expect("its name");
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let open = OpenOptions::new().write(true).custom_flags(flags).open(name);
        let terminal = open.expect("the terminal's other end");
        let mut fds = [PollFd::new(&terminal, PollFlags::OUT)];
        rustix::event::poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).expect("pollable");
        !fds[0].revents().contains(PollFlags::OUT)
    }

    /// Presses these keys, again and again, until the terminal that takes nothing is full and stays so:
    /// the kernel moves what is in it from one buffer to the next. One key at a time, because only what
    /// stays until the next frame is drawn.
    pub(crate) fn fill(&mut self, keys: &str) {
        let begun = Instant::now();
        let mut full = 0;
        for key in keys.chars().cycle() {
            full = if self.is_full() { full + 1 } else { 0 };
            if full == 10 {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "it never fills the terminal");
            self.keys(&key.to_string());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Waits for its end without reading what it writes.
    pub(crate) fn ends_unread(&mut self) {
        until("it ends though nobody reads", || self.child.try_wait().expect("waitable").is_some());
    }

    /// Waits until the screen is as it should be.
    pub(crate) fn wait(&mut self, what: &str, is: impl Fn(&Screen) -> bool) {
        let begun = Instant::now();
        let mut seen = self.seen.0.lock().expect("no panic beside");
        while !is(seen.parser.screen()) {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            assert!(
                !seen.over && !left.is_zero(),
                "waiting for {what}, this is on the screen:\n{}",
                seen.parser.screen().contents()
            );
            seen = self.seen.1.wait_timeout(seen, left).expect("no panic beside").0;
        }
    }

    /// Waits for its end: its exit code, and all that it wrote.
    pub(crate) fn end(&mut self) -> (u32, Vec<u8>) {
        let begun = Instant::now();
        {
            let mut seen = self.seen.0.lock().expect("no panic beside");
            while !seen.over {
                let left = PATIENCE.saturating_sub(begun.elapsed());
                assert!(
                    !left.is_zero(),
                    "it does not end; on the screen:\n{}",
                    seen.parser.screen().contents()
                );
                seen = self.seen.1.wait_timeout(seen, left).expect("no panic beside").0;
            }
        }
        let code = self.child.wait().expect("it ended").exit_code();
        (code, self.seen.0.lock().expect("no panic beside").bytes.clone())
    }

    /// Waits for its end, with success and with the terminal as it was; all that it wrote.
    pub(crate) fn ended_well(&mut self) -> Vec<u8> {
        let (code, bytes) = self.end();
        let seen = self.seen.0.lock().expect("no panic beside");
        let screen = seen.parser.screen();
        assert_eq!(code, 0, "{}", screen.contents());
        let last = &bytes[bytes.len().saturating_sub(200)..];
        let last = String::from_utf8_lossy(last);
        assert!(!screen.alternate_screen(), "the screen is still the TUI's, after {last:?}");
        assert!(!screen.hide_cursor(), "the cursor is hidden");
        assert!(!screen.bracketed_paste(), "pasting is still bracketed");
        assert_eq!(screen.mouse_protocol_mode(), MouseProtocolMode::None);
        bytes
    }
}

/// Sends a signal, by its name without SIG.
pub(crate) fn send(signal: &str, pid: u32) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {pid}")]).status();
    assert!(sent.expect("a shell").success());
}

/// Has the TUI save what it has, by its keys, and waits until all of the file is there.
pub(crate) fn save(pty: &mut Pty, to: &Path) -> Report {
    pty.keys(&format!("w\x15{}\r", to.display()));
    let mut report = None;
    until("it does what its keys say", || {
        let part = trace::open(to).ok();
        let judged = part.and_then(|part| recorded::judge(&[part], Range::default()).ok());
        let whole = judged.filter(|judged| judged.damage.is_empty());
        report = whole.map(|judged| judged.report).filter(|report| report.events.total > 0);
        report.is_some()
    });
    report.expect("it is there")
}
