//! What `rustc -vV` and `ldd` say, as data.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// A compiler's own word about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RustcVersion {
    /// As printed: `1.97.0-nightly`.
    pub(crate) release: String,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    /// The major version of the LLVM whose bitcode it writes.
    pub(crate) llvm: u32,
}

impl RustcVersion {
    /// Reads the output of `rustc -vV`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let field = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                .map(str::trim)
                .with_context(|| format!("`rustc -vV` printed no `{name}`"))
        };
        let release = field("release")?;
        let mut numbers = release.split(['.', '-']);
        let mut number = || -> Result<u32> {
            numbers
                .next()
                .and_then(|word| word.parse().ok())
                .with_context(|| format!("`{release}` is not a rustc release"))
        };
        let (major, minor) = (number()?, number()?);
        let llvm = field("LLVM version")?;
        let llvm = llvm
            .split('.')
            .next()
            .and_then(|word| word.parse().ok())
            .with_context(|| format!("`{llvm}` is not an LLVM version"))?;
        Ok(Self { release: release.to_owned(), major, minor, llvm })
    }

    /// Whether unstable options (`-Z build-std`) work without being let in.
    pub(crate) fn is_nightly(&self) -> bool {
        self.release.ends_with("-nightly") || self.release.ends_with("-dev")
    }
}

/// Which `libLLVM` a program loads, from the output of `ldd` on it.
pub(crate) fn libllvm_in(ldd: &str) -> Option<PathBuf> {
    ldd.lines().find_map(|line| {
        let (name, rest) = line.split_once("=>")?;
        if !name.trim().starts_with("libLLVM") {
            return None;
        }
        let path = rest.rsplit_once(" (0x").map_or(rest, |(path, _)| path).trim();
        path.starts_with('/').then(|| Path::new(path).to_path_buf())
    })
}

/// Compares the upstream parts of Debian package versions: enough for `1.96.0+dfsg1-1~deb12u2`.
pub(crate) fn debian_at_least(version: &str, major: u32, minor: u32) -> bool {
    // An epoch ("1:") comes first, if there is one.
    let upstream = version.split_once(':').map_or(version, |(_, rest)| rest);
    let mut numbers = upstream.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(a)), Some(Ok(b))) => (a, b) >= (major, minor),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIGHTLY: &str = "rustc 1.97.0-nightly (e50aa6fba 2026-05-19)\nbinary: rustc\n\
        commit-hash: e50aa6f\nhost: x86_64-unknown-linux-gnu\nrelease: 1.97.0-nightly\n\
        LLVM version: 22.1.4\n";

    #[test]
    fn reads_a_nightly() {
        let version = RustcVersion::parse(NIGHTLY).unwrap();
        assert_eq!((version.major, version.minor, version.llvm), (1, 97, 22));
        assert!(version.is_nightly());
    }

    #[test]
    fn reads_a_distributions_stable() {
        let version =
            RustcVersion::parse("release: 1.96.0\nhost: x\nLLVM version: 22.1.8").unwrap();
        assert_eq!((version.major, version.minor, version.llvm), (1, 96, 22));
        assert!(!version.is_nightly());
    }

    #[test]
    fn refuses_what_is_not_a_version() {
        assert!(RustcVersion::parse("").is_err());
        assert!(RustcVersion::parse("release: one.two\nLLVM version: 22.1").is_err());
        assert!(RustcVersion::parse("release: 1.96.0\nLLVM version: ?").is_err());
        assert!(RustcVersion::parse("release: 1.96.0").is_err());
    }

    #[test]
    fn finds_libllvm_in_ldd_output() {
        let ldd = "\tlinux-vdso.so.1 (0x00007f2c5)\n\
            \tlibLLVM.so.22.1 => /lib/x86_64-linux-gnu/libLLVM.so.22.1 (0x00007f2c4f200000)\n";
        assert_eq!(libllvm_in(ldd), Some(PathBuf::from("/lib/x86_64-linux-gnu/libLLVM.so.22.1")));
        assert_eq!(libllvm_in("\tlibLLVM.so.22.1 => not found\n"), None);
        assert_eq!(libllvm_in("\tlibc.so.6 => /lib/libc.so.6 (0x1)\n"), None);
    }

    #[test]
    fn compares_debian_versions() {
        assert!(debian_at_least("1.96.0+dfsg1-1~deb12u2", 1, 88));
        assert!(debian_at_least("1:2.0-1", 1, 88));
        assert!(!debian_at_least("1.85.0+dfsg3-1~deb12u3", 1, 88));
        assert!(!debian_at_least("(none)", 1, 88));
    }
}
