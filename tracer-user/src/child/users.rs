//! Who is who on this machine.
//!
//! Users may be in `/etc/passwd`, LDAP, systemd or elsewhere: the C library asks whatever
//! `nsswitch.conf` names, by loading shared objects of its own version. unlazy is linked
//! statically, so that one file runs everywhere, and cannot load those; `getent`, which comes with
//! every C library, asks for us. Where there is no `getent` there is only `/etc/passwd`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Where `getent` is. Not looked for in `PATH`: we are root, and `PATH` may be anybody's.
const GETENT: [&str; 3] = ["/usr/bin/getent", "/bin/getent", "/run/current-system/sw/bin/getent"];
/// What `getent` exits with if there is no such entry.
const NOT_FOUND: i32 = 2;

/// A line of the user database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: PathBuf,
    pub(super) shell: PathBuf,
}

/// The user of this name; `None` if there is none.
pub(super) fn by_name(name: &str) -> io::Result<Option<User>> {
    // A name that cannot be one must not become an option or another line.
    if name.is_empty() || name.starts_with('-') || name.contains([':', '\n', '\0']) {
        return Ok(None);
    }
    // getent takes a number for a uid.
    find(name, |user| user.name == name)
}

/// The user of this uid; the first one, if there are several; `None` if there is none.
pub(super) fn by_uid(uid: u32) -> io::Result<Option<User>> {
    find(&uid.to_string(), |user| user.uid == uid)
}

/// The ids of all groups that the user is in, `user.gid` first.
pub(super) fn groups(user: &User) -> io::Result<Vec<u32>> {
    let others = match getent("initgroups", &user.name)? {
        Asked::Said(text) => initgroups(&text),
        Asked::NotFound => Vec::new(),
        // musl's getent knows no initgroups.
        Asked::Cannot => groups_in(&read("/etc/group")?, &user.name),
    };
    let mut groups = vec![user.gid];
    for group in others {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    Ok(groups)
}

fn find(key: &str, is_meant: impl Fn(&User) -> bool) -> io::Result<Option<User>> {
    let text = match getent("passwd", key)? {
        Asked::Said(text) => text,
        Asked::NotFound => return Ok(None),
        Asked::Cannot => read("/etc/passwd")?,
    };
    Ok(text.lines().filter_map(user).find(is_meant))
}

/// What came of asking.
enum Asked {
    Said(String),
    NotFound,
    /// There is no getent, or it does not know this database.
    Cannot,
}

fn getent(database: &str, key: &str) -> io::Result<Asked> {
    let Some(program) = GETENT.into_iter().find(|path| Path::new(path).is_file()) else {
        return Ok(Asked::Cannot);
    };
    let output = Command::new(program)
        .args([database, key])
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()?;
    Ok(match output.status.code() {
        Some(0) => Asked::Said(String::from_utf8_lossy(&output.stdout).into_owned()),
        Some(NOT_FOUND) => Asked::NotFound,
        _ => Asked::Cannot,
    })
}

/// A system without the file has no users.
fn read(path: &str) -> io::Result<String> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(io::Error::new(error.kind(), format!("{path}: {error}"))),
    }
}

/// `name:password:uid:gid:comment:home:shell` (passwd(5)).
fn user(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
    let (home, shell) = (fields.nth(1)?.into(), fields.next()?.into());
    Some(User { name, uid, gid, home, shell })
}

/// `name gid gid …`
fn initgroups(text: &str) -> Vec<u32> {
    text.split_whitespace().skip(1).filter_map(|gid| gid.parse().ok()).collect()
}

/// The groups that name this member: `group:password:gid:member,member` (group(5)).
fn groups_in(text: &str, name: &str) -> Vec<u32> {
    let group = |line: &str| {
        let mut fields = line.split(':').skip(2);
        let gid = fields.next()?.parse().ok()?;
        fields.next()?.split(',').any(|member| member == name).then_some(gid)
    };
    text.lines().filter_map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_databases() {
        let line = user("u:x:1000:100:Some One,,,:/home/u:/bin/sh").expect("a user");
        assert_eq!((line.name.as_str(), line.uid, line.gid), ("u", 1000, 100));
        assert_eq!((line.home, line.shell), ("/home/u".into(), "/bin/sh".into()));
        for bad in ["", "u", "u:x:y:1::/:", "u:x:1:1:", "# comment"] {
            assert_eq!(user(bad), None, "{bad}");
        }
        assert_eq!(initgroups("u                     27 100\n"), [27, 100]);
        assert!(initgroups("u\n").is_empty());
        let groups = "a:x:1:u,v\nb:x:2:uu\nc:x:3:\nd:x:4:v,u\nbroken\n";
        assert_eq!(groups_in(groups, "u"), [1, 4]);
    }

    #[test]
    fn this_machines_users() {
        let nobody = by_name("nobody").expect("readable").expect("nobody exists");
        assert_eq!(by_uid(nobody.uid).expect("readable").map(|user| user.uid), Some(nobody.uid));
        assert_eq!(groups(&nobody).expect("readable").first(), Some(&nobody.gid));
        for no in ["no such user", "", "-h", "--help", "root:x", "0", "4294967295"] {
            assert_eq!(by_name(no).expect("readable"), None, "{no}");
        }
        assert_eq!(by_uid(3_999_999_999).expect("readable"), None);
    }
}
