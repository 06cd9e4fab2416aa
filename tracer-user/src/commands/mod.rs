//! The commands: one file each, arguments and all.

pub mod check;
pub mod conform;
pub mod doctor;
pub mod explain;
pub mod explore;
pub mod export;
mod found;
pub mod import;
pub mod live;
mod looks;
mod only;
pub mod record;
pub mod recording;
pub mod replay;
pub mod report;
pub mod stress;
pub mod tracing;

use std::time::Duration;

/// A time that is not zero, as people write it: `500ms`, `10s`, `1h30m`.
///
/// # Errors
/// What is wrong with it, for clap.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write it as 500ms, 10s or 1h30m"))?;
    if duration.is_zero() {
        return Err("a run of no length sees nothing; give at least 1ms".to_owned());
    }
    Ok(duration)
}

/// A size in bytes: a number with `K`, `M` or `G` (`KiB`, `MiB`, `GiB`), or none of them.
///
/// # Errors
/// What is wrong with it, for clap.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        _ => return Err(format!("unknown unit in {text}; write it as 262144, 512K, 4MiB or 1G")),
    };
    let number: u64 = number.parse().map_err(|_| format!("{text} is not a size"))?;
    let bytes = number.checked_mul(1 << shift).ok_or_else(|| format!("{text} is too large"))?;
    if bytes == 0 { Err("a buffer of no size holds nothing".to_owned()) } else { Ok(bytes) }
}

/// Puts this thread before others, as far as that is allowed: the reader must keep up with a machine
/// under full load, and needs little. A nice value alone counts only among the processes of one
/// session, where the kernel groups them so (`kernel/sched/autogroup.c`).
pub(crate) fn prefer() {
    if crate::child::real_time().is_err() {
        let _ = rustix::process::setpriority_process(None, -10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert!(duration("0s").is_err());
        assert!(duration("0").is_err());
        assert!(duration("ten").is_err());
    }

    #[test]
    fn sizes() {
        assert_eq!(size("262144"), Ok(262_144));
        assert_eq!(size("512K"), Ok(512 << 10));
        assert_eq!(size("4MiB"), Ok(4 << 20));
        assert!(size("0").is_err());
        assert!(size("4 parsecs").is_err());
        assert!(size("99999999999G").is_err());
        assert!(size("").is_err());
    }
}
