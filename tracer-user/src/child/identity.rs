//! As whom the command runs.

use std::{io, path::PathBuf};

use rustix::process::{geteuid, getuid};

use super::{
    ChildError,
    environ::Environ,
    users::{self, User},
};

/// As whom a command runs, as the user asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Identity {
    /// As the user who called sudo; without sudo, as we are.
    #[default]
    Invoking,
    /// As we are, and that is root.
    AsRoot,
    /// As this user: a name, or else a uid.
    User(String),
}

/// The user a command is run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its uid.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
    /// All its groups.
    pub groups: Vec<u32>,
    /// Its name, if the uid has one.
    pub name: Option<String>,
    /// Its home directory.
    pub home: Option<PathBuf>,
    /// Its shell.
    pub shell: Option<PathBuf>,
}

impl Identity {
    /// Whom it means; `None` if nothing is to change.
    pub(super) fn resolve(&self, environ: &Environ) -> Result<Option<Account>, ChildError> {
        let me = geteuid();
        match self {
            Self::Invoking if me.is_root() => invoking(environ),
            Self::Invoking => Ok(None),
            Self::AsRoot if me.is_root() => Ok(None),
            Self::AsRoot => {
                Err(wrong("the command cannot run as root", "run unlazy itself as root"))
            }
            Self::User(who) => {
                let user = by_name_or_uid(who)?;
                if !me.is_root() {
                    let same = user.uid == me.as_raw() && user.uid == getuid().as_raw();
                    let what = || format!("only root can run the command as {who}");
                    return if same { Ok(None) } else { Err(wrong(&what(), "run unlazy as root")) };
                }
                let gid = user.gid;
                account(user.uid, gid, Some(user)).map(Some)
            }
        }
    }
}

fn wrong(what: &str, remedy: &'static str) -> ChildError {
    ChildError::User { what: what.to_owned(), remedy }
}

const UNSET: &str = "unset it, or choose with --user or --as-root";

/// Who called sudo. sudo sets these variables itself; a root shell may hold stale or foreign ones,
/// so they are believed only as far as they are whole.
fn invoking(environ: &Environ) -> Result<Option<Account>, ChildError> {
    let id = |name: &str| -> Result<Option<u32>, ChildError> {
        let Some(text) = environ.get(name) else { return Ok(None) };
        // The last number means "no id" to the kernel.
        match text.to_str().and_then(|text| text.parse().ok()) {
            Some(id) if id != u32::MAX => Ok(Some(id)),
            _ => Err(wrong(&format!("{name} is {}, which is no id", text.display()), UNSET)),
        }
    };
    let (uid, gid) = (id("SUDO_UID")?, id("SUDO_GID")?);
    let Some(uid) = uid.filter(|&uid| uid != 0) else { return Ok(None) };
    // Several names may share a uid: the one that sudo saw is meant, if it is one of them.
    let named = environ.get("SUDO_USER").and_then(|name| name.to_str());
    let named = named.map(users::by_name).transpose().map_err(|err| unreadable(&err))?.flatten();
    let user = match named.filter(|user| user.uid == uid) {
        Some(user) => Some(user),
        None => users::by_uid(uid).map_err(|err| unreadable(&err))?,
    };
    let gid = match (gid, &user) {
        (Some(gid), _) => gid,
        (None, Some(user)) => user.gid,
        (None, None) => {
            return Err(wrong(&format!("SUDO_UID is {uid}, but SUDO_GID is missing"), UNSET));
        }
    };
    account(uid, gid, user).map(Some)
}

fn by_name_or_uid(who: &str) -> Result<User, ChildError> {
    if let Some(user) = users::by_name(who).map_err(|err| unreadable(&err))? {
        return Ok(user);
    }
    let by_uid = match who.parse().ok().filter(|&uid| uid != u32::MAX) {
        Some(uid) => users::by_uid(uid).map_err(|err| unreadable(&err))?,
        None => None,
    };
    by_uid.ok_or_else(|| {
        wrong(&format!("there is no user {who}"), "name a user that `getent passwd` lists")
    })
}

fn unreadable(err: &io::Error) -> ChildError {
    wrong(&format!("cannot look up the user: {err}"), "check /etc/passwd and nsswitch.conf")
}

fn account(uid: u32, gid: u32, user: Option<User>) -> Result<Account, ChildError> {
    let Some(user) = user else {
        return Ok(Account { uid, gid, groups: vec![gid], name: None, home: None, shell: None });
    };
    // The group that sudo saw may be another than the one in the database.
    let user = User { gid, ..user };
    let groups = users::groups(&user).map_err(|err| unreadable(&err))?;
    let User { name, home, shell, .. } = user;
    Ok(Account { uid, gid, groups, name: Some(name), home: Some(home), shell: Some(shell) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sudo(vars: &[(&str, &str)]) -> Result<Option<Account>, ChildError> {
        invoking(&Environ::from_pairs(vars))
    }

    #[test]
    fn without_sudo_nothing_changes() {
        assert_eq!(sudo(&[]).expect("fine"), None);
        assert_eq!(sudo(&[("SUDO_UID", "0"), ("SUDO_GID", "0")]).expect("fine"), None);
    }

    #[test]
    fn broken_variables_are_refused() {
        for uid in ["", "x", "-1", "4294967295", "4294967296", "1 "] {
            let err = sudo(&[("SUDO_UID", uid), ("SUDO_GID", "1")]).expect_err(uid);
            assert!(err.to_string().contains("SUDO_UID"), "{err}");
        }
        assert!(sudo(&[("SUDO_UID", "1"), ("SUDO_GID", "root")]).is_err());
    }

    #[test]
    fn a_uid_without_a_name_has_only_the_group_that_sudo_saw() {
        let uid = "3999999999";
        let account = sudo(&[("SUDO_UID", uid), ("SUDO_GID", "3999999998")]);
        let account = account.expect("fine").expect("another user");
        assert_eq!((account.uid, account.gid), (3_999_999_999, 3_999_999_998));
        assert_eq!(account.groups, [3_999_999_998]);
        assert_eq!(account.name, None);
        assert!(sudo(&[("SUDO_UID", uid)]).is_err());
    }

    #[test]
    fn a_name_that_is_not_the_uids_is_not_believed() {
        let nobody = users::by_name("nobody").expect("readable").expect("nobody exists");
        let uid = nobody.uid.to_string();
        let vars = [("SUDO_UID", uid.as_str()), ("SUDO_GID", "65534"), ("SUDO_USER", "root")];
        let account = sudo(&vars).expect("fine").expect("another user");
        assert_eq!(account.name.as_deref(), Some("nobody"));
        assert!(!account.groups.contains(&0), "{:?}", account.groups);
    }

    #[test]
    fn users_by_name_or_number() {
        let nobody = by_name_or_uid("nobody").expect("exists");
        assert_eq!(by_name_or_uid(&nobody.uid.to_string()).expect("exists").uid, nobody.uid);
        assert!(by_name_or_uid("no such user").is_err());
        assert!(by_name_or_uid("4294967295").is_err());
        assert!(by_name_or_uid("3999999999").is_err());
    }
}
