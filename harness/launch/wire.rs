//! Messages from the re-executed steps to the harness, one packet each, over the control socket
//! (SOCK_SEQPACKET) that is descriptor 0 of the stage. The kernel adds the sender's process id, translated to
//! the harness's PID namespace.

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendFlags, recvmsg, send,
};
use std::fmt;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

/// The byte that lets the waiting program go on to exec.
pub const GO: &[u8] = b"g";

/// Length of a packet.
const BYTES: usize = 10;

/// The step at which the launch failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "Display says each in words")]
pub enum Step {
    UserNamespace,
    MapIds,
    PidNamespace,
    ForkInit,
    Subreaper,
    ForkProgram,
    Descriptors,
    Mounts,
    Directory,
    Limits,
    OtherLimits,
    Trap,
    Stdin,
    User,
    Exec,
}

impl Step {
    const ALL: [Step; 15] = [
        Step::UserNamespace,
        Step::MapIds,
        Step::PidNamespace,
        Step::ForkInit,
        Step::Subreaper,
        Step::ForkProgram,
        Step::Descriptors,
        Step::Mounts,
        Step::Directory,
        Step::Limits,
        Step::OtherLimits,
        Step::Trap,
        Step::Stdin,
        Step::User,
        Step::Exec,
    ];

    /// Whether it belongs to the isolation, so that a weaker one may succeed where it failed.
    pub fn isolates(self) -> bool {
        matches!(self, Step::UserNamespace | Step::MapIds | Step::PidNamespace | Step::ForkInit)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::UserNamespace => "entering a user namespace",
            Step::MapIds => "mapping its own user into the user namespace",
            Step::PidNamespace => "entering a PID namespace",
            Step::ForkInit => "forking the init",
            Step::Subreaper => "becoming a subreaper",
            Step::ForkProgram => "forking the program's process",
            Step::Descriptors => "setting up standard input and output",
            Step::Mounts => "mounting private files in a mount namespace",
            Step::Directory => "changing to its directory",
            Step::Limits => "setting RLIMIT_NOFILE",
            Step::OtherLimits => "setting RLIMIT_NPROC or RLIMIT_AS",
            Step::Trap => "installing the seccomp filter of the ptrace observer",
            Step::Stdin => "opening its standard input",
            Step::User => "becoming its user",
            Step::Exec => "executing the program",
        })
    }
}

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// The init runs; the sender is it.
    Init,
    /// The program's process waits for `GO`; the sender is it.
    Waiting,
    /// The exec succeeded, unless `Failed` came before.
    Executed,
    /// A step failed, with this errno.
    Failed(Step, i32),
    /// The program's first process ended, with this wait status (wait(2)); and the CPU that it and its
    /// waited-for descendants used, microseconds (getrusage(2)).
    Exited(i32, u32),
}

impl Report {
    fn encode(self) -> [u8; BYTES] {
        let (kind, step, value, used) = match self {
            Report::Init => (0, 0, 0, 0),
            Report::Waiting => (1, 0, 0, 0),
            Report::Executed => (2, 0, 0, 0),
            Report::Failed(step, errno) => (3, step as u8, errno, 0),
            Report::Exited(status, used) => (4, 0, status, used),
        };
        let mut packet = [kind, step, 0, 0, 0, 0, 0, 0, 0, 0];
        packet[2..6].copy_from_slice(&value.to_le_bytes());
        packet[6..].copy_from_slice(&used.to_le_bytes());
        packet
    }

    fn decode([kind, step, a, b, c, d, used @ ..]: [u8; BYTES]) -> Option<Self> {
        let value = i32::from_le_bytes([a, b, c, d]);
        Some(match kind {
            0 => Report::Init,
            1 => Report::Waiting,
            2 => Report::Executed,
            3 => Report::Failed(*Step::ALL.get(usize::from(step))?, value),
            4 => Report::Exited(value, u32::from_le_bytes(used)),
            _ => return None,
        })
    }

    /// Sends it to the harness. A harness that is gone is not an error: its end is noticed elsewhere.
    pub fn send(self, control: BorrowedFd<'_>) {
        let _ = send(control, &self.encode(), SendFlags::NOSIGNAL);
    }

    /// Takes the next packet and its sender's process id, without waiting; `None` at the end: every sender
    /// has gone.
    ///
    /// # Errors
    /// `EAGAIN` when none has come yet.
    pub fn receive(control: impl AsFd) -> io::Result<Option<(Report, i32)>> {
        let mut packet = [0; BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(control, &mut [IoSliceMut::new(&mut packet)], &mut ancillary, flags)?;
        if received.bytes == 0 {
            return Ok(None);
        }
        let sender = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmCredentials(credentials) => Some(credentials.pid.as_raw_pid()),
            _ => None,
        });
        let whole = received.bytes == packet.len() && !received.flags.contains(ReturnFlags::TRUNC);
        let report = Report::decode(packet).filter(|_| whole);
        report.zip(sender).map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_survives_the_wire() {
        for step in Step::ALL {
            let report = Report::Failed(step, -7);
            assert_eq!(Report::decode(report.encode()), Some(report));
        }
        let ended = Report::Exited(-9, u32::MAX);
        assert_eq!(Report::decode(ended.encode()), Some(ended));
        assert_eq!(Report::decode([3, Step::ALL.len() as u8, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
