//! A user that a program runs as: its ids, groups and home as the files of the system have them.

use rustix::process::geteuid;
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
    /// By its name, or its number: from /etc/passwd and /etc/group. A number that is not there is a user and
    /// a group of that number.
    ///
    /// # Errors
    /// No such name.
    pub fn named(name: &str) -> io::Result<User> {
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let group = std::fs::read_to_string("/etc/group").unwrap_or_default();
        User::from_tables(name, &passwd, &group)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no user {name} in /etc/passwd")))
    }

    /// Lines of passwd(5) and group(5).
    fn from_tables(name: &str, passwd: &str, group: &str) -> Option<User> {
        let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
        let number = user_id(name);
        let found = passwd.lines().map(fields).find(|user| {
            user.len() >= 6 && (user[0] == name || number.is_some() && user_id(&user[2]) == number)
        });
        let Some(user) = found else {
            return number.map(|id| User { uid: id, gid: id, groups: Vec::new(), name: None, home: None });
        };
        let member = |group: &Vec<String>| group.len() >= 4 && group[3].split(',').any(|one| one == user[0]);
        let groups = group.lines().map(fields).filter(member).filter_map(|group| user_id(&group[2]));
        Some(User {
            uid: user_id(&user[2])?,
            gid: user_id(&user[3])?,
            groups: groups.collect(),
            name: Some(user[0].clone()),
            home: Some(user[5].clone()),
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

/// A user or group by its number. The highest is none: to setresuid(2) it means "as it is".
pub fn user_id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|&id| id != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\npg:x:102:110:PG,,,:/var/lib/pg:/bin/sh\n";
    const GROUP: &str = "ssl:x:109:pg,web\npg:x:110:\nweb:x:111:web\n";

    #[test]
    fn a_user_is_known_by_its_name_or_number_with_its_groups() {
        let named = User::from_tables("pg", PASSWD, GROUP).unwrap();
        assert_eq!((named.uid, named.gid, named.groups.as_slice()), (102, 110, [109].as_slice()));
        assert_eq!(User::from_tables("102", PASSWD, GROUP).as_ref(), Some(&named));
        assert_eq!(named.word(), "102,110,109");
        let variables: Vec<_> = named.variables().collect();
        assert!(variables.contains(&("HOME".into(), "/var/lib/pg".into())), "{variables:?}");
        let number = User::from_tables("4711", PASSWD, GROUP).unwrap();
        assert_eq!((number.uid, number.gid, number.name), (4711, 4711, None));
        assert_eq!(User::from_tables("nobody-here", PASSWD, GROUP), None);
        assert_eq!(User::from_tables("4294967295", PASSWD, GROUP), None, "it would stay who it is");
    }
}
