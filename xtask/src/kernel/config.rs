//! The kernel's configuration: what unlazy needs, and little else.
//!
//! The base is `allnoconfig`: an option that is not in the fragment is off unless one that is in
//! it selects it. The fragment is a file of its own, in the kernel's format, with the reasons in it.

use anyhow::{Result, bail};

use super::source::Source;
use super::variant::Variant;

const FRAGMENT: &str = include_str!("tree/unlazy.config");

/// The option that 6.1 knows by another name, and that name.
const RENAMED_SINCE_6_1: (&str, &str) =
    ("CONFIG_MITIGATION_PAGE_TABLE_ISOLATION=", "CONFIG_PAGE_TABLE_ISOLATION=");

/// What is asked of a kernel, in kconfig's format.
pub(crate) fn fragment(variant: Variant) -> String {
    let (new, old) = RENAMED_SINCE_6_1;
    let fragment = match variant.source {
        Source::V6_12 => FRAGMENT.to_owned(),
        Source::V6_1 => FRAGMENT.replace(new, old),
    };
    let off = variant.without.map_or(&[][..], |without| without.options());
    off.iter().fold(fragment, |fragment, option| {
        fragment.replace(&format!("{option}=y\n"), &format!("# {option} is not set\n"))
    })
}

/// Holds the configuration that came out against the one that was asked for.
///
/// Kconfig drops an option without a word when something it depends on is off, or when this
/// kernel has no such option.
///
/// # Errors
/// Names every option that came out otherwise.
pub(crate) fn check(asked: &str, came_out: &str) -> Result<()> {
    let wrong: Vec<String> = settings(asked)
        .filter_map(|(option, value)| {
            let is = settings(came_out)
                .find_map(|(name, value)| (name == option).then_some(value))
                .unwrap_or("n");
            (is != value).then(|| format!("{option} is {is} instead of {value}"))
        })
        .collect();
    if !wrong.is_empty() {
        bail!(
            "the kernel's configuration is not what was asked for (an option was renamed, or what \
             it depends on is off): {}",
            wrong.join(", ")
        );
    }
    Ok(())
}

/// The options of a configuration and their values; one that is off has the value `n`.
fn settings(config: &str) -> impl Iterator<Item = (&str, &str)> {
    config.lines().filter_map(|line| {
        let (option, value) = match line.strip_prefix("# ") {
            Some(off) => (off.strip_suffix(" is not set")?, "n"),
            None => line.split_once('=')?,
        };
        option.starts_with("CONFIG_").then_some((option, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Without;

    const CAME_OUT: &str = "#\n# Automatically generated\n#\nCONFIG_SMP=y\nCONFIG_NR_CPUS=8\n\
        # CONFIG_SWAP is not set\nCONFIG_LOCALVERSION=\"-x\"\n";

    #[test]
    fn what_came_out_as_asked_is_right() {
        let asked = "# a reason, with = in it\nCONFIG_SMP=y\n\nCONFIG_NR_CPUS=8\n\
            # CONFIG_SWAP is not set\n# CONFIG_NUMA is not set\nCONFIG_LOCALVERSION=\"-x\"\n";
        check(asked, CAME_OUT).unwrap();
    }

    #[test]
    fn every_option_that_did_not_is_named() {
        let asked =
            "CONFIG_SMP=y\nCONFIG_NR_CPUS=64\nCONFIG_BPF=y\n# CONFIG_LOCALVERSION is not set\n";
        let error = check(asked, CAME_OUT).unwrap_err().to_string();
        assert!(error.contains("CONFIG_NR_CPUS is 8 instead of 64"), "{error}");
        assert!(error.contains("CONFIG_BPF is n instead of y"), "{error}");
        assert!(error.contains("CONFIG_LOCALVERSION is \"-x\" instead of n"), "{error}");
        assert!(!error.contains("CONFIG_SMP"), "{error}");
    }

    #[test]
    fn the_fragment_asks_for_what_the_tracer_cannot_do_without() {
        for source in [Source::V6_12, Source::V6_1] {
            for needed in [
                "CONFIG_DEBUG_INFO_BTF=y",
                "CONFIG_KALLSYMS_ALL=y",
                "CONFIG_FUNCTION_TRACER=y",
                "CONFIG_BPF_EVENTS=y",
                "CONFIG_KPROBES=y",
                "CONFIG_FTRACE_SYSCALLS=y",
                "CONFIG_MEMBARRIER=y",
                "CONFIG_JUMP_LABEL=y",
            ] {
                assert!(fragment(source.into()).lines().any(|line| line == needed), "{needed}");
            }
        }
    }

    #[test]
    fn what_a_variant_lacks_is_off_and_nothing_else() {
        let whole = fragment(Source::V6_12.into());
        for without in [Without::KallsymsAll, Without::Fentry] {
            let variant = Variant { source: Source::V6_12, without: Some(without) };
            let fragment = fragment(variant);
            let lost: Vec<_> = settings(&whole)
                .filter(|setting| !settings(&fragment).any(|other| other == *setting))
                .map(|(option, _)| option)
                .collect();
            assert_eq!(lost, without.options(), "{without}");
            for option in without.options() {
                assert!(settings(&fragment).any(|setting| setting == (option, "n")), "{option}");
            }
        }
    }

    #[test]
    fn an_older_source_is_asked_by_its_own_names() {
        let lines = fragment(Source::V6_1.into());
        assert!(lines.lines().any(|line| line == "CONFIG_PAGE_TABLE_ISOLATION=y"));
        assert!(!lines.contains("CONFIG_MITIGATION_"));
    }
}
