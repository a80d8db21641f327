//! Numbers of system calls by name, for this architecture.

/// Calls that a tracer stops beside those that create a descriptor: two close descriptors, two set limits.
pub const TRACED_BESIDE: [&str; 4] = ["close", "close_range", "prlimit64", "setrlimit"];

/// The number of a descriptor-creating call, or of one of [`TRACED_BESIDE`], by its kernel name; `None` where
/// this architecture has no such call (aarch64 has no `open`, `accept` is there on both).
pub fn number(name: &str) -> Option<i64> {
    macro_rules! table {
        (all: $($any:ident = $constant:ident),* ; x86: $($old:ident = $old_constant:ident),*) => {
            match name {
                $(stringify!($any) => Some(libc::$constant),)*
                $(#[cfg(target_arch = "x86_64")] stringify!($old) => Some(libc::$old_constant),)*
                _ => None,
            }
        };
    }
    table! {
        all: accept4 = SYS_accept4, accept = SYS_accept, socket = SYS_socket, socketpair = SYS_socketpair,
             openat = SYS_openat, openat2 = SYS_openat2, pipe2 = SYS_pipe2, dup = SYS_dup, dup3 = SYS_dup3,
             fcntl = SYS_fcntl, epoll_create1 = SYS_epoll_create1, eventfd2 = SYS_eventfd2,
             timerfd_create = SYS_timerfd_create,
             signalfd4 = SYS_signalfd4, inotify_init1 = SYS_inotify_init1, memfd_create = SYS_memfd_create,
             pidfd_open = SYS_pidfd_open, mq_open = SYS_mq_open, close = SYS_close,
             close_range = SYS_close_range, prlimit64 = SYS_prlimit64, setrlimit = SYS_setrlimit;
        x86: open = SYS_open, creat = SYS_creat, pipe = SYS_pipe, dup2 = SYS_dup2,
             epoll_create = SYS_epoll_create, eventfd = SYS_eventfd, signalfd = SYS_signalfd,
             inotify_init = SYS_inotify_init
    }
}
