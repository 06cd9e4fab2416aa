//! What all machines of one xtask share: their programs, and what runs them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum as _;

use super::qemu::Accel;
use crate::build;
use crate::toolchain::Choice;
use crate::workspace::Workspace;

/// Names what runs the guests.
const ACCEL: &str = "UNLAZY_VM_ACCEL";

/// What every machine is made with.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// The product, linked statically.
    pub(super) unlazy: PathBuf,
    /// The guest's init, linked statically.
    pub(super) guest: PathBuf,
    pub(super) accel: Accel,
}

/// What every command that starts machines can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// What runs the guest
    #[arg(long, value_enum, env = ACCEL, default_value_t)]
    accel: Accel,
    /// Take this `unlazy` (linked statically) instead of building it
    #[arg(long, value_name = "FILE")]
    unlazy: Option<PathBuf>,
    #[command(flatten)]
    choice: Choice,
}

impl Options {
    /// The emulator, and a build with this compiler.
    pub(crate) fn with(choice: Choice) -> Self {
        Self { accel: Accel::default(), unlazy: None, choice }
    }

    /// Makes everything ready for machines as they were asked for.
    ///
    /// # Errors
    /// When something cannot be built, or would not run in a guest.
    pub(crate) fn prepare(&self, workspace: &Workspace) -> Result<()> {
        make(&mut lock(), workspace, self.choice, self.unlazy.as_deref(), self.accel).map(drop)
    }
}

/// Once for each run of xtask: a grid starts hundreds of machines.
static READY: Mutex<Option<Setup>> = Mutex::new(None);

/// What has been prepared, or is now, with the defaults.
///
/// # Errors
/// As [`Options::prepare`].
pub(super) fn get(workspace: &Workspace) -> Result<Setup> {
    let mut ready = lock();
    match &*ready {
        Some(setup) => Ok(setup.clone()),
        None => make(&mut ready, workspace, Choice::default(), None, accel()?),
    }
}

fn lock() -> MutexGuard<'static, Option<Setup>> {
    // A build that panicked has left nothing half done.
    READY.lock().unwrap_or_else(PoisonError::into_inner)
}

fn make(
    ready: &mut Option<Setup>,
    workspace: &Workspace,
    choice: Choice,
    given: Option<&Path>,
    accel: Accel,
) -> Result<Setup> {
    let unlazy = match given {
        Some(path) => path.to_path_buf(),
        None => build::release(workspace, choice)?,
    };
    must_be_static(&unlazy)?;
    let guest = build::guest(workspace)?;
    must_be_static(&guest)?;
    Ok(ready.insert(Setup { unlazy, guest, accel }).clone())
}

/// As the environment has it: for those who are not asked on the command line.
fn accel() -> Result<Accel> {
    match env::var(ACCEL) {
        Ok(name) => match Accel::from_str(&name, true) {
            Ok(accel) => Ok(accel),
            Err(_) => bail!("{ACCEL} is `{name}`; there are tcg and kvm"),
        },
        Err(_) => Ok(Accel::default()),
    }
}

fn must_be_static(path: &Path) -> Result<()> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    match has_interpreter(&bytes) {
        Some(false) => Ok(()),
        Some(true) => bail!(
            "{} needs shared libraries, which a guest does not have: {}",
            path.display(),
            build::HOW_TO_LINK_STATICALLY
        ),
        None => bail!("{} is no program for x86-64", path.display()),
    }
}

/// Whether an ELF program asks for a dynamic linker (a `PT_INTERP` header); `None` if it is none.
fn has_interpreter(elf: &[u8]) -> Option<bool> {
    const PT_INTERP: u32 = 3;
    const EM_X86_64: u16 = 62;
    let half = |at: usize| Some(u16::from_le_bytes(elf.get(at..at + 2)?.try_into().ok()?));
    if !elf.starts_with(b"\x7fELF\x02\x01") || half(18)? != EM_X86_64 {
        return None;
    }
    // Elf64_Ehdr: e_phoff, e_phentsize, e_phnum
    let headers = usize::try_from(u64::from_le_bytes(elf.get(32..40)?.try_into().ok()?)).ok()?;
    let (size, count) = (usize::from(half(54)?), usize::from(half(56)?));
    for number in 0..count {
        let at = headers.checked_add(number * size)?;
        let kind = elf.get(at..at.checked_add(4)?)?;
        if kind == PT_INTERP.to_le_bytes() {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_program_is_told_from_what_is_none() {
        // Tests are linked as the toolchain's default has it, which is dynamically.
        let ourselves = fs::read(env::current_exe().unwrap()).unwrap();
        assert_eq!(has_interpreter(&ourselves), Some(true));
        assert_eq!(has_interpreter(&ourselves[..60]), None);
        assert_eq!(has_interpreter(b"#!/bin/sh"), None);
    }
}
