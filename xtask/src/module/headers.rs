//! The headers of a packaged kernel, put together from the three packages that they come in.
//!
//! Installed, the three would lie beside each other under `/usr`. Unpacked, each has a folder of its
//! own; then the first names the second with its place under `/usr/src`, and reaches the third by a
//! symbolic link that leads nowhere. So the second's Makefile is named to make directly, and the
//! links are given what they look for.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::shell;
use crate::vm::package;
use crate::workspace::Workspace;

/// Where packages keep headers.
const SRC: &str = "usr/src";

/// Everything that an out-of-tree module is built with.
pub(super) struct Headers {
    /// The folder of the kernel's own configuration and symbols.
    dir: PathBuf,
    /// The Makefile of the headers that it shares with its siblings.
    makefile: PathBuf,
}

impl Headers {
    /// Those of the packaged kernel with this `uname -r`.
    ///
    /// # Errors
    /// When a package cannot be fetched or is not laid out as Debian's are, or there is no compiler.
    pub(super) fn of(workspace: &Workspace, release: &str) -> Result<Self> {
        let package = format!("linux-headers-{release}");
        let own = package::unpack(workspace, &package)?;
        let dir = own.join(SRC).join(&package);
        let common = common(&read(&dir.join("Makefile"))?)
            .with_context(|| format!("{package} does not say which headers it builds on"))?;
        let kbuild =
            kbuild(&dir).with_context(|| format!("looking for {package}'s build tools"))?;
        let shared = package::unpack(workspace, &common)?;
        let tools = package::unpack(workspace, &kbuild)?;
        for tree in [&own, &shared] {
            link(&tools.join("usr/lib"), &tree.join("usr/lib"))?;
        }
        compiler(&read(&dir.join(".kernelvariables"))?)?;
        let makefile = shared.join(SRC).join(common).join("Makefile");
        if !makefile.is_file() {
            bail!("there is no {}", makefile.display());
        }
        Ok(Self { dir, makefile })
    }

    /// A make that reads them.
    pub(super) fn make(&self) -> Command {
        let mut make = Command::new("make");
        make.arg("-C").arg(&self.dir).arg("-f").arg(&self.makefile);
        make
    }
}

/// The package that a headers' Makefile includes: `include /usr/src/linux-headers-…-common/Makefile`.
fn common(makefile: &str) -> Option<String> {
    let path = makefile.lines().find_map(|line| line.strip_prefix("include /usr/src/"))?;
    Some(path.strip_suffix("/Makefile")?.to_owned())
}

/// The package that `scripts` leads to: `../../lib/linux-kbuild-…/scripts`.
fn kbuild(dir: &Path) -> Result<String> {
    let scripts = dir.join("scripts");
    let to = fs::read_link(&scripts).with_context(|| format!("reading {}", scripts.display()))?;
    let name = to.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    name.filter(|name| name.starts_with("linux-kbuild-"))
        .map(str::to_owned)
        .with_context(|| format!("{} leads to {}", scripts.display(), to.display()))
}

/// Makes `at` lead to `to`, unless it has something of its own. A link that leads elsewhere was made
/// before the workspace was moved.
fn link(to: &Path, at: &Path) -> Result<()> {
    if fs::read_link(at).is_ok_and(|there| there != to) {
        fs::remove_file(at).with_context(|| format!("removing {}", at.display()))?;
    }
    match symlink(to, at) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("linking {}", at.display()))
        }
        _ => Ok(()),
    }
}

/// # Errors
/// When the compiler that the kernel was built with, which its headers ask for, is not here.
fn compiler(variables: &str) -> Result<()> {
    let gcc = gcc(variables).unwrap_or("gcc");
    for program in ["make", gcc] {
        if shell::find_program(program).is_none() {
            bail!("a module for this kernel is built with {program}: `apt-get install {program}`");
        }
    }
    Ok(())
}

/// The compiler's name in `CC = … $(CROSS_COMPILE)gcc-12`.
fn gcc(variables: &str) -> Option<&str> {
    let line = variables.lines().find(|line| line.starts_with("CC "))?;
    line.rsplit(')').next().filter(|name| name.starts_with("gcc"))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packages_name_each_other() {
        let makefile = "include /usr/src/linux-headers-6.1.0-56-common-rt/Makefile\n";
        assert_eq!(common(makefile).as_deref(), Some("linux-headers-6.1.0-56-common-rt"));
        assert_eq!(common("include scripts/Kbuild.include\n"), None);
        let variables = "override ARCH = x86\nCCACHE = ccache\n\
            CC = $(if $(DEBIAN_KERNEL_USE_CCACHE),$(CCACHE)) $(CROSS_COMPILE)gcc-12\n";
        assert_eq!(gcc(variables), Some("gcc-12"));
        assert_eq!(gcc("CC = $(X)clang-19"), None);
    }

    #[test]
    fn the_build_tools_are_where_the_link_leads() {
        let dir = std::env::temp_dir().join(format!("unlazy-headers-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let scripts = dir.join("scripts");
        symlink("../../lib/linux-kbuild-6.1/scripts", &scripts).unwrap();
        assert_eq!(kbuild(&dir).unwrap(), "linux-kbuild-6.1");
        fs::remove_file(&scripts).unwrap();
        symlink("/elsewhere", &scripts).unwrap();
        assert!(kbuild(&dir).is_err());
        link(Path::new("/here"), &scripts).unwrap();
        assert_eq!(fs::read_link(&scripts).unwrap(), Path::new("/here"), "it was moved");
        fs::create_dir(dir.join("own")).unwrap();
        link(Path::new("/here"), &dir.join("own")).unwrap();
        assert!(dir.join("own").is_dir(), "what is its own stays");
        fs::remove_dir_all(&dir).unwrap();
    }
}
