//! The witness that needs no privilege: descriptor counts and CPU time from /proc.

use crate::event::Pid;
use crate::sys::proc;
use std::collections::HashMap;
use std::io;

/// One sample of the subject.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Open in the process that accepts, numbers reserved by blocked threads included.
    pub descriptors: u64,
    /// CPU seconds that the tree has used so far, with those of processes that have exited since they were first seen.
    pub cpu_s: f64,
}

/// Samples a process tree.
#[derive(Debug, Default)]
pub struct Processes {
    /// Last known of each process that was ever seen, so that the total never falls.
    cpu_s: HashMap<Pid, f64>,
}

impl Processes {
    /// Samples the descriptors of `accepting` and the CPU time of `tree` (which names it too).
    ///
    /// # Errors
    /// As [`proc::descriptors`]: `accepting` has exited, or belongs to another user.
    pub fn sample(&mut self, accepting: Pid, tree: &[Pid]) -> io::Result<Sample> {
        let used = tree.iter().filter_map(|&pid| Some((pid, proc::cpu_s(pid)?)));
        self.cpu_s.extend(used);
        Ok(Sample { descriptors: proc::descriptors(accepting)?, cpu_s: self.cpu_s.values().sum() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_time_of_a_process_that_has_gone_stays_in_the_total() {
        let mut processes = Processes { cpu_s: HashMap::from([(Pid::MAX, 1.5)]) };
        let me = std::process::id() as Pid;
        let sample = processes.sample(me, &[me, Pid::MAX]).expect("of ourselves");
        assert!(sample.cpu_s >= 1.5);
        assert!(processes.sample(Pid::MAX, &[]).is_err(), "no such process");
    }

    #[test]
    fn an_opened_file_is_one_descriptor_more() {
        // In a process of its own: other tests open files meanwhile.
        let child = |files: &str| {
            let mut child =
                std::process::Command::new("sh").args(["-c", &format!("exec {files} sleep 60 3>/dev/null")]).spawn().expect("sh is there");
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
            while proc::command(child.id() as Pid) != "sleep 60" && std::time::Instant::now() < deadline {
                std::thread::yield_now();
            }
            let sample = Processes::default().sample(child.id() as Pid, &[]).expect("of a child").descriptors;
            child.kill().expect("ours");
            child.wait().expect("ours");
            sample
        };
        assert_eq!(child("4</dev/null 5</dev/null"), child("") + 2);
    }
}
