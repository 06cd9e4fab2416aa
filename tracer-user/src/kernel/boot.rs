//! What the kernel was booted with, and how it preempts.

/// Boot parameters that change what serializes, flushes or can be traced.
const RELEVANT: &[&str] = &[
    "mitigations",
    "pti",
    "nopti",
    "nopcid",
    "noinvpcid",
    "no5lvl",
    "nopv",
    "fred",
    "clearcpuid",
    "preempt",
    "isolcpus",
    "nohz_full",
    "rcu_nocbs",
    "idle",
    "maxcpus",
    "nr_cpus",
    "nosmp",
    "lockdown",
];

/// The kernel's own words: what comes after ` -- ` is init's.
fn words(cmdline: &str) -> impl Iterator<Item = &str> {
    cmdline.split_ascii_whitespace().take_while(|word| *word != "--")
}

fn name(word: &str) -> &str {
    word.split_once('=').map_or(word, |(name, _)| name)
}

/// The parameters that matter here, as they were given.
pub(super) fn relevant(cmdline: &str) -> Vec<String> {
    words(cmdline).filter(|word| RELEVANT.contains(&name(word))).map(str::to_owned).collect()
}

/// Whether a parameter was given, with a value or without.
pub(super) fn has(cmdline: &str, wanted: &str) -> bool {
    words(cmdline).any(|word| name(word) == wanted)
}

/// The preemption model. `version` is `uname -v`; `debugfs` is `sched/preempt`, where the model in
/// use stands in parentheses. A kernel that can choose (`PREEMPT_DYNAMIC`) and says nowhere what it
/// chose is `dynamic`, or what it was asked to be and may have refused.
pub(super) fn preempt(version: &str, debugfs: Option<&str>, cmdline: &str) -> Option<String> {
    let in_use = debugfs.and_then(in_use);
    let flavour = version.split_ascii_whitespace().find(|word| word.starts_with("PREEMPT"));
    let asked = || words(cmdline).find_map(|word| word.strip_prefix("preempt="));
    let model = match (in_use, flavour) {
        (_, Some("PREEMPT_RT")) => "rt",
        (Some(word), _) => word,
        (None, Some("PREEMPT_DYNAMIC")) => {
            let asked = asked().map(|model| format!("dynamic, asked for {model}"));
            return asked.or_else(|| Some("dynamic".to_owned()));
        }
        (None, Some("PREEMPT_LAZY")) => "lazy",
        (None, Some("PREEMPT")) => "full",
        (None, None) if version.contains("SMP") => "none or voluntary",
        (None, _) => return None,
    };
    Some(model.to_owned())
}

/// The word in parentheses.
pub(super) fn in_use(debugfs: &str) -> Option<&str> {
    let (_, rest) = debugfs.split_once('(')?;
    rest.split_once(')').map(|(word, _)| word)
}

#[cfg(test)]
mod tests {
    use tracer_common::model::Preemption;

    use super::*;

    #[test]
    fn only_the_kernels_own_parameters_and_only_those_that_matter() {
        let line = "root=/dev/sda quiet pti=off mitigations=auto,nosmt nopcid ptix=1 -- nopv";
        assert_eq!(relevant(line), ["pti=off", "mitigations=auto,nosmt", "nopcid"]);
        assert!(has(line, "nopcid") && has(line, "pti"));
        assert!(!has(line, "nopv"));
        assert!(relevant("").is_empty());
    }

    #[test]
    fn preemption_by_the_best_source() {
        let dynamic = "#1 SMP PREEMPT_DYNAMIC Debian 6.12";
        let is = |v, d, c| preempt(v, d, c).unwrap_or_default();
        assert_eq!(is(dynamic, Some("none voluntary (full) lazy\n"), "preempt=none"), "full");
        assert_eq!(is(dynamic, None, "quiet preempt=none"), "dynamic, asked for none");
        assert_eq!(is(dynamic, None, ""), "dynamic");
        assert_eq!(is("#1 SMP PREEMPT_RT Debian", None, ""), "rt");
        assert_eq!(is("#1 SMP Debian", None, ""), "none or voluntary");
        assert_eq!(is("#1 SMP PREEMPT x", Some("garbage ("), ""), "full");
        assert_eq!(preempt("#1 x", None, ""), None);
    }

    #[test]
    fn kernel_code_is_preempted_unless_that_is_known_not_to_be() {
        let is = |v, d, c| Preemption::of(preempt(v, d, c).as_deref());
        let dynamic = "#1 SMP PREEMPT_DYNAMIC Debian 6.12";
        for word in ["(full)", "none (lazy)", "none voluntary (new)"] {
            assert_eq!(is(dynamic, Some(word), "preempt=none"), Preemption::Unlocked, "{word}");
        }
        for word in ["(none) voluntary full", "none (voluntary) full lazy"] {
            assert_eq!(is(dynamic, Some(word), "preempt=full"), Preemption::Never, "{word}");
        }
        assert_eq!(is(dynamic, None, "preempt=none"), Preemption::Unlocked, "it may have refused");
        assert_eq!(is("#1 SMP PREEMPT Debian", None, ""), Preemption::Unlocked);
        assert_eq!(is("#1 SMP PREEMPT_RT Debian", Some("(none)"), ""), Preemption::Anywhere);
        assert_eq!(is("#1 SMP Debian", None, ""), Preemption::Never);
        assert_eq!(is("#1 x", None, ""), Preemption::Anywhere);
    }
}
