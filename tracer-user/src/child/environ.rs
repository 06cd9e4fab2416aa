//! The command's environment.

use std::{
    collections::BTreeMap,
    ffi::{CString, OsStr, OsString},
    path::Path,
};

use super::{Account, ChildError, c_string};

/// What sudo adds. A user's own `SUDO_ASKPASS` and `SUDO_EDITOR` are not among it.
const OF_SUDO: &[&str] =
    &["SUDO_COMMAND", "SUDO_GID", "SUDO_HOME", "SUDO_TTY", "SUDO_UID", "SUDO_USER"];

/// Variables and their values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Environ(BTreeMap<OsString, OsString>);

impl Environ {
    /// Ours.
    pub(super) fn current() -> Self {
        Self(std::env::vars_os().collect())
    }

    #[cfg(test)]
    pub(super) fn from_pairs(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|&(name, value)| (name.into(), value.into())).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    #[cfg(test)]
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.into(), value.into());
    }

    /// Takes out what speaks of root and of sudo, and puts in what a login would have.
    /// What isn't known is left out rather than left as root's.
    pub(super) fn become_theirs(&mut self, account: &Account) {
        for name in OF_SUDO {
            self.0.remove(OsStr::new(name));
        }
        let mut set = |name: &str, value: Option<OsString>| match value {
            Some(value) => drop(self.0.insert(name.into(), value)),
            None => drop(self.0.remove(OsStr::new(name))),
        };
        let name = account.name.as_ref().map(OsString::from);
        set("HOME", account.home.as_ref().map(|path| path.as_os_str().to_owned()));
        set("SHELL", account.shell.as_ref().map(|path| path.as_os_str().to_owned()));
        set("USER", name.clone());
        set("LOGNAME", name.clone());
        // sudo points this one at root's mailbox.
        if let Some(old) = self.0.remove(OsStr::new("MAIL"))
            && let (Some(dir), Some(name)) = (Path::new(&old).parent(), name)
        {
            self.0.insert("MAIL".into(), dir.join(name).into_os_string());
        }
    }

    /// As `execve` wants them.
    pub(super) fn to_c_strings(&self) -> Result<Vec<CString>, ChildError> {
        let pair = |(name, value): (&OsString, &OsString)| {
            let mut pair = name.clone();
            pair.push("=");
            pair.push(value);
            c_string(&pair)
        };
        self.0.iter().map(pair).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_speaks_of_them_and_not_of_sudo() {
        let mut environ = Environ::from_pairs(&[
            ("HOME", "/root"),
            ("USER", "root"),
            ("LOGNAME", "root"),
            ("SHELL", "/bin/sh"),
            ("MAIL", "/var/mail/root"),
            ("SUDO_UID", "1000"),
            ("SUDO_COMMAND", "x"),
            ("SUDO_ASKPASS", "/bin/ask"),
            ("LANG", "C"),
        ]);
        let mut account = Account {
            uid: 1000,
            gid: 1000,
            groups: vec![1000],
            name: Some("ann".to_owned()),
            home: Some("/home/ann".into()),
            shell: Some("/bin/zsh".into()),
        };
        let mut theirs = environ.clone();
        theirs.become_theirs(&account);
        assert_eq!(
            theirs,
            Environ::from_pairs(&[
                ("HOME", "/home/ann"),
                ("USER", "ann"),
                ("LOGNAME", "ann"),
                ("SHELL", "/bin/zsh"),
                ("MAIL", "/var/mail/ann"),
                ("SUDO_ASKPASS", "/bin/ask"),
                ("LANG", "C"),
            ])
        );
        (account.name, account.home, account.shell) = (None, None, None);
        environ.become_theirs(&account);
        let left = Environ::from_pairs(&[("SUDO_ASKPASS", "/bin/ask"), ("LANG", "C")]);
        assert_eq!(environ, left);
    }
}
