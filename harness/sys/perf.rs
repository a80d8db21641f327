//! perf_event_open(2): counters on tracepoints, and the ring buffers that samples are written to. Knows
//! nothing of their meaning and never waits: rings are read when their owner asks.

use perf_event_open_sys::{bindings as abi, ioctls};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// The events that a counter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Hits of the tracepoint with this id, each written to a ring with its raw record, thread, process and
    /// time.
    Samples(u64),
    /// Hits of the tracepoint with this id; none is written anywhere.
    Count(u64),
    /// As `Samples`, each with these registers of the caller (bits of `asm/perf_regs.h`) and this much of its
    /// stack, bytes.
    Called {
        /// The tracepoint's id.
        id: u64,
        /// Which registers.
        registers: u64,
        /// A multiple of 8; 0: none.
        stack: u32,
    },
    /// As `Samples`, for a tracepoint inside the kernel. (Tracepoints of system calls are hit at its border.)
    KernelSamples(u64),
    /// As `Count`, for a tracepoint inside the kernel.
    KernelCount(u64),
    /// Nothing: writes a record to a ring when a task of the tree is created, executes, or exits.
    Tasks,
    /// Nothing: keeps this tracepoint in use, so that closing the last event that counts need not wait for
    /// RCU.
    Held(u64),
}

/// One event on a process, its threads and its future children.
#[derive(Debug)]
pub struct Counter(OwnedFd);

impl Counter {
    /// Opens an event on `pid` (0: the calling thread) for one cpu, or for all with `None`, where no ring can
    /// be had. It is off until the process calls exec. Kernel code is left out, so it needs no privilege
    /// beyond that to trace the process; but for the two sources that are in the kernel, which need
    /// CAP_PERFMON.
    ///
    /// # Errors
    /// `EACCES` by `kernel.perf_event_paranoid` or a security module, or for a process of another user;
    /// `EMFILE` by the harness's own limit; `ENODEV` for a cpu that is offline; `ESRCH`.
    pub fn open(source: Source, pid: i32, cpu: Option<u32>) -> io::Result<Self> {
        let mut attr =
            abi::perf_event_attr { size: size_of::<abi::perf_event_attr>() as u32, ..Default::default() };
        (attr.type_, attr.config) = match source {
            Source::Samples(id)
            | Source::Called { id, .. }
            | Source::Count(id)
            | Source::KernelSamples(id)
            | Source::KernelCount(id)
            | Source::Held(id) => (abi::PERF_TYPE_TRACEPOINT, id),
            Source::Tasks => (abi::PERF_TYPE_SOFTWARE, u64::from(abi::PERF_COUNT_SW_DUMMY)),
        };
        attr.set_disabled(1);
        if !matches!(source, Source::Held(_)) {
            attr.set_inherit(1);
            attr.set_enable_on_exec(1);
        }
        attr.set_exclude_kernel(u64::from(!matches!(
            source,
            Source::KernelSamples(_) | Source::KernelCount(_)
        )));
        attr.set_use_clockid(1);
        attr.clockid = libc::CLOCK_MONOTONIC;
        // Never wake a reader per event: the kernel clamps this to the ring's size.
        attr.set_watermark(1);
        attr.__bindgen_anon_2.wakeup_watermark = u32::MAX;
        if source != Source::Tasks {
            let samples = !matches!(source, Source::Count(_) | Source::KernelCount(_) | Source::Held(_));
            attr.__bindgen_anon_1.sample_period = u64::from(samples);
        }
        if !matches!(source, Source::Count(_) | Source::KernelCount(_) | Source::Held(_)) {
            attr.sample_type = u64::from(abi::PERF_SAMPLE_TID | abi::PERF_SAMPLE_TIME);
            attr.set_sample_id_all(1);
        }
        match source {
            Source::Samples(_) | Source::KernelSamples(_) => {
                attr.sample_type |= u64::from(abi::PERF_SAMPLE_RAW)
            }
            Source::Called { registers, stack, .. } => {
                attr.sample_type |= u64::from(abi::PERF_SAMPLE_RAW | abi::PERF_SAMPLE_REGS_USER);
                attr.sample_type |= u64::from(if stack > 0 { abi::PERF_SAMPLE_STACK_USER } else { 0 });
                (attr.sample_regs_user, attr.sample_stack_user) = (registers, stack);
            }
            Source::Tasks => {
                attr.set_task(1);
                attr.set_comm(1);
                attr.set_comm_exec(1);
            }
            Source::Count(_) | Source::KernelCount(_) | Source::Held(_) => {}
        }
        let cpu = cpu.map_or(-1, |cpu| cpu as i32);
        // SAFETY: `attr` is initialised, has the size that it names, and outlives the call.
        let fd = unsafe {
            perf_event_open_sys::perf_event_open(
                &mut attr,
                pid,
                cpu,
                -1,
                u64::from(abi::PERF_FLAG_FD_CLOEXEC),
            )
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just returned this descriptor and it has no other owner.
        Ok(Counter(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Lets only hits pass for which the expression over the record's fields is true (such as `ret >= 0`).
    ///
    /// # Errors
    /// `EINVAL` for an expression that names an unknown field.
    pub fn filter(&self, expression: &CStr) -> io::Result<()> {
        // SAFETY: the string is NUL-terminated and the kernel only reads it, during the call.
        done(unsafe { ioctls::SET_FILTER(self.0.as_raw_fd(), expression.as_ptr().cast_mut()) })
    }

    /// Writes samples into the ring of another counter of the same cpu and process.
    ///
    /// # Errors
    /// `EINVAL` when cpu or process differ.
    pub fn redirect(&self, to: &Counter) -> io::Result<()> {
        // SAFETY: both are open perf descriptors; the argument is a number.
        done(unsafe { ioctls::SET_OUTPUT(self.0.as_raw_fd(), to.0.as_raw_fd()) })
    }

    /// Switches it on again in every process that inherited it.
    ///
    /// # Errors
    /// None that is known for an open event.
    pub fn enable(&self) -> io::Result<()> {
        // SAFETY: an open perf descriptor; the argument is a flag.
        done(unsafe { ioctls::ENABLE(self.0.as_raw_fd(), 0) })
    }

    /// Switches it off in every process that inherited it.
    ///
    /// # Errors
    /// None that is known for an open event.
    pub fn disable(&self) -> io::Result<()> {
        // SAFETY: an open perf descriptor; the argument is a flag.
        done(unsafe { ioctls::DISABLE(self.0.as_raw_fd(), 0) })
    }

    /// Hits so far that passed the filter, over all threads and children, living and dead.
    ///
    /// # Errors
    /// None that is known for an open event.
    pub fn count(&self) -> io::Result<u64> {
        let mut value = [0; 8];
        let read = rustix::io::read(&self.0, &mut value)?;
        if read == value.len() {
            Ok(u64::from_ne_bytes(value))
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

fn done(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Most descriptors that one message carries (SCM_MAX_FD, net/scm.h).
const DESCRIPTORS_A_MESSAGE: usize = 253;

/// Closes counters without waiting for it.
///
/// The last close of a tracepoint waits some 36 ms for RCU. For all the calls that adds up to a second, which
/// would delay the harness's own exit. Therefore the counters are sent to a socket whose only reference is in
/// its own queue (unix(7)): the kernel's collector of such cycles closes them in a thread of its own. Where
/// that is refused they are closed here, and it takes that second.
pub fn discard(counters: Vec<Counter>) {
    let _ = bury(counters);
}

fn bury(counters: Vec<Counter>) -> rustix::io::Result<()> {
    use rustix::net::{
        AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
        sendmsg, socketpair,
    };
    let (to, grave) = socketpair(
        AddressFamily::UNIX,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    let itself = [grave.as_fd()];
    let descriptors: Vec<_> = counters.iter().map(|counter| counter.0.as_fd()).collect();
    for part in [&itself[..]].into_iter().chain(descriptors.chunks(DESCRIPTORS_A_MESSAGE)) {
        let mut space = vec![std::mem::MaybeUninit::uninit(); SendAncillaryMessage::ScmRights(part).size()];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        assert!(rights.push(SendAncillaryMessage::ScmRights(part)), "the space was made for it");
        sendmsg(&to, &[io::IoSlice::new(b"x")], &mut rights, SendFlags::empty())?;
    }
    // The counters go before the sockets: closing the sockets wakes the collector, whose reference must then
    // be the last.
    drop(counters);
    Ok(())
}

/// The ring buffer of one counter: records stay until they are read, and those that find no room are counted
/// as lost.
#[derive(Debug)]
pub struct Ring {
    base: NonNull<u8>,
    mapped: usize,
    data: usize,
    size: u64,
    wrapped: Vec<u8>,
}

// SAFETY: the mapping is owned by this value alone and is read through `&mut self` only.
unsafe impl Send for Ring {}

impl Ring {
    /// Maps a ring of `pages` pages (a power of two) beside its control page.
    ///
    /// # Errors
    /// `EPERM` beyond `kernel.perf_event_mlock_kb` and RLIMIT_MEMLOCK: ask for fewer.
    pub fn map(counter: &Counter, pages: usize) -> io::Result<Self> {
        assert!(pages.is_power_of_two());
        let page = rustix::param::page_size();
        let mapped = page * (pages + 1);
        // SAFETY: a fresh mapping at an address of the kernel's choice; nothing else refers to it.
        let base = unsafe {
            mmap(
                std::ptr::null_mut(),
                mapped,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                counter.0.as_fd(),
                0,
            )?
        };
        let base = NonNull::new(base.cast()).expect("mmap returns no null");
        Ok(Ring { base, mapped, data: page, size: (page * pages) as u64, wrapped: Vec::new() })
    }

    /// Hands over every record written since the last time, oldest first: `perf_event_header` and all.
    pub fn read(&mut self, mut each: impl FnMut(&[u8])) {
        let control = self.base.cast::<abi::perf_event_mmap_page>().as_ptr();
        // SAFETY: the control page is mapped for as long as `self`; head and tail are aligned 64-bit words
        // that the kernel and we share as atomics (the protocol of perf_event_open(2)): we alone write the
        // tail.
        let (head, tail) = unsafe {
            (
                AtomicU64::from_ptr(&raw mut (*control).data_head),
                AtomicU64::from_ptr(&raw mut (*control).data_tail),
            )
        };
        let end = head.load(Ordering::Acquire);
        let mut at = tail.load(Ordering::Relaxed);
        while at < end {
            // `perf_event_header`: type u32, misc u16, size u16. Records are 8-byte aligned, so the header
            // never wraps.
            let header = self.view(at, 8);
            let size = u64::from(u16::from_ne_bytes([header[6], header[7]]));
            assert!(size >= 8 && at + size <= end, "a perf ring holds whole records");
            each(self.view(at, size));
            at += size;
            tail.store(at, Ordering::Release);
        }
    }

    /// The `length` bytes at stream position `at`: where they lie, or joined in `self.wrapped` when they go
    /// around the ring's end.
    fn view(&mut self, at: u64, length: u64) -> &[u8] {
        let start = at % self.size;
        let first = length.min(self.size - start);
        // SAFETY: both parts lie inside the data pages, which stay mapped; the kernel does not write between
        // tail and head, and the tail moves on only when the caller has let go of the slice.
        let (head, rest) = unsafe {
            let data = self.base.as_ptr().add(self.data);
            (
                std::slice::from_raw_parts(data.add(start as usize), first as usize),
                std::slice::from_raw_parts(data, (length - first) as usize),
            )
        };
        if rest.is_empty() {
            return head;
        }
        self.wrapped.clear();
        self.wrapped.extend_from_slice(head);
        self.wrapped.extend_from_slice(rest);
        &self.wrapped
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: unmaps exactly what `map` mapped; no reference into it outlives `self`.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.mapped) };
    }
}

/// The cpus that are online, from sysfs.
///
/// # Errors
/// sysfs is not mounted.
pub fn cpus() -> io::Result<Vec<u32>> {
    let list = std::fs::read_to_string("/sys/devices/system/cpu/online")?;
    parse_cpus(list.trim())
        .ok_or_else(|| io::Error::other(format!("/sys/devices/system/cpu/online holds {list:?}")))
}

/// Parses `0-3,5`.
fn parse_cpus(list: &str) -> Option<Vec<u32>> {
    let ranges = list.split(',').map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?)
    });
    Some(ranges.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus_have_ranges_and_gaps() {
        assert_eq!(parse_cpus("0"), Some(vec![0]));
        assert_eq!(parse_cpus("0-2,5,7-8"), Some(vec![0, 1, 2, 5, 7, 8]));
        assert_eq!(parse_cpus(""), None);
    }
}
