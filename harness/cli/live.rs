//! Eight lines that stay in place and show a run while it goes on: `run` and `find` on a terminal, and
//! `replay --live`.

use super::board::{Board, LOOKS, Row, To};
use super::plain::clean;
use crate::event::Phase;
use crate::report::words::{phases, size};
use crate::run::Moment;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Shortest time between two looks: the view moves at most ten times a second.
pub const EVERY: Duration = Duration::from_millis(100);
/// Rates a second are means over this time, seconds: processor time is counted in hundredths of a second.
const RATES_OVER_S: f64 = 1.0;

/// A moment, and the rates until then.
#[derive(Debug)]
struct Look {
    moment: Moment,
    /// Accepts and failed calls a second.
    tries: f64,
    /// Failed calls a second.
    failures: f64,
    /// Processor time, in per cent of one processor.
    cpu_percent: f64,
    /// Bytes a second.
    log: f64,
}

/// The view of one run.
#[derive(Debug)]
pub struct Live {
    board: Board,
    title: String,
    /// Whether the time left of a phase is known, and not only bounded.
    recorded: bool,
    looks: VecDeque<Look>,
    shown_at: Option<Instant>,
    /// The phase that began last; until the first moment it is all that there is to show.
    begun: Option<Phase>,
}

impl Live {
    /// A view of the run with this title, on this output; `None` where that is no terminal, or one that
    /// cannot move its cursor.
    pub fn new(title: &str, to: To, recorded: bool) -> Option<Live> {
        let board = Board::new(to)?;
        Some(Live {
            board,
            title: clean(title),
            recorded,
            looks: VecDeque::new(),
            shown_at: None,
            begun: None,
        })
    }

    /// Whether the last moment was shown long enough ago.
    pub fn due(&self) -> bool {
        self.shown_at.is_none_or(|at| at.elapsed() >= EVERY)
    }

    /// Shows this moment.
    pub fn show(&mut self, moment: &Moment) {
        self.shown_at = Some(Instant::now());
        self.look(moment);
        self.again();
    }

    /// Shows that this phase begins: its time left is not known yet.
    pub fn begin(&mut self, phase: Phase) {
        self.begun = Some(phase);
        if let Some(last) = self.looks.back_mut() {
            last.moment.phase = Some((phase, last.moment.at_s));
            last.moment.left_s = None;
        }
        self.again();
    }

    /// Prints something above the lines.
    pub fn suspend<T>(&mut self, print: impl FnOnce() -> T) -> T {
        self.board.clear();
        let printed = print();
        self.again();
        printed
    }

    fn again(&mut self) {
        if self.shown_at.is_some() || self.begun.is_some() {
            // A terminal that is gone shows nothing; the run goes on.
            let _ = self.board.show(&rows(&self.title, &self.looks, self.begun, self.recorded));
        }
    }

    fn look(&mut self, moment: &Moment) {
        // A run that is made once more begins at zero again.
        if self.looks.back().is_some_and(|last| last.moment.at_s > moment.at_s) {
            self.looks.clear();
        }
        self.looks.push_back(Look::after(&self.looks, moment));
        if self.looks.len() > LOOKS {
            self.looks.pop_front();
        }
    }
}

impl Look {
    fn after(looks: &VecDeque<Look>, moment: &Moment) -> Look {
        let recent = |look: &&Look| moment.at_s - look.moment.at_s <= RATES_OVER_S;
        let before = looks.iter().find(recent).or(looks.back()).map_or(moment, |look| &look.moment);
        let over_s = moment.at_s - before.at_s;
        let rate = |now: f64, then: f64| if over_s > 0.0 { (now - then).max(0.0) / over_s } else { 0.0 };
        let failures = rate(moment.failures as f64, before.failures as f64);
        Look {
            tries: rate(moment.accepted as f64, before.accepted as f64) + failures,
            failures,
            cpu_percent: rate(moment.cpu_s, before.cpu_s) * 100.0,
            log: rate(moment.log_bytes as f64, before.log_bytes as f64),
            moment: moment.clone(),
        }
    }
}

/// The lines after these looks.
fn rows(title: &str, looks: &VecDeque<Look>, begun: Option<Phase>, recorded: bool) -> Vec<Row> {
    let Some(Look { moment: now, tries, failures, cpu_percent, log }) = looks.back() else {
        let begun = begun.map(|phase| Row::new("phase", phases::name(phase)));
        return [Row::new("run", title)].into_iter().chain(begun).collect();
    };
    let of = |value: fn(&Look) -> f64| looks.iter().map(value);
    let soft = now.soft.map(|soft| soft as f64);
    let clients = match now.calls {
        0 => format!("{} connected", now.clients),
        calls => format!("{calls} calls made"),
    };
    let queue = match (now.queue, now.queue_capacity) {
        (Some(queue), Some(capacity)) => format!("{queue} of {capacity}"),
        (Some(queue), None) => queue.to_string(),
        (None, _) => "…".to_owned(),
    };
    vec![
        Row::new("run", format!("{title}, {:.1} s", now.at_s)),
        Row::new("phase", phase(now, recorded)),
        Row::new("descriptors", used(now.descriptors, now.soft))
            .with(of(|look| look.moment.descriptors as f64), soft),
        Row::new("clients", clients).with(of(|look| (look.moment.clients + look.moment.calls) as f64), None),
        Row::new("queue", queue)
            .with(of(|look| look.moment.queue.unwrap_or(0).into()), now.queue_capacity.map(f64::from)),
        Row::new("tries", format!("{tries:.0}/s, {failures:.0}/s fail")).with(of(|look| look.tries), None),
        Row::new("CPU", format!("{cpu_percent:.0} % of one CPU"))
            .with(of(|look| look.cpu_percent), Some(cpu_percent.max(100.0))),
        Row::new("log", format!("{}/s", size(*log as u64))).with(of(|look| look.log), None),
    ]
}

/// Descriptors against the limit.
pub fn used(open: u64, soft: Option<u64>) -> String {
    let Some(soft) = soft else { return open.to_string() };
    let left = match soft.saturating_sub(open) {
        0 => "full".to_owned(),
        left => format!("{left} left"),
    };
    format!("{open} of {soft} ({} %), {left}", open * 100 / soft.max(1))
}

/// The phase that goes on, for how long, and how long it may still last.
pub fn phase(now: &Moment, recorded: bool) -> String {
    let Some((phase, since_s)) = now.phase else { return phases::name(Phase::Launch).to_owned() };
    let name = phases::name(phase);
    let for_s = (now.at_s - since_s).max(0.0);
    match now.left_s {
        None => format!("{name} for {for_s:.1} s"),
        Some(left_s) if recorded => format!("{name} for {for_s:.1} s, {left_s:.1} s left"),
        Some(left_s) => format!("{name} for {for_s:.1} s, at most {left_s:.1} s left"),
    }
}

/// The same in one line, where lines cannot stay in place.
pub fn line(now: &Moment, recorded: bool) -> String {
    let queue = now.queue.map_or(String::new(), |queue| format!("; queue {queue}"));
    format!(
        "{:.1} s  {}; descriptors {}; {} clients{queue}; {} accepted, {} failed\n",
        now.at_s,
        phase(now, recorded),
        used(now.descriptors, now.soft),
        now.clients,
        now.accepted,
        now.failures
    )
}

#[cfg(test)]
mod tests {
    use super::super::board::lines;
    use super::*;

    fn looks(moments: impl Iterator<Item = Moment>) -> VecDeque<Look> {
        let mut looks = VecDeque::new();
        for moment in moments {
            looks.push_back(Look::after(&looks, &moment));
        }
        looks
    }

    #[test]
    fn the_view_has_eight_lines_and_rates_are_those_of_the_last_second() {
        let at = |tenths: u32| {
            let at_s = f64::from(tenths) / 10.0;
            let mut moment = Moment::default();
            (moment.at_s, moment.phase) = (at_s, Some((Phase::Saturate, 0.5)));
            (moment.descriptors, moment.soft, moment.clients) = (64, Some(64), 57);
            (moment.queue, moment.queue_capacity, moment.left_s) = (Some(3), Some(129), Some(4.0));
            // 20 failures in each tenth of a second, half a processor.
            (moment.failures, moment.cpu_s) = (u64::from(tenths) * 20, at_s / 2.0);
            moment
        };
        let looks = looks((0..20).map(at));
        let shown = lines(&rows("flood", &looks, None, false), 79);
        let begins = [
            "run          flood, 1.9 s",
            "phase        watched at the wall for 1.4 s, at most 4.0 s left",
            "descriptors  64 of 64 (100 %), full  ",
            "clients      57 connected  ",
            "queue        3 of 129  ",
            "tries        200/s, 200/s fail  ",
            "CPU          50 % of one CPU  ",
            "log          0 kB/s  ",
        ];
        assert_eq!(shown.len(), begins.len());
        for (line, begin) in shown.iter().zip(begins) {
            assert!(line.starts_with(begin), "{line:?} does not begin with {begin:?}");
        }
        assert!(lines(&rows("flood", &looks, None, true), 39).iter().all(|line| line.chars().count() <= 39));
    }
}
