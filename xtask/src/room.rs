//! Room on the disk, asked for before work that would end for want of it.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

const MIB: u64 = 1 << 20;

/// Makes sure that the file system of `dir` has `mib` MiB left.
///
/// # Errors
/// When it has less, or can't be asked.
pub(crate) fn ensure(dir: &Path, mib: u64, what: &str) -> Result<()> {
    let stat = rustix::fs::statvfs(dir)
        .with_context(|| format!("asking for the free space of {}", dir.display()))?;
    enough(stat.f_bavail.saturating_mul(stat.f_frsize) / MIB, mib, dir, what)
}

fn enough(free: u64, mib: u64, dir: &Path, what: &str) -> Result<()> {
    if free < mib {
        bail!(
            "{what} needs about {mib} MiB, and the file system of {} has {free} MiB left: make room \
             there (`cargo clean`, or remove old kernels in .cache/kernels)",
            dir.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_missing_where() {
        let here = Path::new("/");
        assert!(ensure(here, 0, "nothing").is_ok());
        let error = ensure(here, u64::MAX, "everything").unwrap_err().to_string();
        assert!(error.starts_with("everything needs about 18446744073709551615 MiB"), "{error}");
        assert!(enough(3000, 3000, here, "a kernel").is_ok());
        let error = enough(2999, 3000, here, "a kernel").unwrap_err().to_string();
        assert!(error.contains("2999 MiB left") && error.contains("cargo clean"), "{error}");
    }
}
