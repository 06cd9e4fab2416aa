//! What virtual machines need: QEMU.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::debian;
use crate::shell;

const QEMU: &str = "qemu-system-x86_64";
const PACKAGES: [&str; 1] = ["qemu-system-x86"];

/// For those who install it themselves.
pub(super) const WHAT: &str = "QEMU for x86-64 (Debian, Ubuntu: qemu-system-x86; Fedora: \
    qemu-system-x86-core; Arch: qemu-system-x86)";

/// QEMU's program, if it is there.
pub(super) fn find() -> Option<PathBuf> {
    shell::find_program(QEMU)
}

/// QEMU's program; installs it on Debian, and says so before.
///
/// # Errors
/// When it is not there and cannot be had.
pub(crate) fn qemu() -> Result<PathBuf> {
    if let Some(qemu) = find() {
        return Ok(qemu);
    }
    debian::install_any(&PACKAGES).with_context(|| format!("virtual machines need {WHAT}"))?;
    find().with_context(|| format!("{} is installed, and there is no {QEMU}", PACKAGES[0]))
}
