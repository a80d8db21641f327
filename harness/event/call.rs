//! The system calls that create a descriptor.

use serde::{Deserialize, Serialize};

macro_rules! calls {
    ($($variant:ident = $name:literal),* $(,)?) => {
        /// A system call that creates a descriptor, by its kernel name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs, reason = "each variant is the call of that name in section 2 of the manual")]
        pub enum Call { $(#[serde(rename = $name)] $variant),* }

        impl Call {
            /// Every call that is observed.
            pub const ALL: &'static [Call] = &[$(Call::$variant),*];

            /// The kernel's name, as in `syscalls:sys_exit_NAME`.
            pub const fn name(self) -> &'static str {
                match self { $(Call::$variant => $name),* }
            }
        }
    };
}

calls! {
    Accept4 = "accept4", Accept = "accept", Socket = "socket", Socketpair = "socketpair", Openat = "openat",
    Openat2 = "openat2", Open = "open", Creat = "creat", Pipe2 = "pipe2", Pipe = "pipe", Dup = "dup", Dup2 = "dup2",
    Dup3 = "dup3", Fcntl = "fcntl", EpollCreate1 = "epoll_create1", EpollCreate = "epoll_create", Eventfd2 = "eventfd2",
    Eventfd = "eventfd", TimerfdCreate = "timerfd_create", Signalfd4 = "signalfd4", Signalfd = "signalfd",
    InotifyInit1 = "inotify_init1", InotifyInit = "inotify_init", MemfdCreate = "memfd_create", PidfdOpen = "pidfd_open",
}

impl Call {
    /// Whether it takes a connection off an accept queue.
    pub const fn accepts(self) -> bool {
        matches!(self, Call::Accept4 | Call::Accept)
    }

    /// Whether a result of 0 or more is a new descriptor's number: false for `pipe*` and `socketpair`, which return 0 and
    /// store two numbers, and for `fcntl`, most of whose commands create nothing.
    pub const fn returns_descriptor(self) -> bool {
        !matches!(self, Call::Pipe | Call::Pipe2 | Call::Socketpair | Call::Fcntl)
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
