//! Numbers for people.

/// `n` with thousands separators.
pub(crate) fn count(n: u64) -> String {
    grouped(u128::from(n))
}

fn grouped(n: u128) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `n` in at most six columns: exact below 10,000, else three digits and a power (`1.23M`).
pub(crate) fn compact(n: u64) -> String {
    if n < 10_000 {
        return n.to_string();
    }
    let mut scaled = n as f64;
    let mut unit = "";
    for next in ["k", "M", "G", "T", "P", "E"] {
        scaled /= 1000.0;
        unit = next;
        if scaled < 999.5 {
            break;
        }
    }
    let decimals = match scaled {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{scaled:.decimals$}{unit}")
}

/// A length of time in the unit that suits it, four digits or so.
pub(crate) fn duration(ns: u64) -> String {
    let (value, unit) = match ns {
        0..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (ns as f64 / 1e3, "us"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        1_000_000_000..120_000_000_000 => (ns as f64 / 1e9, "s"),
        _ => {
            let seconds = ns / 1_000_000_000;
            let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            return if h == 0 {
                format!("{m} min {s:02} s")
            } else {
                format!("{} h {m:02} min {s:02} s", count(h))
            };
        }
    };
    // Cut, not rounded: 999.99 us must not read as 1000 us.
    let decimals = if value < 10.0 { 100.0 } else { 10.0 };
    let cut = (value * decimals).floor() / decimals;
    if decimals > 10.0 { format!("{cut:.2} {unit}") } else { format!("{cut:.1} {unit}") }
}

/// `ts` against `origin`, signed, in microseconds with the nanoseconds behind the point.
pub(crate) fn relative_us(ts: u64, origin: u64) -> String {
    let ns = ts.abs_diff(origin);
    let sign = match ts.cmp(&origin) {
        std::cmp::Ordering::Less => "-",
        std::cmp::Ordering::Equal => "",
        std::cmp::Ordering::Greater => "+",
    };
    format!("{sign}{}.{:03}", count(ns / 1000), ns % 1000)
}

/// A moment as `seconds.nanoseconds`, the way dmesg and ftrace write it.
pub(crate) fn moment(ns: u64) -> String {
    format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)
}

/// `part` of `whole` in whole percent; what is little but not nothing says so.
pub(super) fn percent(part: u128, whole: u128) -> String {
    if part == 0 || whole == 0 {
        return "0".to_owned();
    }
    match part * 100 / whole {
        0 => "<1".to_owned(),
        n => grouped(n),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn compact_never_takes_more_than_six_columns() {
        assert_eq!(compact(9_999), "9999");
        assert_eq!(compact(10_000), "10.0k");
        assert_eq!(compact(999_499), "999k");
        assert_eq!(compact(999_500), "1.00M");
        assert_eq!(compact(u64::MAX), "18.4E");
        let mut n: u64 = 1;
        while let Some(next) = n.checked_mul(3) {
            for probe in [n - 1, n, n + 1] {
                assert!(compact(probe).len() <= 6, "{probe}: {}", compact(probe));
            }
            n = next;
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration(0), "0 ns");
        assert_eq!(duration(999), "999 ns");
        assert_eq!(duration(999_999), "999.9 us");
        assert_eq!(duration(1_500_000), "1.50 ms");
        assert_eq!(duration(10_000_000_000), "10.0 s");
        assert_eq!(duration(1_800_000_000_000), "30 min 00 s");
        assert_eq!(duration(u64::MAX), "5,124,095 h 34 min 33 s");
    }

    #[test]
    fn times_relative_to_a_finding() {
        assert_eq!(relative_us(5_000, 5_000), "0.000");
        assert_eq!(relative_us(1, 1_234_568), "-1,234.567");
        assert_eq!(relative_us(u64::MAX, 0), "+18,446,744,073,709,551.615");
        assert_eq!(moment(12_000_000_034), "12.000000034");
    }

    #[test]
    fn a_small_part_is_not_nothing() {
        assert_eq!(percent(0, 10), "0");
        assert_eq!(percent(1, 1_000_000), "<1");
        assert_eq!(percent(1, 3), "33");
        assert_eq!(percent(u64::MAX.into(), u64::MAX.into()), "100");
    }
}
