//! CPU lists as sysfs writes them: `0-3,8,10-11`.

use std::{fs, io};

/// No kernel has a CPU with this number or above (`CONFIG_NR_CPUS` ends at 8192); a list that says
/// so is broken, and must not make us allocate.
const LIMIT: u32 = 65_536;

/// A text that is no CPU list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{part}` is no CPU number or range below {LIMIT}")]
pub struct CpuListError {
    /// The part that could not be read, cut to a readable length.
    pub part: String,
}

/// Reads a CPU list: numbers and ranges between commas, as the kernel prints them.
/// The result is sorted and has no number twice. An empty text is an empty list.
///
/// # Errors
/// [`CpuListError`] with the first part that is no number or ascending range below 65,536.
pub fn parse_cpu_list(text: &str) -> Result<Vec<u32>, CpuListError> {
    // One mark per CPU: ranges may overlap as often as they like.
    let mut marks = Vec::new();
    let text = text.trim();
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let wrong = || CpuListError { part: part.chars().take(40).collect() };
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first = number(first).ok_or_else(wrong)? as usize;
        let last = number(last).ok_or_else(wrong)? as usize;
        if first > last {
            return Err(wrong());
        }
        marks.resize(marks.len().max(last + 1), false);
        marks[first..=last].fill(true);
    }
    Ok(marks.iter().zip(0..).filter_map(|(&there, cpu)| there.then_some(cpu)).collect())
}

/// Digits only: `parse` alone would take a `+`.
fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let n = text.parse().ok().filter(|_| digits)?;
    (n < LIMIT).then_some(n)
}

/// The CPUs that are online now.
///
/// # Errors
/// If sysfs is not mounted, or says what cannot be read.
pub fn online_cpus() -> io::Result<Vec<u32>> {
    read("/sys/devices/system/cpu/online")
}

/// The CPUs that may ever come online.
///
/// # Errors
/// As [`online_cpus`].
pub fn possible_cpus() -> io::Result<Vec<u32>> {
    read("/sys/devices/system/cpu/possible")
}

fn read(path: &str) -> io::Result<Vec<u32>> {
    let wrap = |kind, err: &dyn std::fmt::Display| {
        io::Error::new(kind, format!("cannot read the CPU list {path}: {err}"))
    };
    let text = fs::read_to_string(path).map_err(|err| wrap(err.kind(), &err))?;
    parse_cpu_list(&text).map_err(|err| wrap(io::ErrorKind::InvalidData, &err))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes() {
        assert_eq!(parse_cpu_list("0\n"), Ok(vec![0]));
        assert_eq!(parse_cpu_list("0-3,8,10-11\n"), Ok(vec![0, 1, 2, 3, 8, 10, 11]));
        assert_eq!(parse_cpu_list("\n"), Ok(vec![]));
        assert_eq!(parse_cpu_list("3,1-2,2"), Ok(vec![1, 2, 3]));
        assert_eq!(parse_cpu_list("0-8191").expect("a large machine").len(), 8192);
    }

    #[test]
    fn what_nobody_should_write() {
        let wrong =
            ["a", "1-", "-1", "1--2", "3-1", ",", "1,", "0-4294967295", "99999999999", "+1", "1 2"];
        for text in wrong {
            assert!(parse_cpu_list(text).is_err(), "{text}");
        }
        let long = "9".repeat(100_000);
        assert!(parse_cpu_list(&long).expect_err("no number").part.len() <= 40);
    }

    #[test]
    fn many_overlapping_ranges_do_not_pile_up() {
        let text = vec!["0-65535"; 200].join(",");
        assert_eq!(parse_cpu_list(&text).expect("odd but fine").len(), LIMIT as usize);
    }

    #[test]
    fn this_machine() {
        let online = online_cpus().expect("sysfs is mounted");
        let possible = possible_cpus().expect("sysfs is mounted");
        assert!(!online.is_empty());
        assert!(online.iter().all(|cpu| possible.contains(cpu)));
    }
}
