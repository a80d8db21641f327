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

/// Instructions beside one for each number: architecture, number, the verdicts, and the arguments of guarded
/// calls.
const FRAME: usize = 20;
/// Most call numbers that a filter takes; their jumps are 8 bits wide.
const MOST: usize = 48;
/// A jump to the verdict that stops. Its distance is known only when the whole filter is written. No real
/// jump is that long.
const TO_TRACE: u8 = u8::MAX;

/// Installs, in the calling thread and its future children, a filter that stops at these call numbers and
/// lets all others pass. Without a tracer attached those calls fail with ENOSYS: attach first. Calls of
/// another architecture (32-bit programs) pass unseen. `fcntl` stops only at the two commands that duplicate
/// a descriptor; `prlimit64` and `setrlimit` stop only when they give new limits of descriptors.
///
/// Tried first as CAP_SYS_ADMIN of the user namespace allows it; without that, NO_NEW_PRIVS is set, and
/// set-user-id programs below no longer gain anything.
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

/// Loads a word of `struct seccomp_data`: 0 is the number, 4 the architecture, 16 + 8n the low half of
/// argument n (both architectures above are little-endian).
const fn load(offset: u32) -> sock_filter {
    sock_filter { code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, jt: 0, jf: 0, k: offset }
}

/// Jumps `yes` instructions ahead when the loaded word is `value`, else `no`.
const fn when(value: u32, yes: u8, no: u8) -> sock_filter {
    sock_filter { code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16, jt: yes, jf: no, k: value }
}

/// Writes the filter and returns its length; `None` for too many numbers.
fn program(numbers: &[i64], code: &mut [sock_filter; MOST + FRAME]) -> Option<usize> {
    if numbers.len() > MOST {
        return None;
    }
    let mut length = 0;
    let mut push = |instructions: &[sock_filter]| {
        code[length..length + instructions.len()].copy_from_slice(instructions);
        length += instructions.len();
    };
    push(&[load(4), when(NATIVE, 1, 0), ALLOW, load(0)]);
    for &number in numbers {
        let is = |no| when(number as u32, 0, no);
        match number {
            // Its command.
            libc::SYS_fcntl => push(&[
                is(4),
                load(24),
                when(libc::F_DUPFD as u32, TO_TRACE, 0),
                when(libc::F_DUPFD_CLOEXEC as u32, TO_TRACE, 0),
                ALLOW,
            ]),
            // Its resource, and both halves of the pointer to the new limits, which is null where they are
            // only read.
            libc::SYS_prlimit64 => push(&[
                is(7),
                load(24),
                when(libc::RLIMIT_NOFILE, 0, 4),
                load(32),
                when(0, 0, TO_TRACE),
                load(36),
                when(0, 0, TO_TRACE),
                ALLOW,
            ]),
            libc::SYS_setrlimit => push(&[is(3), load(16), when(libc::RLIMIT_NOFILE, TO_TRACE, 0), ALLOW]),
            _ => push(&[when(number as u32, TO_TRACE, 0)]),
        }
    }
    push(&[ALLOW, verdict(libc::SECCOMP_RET_TRACE)]);
    for (at, instruction) in code[..length].iter_mut().enumerate() {
        let distance = (length - at).saturating_sub(2) as u8;
        for jump in [&mut instruction.jt, &mut instruction.jf] {
            if *jump == TO_TRACE {
                *jump = distance;
            }
        }
    }
    Some(length)
}

fn install(code: &[sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog { len: code.len() as u16, filter: code.as_ptr().cast_mut() };
    // SAFETY: the kernel copies `len` instructions from `filter` during the call and keeps no pointer to
    // them.
    let done = unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER as libc::c_ulong, &raw const program)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's answer, from a classic-BPF machine of our own for the four instructions used.
    fn run(code: &[sock_filter], arch: u32, number: u32, arguments: [u64; 3]) -> u32 {
        let (mut word, mut at) = (0, 0);
        loop {
            let i = code[at];
            at += 1;
            match u32::from(i.code) {
                0x20 => {
                    word = match i.k {
                        0 => number,
                        4 => arch,
                        half => {
                            let argument = arguments[(half as usize - 16) / 8];
                            (argument >> (8 * (half % 8))) as u32
                        }
                    }
                }
                0x15 => at += usize::from(if word == i.k { i.jt } else { i.jf }),
                0x06 => return i.k,
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    fn filter(numbers: &[i64]) -> Vec<sock_filter> {
        let mut code = [ALLOW; MOST + FRAME];
        let length = program(numbers, &mut code).expect("few numbers");
        code[..length].to_vec()
    }

    #[test]
    fn only_the_numbers_asked_for_are_stopped() {
        for fcntl in [false, true] {
            let mut numbers = vec![libc::SYS_accept4, libc::SYS_openat, libc::SYS_close];
            if fcntl {
                numbers.insert(1, libc::SYS_fcntl);
            }
            let code = filter(&numbers);
            for number in 0..500u32 {
                for command in [0, 1, 2, 3, 4, 1030, 1031] {
                    let arguments = [7, command, 0];
                    let stops = run(&code, NATIVE, number, arguments) == libc::SECCOMP_RET_TRACE;
                    let duplicates =
                        i64::from(number) == libc::SYS_fcntl && (command == 0 || command == 1030);
                    let asked = numbers.contains(&i64::from(number))
                        && (i64::from(number) != libc::SYS_fcntl || duplicates);
                    assert_eq!(stops, asked, "number {number}, command {command}, fcntl {fcntl}");
                    assert_eq!(
                        run(&code, 0x4000_0003, number, arguments),
                        libc::SECCOMP_RET_ALLOW,
                        "32-bit calls pass"
                    );
                }
            }
        }
    }

    #[test]
    fn of_the_calls_for_limits_only_new_limits_of_descriptors_are_stopped() {
        let code = filter(&[libc::SYS_openat, libc::SYS_prlimit64, libc::SYS_setrlimit, libc::SYS_close]);
        let stops =
            |number: i64, arguments| run(&code, NATIVE, number as u32, arguments) == libc::SECCOMP_RET_TRACE;
        // RLIMIT_NOFILE is 7 and RLIMIT_NPROC 6 (getrlimit(2)).
        for pointer in [0x1000, 0x7ffc_0000_0000, 0x7ffc_1234_5678] {
            assert!(stops(libc::SYS_prlimit64, [0, 7, pointer]), "{pointer:#x}");
            assert!(!stops(libc::SYS_prlimit64, [0, 6, pointer]));
            assert!(stops(libc::SYS_setrlimit, [7, pointer, 0]));
            assert!(!stops(libc::SYS_setrlimit, [6, pointer, 0]));
        }
        assert!(!stops(libc::SYS_prlimit64, [0, 7, 0]), "they are only read");
        assert!(stops(libc::SYS_openat, [0; 3]) && stops(libc::SYS_close, [0; 3]));
        assert!(!stops(libc::SYS_getrlimit, [7, 0x1000, 0]));
    }

    #[test]
    fn too_many_numbers_are_refused_and_not_cut() {
        assert!(program(&[libc::SYS_close; MOST + 1], &mut [ALLOW; MOST + FRAME]).is_none());
        assert!(program(&[libc::SYS_close; MOST], &mut [ALLOW; MOST + FRAME]).is_some());
    }
}
