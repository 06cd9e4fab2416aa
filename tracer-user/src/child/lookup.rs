//! Where a program may be.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// What a shell takes if there is no `PATH`.
const DEFAULT: &str = "/usr/local/bin:/usr/bin:/bin";

/// The places to try, in order. As for a shell, a name with a slash is a path, and an empty part
/// of `PATH` is the current directory.
pub(super) fn candidates(program: &OsStr, path: Option<&OsStr>) -> Vec<PathBuf> {
    if program.is_empty() {
        return Vec::new();
    }
    if program.as_bytes().contains(&b'/') {
        return vec![program.into()];
    }
    let path = path.unwrap_or(OsStr::new(DEFAULT));
    let dirs = path.as_bytes().split(|&b| b == b':').map(OsStr::from_bytes);
    dirs.map(|dir| if dir.is_empty() { Path::new(".") } else { Path::new(dir) })
        .map(|dir| dir.join(program))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(program: &str, path: Option<&str>) -> Vec<String> {
        candidates(OsStr::new(program), path.map(OsStr::new))
            .into_iter()
            .map(|path| path.display().to_string())
            .collect()
    }

    #[test]
    fn as_a_shell_looks() {
        assert_eq!(places("ls", Some("/bin:/usr/bin")), ["/bin/ls", "/usr/bin/ls"]);
        assert_eq!(places("ls", Some(":/bin:")), ["./ls", "/bin/ls", "./ls"]);
        assert_eq!(places("./ls", Some("/bin")), ["./ls"]);
        assert_eq!(places("ls", None).len(), 3);
        assert!(places("", None).is_empty());
    }
}
