//! Descriptors that stand for the same thing, counted: by kind, by peer, by path. Pure.

use crate::event::DescriptorKind;
use crate::limits::inventory::Open;
use crate::sys::sock_diag::State;
use serde::Serialize;
use std::collections::BTreeMap;

/// Descriptors with the same kind and the same other end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// As in the inventory.
    pub kind: String,
    /// The peer or the path: `from 127.0.0.1 to port 80`, `to 127.0.0.1:6379`, `/var/log/app.log`, `3 files
    /// in /tmp`.
    pub what: String,
    /// How many.
    pub count: u64,
    /// TCP states, counted; empty for anything else.
    pub states: BTreeMap<String, u64>,
}

/// Descriptors by kind, most first.
pub fn kinds(open: &[Open]) -> Vec<(String, u64)> {
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for open in open {
        *kinds.entry(open.descriptor.kind.name()).or_default() += 1;
    }
    let mut kinds: Vec<_> = kinds.into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    kinds
}

/// The kernel appends this to the path of a file that has been deleted (proc(5)).
const DELETED: &str = " (deleted)";

/// Open files that have been deleted.
pub fn deleted(open: &[Open]) -> u64 {
    let deleted = |open: &&Open| {
        open.descriptor.kind == DescriptorKind::File && open.descriptor.detail.ends_with(DELETED)
    };
    open.iter().filter(deleted).count() as u64
}

/// TCP sockets in this state.
pub fn in_state(open: &[Open], state: State) -> u64 {
    open.iter().filter(|open| open.tcp.is_some_and(|tcp| tcp.state == state)).count() as u64
}

/// Descriptors by kind and other end, most first. Files that are open once are counted by their directory.
pub fn of(open: &[Open]) -> Vec<Group> {
    let mut groups: BTreeMap<(String, String), Group> = BTreeMap::new();
    let mut times_open: BTreeMap<&str, u64> = BTreeMap::new();
    for open in open.iter().filter(|open| open.descriptor.kind == DescriptorKind::File) {
        *times_open.entry(&open.descriptor.detail).or_default() += 1;
    }
    for open in open {
        let once = times_open.get(open.descriptor.detail.as_str()) == Some(&1);
        let what = what(open, once);
        let kind = open.descriptor.kind.to_string();
        let group = groups.entry((kind.clone(), what.clone())).or_insert(Group {
            kind,
            what,
            count: 0,
            states: BTreeMap::new(),
        });
        group.count += 1;
        if let Some(tcp) = &open.tcp {
            *group.states.entry(tcp.state.to_string()).or_default() += 1;
        }
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| (&a.kind, &a.what).cmp(&(&b.kind, &b.what))));
    groups
}

/// The other end of one descriptor, without what differs from one connection of a peer to the next.
fn what(open: &Open, once: bool) -> String {
    let detail = &open.descriptor.detail;
    match (&open.tcp, open.descriptor.kind.name()) {
        (Some(tcp), _) if tcp.state == State::LISTEN => tcp.local.to_string(),
        (Some(tcp), _) if tcp.accepted => format!("from {} to port {}", tcp.peer.ip(), tcp.local.port()),
        (Some(tcp), _) => format!("to {}", tcp.peer),
        (None, "file") if once => match detail.rsplit_once('/') {
            Some((directory, name)) if name.ends_with(DELETED) => {
                format!("deleted files in {directory}/, one descriptor each")
            }
            Some((directory, _)) => format!("files in {directory}/, one descriptor each"),
            None => detail.clone(),
        },
        (None, "pipe") if !detail.starts_with('/') => {
            detail.split(" end").next().map_or_else(String::new, |end| format!("{end} ends"))
        }
        (None, "epoll") => String::new(),
        _ => detail.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Descriptor;
    use crate::limits::inventory::sockets::Tcp;

    fn file(fd: i32, path: &str) -> Open {
        Open { descriptor: Descriptor { fd, kind: DescriptorKind::File, detail: path.into() }, tcp: None }
    }

    fn accepted(fd: i32, peer: &str, state: State) -> Open {
        let tcp = Tcp {
            local: "127.0.0.1:80".parse().unwrap(),
            peer: peer.parse().unwrap(),
            state,
            accepted: true,
            receive_queue: 0,
        };
        Open {
            descriptor: Descriptor { fd, kind: DescriptorKind::Tcp, detail: tcp.to_string() },
            tcp: Some(tcp),
        }
    }

    #[test]
    fn a_file_opened_twice_stands_alone_and_many_files_once_stand_together() {
        let open =
            [file(3, "/a/x"), file(4, "/a/x"), file(5, "/b/1"), file(6, "/b/2 (deleted)"), file(7, "/b/3")];
        let groups: Vec<_> = of(&open).into_iter().map(|group| (group.what, group.count)).collect();
        assert_eq!(
            groups,
            [
                ("/a/x".into(), 2),
                ("files in /b/, one descriptor each".into(), 2),
                ("deleted files in /b/, one descriptor each".into(), 1),
            ]
        );
        assert_eq!(deleted(&open), 1);
    }

    #[test]
    fn connections_of_one_peer_are_one_group_with_their_states() {
        let open = [
            accepted(3, "10.0.0.1:5000", State::ESTABLISHED),
            accepted(4, "10.0.0.1:5001", State::CLOSE_WAIT),
            accepted(5, "10.0.0.1:5002", State::CLOSE_WAIT),
            accepted(6, "10.0.0.2:5000", State::ESTABLISHED),
        ];
        let groups = of(&open);
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0].what, "from 10.0.0.1 to port 80");
        assert_eq!(groups[0].states, BTreeMap::from([("CLOSE_WAIT".into(), 2), ("ESTABLISHED".into(), 1)]));
        assert_eq!(in_state(&open, State::CLOSE_WAIT), 2);
    }
}
