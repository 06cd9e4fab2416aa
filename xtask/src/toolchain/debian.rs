//! The eBPF compiler as Debian has it: the `rustc-web` set, newer than the release's own rustc.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::compiler::{Compiler, OLDEST, Source};
use super::version::debian_at_least;
use crate::shell::{self, say};

/// What the eBPF build needs; gcc comes along as rustc-web's dependency.
pub(super) const PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// Looks for the complete set; installs nothing.
pub(super) fn find() -> Result<Compiler> {
    let bin = Path::new("/usr/bin");
    if !bin.join("rustc").is_file() {
        bail!("there is no /usr/bin/rustc");
    }
    Compiler::examine(Source::Debian, bin)
}

/// Installs the set.
pub(super) fn bring() -> Result<()> {
    install(&PACKAGES)
}

/// Installs packages of the `rustc-web` set with apt-get.
///
/// # Errors
/// When this is no Debian, the packages are unknown or too old, or apt-get fails.
pub(super) fn install(packages: &[&str]) -> Result<()> {
    if shell::find_program("apt-get").is_none() {
        bail!("there is no apt-get: {} has other packages", distribution());
    }
    let mut updated = false;
    if !all_known(packages)? {
        update()?;
        updated = true;
        if !all_known(packages)? {
            bail!(
                "{} has no {} from {}.{} on (Debian 12 has them in its security updates)",
                distribution(),
                packages.join(", "),
                OLDEST.0,
                OLDEST.1
            );
        }
    }
    apt_install(packages, updated)
}

/// Installs packages of any version with apt-get; says which.
///
/// # Errors
/// When this is no Debian, a package is unknown, or apt-get fails.
pub(crate) fn install_any(packages: &[&str]) -> Result<()> {
    if shell::find_program("apt-get").is_none() {
        bail!("there is no apt-get: {} has other packages", distribution());
    }
    apt_install(packages, false)
}

fn update() -> Result<()> {
    say("fetching Debian's package lists: apt-get update");
    apt_get(&["update"], &[])
}

/// Installs, and says so; with new lists if need be, unless they have just been updated.
fn apt_install(packages: &[&str], updated: bool) -> Result<()> {
    say(format_args!("installing Debian packages: {}", packages.join(" ")));
    let first = apt_install_once(packages);
    if first.is_ok() || updated {
        return first;
    }
    // There may be no lists yet, or old ones, which name files that the mirror has replaced since.
    update()?;
    apt_install_once(packages)
}

/// Installs; what has to go for that is told before it goes.
fn apt_install_once(packages: &[&str]) -> Result<()> {
    let arguments = ["install", "-y", "--no-install-recommends"];
    // Needs no root. What it fails at, the installation fails at as well, and says why.
    let mut rehearsal = Command::new("apt-get");
    rehearsal.env("LC_ALL", "C").arg("-s").args(arguments).args(packages);
    let gone = shell::capture(&mut rehearsal).map(|plan| removed(&plan)).unwrap_or_default();
    if !gone.is_empty() {
        say(format_args!(
            "they don't go together with these, which apt-get removes: {} (to keep them, install the \
             others yourself, in versions that fit)",
            gone.join(", ")
        ));
    }
    apt_get(&arguments, packages)
}

/// The packages that a plan of `apt-get -s` removes, with their versions.
fn removed(plan: &str) -> Vec<String> {
    let gone = plan.lines().filter_map(|line| line.strip_prefix("Remv "));
    gone.map(|gone| gone.replace(['[', ']'], "").trim().to_owned()).collect()
}

fn apt_get(args: &[&str], packages: &[&str]) -> Result<()> {
    // `env` because sudo drops what we would set here.
    let mut command = shell::as_root("env", "installing Debian packages")?;
    command
        .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o=Dpkg::Use-Pty=0"])
        .args(args)
        .args(packages);
    // Results are on our stdout; this is not one.
    command.stdout(std::io::stderr());
    shell::run(&mut command).context("apt-get could not do it (its own words are above)")
}

/// Whether apt has a candidate that is new enough, for each.
fn all_known(packages: &[&str]) -> Result<bool> {
    let policy = shell::capture(Command::new("apt-cache").arg("policy").args(packages))
        .context("asking apt for its candidates")?;
    Ok(candidates(&policy) == packages.len())
}

/// How many packages in `apt-cache policy`'s output have a new enough candidate.
fn candidates(policy: &str) -> usize {
    policy
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Candidate: "))
        .filter(|version| debian_at_least(version, OLDEST.0, OLDEST.1))
        .count()
}

fn distribution() -> String {
    let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    os_release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map_or_else(|| "this system".to_owned(), |name| name.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_is_read_off_the_plan() {
        let plan = "The following packages will be REMOVED:\n  qemu-utils\n\
            Remv qemu-utils [1:10.0.2+ds-2]\n\
            Inst qemu-system-x86 (1:7.2+dfsg-7 Debian:12/stable [amd64])\n";
        assert_eq!(removed(plan), ["qemu-utils 1:10.0.2+ds-2"]);
        assert!(removed("Inst cpio (2.13 Debian:12/stable [amd64])\n").is_empty());
    }

    #[test]
    fn counts_only_candidates_that_are_new_enough() {
        let policy = "rustc-web:\n  Installed: (none)\n  Candidate: 1.96.0+dfsg1-1~deb12u2\n\
            cargo-web:\n  Installed: 1.85.0\n  Candidate: 1.85.0+dfsg3-1~deb12u3\n\
            rust-web-src:\n  Installed: (none)\n  Candidate: (none)\n";
        assert_eq!(candidates(policy), 1);
        assert_eq!(candidates(""), 0);
    }
}
