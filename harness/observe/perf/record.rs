//! The records in perf's rings, as perf_event_open(2) lays them out for the samples that this observer asks
//! for. Pure.

use crate::event::{Limits, Nanos, Pid};
use perf_event_open_sys::bindings as abi;

/// Where the fields lie in the raw records of the system call tracepoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// `ret` of every `sys_exit_*`.
    pub ret: usize,
    /// The id of `sys_enter_close`.
    pub close: u64,
    /// `fd` of `sys_enter_close`.
    pub fd: usize,
    /// The id of `sys_enter_close_range`, and its `fd` and `max_fd`; `None` before Linux 5.9.
    pub close_range: Option<(u64, [usize; 2])>,
    /// The id of `sys_enter_exit_group`, and its `error_code`.
    pub exit_group: (u64, usize),
    /// The ids of the calls in [`LIMITS`]; `None` where they cannot be read.
    pub limits: [Option<u64>; LIMITS.len()],
    /// The layout of io_uring's tracepoints; `None` where the kernel has none, or they may not be read.
    pub ring: Option<RingLayout>,
}

/// Where the fields lie in the records of io_uring's own tracepoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingLayout {
    /// The id of `io_uring_submit_req`.
    pub submit: u64,
    /// `ctx`, `user_data` and `opcode` of it.
    pub submitted: [usize; 3],
    /// The id of `io_uring_complete`.
    pub complete: u64,
    /// `ctx`, `user_data`, `res` and `cflags` of it.
    pub completed: [usize; 4],
}

/// The calls that set limits, in the order of their arguments below. C libraries call the first, Go the
/// second.
pub const LIMITS: [&str; 2] = ["prlimit64", "setrlimit"];

/// Samples of the callers. Their arguments are still in their registers when the calls return
/// (`asm/perf_regs.h`), and the new limits are mostly on the stack. In the record the registers come in the
/// order of their bits.
#[cfg(target_arch = "x86_64")]
mod caller {
    /// rdx, rsi, rdi, rsp.
    pub const REGISTERS: u64 = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 7;
    /// rdi, which a call leaves as it was.
    pub const FIRST_ARGUMENT: Option<u64> = Some(1 << 5);

    /// The arguments of prlimit64, then of setrlimit: the process, the resource, the new limits; and the
    /// stack pointer.
    pub fn arguments([rdx, rsi, rdi, rsp]: [u64; 4]) -> [Option<[u64; 4]>; 2] {
        [Some([rdi, rsi, rdx, rsp]), Some([0, rdi, rsi, rsp])]
    }
}
#[cfg(target_arch = "aarch64")]
mod caller {
    /// x0, x1, x2, sp.
    pub const REGISTERS: u64 = 1 | 1 << 1 | 1 << 2 | 1 << 31;
    /// In its place is the result.
    pub const FIRST_ARGUMENT: Option<u64> = None;

    /// As on the other architecture, except for x0, which already has the result. So prlimit64 on another
    /// process is taken for a call on the caller itself, whose limits are then found to differ; and the
    /// resource of setrlimit is not known.
    pub fn arguments(registers: [u64; 4]) -> [Option<[u64; 4]>; 2] {
        [Some(registers), None]
    }
}
pub use caller::{FIRST_ARGUMENT, REGISTERS};

/// So much of the caller's stack is sampled, bytes: from a thin wrapper of the call to the frame above it.
pub const STACK: u32 = 512;

/// The longest name of a program, with its end (TASK_COMM_LEN, linux/sched.h).
const NAME: usize = 16;

/// A completion after which more come of the same request (IORING_CQE_F_MORE, linux/io_uring.h).
const MORE: u32 = 1 << 1;

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// A call returned; the tracepoint says which.
    /// `on`: for a failed accept, the descriptor number that it was called with.
    Call { pid: Pid, tracepoint: u64, ret: i64, on: Option<i32> },
    /// A process is about to close this number.
    Close { pid: Pid, fd: i32 },
    /// A process is about to close every number from the first to the last.
    CloseRange { pid: Pid, first: u32, last: u32 },
    /// A process is about to end with this status.
    Status { pid: Pid, code: i32 },
    /// A process gave new limits of descriptors to one that it calls by this number (0: itself).
    LimitSet { pid: Pid, of: Pid, limits: Option<Limits> },
    /// A process asked io_uring for something that creates a descriptor. A request is known by its ring and
    /// what its process calls it.
    Submitted { request: (u64, u64), opcode: u8 },
    /// io_uring is done with a request, or did a part of it.
    Completed { pid: Pid, request: (u64, u64), ret: i32, more: bool },
    /// A task was created by a thread of the process `parent`.
    Fork { pid: Pid, tid: i32, parent: Pid },
    /// A process executed the program of this name, NUL at its end.
    Exec { pid: Pid, name: [u8; NAME] },
    /// A task exited.
    Exit { pid: Pid, tid: i32 },
    /// This many records found no room in the ring.
    Lost(u64),
}

/// Reads one record with its time; `None` for one that says nothing here (a thread that renames itself).
pub fn parse(bytes: &[u8], layout: Layout) -> Option<(Nanos, Record)> {
    let kind = u32_at(bytes, 0)?;
    let misc = u32::from(u16_at(bytes, 4)?);
    let body = bytes.get(8..)?;
    Some(match kind {
        // pid, tid, time, size, then the tracepoint's record, which begins with its id.
        abi::PERF_RECORD_SAMPLE => {
            let raw = body.get(20..)?;
            let tracepoint = u64::from(u16_at(raw, 0)?);
            let pid = i32_at(body, 0)?;
            let record = if tracepoint == layout.close {
                // The record has 64 bits; the kernel looks at the lower half.
                Record::Close { pid, fd: i64_at(raw, layout.fd)? as i32 }
            } else if let Some((_, fields)) = layout.close_range.filter(|(id, _)| *id == tracepoint) {
                let [first, last] = fields.map(|at| i64_at(raw, at).map(|n| n as u32));
                Record::CloseRange { pid, first: first?, last: last? }
            } else if tracepoint == layout.exit_group.0 {
                // As wait(2) tells it: the lowest eight bits.
                Record::Status { pid, code: i64_at(raw, layout.exit_group.1)? as i32 & 0xff }
            } else if let Some(call) = layout.limits.iter().position(|&id| id == Some(tracepoint)) {
                limit_set(pid, call, body)?
            } else if let Some(record) = layout.ring.and_then(|ring| of_ring(raw, pid, tracepoint, ring)) {
                record
            } else {
                Record::Call { pid, tracepoint, ret: i64_at(raw, layout.ret)?, on: first_argument(body) }
            };
            (u64_at(body, 8)?, record)
        }
        // pid, ppid, tid, ptid, time.
        abi::PERF_RECORD_FORK => (
            u64_at(body, 16)?,
            Record::Fork { pid: i32_at(body, 0)?, parent: i32_at(body, 4)?, tid: i32_at(body, 8)? },
        ),
        abi::PERF_RECORD_EXIT => {
            (u64_at(body, 16)?, Record::Exit { pid: i32_at(body, 0)?, tid: i32_at(body, 8)? })
        }
        // pid, tid, name, and at the very end (sample_id_all) pid, tid, time.
        abi::PERF_RECORD_COMM if misc & abi::PERF_RECORD_MISC_COMM_EXEC != 0 => {
            let end = body.len().checked_sub(16)?;
            let mut name = [0; NAME];
            let written = body.get(8..end)?.iter().take(NAME - 1).take_while(|&&byte| byte != 0);
            name.iter_mut().zip(written).for_each(|(to, from)| *to = *from);
            (u64_at(body, end + 8)?, Record::Exec { pid: i32_at(body, 0)?, name })
        }
        // id, lost.
        abi::PERF_RECORD_LOST => (0, Record::Lost(u64_at(body, 8)?)),
        _ => return None,
    })
}

/// The limits that a successful call set, by its place in [`LIMITS`]; `None` where it only read, or concerned
/// another resource.
fn limit_set(pid: Pid, call: usize, body: &[u8]) -> Option<Record> {
    // After the raw record: the ABI, the registers, the stack's size and bytes, and how many of these were
    // there.
    let registers = 20 + u32_at(body, 16)? as usize + 8;
    let register = |index: usize| u64_at(body, registers + 8 * index);
    let [of, resource, new, stack] =
        caller::arguments([register(0)?, register(1)?, register(2)?, register(3)?])[call]?;
    if resource as u32 != libc::RLIMIT_NOFILE || new == 0 {
        return None;
    }
    let size = usize::try_from(register(4)?).ok()?;
    let dumped = registers + 8 * 5;
    let there = u64_at(body, dumped.checked_add(size)?).unwrap_or(0);
    let at = new.checked_sub(stack).filter(|offset| offset.checked_add(16).is_some_and(|end| end <= there));
    let limits = at.and_then(|offset| {
        let at = dumped + usize::try_from(offset).ok()?;
        Some(Limits { soft: u64_at(body, at)?, hard: u64_at(body, at + 8)? })
    });
    Some(Record::LimitSet { pid, of: of as Pid, limits })
}

/// The register that was sampled with a call, where one was, in a 64-bit program.
fn first_argument(body: &[u8]) -> Option<i32> {
    let registers = 20 + u32_at(body, 16)? as usize;
    let wide = u64_at(body, registers)? == u64::from(abi::PERF_SAMPLE_REGS_ABI_64);
    // 64 bits wide; the kernel reads the lower half.
    if wide { Some(u64_at(body, registers + 8)? as i32) } else { None }
}

/// A record of one of io_uring's tracepoints; `None` for any other.
fn of_ring(raw: &[u8], pid: Pid, tracepoint: u64, layout: RingLayout) -> Option<Record> {
    if tracepoint == layout.submit {
        let [ring, data, opcode] = layout.submitted;
        Some(Record::Submitted {
            request: (u64_at(raw, ring)?, u64_at(raw, data)?),
            opcode: *raw.get(opcode)?,
        })
    } else if tracepoint == layout.complete {
        let [ring, data, res, flags] = layout.completed;
        let request = (u64_at(raw, ring)?, u64_at(raw, data)?);
        Some(Record::Completed {
            pid,
            request,
            ret: i32_at(raw, res)?,
            more: u32_at(raw, flags)? & MORE != 0,
        })
    } else {
        None
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_ne_bytes)
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    array(bytes, at).map(i32::from_ne_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_ne_bytes)
}

fn i64_at(bytes: &[u8], at: usize) -> Option<i64> {
    array(bytes, at).map(i64::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RING: RingLayout =
        RingLayout { submit: 800, submitted: [8, 24, 32], complete: 801, completed: [8, 24, 32, 36] };
    const LAYOUT: Layout = Layout {
        ret: 16,
        close: 700,
        fd: 16,
        close_range: Some((704, [16, 24])),
        exit_group: (701, 16),
        limits: [Some(702), Some(703)],
        ring: Some(RING),
    };

    /// A record as the kernel writes it: header, then these words.
    fn record(kind: u32, misc: u16, body: &[&[u8]]) -> Vec<u8> {
        let body = body.concat();
        let mut bytes = kind.to_ne_bytes().to_vec();
        bytes.extend(misc.to_ne_bytes());
        bytes.extend((8 + body.len() as u16).to_ne_bytes());
        bytes.extend(body);
        bytes
    }

    fn sample(tracepoint: u16, field: i64) -> Vec<u8> {
        let (id, field) = (tracepoint.to_ne_bytes(), field.to_ne_bytes());
        let raw = [&id[..], &[0; 14], &field].concat();
        record(
            9,
            2,
            &[
                &42i32.to_ne_bytes(),
                &43i32.to_ne_bytes(),
                &5000u64.to_ne_bytes(),
                &28u32.to_ne_bytes(),
                &raw,
                &[0; 4],
            ],
        )
    }

    #[test]
    fn a_sample_belongs_to_the_process_and_not_to_the_thread() {
        assert_eq!(
            parse(&sample(560, -24), LAYOUT),
            Some((5000, Record::Call { pid: 42, tracepoint: 560, ret: -24, on: None }))
        );
        assert_eq!(
            parse(&sample(700, 0xdead_0000_0007), LAYOUT),
            Some((5000, Record::Close { pid: 42, fd: 7 }))
        );
    }

    #[test]
    fn a_failed_accept_has_the_number_of_its_listener() {
        let with = |kind: u64| {
            let mut bytes = sample(560, -24);
            bytes.extend([kind, 0xdead_0000_0003].map(u64::to_ne_bytes).concat());
            parse(&bytes, LAYOUT)
        };
        let call = |on| Some((5000, Record::Call { pid: 42, tracepoint: 560, ret: -24, on }));
        assert_eq!((with(2), with(1)), (call(Some(3)), call(None)), "registers of 64 bits, of 32 bits");
    }

    #[test]
    fn a_task_that_renames_itself_has_not_executed() {
        let body: [&[u8]; 5] =
            [&42i32.to_ne_bytes(), &42i32.to_ne_bytes(), b"python3\0", &[0; 8], &77u64.to_ne_bytes()];
        assert_eq!(parse(&record(3, 0, &body), LAYOUT), None);
        let name = *b"python3\0\0\0\0\0\0\0\0\0";
        assert_eq!(parse(&record(3, 1 << 13, &body), LAYOUT), Some((77, Record::Exec { pid: 42, name })));
    }

    /// A successful call with these arguments, the last first, and 64 bytes of the stack from `sp` on, of
    /// which `there` were there.
    #[cfg(target_arch = "x86_64")]
    fn limit_call(tracepoint: u16, [rdx, rsi, rdi]: [u64; 3], sp: u64, there: u64) -> Vec<u8> {
        let stack: Vec<u8> = (0..8u64).flat_map(|word| (100 + word).to_ne_bytes()).collect();
        let registers = [1, rdx, rsi, rdi, sp].map(u64::to_ne_bytes);
        let mut bytes = sample(tracepoint, 0);
        bytes.extend(registers.concat());
        bytes.extend(64u64.to_ne_bytes());
        bytes.extend(stack);
        bytes.extend(there.to_ne_bytes());
        bytes
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn new_limits_are_read_from_the_stack_as_far_as_it_was_copied() {
        let set = |new, there| match parse(&limit_call(702, [new, 7, 0], 0x7000, there), LAYOUT) {
            Some((5000, Record::LimitSet { pid: 42, of: 0, limits })) => limits.map(|l| (l.soft, l.hard)),
            other => panic!("{other:?}"),
        };
        assert_eq!((set(0x7010, 64), set(0x7030, 64)), (Some((102, 103)), Some((106, 107))));
        assert_eq!((set(0x7038, 64), set(0x7030, 56), set(0x6ff8, 64)), (None, None, None), "not all of it");
        let other = |tracepoint, arguments| parse(&limit_call(tracepoint, arguments, 0x7000, 64), LAYOUT);
        assert_eq!(other(702, [0, 7, 0]), None, "it only asked");
        assert_eq!(other(702, [0x7010, 6, 0]), None, "of processes (RLIMIT_NPROC)");
        let limits = Some(Limits { soft: 102, hard: 103 });
        assert_eq!(other(703, [9, 0x7010, 7]), Some((5000, Record::LimitSet { pid: 42, of: 0, limits })));
        assert_eq!(other(703, [7, 0x7010, 6]), None);
    }

    #[test]
    fn a_record_that_is_cut_is_no_record() {
        let whole = sample(560, 3);
        assert!((0..40).all(|length| parse(&whole[..length], LAYOUT).is_none()));
    }
}
