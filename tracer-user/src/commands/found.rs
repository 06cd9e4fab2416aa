//! What a run says while it goes on: the first finding of each rule, as it is found.
//!
//! A machine may not live to print its report: a freed mm that is still in use takes the kernel with
//! it. What was found until then has been said.

use std::collections::BTreeSet;
use std::io::Write;

use tracer_common::model::Rule;

/// How each such line begins, on standard error. Programs read it.
pub(crate) const FOUND: &str = "unlazy: found: ";

/// A rule by its id, as the reports have it.
///
/// # Errors
/// What is wrong with it, for clap.
pub(crate) fn rule(text: &str) -> Result<Rule, String> {
    Rule::ALL.into_iter().find(|rule| rule.id().eq_ignore_ascii_case(text)).ok_or_else(|| {
        let ids: Vec<_> = Rule::ALL.iter().map(|rule| rule.id()).collect();
        format!("there is no rule {text}; the rules are {}", ids.join(", "))
    })
}

/// The rules of which a first finding was told.
#[derive(Debug, Default)]
pub(crate) struct Found {
    rules: BTreeSet<&'static str>,
}

impl Found {
    /// Tells each of these findings whose rule is new, by way of `clear`, which makes room for it.
    pub(crate) fn tell(
        &mut self,
        findings: impl Iterator<Item = (Rule, String)>,
        to: &mut impl Write,
        mut clear: impl FnMut(),
    ) {
        for (rule, sentence) in findings {
            if self.rules.insert(rule.id()) {
                clear();
                // Nobody there to read it: the report says the same.
                let _ = writeln!(to, "{FOUND}{} {}: {sentence}", rule.id(), rule.name());
            }
        }
    }

    /// How many rules that is.
    pub(crate) fn count(&self) -> usize {
        self.rules.len()
    }

    /// Whether all of these were found; false for none at all.
    pub(crate) fn all(&self, rules: &[Rule]) -> bool {
        !rules.is_empty() && rules.iter().all(|rule| self.rules.contains(rule.id()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_told_once_in_the_order_found() {
        let (mut found, mut out, mut cleared) = (Found::default(), Vec::new(), 0);
        let one = |rule| (rule, format!("{rule:?} happened"));
        found.tell([one(Rule::R5)].into_iter(), &mut out, || cleared += 1);
        found.tell([one(Rule::R5), one(Rule::R1)].into_iter(), &mut out, || cleared += 1);
        let text = String::from_utf8(out).expect("text");
        assert_eq!(
            text,
            "unlazy: found: R5 lazy-lifetime: R5 happened\n\
             unlazy: found: R1 unlazy-sync: R1 happened\n"
        );
        assert_eq!(cleared, 2);
        assert!(found.all(&[Rule::R1, Rule::R5]) && !found.all(&[Rule::R1, Rule::R2]));
        assert!(!found.all(&[]));
    }

    #[test]
    fn rules_are_named_by_their_ids() {
        assert_eq!(rule("R3"), Ok(Rule::R3));
        assert_eq!(rule("r7"), Ok(Rule::R7));
        let error = rule("R8").expect_err("no such rule");
        assert!(error.contains("R8") && error.contains("R1, R2"), "{error}");
    }
}
