//! How a process becomes another user.

use crate::scenario::user_id;
use rustix::process::{Gid, Uid};
use std::io;

/// Ids of a user: its own, its group, its other groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids(Vec<u32>);

impl std::str::FromStr for Ids {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let each = |word: &str| user_id(word).ok_or_else(|| format!("{word} is no id"));
        word.split(',').map(each).collect::<Result<_, _>>().map(Ids)
    }
}

impl Ids {
    /// Makes this process, which has one thread, the user's. Its standard output stays open to it.
    ///
    /// # Errors
    /// `EPERM`: this process may not.
    pub fn take(&self) -> io::Result<()> {
        let [uid, gid, groups @ ..] = &self.0[..] else { return Err(io::ErrorKind::InvalidInput.into()) };
        let (uid, gid) = (Uid::from_raw(*uid), Gid::from_raw(*gid));
        let groups: Vec<Gid> = groups.iter().map(|id| Gid::from_raw(*id)).collect();
        // A program that opens /dev/stderr opens this pipe again: as its owner it may.
        let _ = rustix::fs::fchown(rustix::stdio::stdout(), Some(uid), Some(gid));
        rustix::thread::set_thread_groups(&groups)?;
        rustix::thread::set_thread_res_gid(gid, gid, gid)?;
        rustix::thread::set_thread_res_uid(uid, uid, uid)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_numbers_of_users_and_none_means_as_it_is() {
        assert_eq!("102,110,109".parse(), Ok(Ids(vec![102, 110, 109])));
        assert_eq!("4294967295,0".parse::<Ids>(), Err("4294967295 is no id".into()));
    }
}
