//! The seccomp filter that stops a traced process at chosen calls only (seccomp(2), SECCOMP_RET_TRACE).
//!
//! Written for the moment between fork and exec: it allocates nothing. It never refuses a call.

use libc::sock_filter;
use std::io;

/// The native architecture in `seccomp_data.arch` (AUDIT_ARCH_*, linux/audit.h).
#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 0xC000_003E;
/// The native architecture in `seccomp_data.arch` (AUDIT_ARCH_*, linux/audit.h).
#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = 0xC000_00B7;

/// Instructions beside one for each number: architecture, number, the verdicts, and the argument of fcntl.
const FRAME: usize = 11;
/// Most call numbers that a filter takes; their jumps are 8 bits wide.
const MOST: usize = 48;

/// Installs, in the calling thread and its future children, a filter that stops at these call numbers and lets all others pass.
/// Without a tracer attached those calls fail with ENOSYS: attach first. Calls of another architecture (32-bit programs) pass
/// unseen, and of `fcntl` only the two commands that duplicate a descriptor are stopped.
///
/// Tried first as CAP_SYS_ADMIN of the user namespace allows it; without that, NO_NEW_PRIVS is set, and set-user-id programs
/// below no longer gain anything.
///
/// # Errors
/// `EINVAL` for more than 48 numbers, or where the kernel has no seccomp filters.
pub fn trap(numbers: &[i64]) -> io::Result<()> {
    let mut code = [ALLOW; MOST + FRAME];
    let length = program(numbers, &mut code).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    match install(&code[..length]) {
        Err(e) if e.raw_os_error() == Some(libc::EACCES) => {
            rustix::thread::set_no_new_privs(true)?;
            install(&code[..length])
        }
        done => done,
    }
}

/// Whether the kernel knows filters that hand a call to a tracer.
pub fn available() -> bool {
    let action: u32 = libc::SECCOMP_RET_TRACE;
    // SAFETY: SECCOMP_GET_ACTION_AVAIL only reads the 32-bit action that the pointer names.
    unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) == 0 }
}

const ALLOW: sock_filter = verdict(libc::SECCOMP_RET_ALLOW);

const fn verdict(action: u32) -> sock_filter {
    sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: action }
}

/// Loads a word of `struct seccomp_data`: 0 is the number, 4 the architecture, 16 + 8n the low half of argument n
/// (both architectures above are little-endian).
const fn load(offset: u32) -> sock_filter {
    sock_filter { code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, jt: 0, jf: 0, k: offset }
}

/// Jumps `yes` instructions ahead when the loaded word is `value`, else `no`.
const fn when(value: u32, yes: u8, no: u8) -> sock_filter {
    sock_filter { code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16, jt: yes, jf: no, k: value }
}

/// Writes the filter and returns its length; `None` for too many numbers.
fn program(numbers: &[i64], code: &mut [sock_filter; MOST + FRAME]) -> Option<usize> {
    let plain = || numbers.iter().filter(|&&n| n != libc::SYS_fcntl);
    let count = plain().count();
    if numbers.len() > MOST {
        return None;
    }
    let fcntl = numbers.contains(&libc::SYS_fcntl);
    // Layout: arch, number, [fcntl], count comparisons, ALLOW, [fcntl's command …], TRACE.
    let tail = if fcntl { 4 } else { 0 };
    let mut at = 0;
    let mut push = |instruction| {
        code[at] = instruction;
        at += 1;
        at
    };
    push(load(4));
    push(when(NATIVE, 1, 0));
    push(ALLOW);
    push(load(0));
    if fcntl {
        push(when(libc::SYS_fcntl as u32, count as u8 + 1, 0));
    }
    for (index, &number) in plain().enumerate() {
        let to_trace = (count - index - 1) + 1 + tail;
        push(when(number as u32, to_trace as u8, 0));
    }
    push(ALLOW);
    if fcntl {
        push(load(24));
        push(when(libc::F_DUPFD as u32, 2, 0));
        push(when(libc::F_DUPFD_CLOEXEC as u32, 1, 0));
        push(ALLOW);
    }
    Some(push(verdict(libc::SECCOMP_RET_TRACE)))
}

fn install(code: &[sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog { len: code.len() as u16, filter: code.as_ptr().cast_mut() };
    // SAFETY: the kernel copies `len` instructions from `filter` during the call and keeps no pointer to them.
    let done = unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER as libc::c_ulong, &raw const program)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A classic-BPF machine of its own, for the four instructions used: what the kernel would answer.
    fn run(code: &[sock_filter], arch: u32, number: u32, argument: u32) -> u32 {
        let (mut word, mut at) = (0, 0);
        loop {
            let i = code[at];
            at += 1;
            match u32::from(i.code) {
                0x20 => {
                    word = [(4, arch), (0, number), (24, argument)]
                        .into_iter()
                        .find(|w| w.0 == i.k)
                        .expect("a known word")
                        .1
                }
                0x15 => at += usize::from(if word == i.k { i.jt } else { i.jf }),
                0x06 => return i.k,
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn only_the_numbers_asked_for_are_stopped() {
        let mut code = [ALLOW; MOST + FRAME];
        for fcntl in [false, true] {
            let mut numbers = vec![libc::SYS_accept4, libc::SYS_openat, libc::SYS_close];
            if fcntl {
                numbers.insert(1, libc::SYS_fcntl);
            }
            let length = program(&numbers, &mut code).expect("few numbers");
            for number in 0..500u32 {
                for command in [0, 1, 2, 3, 4, 1030, 1031] {
                    let stops = run(&code[..length], NATIVE, number, command) == libc::SECCOMP_RET_TRACE;
                    let duplicates =
                        i64::from(number) == libc::SYS_fcntl && (command == 0 || command == 1030);
                    let asked = numbers.contains(&i64::from(number))
                        && (i64::from(number) != libc::SYS_fcntl || duplicates);
                    assert_eq!(stops, asked, "number {number}, command {command}, fcntl {fcntl}");
                    assert_eq!(
                        run(&code[..length], 0x4000_0003, number, command),
                        libc::SECCOMP_RET_ALLOW,
                        "32-bit calls pass"
                    );
                }
            }
        }
    }

    #[test]
    fn too_many_numbers_are_refused_and_not_cut() {
        assert!(program(&[libc::SYS_close; MOST + 1], &mut [ALLOW; MOST + FRAME]).is_none());
        assert!(program(&[libc::SYS_close; MOST], &mut [ALLOW; MOST + FRAME]).is_some());
    }
}
