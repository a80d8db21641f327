//! Limits, ports and queues: what the kernel's own numbers allow. Reads only.

use super::check::{Check, State, sysctl, sysctl_text};
use crate::limits::{budget, raise};
use crate::sys::sock_diag::SockDiag;
use std::io;
use std::net::TcpListener;

/// Enough for every bundled scenario and a million clients in shards of this size.
const HARD_WANTED: u64 = 65536;

pub(super) fn descriptors() -> Vec<Check> {
    vec![kernel_version(), own_limit(), cap_sys_resource(), nr_open(), file_max(), count_by_size()]
}

pub(super) fn network() -> Vec<Check> {
    vec![source_ports(), accept_queue(), syn_backlog(), sock_diag()]
}

fn kernel_version() -> Check {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    // close_range(2) and pidfd_open(2) are there from 5.9 on.
    if version >= (5, 9) {
        Check::new("kernel", State::Ok, format!("Linux {release}"))
    } else {
        Check::new(
            "kernel",
            State::Limited,
            format!("Linux {release}: 5.9 or newer is needed to launch processes"),
        )
        .or("a newer kernel")
    }
}

fn own_limit() -> Check {
    let Ok(limits) = budget::own() else { return Check::new("own-limit", State::No, "getrlimit(2) fails") };
    let (soft, hard) = (limits.soft, limits.hard);
    let found = format!(
        "{soft}:{hard} (soft:hard). lastfd raises its own soft limit, and subjects get limits up to the hard one"
    );
    if hard >= HARD_WANTED || raise::machine_capable(raise::CAP_SYS_RESOURCE) {
        return Check::new("own-limit", State::Ok, found);
    }
    let found = format!(
        "{found}. A scenario that asks for more is inconclusive here; more clients need several drivers"
    );
    Check::new("own-limit", State::Limited, found)
        .by(
            "for this shell, with CAP_SYS_RESOURCE",
            format!("sudo prlimit --pid $$ --nofile={HARD_WANTED}:{HARD_WANTED}"),
        )
        .by(
            "for a container, when it is made",
            format!("docker run --ulimit nofile={HARD_WANTED}:{HARD_WANTED} …"),
        )
}

fn cap_sys_resource() -> Check {
    let root = rustix::process::geteuid().is_root();
    if raise::machine_capable(raise::CAP_SYS_RESOURCE) {
        return Check::new("cap-sys-resource", State::Ok, "hard limits may be raised");
    }
    let check = Check::new("cap-sys-resource", State::No, "hard limits may be lowered and never raised");
    if root {
        check.or("this root lacks it: a container gets it by `--cap-add SYS_RESOURCE`, a service by its unit's capabilities")
    } else {
        check.or("run lastfd with sudo for scenarios above the hard limit")
    }
}

fn nr_open() -> Check {
    match sysctl::<u64>("fs/nr_open") {
        Some(most) if most >= HARD_WANTED => {
            Check::new("nr-open", State::Ok, format!("{most}: no hard limit can be higher"))
        }
        Some(most) => Check::new("nr-open", State::Limited, format!("{most}: no hard limit can be higher"))
            .by("as root", "sudo sysctl -w fs.nr_open=1048576"),
        None => Check::new("nr-open", State::No, "/proc/sys/fs/nr_open is not readable").or("mount /proc"),
    }
}

fn file_max() -> Check {
    let files = sysctl_text("fs/file-nr").unwrap_or_default();
    let mut numbers = files.split_ascii_whitespace().map(|number| number.parse::<u64>().ok());
    let (Some(Some(open)), Some(Some(most))) = (numbers.next(), numbers.nth(1)) else {
        return Check::new("file-max", State::No, "/proc/sys/fs/file-nr is not readable").or("mount /proc");
    };
    let free = most.saturating_sub(open);
    let found = format!("{open} files open in the whole system, {free} more until ENFILE");
    // A client and its server on one machine: two files a connection.
    let wanted = 2 * budget::own().map_or(HARD_WANTED, |limits| limits.hard.min(HARD_WANTED));
    if free >= wanted {
        Check::new("file-max", State::Ok, found)
    } else {
        let most = open + 2 * HARD_WANTED;
        Check::new("file-max", State::Limited, format!("{found}: fewer than a run at the hard limit takes"))
            .by("as root", format!("sudo sysctl -w fs.file-max={most}"))
    }
}

fn count_by_size() -> Check {
    match rustix::fs::stat("/proc/self/fd") {
        Ok(stat) if stat.st_size > 0 => Check::new(
            "descriptor-count",
            State::Ok,
            "the size of /proc/PID/fd is the count, with numbers reserved by accept",
        ),
        _ => {
            let found = "the kernel does not tell the count by the size of /proc/PID/fd: entries are listed one by one, and numbers \
                         reserved by threads blocked in accept are not seen";
            Check::new("descriptor-count", State::Limited, found).or("Linux 6.2 or newer")
        }
    }
}

fn source_ports() -> Check {
    let Some((low, high)) = sysctl_text("net/ipv4/ip_local_port_range").and_then(|range| {
        let mut numbers = range.split_ascii_whitespace().map(|number| number.parse::<u32>().ok());
        Some((numbers.next()??, numbers.next()??))
    }) else {
        return Check::new(
            "source-ports",
            State::No,
            "/proc/sys/net/ipv4/ip_local_port_range is not readable",
        )
        .or("mount /proc");
    };
    let ports = (high + 1).saturating_sub(low);
    let found = format!(
        "{low}–{high}: {ports} connections from one source address to one port, fast up to about half of them"
    );
    if ports >= 8192 {
        Check::new(
            "source-ports",
            State::Ok,
            format!("{found}; lastfd goes on from the next address of 127.0.0.0/8"),
        )
    } else {
        Check::new("source-ports", State::Limited, format!("{found}: many source addresses are needed"))
            .by("as root", "sudo sysctl -w net.ipv4.ip_local_port_range='32768 60999'")
    }
}

fn accept_queue() -> Check {
    queue(
        "somaxconn",
        "net/core/somaxconn",
        "the largest backlog of listen(2); a larger one that a server asks for is cut to it",
        4096,
    )
}

fn syn_backlog() -> Check {
    let what = "connections half open for one listener before SYNs are dropped or answered with cookies";
    queue("tcp-max-syn-backlog", "net/ipv4/tcp_max_syn_backlog", what, 512)
}

fn queue(name: &'static str, path: &str, what: &str, wanted: u64) -> Check {
    match sysctl::<u64>(path) {
        Some(value) if value >= wanted => Check::new(name, State::Ok, format!("{value}: {what}")),
        Some(value) => Check::new(name, State::Limited, format!("{value}: {what}"))
            .by("as root (a scenario can also set it in a network namespace of its own)", {
                format!("sudo sysctl -w {}={wanted}", path.replace('/', "."))
            }),
        None => Check::new(name, State::No, format!("/proc/sys/{path} is not readable")).or("mount /proc"),
    }
}

fn sock_diag() -> Check {
    match listener_by_netlink() {
        Ok(true) => {
            Check::new("sock-diag", State::Ok, "listeners and their accept queues are found through netlink")
        }
        Ok(false) => Check::new(
            "sock-diag",
            State::No,
            "netlink answers, but does not show a listener that was just made",
        )
        .or("report this with the kernel's version: no reason is known"),
        Err(e) => Check::new(
            "sock-diag",
            State::No,
            format!("netlink does not answer ({e}): accept queues cannot be watched"),
        )
        .by("as root, where the kernel has it as a module", "sudo modprobe -a inet_diag tcp_diag")
        .or("in a sandbox: allow AF_NETLINK sockets (systemd: RestrictAddressFamilies; a seccomp profile)"),
    }
}

/// Whether a dump of TCP sockets (sock_diag(7)) shows a listener that this process has just made.
fn listener_by_netlink() -> io::Result<bool> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    Ok(SockDiag::open()?.listeners()?.iter().any(|listener| listener.address == address.into()))
}
