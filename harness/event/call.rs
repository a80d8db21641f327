//! The system calls that create a descriptor, and the requests of io_uring that do what such a call does.

use serde::{Deserialize, Serialize};

macro_rules! calls {
    ($($variant:ident = $name:literal),*; $($ring:ident = $ring_name:literal),*) => {
        /// A system call that creates a descriptor, by its kernel name; or a request of io_uring, which no
        /// observer of system calls sees.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs, reason = "each variant is the call of that name in section 2 of the manual")]
        pub enum Call { $(#[serde(rename = $name)] $variant,)* $(#[serde(rename = $ring_name)] $ring),* }

        impl Call {
            /// Every system call that is observed.
            pub const ALL: &'static [Call] = &[$(Call::$variant),*];

            /// These, and the requests of io_uring.
            pub const NAMED: &'static [Call] = &[$(Call::$variant,)* $(Call::$ring),*];

            /// The kernel's name, as in `syscalls:sys_exit_NAME`; for a request of io_uring, its operation's
            /// name after `io_uring:`.
            pub const fn name(self) -> &'static str {
                match self { $(Call::$variant => $name,)* $(Call::$ring => $ring_name),* }
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
    MqOpen = "mq_open";
    RingAccept = "io_uring:accept", RingOpenat = "io_uring:openat", RingOpenat2 = "io_uring:openat2", RingSocket = "io_uring:socket"
}

/// Whether a call of this name maps memory (mmap(2)), of those that an observer sees refused
/// ([`What::Refused`](super::What::Refused)): the others make a task, or accept.
pub fn maps_memory(call: &str) -> bool {
    call == "mmap"
}

impl schemars::JsonSchema for Call {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Call".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A system call that creates a descriptor, or such a request of io_uring.",
            "type": "string",
            "enum": Call::NAMED,
        })
    }
}

impl Call {
    /// Whether it takes a connection off an accept queue.
    pub const fn accepts(self) -> bool {
        matches!(self, Call::Accept4 | Call::Accept | Call::RingAccept)
    }

    /// Whether it makes an inotify instance, which the kernel counts for each user, too.
    pub const fn makes_inotify(self) -> bool {
        matches!(self, Call::InotifyInit1 | Call::InotifyInit)
    }

    /// The request of io_uring with this operation code (`enum io_uring_op`, linux/io_uring.h), where it
    /// creates a descriptor.
    pub const fn of_ring(opcode: u8) -> Option<Call> {
        match opcode {
            13 => Some(Call::RingAccept),
            18 => Some(Call::RingOpenat),
            28 => Some(Call::RingOpenat2),
            45 => Some(Call::RingSocket),
            _ => None,
        }
    }

    /// Whether a result of 0 or more is a new descriptor's number: false for `pipe*` and `socketpair`, which
    /// return 0 and store two numbers, and for `fcntl`, most of whose commands create nothing.
    pub const fn returns_descriptor(self) -> bool {
        !matches!(self, Call::Pipe | Call::Pipe2 | Call::Socketpair | Call::Fcntl)
    }

    /// How many descriptors it makes where it succeeds. For `fcntl` the number is not known, and hardly ever
    /// more than none.
    pub const fn descriptors(self) -> u32 {
        match self {
            Call::Pipe | Call::Pipe2 | Call::Socketpair => 2,
            Call::Fcntl => 0,
            _ => 1,
        }
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
