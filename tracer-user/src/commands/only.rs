//! `--filter`, the same for every command that takes it.

use crate::filter::{Filter, language};

/// The option that leaves lines out.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Only {
    /// Show only what this query matches, as "mm=8 cpu=0-3" or "rule=R2 or comm=jit*"; --help tells
    /// the language
    #[arg(
        id = "filter",
        long = "filter",
        value_name = "QUERY",
        value_parser = query,
        long_help = language::help(),
    )]
    query: Option<Filter>,
}

impl Only {
    /// The query, if there is one.
    pub(super) const fn query(&self) -> Option<&Filter> {
        self.query.as_ref()
    }

    /// The query; one that everything passes if none was given.
    pub(super) fn filter(&self) -> Filter {
        self.query.clone().unwrap_or_default()
    }
}

/// Reads a query.
fn query(text: &str) -> Result<Filter, String> {
    text.parse::<Filter>()
        .map_err(|error| format!("{error}\n\n  for example --filter \"mm=8 cpu=0-3\"; --help has the fields and operators"))
}
