//! What commands that read recordings have in common: opening the files, which part of the time, and
//! saying what is damaged.

use std::{path::PathBuf, time::Duration};

use anyhow::bail;

use crate::{
    judge::recorded,
    report::text::printable,
    trace::{self, Damage, Part, Range},
};

/// Opens files and sorts them into runs: the parts of each, in order.
///
/// # Errors
/// If one can't be read or is no trace, by its name; or if a part is there twice.
pub(super) fn open(files: &[PathBuf]) -> anyhow::Result<Vec<Vec<Part>>> {
    let open = |file: &PathBuf| {
        trace::open(file).map_err(|error| match error {
            trace::TraceError::Io { .. } => anyhow::Error::from(error),
            other => anyhow::Error::from(other).context(file.display().to_string()),
        })
    };
    let parts = files.iter().map(open).collect::<Result<Vec<Part>, _>>()?;
    Ok(recorded::runs(parts)?)
}

/// The options that choose a part of a recording's time.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Span {
    /// Leave out what was before this time of the recording, as 10s
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    from: Option<Duration>,

    /// Leave out what was after this time of the recording
    #[arg(long, value_name = "TIME", value_parser = super::duration)]
    to: Option<Duration>,
}

impl Span {
    /// In the clock of a run, from its parts.
    ///
    /// # Errors
    /// If there is nothing between the two.
    pub(super) fn of(self, run: &[Part]) -> anyhow::Result<Range> {
        let began = run.first().map_or(0, |part| part.facts().started_ns);
        let at = |time: Duration| {
            began.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
        };
        let range = Range {
            from: self.from.filter(|from| !from.is_zero()).map_or(0, at),
            to: self.to.map_or(u64::MAX, at),
        };
        if range.from >= range.to {
            bail!("--from must be before --to");
        }
        Ok(range)
    }
}

/// Says on standard error what of a run's parts could not be read.
pub(super) fn tell_damage(run: &[Part], damage: &[(usize, Damage)]) {
    for (index, Damage { offset, bytes, why }) in damage {
        let path = run.get(*index).map(|part| part.path().display().to_string());
        eprintln!(
            "unlazy: {}: damaged at byte {offset}, {bytes} bytes passed over: {}",
            printable(&path.unwrap_or_default()),
            printable(why)
        );
    }
}
