//! `cargo xtask kernel`: a small kernel with every planted bug in it, one boot parameter each.
//!
//! Debian's source is unpacked into the cache, edited as the table in [`bugs`] says, and built
//! once: `unlazy_bug=NAME` turns a bug on at boot, and without it the very same image is the
//! control. The result is cached by content.

pub(crate) mod bugs;
mod build;
mod config;
mod edit;
mod listing;
mod make;
mod packages;
mod plan;
mod source;
mod tree;
mod variant;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

pub(crate) use self::source::Source;
pub(crate) use self::variant::{Variant, Without};
use crate::workspace::Workspace;

/// Build a small kernel with planted bugs, each switched on at boot.
///
/// From Debian's kernel source, which is fetched, not installed. Prints the image's path. The
/// result is kept in .cache/kernels by content: a second call returns at once. Boot it with
/// `unlazy_bug=NAME`, or with nothing for the control; `/proc/unlazy_bug` then counts how often each
/// bug made a difference.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which of Debian's kernel sources
    #[arg(long, value_enum, default_value = "6.12")]
    source: Source,
    /// Leave out what distributions' kernels have
    #[arg(long, value_enum)]
    without: Option<Without>,
    /// Unpack and build anew, whatever the cache has
    #[arg(long)]
    force: bool,
    /// Print the path of the tree that it was built in, fit for `make M=…`, instead
    #[arg(long)]
    tree: bool,
    /// Print the planted bugs and what is expected of each; build nothing
    #[arg(long, conflicts_with_all = ["force", "tree", "about"])]
    list: bool,
    /// Print what one bug changes, with its edits; build nothing
    #[arg(long, value_name = "NAME", conflicts_with_all = ["force", "tree"])]
    about: Option<String>,
}

/// Carries out `cargo xtask kernel`.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    if args.list {
        print!("{}", listing::Table);
    } else if let Some(name) = &args.about {
        let bug = bugs::find(name)
            .with_context(|| format!("no planted bug is called `{name}`: see --list"))?;
        print!("{}", listing::About(bug));
    } else {
        let variant = Variant { source: args.source, without: args.without };
        if args.force {
            build::rebuild(workspace, variant)?;
        }
        let path =
            if args.tree { build_tree(workspace, variant)? } else { ensure(workspace, variant)? };
        println!("{}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// The image of a kernel: from the cache, or built now.
///
/// # Errors
/// When it has to be built and can't be.
pub(crate) fn ensure(workspace: &Workspace, variant: impl Into<Variant>) -> Result<PathBuf> {
    build::ensure(workspace, variant.into())
}

/// The tree that the same kernel was built in, fit for building modules against it.
///
/// # Errors
/// As [`ensure`].
pub(crate) fn build_tree(workspace: &Workspace, variant: impl Into<Variant>) -> Result<PathBuf> {
    build::tree(workspace, variant.into())
}
