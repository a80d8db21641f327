//! A user that a program runs as: its ids, groups and home as the system's name services have them.

use nix::unistd;
use rustix::process::geteuid;
use std::ffi::CString;
use std::io;

/// A user that a program runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its user id.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
    /// Its other groups.
    pub groups: Vec<u32>,
    /// Its name; `None`: it is known by its number only.
    pub name: Option<String>,
    /// Its home folder, where that is known.
    pub home: Option<String>,
}

impl User {
    /// By its name, or its number, as the system knows it: from every source of nsswitch.conf(5), such as
    /// /etc/passwd, LDAP or a directory service. A number that none of them has is a user and a group of that
    /// number.
    ///
    /// # Errors
    /// No such name, or a source that cannot be asked.
    pub fn named(name: &str) -> io::Result<User> {
        let number = user_id(name);
        let found = match (entry(unistd::User::from_name(name))?, number) {
            (None, Some(id)) => entry(unistd::User::from_uid(id.into()))?,
            (found, _) => found,
        };
        match (found, number) {
            (Some(user), _) => User::of_entry(user),
            (None, Some(id)) => Ok(User { uid: id, gid: id, groups: Vec::new(), name: None, home: None }),
            (None, None) => {
                Err(io::Error::new(io::ErrorKind::NotFound, format!("this system knows no user {name}")))
            }
        }
    }

    fn of_entry(user: unistd::User) -> io::Result<User> {
        let all = unistd::getgrouplist(&CString::new(user.name.as_str())?, user.gid)?;
        let others = all.into_iter().filter(|group| *group != user.gid);
        Ok(User {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            groups: others.map(unistd::Gid::as_raw).collect(),
            name: Some(user.name),
            home: Some(user.dir.to_string_lossy().into_owned()),
        })
    }

    /// Whether this process runs as it already.
    pub fn is_own(&self) -> bool {
        self.uid == geteuid().as_raw()
    }

    /// The variables that name a user, as login(1) sets them.
    pub fn variables(&self) -> impl Iterator<Item = (String, String)> {
        let name = self.name.iter().flat_map(|name| [("USER", name), ("LOGNAME", name)]);
        let all = name.chain(self.home.iter().map(|home| ("HOME", home)));
        all.map(|(key, value)| (key.to_owned(), value.clone())).collect::<Vec<_>>().into_iter()
    }

    /// As one word of a command line.
    pub fn word(&self) -> String {
        let ids = [self.uid, self.gid].into_iter().chain(self.groups.iter().copied());
        ids.map(|id| id.to_string()).collect::<Vec<_>>().join(",")
    }
}

/// The result of a user look-up. A system without /etc/passwd, such as an image with one program, has no
/// users: getpwnam_r(3) gives `ENOENT` there.
fn entry(found: nix::Result<Option<unistd::User>>) -> nix::Result<Option<unistd::User>> {
    match found {
        Err(nix::errno::Errno::ENOENT) => Ok(None),
        found => found,
    }
}

/// A user or group by its number. The highest is none: to setresuid(2) it means "as it is".
pub fn user_id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|&id| id != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The output of this program, as one line.
    fn said(program: &str, arguments: &[&str]) -> String {
        let output = std::process::Command::new(program).args(arguments).output().expect("it is there");
        String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
    }

    #[test]
    fn a_user_is_known_by_its_name_or_number_as_id_and_getent_know_it() {
        for name in ["root", "nobody", "daemon"] {
            let user = User::named(name).unwrap();
            assert_eq!(user.uid.to_string(), said("id", &["-u", name]));
            let mut groups = vec![user.gid.to_string()];
            groups.extend(user.groups.iter().map(u32::to_string));
            assert_eq!(groups.join(" "), said("id", &["-G", name]));
            let line = said("getent", &["passwd", name]);
            assert_eq!(user.home.as_deref(), line.split(':').nth(5));
            assert_eq!(User::named(&user.uid.to_string()).unwrap(), user);
            assert!(user.variables().any(|variable| variable == ("USER".into(), name.into())));
            assert_eq!(user.word(), [&[user.uid.to_string()], &groups[..]].concat().join(","));
        }
    }

    #[test]
    fn a_number_that_no_user_has_is_a_user_and_a_group_and_an_unknown_name_is_none() {
        let number = User::named("3999999999").unwrap();
        assert_eq!((number.uid, number.gid, number.name), (3_999_999_999, 3_999_999_999, None));
        assert!(User::named("nobody-here").unwrap_err().to_string().contains("nobody-here"));
        assert!(User::named("4294967295").is_err(), "it would stay who it is");
        assert_eq!(entry(Err(nix::errno::Errno::ENOENT)), Ok(None), "without /etc/passwd");
    }
}
