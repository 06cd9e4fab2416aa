//! PID 1: from the first mount to the power switch.

use std::fs;
use std::panic;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::system::{RebootCommand, reboot, uname};
use rustix::time::{ClockId, clock_gettime};
use unlazy_guest::frame::Kind;
use unlazy_guest::job::{Hello, JOB_PATH, Job, OUT_DIR, Started};

use crate::channel::Channel;
use crate::{applets, bring, command, mounts};

/// Does the job and switches the machine off; never returns.
pub(crate) fn run() -> ! {
    // A panic of ours must not become one of the kernel's, which is how it takes PID 1's end.
    let done = panic::catch_unwind(|| {
        let notes = mounts::all().context("mounting what a program expects")?;
        let text = fs::read(JOB_PATH).with_context(|| format!("reading {JOB_PATH}"))?;
        let job: Job =
            serde_json::from_slice(&text).with_context(|| format!("reading {JOB_PATH}"))?;
        let channel = Channel::open()?;
        let done = panic::catch_unwind(|| work(&job, &channel, &notes));
        let trouble = match done {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "the guest's init panicked (see the console)".to_owned(),
        };
        channel.send(Kind::Trouble, trouble.as_bytes());
        Ok::<(), anyhow::Error>(())
    });
    // Without a channel the console is all there is.
    match done {
        Ok(Ok(())) => {}
        Ok(Err(error)) => eprintln!("unlazy-guest: {error:#}"),
        Err(_) => eprintln!("unlazy-guest: init panicked"),
    }
    power_off()
}

fn work(job: &Job, channel: &Channel, notes: &[String]) -> Result<()> {
    let release = uname().release().to_string_lossy().into_owned();
    channel.send_json(Kind::Hello, &Hello { release, uptime_ms: uptime_ms() })?;
    channel.start_beat();
    for note in notes {
        channel.send(Kind::Note, note.as_bytes());
    }
    for module in &job.modules {
        applets::load_module(module, &[])
            .context("loading a module before the command (the console may say why not)")?;
    }
    fs::create_dir_all(OUT_DIR).with_context(|| format!("making {OUT_DIR}"))?;
    channel.send_json(Kind::Started, &Started { uptime_ms: uptime_ms() })?;
    let mut ended = command::run(&job.command, channel)?;
    bring::all(channel)?;
    ended.uptime_ms = uptime_ms();
    channel.send_json(Kind::Ended, &ended)
}

/// Since boot.
fn uptime_ms() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1000 + now.tv_nsec.unsigned_abs() / 1_000_000
}

/// Switches the machine off, or waits for the host to do it.
fn power_off() -> ! {
    if let Err(error) = reboot(RebootCommand::PowerOff) {
        eprintln!("unlazy-guest: switching off: {error}");
    }
    loop {
        thread::sleep(Duration::from_secs(60));
    }
}
