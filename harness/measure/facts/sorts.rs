//! The sort of an open descriptor, without the details in which descriptors of one sort differ, and the place
//! where a connected socket leads.

use crate::event::{Descriptor, DescriptorKind};

/// A sort of descriptors: its kind, and the detail that all of the sort share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sort {
    /// As in an inventory; `unknown` where there were too many to name.
    pub(crate) kind: DescriptorKind,
    /// A path, the folder of many, or the state of a socket; no addresses, inodes or counts.
    pub(crate) detail: String,
}

impl Sort {
    pub(crate) fn of(descriptor: &Descriptor) -> Self {
        Sort { kind: descriptor.kind, detail: descriptor.shared().to_owned() }
    }

    /// The sort of descriptors that were too many to name.
    pub(crate) fn unknown() -> Self {
        Sort { kind: DescriptorKind::Unknown, detail: String::new() }
    }

    /// The same of all in the same folder.
    pub(crate) fn wider(self) -> Self {
        let folder = self.detail.rfind('/').map_or(String::new(), |end| format!("{}/…", &self.detail[..end]));
        Sort { detail: folder, ..self }
    }
}

/// The end of a connected TCP socket that others may share with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct End {
    /// Address and port: the peer's of a socket that connected, its own of one that was accepted.
    pub(crate) address: String,
    pub(crate) accepted: bool,
}

impl End {
    pub(crate) fn of(descriptor: &Descriptor) -> Option<Self> {
        let socket = descriptor.connected()?;
        let address = if socket.accepted { socket.local } else { socket.peer };
        Some(End { address: address.to_owned(), accepted: socket.accepted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_one_sort_differ_in_their_addresses_only() {
        let tcp = |detail: &str| Descriptor { fd: 3, kind: DescriptorKind::Tcp, detail: detail.into() };
        let (to, on) =
            (tcp("10.0.0.1:5000 → 10.0.0.2:80 CLOSE_WAIT"), tcp("[::1]:443 ← [::1]:5000 CLOSE_WAIT"));
        assert_eq!(Sort::of(&to), Sort::of(&on));
        let ends = [&to, &on].map(|socket| End::of(socket).map(|end| (end.address, end.accepted)));
        assert_eq!(ends, [Some(("10.0.0.2:80".into(), false)), Some(("[::1]:443".into(), true))]);
        assert_eq!(End::of(&tcp("not connected: new, or reset by its peer")), None);
    }
}
