//! `guest …`: what a shell and its tools would be needed for.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::fs::OFlags;
use rustix::system::{delete_module, finit_module};

use crate::{marks, sequence};

/// All of them, as `guest help` prints it.
const HELP: &str = "\
guest seq CMD… , CMD…         one after the other, until one fails
guest all CMD… , CMD…         one after the other, whatever fails; the first failure is the result
guest par CMD… + CMD…         side by side, until all have ended; the first failure is the result
guest repeat SECONDS CMD…     again and again for so long, until it fails
guest to FILE CMD…            with its stdout in FILE
guest marked FILE CMD…        with marks for a witness before and after; their times in FILE
guest sleep SECONDS
guest cpu-online N 0|1        take a CPU down or up
guest write FILE TEXT         as `echo TEXT > FILE`
guest cat FILE…
guest insmod FILE [PARAMS]
guest rmmod NAME
guest dmesg                   the kernel's log so far
guest flood BYTES             that many bytes on stdout
guest help";

/// Runs one; its exit code.
///
/// # Errors
/// When it is unknown, used wrongly, or fails.
pub(crate) fn run(args: &[String]) -> Result<u8> {
    let (name, args) = args.split_first().map_or(("help", args), |(name, args)| (name, args));
    match (name, args) {
        ("seq", _) => return sequence::one_after_the_other(args),
        ("all", _) => return sequence::one_after_the_other_whatever_happens(args),
        ("par", _) => return sequence::side_by_side(args),
        ("repeat", [time, command @ ..]) => return repeat(seconds(time)?, command),
        ("to", [file, command @ ..]) => return to(file, command),
        ("marked", [file, command @ ..]) => return marks::around(file, command),
        ("sleep", [time]) => thread::sleep(seconds(time)?),
        ("cpu-online", [cpu, state]) if state == "0" || state == "1" => {
            let cpu = number(cpu)?;
            write(&format!("/sys/devices/system/cpu/cpu{cpu}/online"), state)?;
        }
        ("write", [file, text]) => write(file, &format!("{text}\n"))?,
        ("cat", files) => {
            for file in files {
                let mut from = File::open(file).with_context(|| format!("opening {file}"))?;
                io::copy(&mut from, &mut io::stdout())
                    .with_context(|| format!("reading {file}"))?;
            }
        }
        ("insmod", [file, params @ ..]) => load_module(file, params)?,
        ("rmmod", [name]) => {
            let module = CString::new(name.as_str()).context("reading the module's name")?;
            delete_module(&module, OFlags::NONBLOCK.bits().cast_signed())
                .with_context(|| format!("unloading {name}"))?;
        }
        ("dmesg", []) => dmesg()?,
        ("flood", [bytes]) => flood(number(bytes)?)?,
        ("help", []) => println!("{HELP}"),
        _ => bail!("`guest {name} {}` is not known; there are\n{HELP}", args.join(" ")),
    }
    Ok(0)
}

/// Loads a kernel module, compressed or not.
///
/// # Errors
/// When it cannot be read, or the kernel refuses it.
pub(crate) fn load_module(file: &str, params: &[String]) -> Result<()> {
    /// `MODULE_INIT_COMPRESSED_FILE` (include/uapi/linux/module.h): the kernel unpacks it.
    const COMPRESSED: i32 = 4;
    let from = File::open(file).with_context(|| format!("opening {file}"))?;
    let params = CString::new(params.join(" ")).context("reading the parameters")?;
    let plain = Path::new(file).extension().is_some_and(|extension| extension == "ko");
    let flags = if plain { 0 } else { COMPRESSED };
    finit_module(&from, &params, flags).with_context(|| format!("loading {file}"))
}

fn number(text: &str) -> Result<u64> {
    text.parse().with_context(|| format!("`{text}` is no number"))
}

fn write(file: &str, text: &str) -> Result<()> {
    // Without O_TRUNC where it can be: some control files take it ill.
    let mut to = OpenOptions::new()
        .write(true)
        .create(!file.starts_with("/sys") && !file.starts_with("/proc"))
        .truncate(!file.starts_with("/sys") && !file.starts_with("/proc"))
        .open(file)
        .with_context(|| format!("opening {file}"))?;
    // In one piece: for the kernel each write is a command.
    to.write_all(text.as_bytes())
        .with_context(|| format!("writing `{}` to {file}", text.trim_end()))
}

fn seconds(text: &str) -> Result<Duration> {
    let seconds: f64 = text.parse().with_context(|| format!("`{text}` is no number of seconds"))?;
    Duration::try_from_secs_f64(seconds).with_context(|| format!("`{text}` is no time"))
}

fn repeat(time: Duration, command: &[String]) -> Result<u8> {
    let begun = Instant::now();
    while begun.elapsed() < time {
        let code = sequence::once(command)?;
        if code != 0 {
            return Ok(code);
        }
    }
    Ok(0)
}

fn to(file: &str, command: &[String]) -> Result<u8> {
    let (program, args) = command.split_first().context("`guest to FILE` needs a command")?;
    let out = File::create(file).with_context(|| format!("making {file}"))?;
    let status = Command::new(program)
        .args(args)
        .stdout(out)
        .status()
        .with_context(|| format!("starting `{program}`"))?;
    Ok(sequence::code(status))
}

/// Prints the kernel's log: each read of `/dev/kmsg` is one record,
/// `priority,sequence,microseconds,…;text` (Documentation/ABI/testing/dev-kmsg).
fn dmesg() -> Result<()> {
    let mut log = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open("/dev/kmsg")
        .context("opening /dev/kmsg")?;
    let mut out = io::stdout().lock();
    let mut record = vec![0; 16 << 10];
    loop {
        let length = match log.read(&mut record) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            // All has been read.
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            // Overwritten while it was read: the next read goes on with what is left.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => continue,
            Err(error) => return Err(error).context("reading /dev/kmsg"),
        };
        let text = String::from_utf8_lossy(record.get(..length).unwrap_or_default());
        let line = text.lines().next().unwrap_or_default();
        let (head, message) = line.split_once(';').unwrap_or(("", line));
        let us: u64 = head.split(',').nth(2).and_then(|us| us.parse().ok()).unwrap_or(0);
        writeln!(out, "[{:5}.{:06}] {message}", us / 1_000_000, us % 1_000_000)
            .context("printing the log")?;
    }
}

fn flood(mut left: u64) -> Result<()> {
    let block = vec![b'x'; 64 << 10];
    let mut out = io::stdout().lock();
    while left > 0 {
        let part = left.min(block.len() as u64);
        out.write_all(block.get(..part as usize).unwrap_or_default()).context("writing")?;
        left -= part;
    }
    out.flush().context("writing")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(words: &[&str]) -> Result<u8> {
        run(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_wrong_is_said() {
        for words in [&["nonsense"][..], &["cpu-online", "1", "2"], &["write", "x"], &["seq"]] {
            assert!(guest(words).is_err(), "{words:?}");
        }
        assert!(guest(&["cpu-online", "../x", "1"]).is_err());
        assert!(guest(&["sleep", "-1"]).is_err());
        assert_eq!(guest(&["help"]).unwrap(), 0);
        assert_eq!(guest(&[]).unwrap(), 0);
    }

    #[test]
    fn repetition_ends_with_the_first_failure() {
        assert_eq!(guest(&["repeat", "0.1", "true"]).unwrap(), 0);
        assert_eq!(guest(&["repeat", "3600", "false"]).unwrap(), 1);
        assert!(guest(&["repeat", "0", "no-such-program"]).is_ok());
        assert!(guest(&["repeat", "-1", "true"]).is_err());
    }
}
