//! One machine, from power-on to the end.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use unlazy_guest::frame::Decoder;

use super::console;
use super::initramfs;
use super::interrupt::Guard;
use super::mailbox::Mailbox;
use super::qemu::{self, Accel, Parts};
use super::received::Received;
use super::request::{End, Outcome, Request};
use super::setup::Setup;
use super::work::Work;
use crate::shell::{self, say};
use crate::workspace::Workspace;

/// A machine whose init has given no sign for so long hangs. It beats twice a second; but on a busy
/// host, eight emulated CPUs under full load may keep it from that for seconds.
const HANG: Duration = Duration::from_secs(15);
/// After the limit, for a machine that lives to end the command and bring its files back.
const GRACE: Duration = Duration::from_secs(15);
/// Between two looks when nothing comes.
const PAUSE: Duration = Duration::from_millis(5);
/// What a kernel of a distribution needs besides the initramfs, in MiB.
const KERNEL_MIB: u64 = 192;

/// Runs a machine.
///
/// # Errors
/// When it cannot be started, or we are interrupted.
pub(super) fn run(workspace: &Workspace, request: &Request, setup: &Setup) -> Result<Outcome> {
    let guard = Guard::new()?;
    let work = Work::new(workspace)?;
    let done = in_folder(work.path(), request, setup, &guard);
    if request.keep {
        say(format_args!("kept {}", work.keep()?.display()));
    }
    done
}

fn in_folder(work: &Path, request: &Request, setup: &Setup, guard: &Guard) -> Result<Outcome> {
    fs::create_dir_all(&request.out)
        .with_context(|| format!("making {}", request.out.display()))?;
    let initramfs = work.join("initramfs.cpio");
    let size = initramfs::write(&initramfs, setup, request)?;
    check_room(size, request.memory_mib)?;
    let console = work.join("console.log");
    let mailbox = Mailbox::new()?;
    let parts =
        Parts { accel: setup.accel, mailbox: &mailbox, initramfs: &initramfs, console: &console };
    let child = Machine::start(&mut qemu::command(request, &parts)?, work)?;
    let mut watch = Watch {
        received: Received::new(&request.out, request.echo),
        decoder: Decoder::default(),
        begin: Instant::now(),
        limit: request.limit,
        mailbox,
        child,
        beat: None,
    };
    let end = watch.until_the_end(guard, setup.accel)?;
    let said = watch.child.said();
    drop(watch.child);
    let end = end_of(&end, &watch.received, request.limit, &said, &console::read(&console));
    let Received { stdout, stderr, started, .. } = watch.received;
    Ok(Outcome {
        end,
        stdout,
        stderr,
        console_tail: console::tail(&console::read(&console)),
        time: watch.begin.elapsed(),
        boot: started.map(|(at, _)| at - watch.begin),
    })
}

/// # Errors
/// When the guest's memory is too small for what it is to hold.
fn check_room(initramfs: u64, memory_mib: u32) -> Result<()> {
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    // The kernel unpacks the archive while it is still there.
    let needed = 2 * mib(initramfs) + KERNEL_MIB;
    if u64::from(memory_mib) < needed {
        bail!(
            "{memory_mib} MiB are too few for a guest with {} MiB of files: give it {needed} or \
             more",
            mib(initramfs)
        );
    }
    Ok(())
}

/// QEMU while it runs; killed if it is dropped before.
struct Machine {
    child: Child,
    stderr: std::path::PathBuf,
}

impl Machine {
    fn start(command: &mut Command, work: &Path) -> Result<Self> {
        let stderr = qemu::stderr_file(work);
        let file =
            File::create(&stderr).with_context(|| format!("writing {}", stderr.display()))?;
        let line = shell::line(command);
        fs::write(work.join("qemu.command"), format!("{line}\n")).context("keeping the command")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            // Ctrl-C is ours to hear.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting `{line}`"))?;
        Ok(Self { child, stderr })
    }

    /// What QEMU itself complained about.
    fn said(&self) -> String {
        shell::tail(&console::read(&self.stderr), 5)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Nothing in it is worth a slow end: all that counts has come, or never will.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Why nothing more is to be expected.
enum Last {
    /// The guest said its last word.
    Word,
    /// QEMU ended.
    Gone(ExitStatus),
    /// The guest sent what is no frame.
    Damage(String),
    /// The limit passed before `/init` ran.
    NeverUp,
    /// The limit passed, and init had given no sign for so long.
    Hangs(Duration),
    /// The limit passed, the command was asked to end, and that took too long as well.
    TooSlow,
}

/// A machine under watch.
struct Watch {
    received: Received,
    decoder: Decoder,
    begin: Instant,
    limit: Duration,
    mailbox: Mailbox,
    child: Machine,
    /// The last sign of life, and when it was seen first.
    beat: Option<(u64, Instant)>,
}

impl Watch {
    /// Takes what comes until there is no more.
    fn until_the_end(&mut self, guard: &Guard, accel: Accel) -> Result<Last> {
        let mut asked: Option<Instant> = None;
        loop {
            // First whether it is gone: what it wrote before is all there then.
            let gone = self.child.child.try_wait().context("waiting for QEMU")?;
            let mut came = false;
            while self.mailbox.take(&mut self.decoder)? {
                came = true;
                if let Some(damage) = self.take_frames()? {
                    return Ok(Last::Damage(damage));
                }
            }
            if self.received.is_over() {
                return Ok(Last::Word);
            }
            if let Some(status) = gone {
                return Ok(Last::Gone(status));
            }
            if guard.came() {
                bail!("interrupted; the machine is switched off");
            }
            if accel == Accel::Kvm {
                self.must_not_have_failed()?;
            }
            self.look_for_a_beat()?;
            match asked {
                Some(since) if since.elapsed() > GRACE => return Ok(Last::TooSlow),
                None if self.begin.elapsed() >= self.limit => {
                    let Some((_, seen)) = self.beat else { return Ok(Last::NeverUp) };
                    if seen.elapsed() > HANG {
                        return Ok(Last::Hangs(seen.elapsed()));
                    }
                    self.mailbox.ask_to_stop()?;
                    asked = Some(Instant::now());
                }
                _ => {}
            }
            if !came {
                thread::sleep(PAUSE);
            }
        }
    }

    /// Hands on the frames that are whole; what is wrong with the stream, if anything.
    fn take_frames(&mut self) -> Result<Option<String>> {
        loop {
            match self.decoder.next_frame() {
                Ok(Some(frame)) => self.received.take(frame)?,
                Ok(None) => return Ok(None),
                Err(error) => return Ok(Some(error.to_string())),
            }
        }
    }

    fn look_for_a_beat(&mut self) -> Result<()> {
        if let Some(beat) = self.mailbox.beat()?
            && self.beat.is_none_or(|(last, _)| last != beat)
        {
            self.beat = Some((beat, Instant::now()));
        }
        Ok(())
    }

    /// KVM that fails leaves QEMU waiting for nothing.
    fn must_not_have_failed(&self) -> Result<()> {
        let said = console::read(&self.child.stderr);
        if let Some(line) = said.lines().find(|line| line.to_lowercase().contains("kvm")) {
            bail!("this host's KVM cannot run the guest ({line}): use `--accel tcg`");
        }
        Ok(())
    }
}

/// What the end means: `said` is what QEMU complained about.
fn end_of(last: &Last, received: &Received, limit: Duration, said: &str, console: &str) -> End {
    if let Some(ended) = &received.ended {
        return match (ended.stopped, ended.code, ended.signal) {
            (true, ..) => End::TimedOut,
            (false, Some(code), _) => End::Exited(code),
            (false, None, Some(signal)) => End::Signalled(signal),
            (false, None, None) => End::Died("it cannot say how the command ended".to_owned()),
        };
    }
    if let Some(trouble) = &received.trouble {
        return End::Died(trouble.clone());
    }
    if let Some(why) = console::panic(console) {
        return End::Panicked(why);
    }
    End::Died(match last {
        Last::TooSlow => return End::TimedOut,
        Last::Hangs(time) => {
            format!("it hangs: no sign of life from its init for {} s", time.as_secs())
        }
        Last::NeverUp => {
            format!("its kernel had not started /init after {} s", limit.as_secs())
        }
        Last::Damage(what) => format!("what came from it is damaged: {what}"),
        Last::Gone(status) if !status.success() => format!("QEMU ended ({status}): {said}"),
        Last::Gone(_) | Last::Word => match (console::of_init(console), &received.hello) {
            (Some(what), _) => what,
            (None, Some(_)) => "it switched itself off or rebooted before its time".to_owned(),
            (None, None) => "it ended before its kernel started /init".to_owned(),
        },
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use unlazy_guest::job::{Ended, Hello};

    use super::*;

    fn received() -> Received {
        Received::new(Path::new("/nowhere"), false)
    }

    fn ended(code: Option<i32>, signal: Option<i32>, stopped: bool) -> Received {
        let ended = Some(Ended { code, signal, stopped, uptime_ms: 5000 });
        Received { ended, ..received() }
    }

    fn end(last: &Last, received: &Received, console: &str) -> End {
        end_of(last, received, Duration::from_secs(60), "no such CPU", console)
    }

    #[test]
    fn a_command_that_ended_is_believed_whatever_the_console_says() {
        let panic = "Kernel panic - not syncing: late\n";
        for console in ["", panic] {
            let of = |received| end(&Last::Word, &received, console);
            assert_eq!(of(ended(Some(3), None, false)), End::Exited(3));
            assert_eq!(of(ended(None, Some(9), false)), End::Signalled(9));
            assert_eq!(of(ended(Some(0), None, true)), End::TimedOut);
            assert!(matches!(of(ended(None, None, false)), End::Died(_)));
        }
    }

    #[test]
    fn a_panic_a_hang_and_a_death_are_told_apart() {
        let (good, bad) = (ExitStatus::from_raw(0), ExitStatus::from_raw(1 << 8));
        let died =
            |last: &Last, received: &Received, console: &str| match end(last, received, console) {
                End::Died(what) => what,
                other => panic!("{other}"),
            };
        let hello = Some(Hello { release: "6.1".to_owned(), uptime_ms: 1 });
        let up = Received { hello, ..received() };
        let console = "[ 1.0] Kernel panic - not syncing: Fatal exception in interrupt\n";
        let panicked = End::Panicked("Fatal exception in interrupt".to_owned());
        assert_eq!(end(&Last::Gone(good), &up, console), panicked);
        // With panic=0 on its command line it stays there.
        assert_eq!(end(&Last::Hangs(HANG), &up, console), panicked);
        assert!(died(&Last::Hangs(HANG), &up, "").contains("hangs"));
        assert!(died(&Last::NeverUp, &received(), "").contains("after 60 s"));
        assert!(died(&Last::Gone(good), &up, "").contains("switched itself off"));
        assert!(died(&Last::Gone(good), &received(), "").contains("before its kernel started"));
        assert!(died(&Last::Gone(bad), &received(), "").contains("no such CPU"));
        let console = "unlazy-guest: there is no PCI device\n";
        assert_eq!(died(&Last::Gone(good), &received(), console), "there is no PCI device");
        let trouble = Received { trouble: Some("no such file".to_owned()), ..received() };
        assert_eq!(died(&Last::Word, &trouble, ""), "no such file");
        assert_eq!(end(&Last::TooSlow, &up, ""), End::TimedOut);
    }

    #[test]
    fn a_guest_needs_room_for_its_files_twice() {
        assert!(check_room(20 << 20, 1024).is_ok());
        assert!(check_room(50 << 20, 256).is_err());
        assert!(check_room(500 << 20, 1024).is_err());
    }
}
