//! `/proc/cpuinfo`: the CPU as this kernel uses it.
//!
//! Its flags are the kernel's own view: a feature that was switched off at boot is not listed.

use std::collections::HashSet;

/// What the first CPU's entry says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct CpuInfo {
    pub(super) vendor: Option<String>,
    pub(super) model: Option<String>,
    flags: Option<HashSet<String>>,
}

impl CpuInfo {
    /// Reads the first entry; unknown lines don't matter.
    pub(super) fn parse(text: &str) -> Self {
        let mut info = Self::default();
        for line in text.lines().take_while(|line| !line.trim().is_empty()) {
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match key.trim() {
                "vendor_id" => info.vendor = Some(value.to_owned()),
                "model name" => info.model = Some(value.to_owned()),
                "flags" => info.flags = Some(value.split(' ').map(str::to_owned).collect()),
                _ => {}
            }
        }
        info
    }

    /// Whether the kernel uses a feature; `None` without any flags.
    pub(super) fn has(&self, flag: &str) -> Option<bool> {
        self.flags.as_ref().map(|flags| flags.contains(flag))
    }
}

/// Page-table isolation, by the flag or by what the vulnerability file says.
pub(super) fn pti(flag: Option<bool>, meltdown: Option<&str>) -> Option<bool> {
    match (flag, meltdown) {
        (Some(true), _) | (_, Some("Mitigation: PTI")) => Some(true),
        (Some(false), _) | (None, Some("Not affected" | "Vulnerable")) => Some(false),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: A CPU: 2 GHz\n\
        flags\t\t: fpu pcid pti hypervisor\nodd line\n\nprocessor\t: 1\nvendor_id\t: Other\n\
        flags\t\t: serialize\n";

    #[test]
    fn the_first_entry_counts() {
        let info = CpuInfo::parse(TEXT);
        assert_eq!(info.vendor.as_deref(), Some("AuthenticAMD"));
        assert_eq!(info.model.as_deref(), Some("A CPU: 2 GHz"));
        assert_eq!(info.has("pcid"), Some(true));
        assert_eq!(info.has("pci"), Some(false));
        assert_eq!(info.has("serialize"), Some(false));
    }

    #[test]
    fn nothing_known_is_not_no() {
        assert_eq!(CpuInfo::parse("").has("pti"), None);
        assert_eq!(CpuInfo::parse("\0\u{fffd}:::\nflags"), CpuInfo::default());
    }

    #[test]
    fn isolation_by_either_source() {
        assert_eq!(pti(Some(true), None), Some(true));
        assert_eq!(pti(Some(false), Some("Not affected")), Some(false));
        assert_eq!(pti(None, Some("Mitigation: PTI")), Some(true));
        assert_eq!(pti(None, Some("Unknown (XEN PV detected)")), None);
        assert_eq!(pti(None, None), None);
    }
}
