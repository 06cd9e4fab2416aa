//! Judging what was recorded.

use super::{Judge, Opens, ahead};
use crate::{
    engine::Observer,
    report::Report,
    trace::{Damage, Part, Range, TraceError},
};

/// What came of a recording.
#[derive(Debug)]
pub struct Recorded {
    /// The verdict and all that goes with it.
    pub report: Report,
    /// What could not be read, by the number of the part.
    pub damage: Vec<(usize, Damage)>,
}

/// Sorts files into runs: the parts of each, in order.
///
/// # Errors
/// [`TraceError::Parts`] if a part is there twice.
pub fn runs(parts: Vec<Part>) -> Result<Vec<Vec<Part>>, TraceError> {
    let mut runs: Vec<Vec<Part>> = Vec::new();
    for part in parts {
        let same = |run: &&mut Vec<Part>| {
            // What was written out of memory stands for itself.
            !part.facts().joined
                && run
                    .iter()
                    .all(|other| other.facts().run == part.facts().run && !other.facts().joined)
        };
        match runs.iter_mut().find(same) {
            Some(run) => run.push(part),
            None => runs.push(vec![part]),
        }
    }
    for run in &mut runs {
        run.sort_by_key(|part| part.facts().part);
        let twice = |two: &&[Part]| matches!(two, [a, b] if a.facts().part == b.facts().part);
        if let Some([one, other]) = run.windows(2).find(twice) {
            let [one, other] = [one, other].map(|part| part.path().display().to_string());
            return Err(TraceError::Parts(format!(
                "{one} and {other} are the same part of the same run: give it once"
            )));
        }
    }
    Ok(runs)
}

/// Judges one run from its parts, in order.
///
/// # Errors
/// [`TraceError`] if it can't be read.
pub fn judge(parts: &[Part], range: Range) -> Result<Recorded, TraceError> {
    observe(parts, range, ())
}

/// A judge for one run, from its parts, that has read nothing yet.
///
/// # Errors
/// [`TraceError::Parts`] if there are none.
pub(crate) fn begin<O: Observer>(
    parts: &[Part],
    range: Range,
    observer: O,
) -> Result<Judge<O>, TraceError> {
    let Some(first) = parts.first() else {
        return Err(TraceError::Parts("there is no file to judge".to_owned()));
    };
    let facts = first.facts();
    let opens = if facts.joined || facts.part > 0 || range.from > 0 {
        Opens::OnceKnown(range.from)
    } else {
        Opens::AsRecorded
    };
    let mut judge = Judge::observed(facts.clone(), opens, observer);
    if range.to != u64::MAX {
        judge.excerpt();
    }
    Ok(judge)
}

/// As [`judge`], with somebody who looks on; a reference to an [`Observer`] is one too.
///
/// # Errors
/// [`TraceError`] if it can't be read.
pub fn observe(
    parts: &[Part],
    range: Range,
    observer: impl Observer,
) -> Result<Recorded, TraceError> {
    let mut judge = begin(parts, range, observer)?;
    let started = judge.facts().started_ns;
    let mut damage = Vec::new();
    let mut sorter = judge.engine_mut().sort_ahead();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            judge.part(part.facts());
        }
        if range.from > 0 {
            judge.engine_mut().name_funcs(&part.functions_before(range)?);
        }
        let played = ahead::play(part, range, &mut sorter, &mut judge)?;
        for found in played.damage {
            judge.damaged(found.bytes.max(1));
            damage.push((index, found));
        }
    }
    if range.from > 0 && !judge.is_open() {
        let length = judge.until().saturating_sub(started) as f64 / 1e9;
        return Err(TraceError::Parts(if range.to == u64::MAX {
            format!("there is nothing after that time: the recording is {length:.3} s long")
        } else {
            format!(
                "nothing is known between those times: what is read until then ends {length:.3} s \
                 after the beginning; give a wider span"
            )
        }));
    }
    Ok(Recorded { report: judge.report(), damage })
}
