//! The meaning of the blocks: for each quantity one verdict, by a rule that may be asked after every block.

use super::baseline::{self, Baseline, Kept, Reference};
use super::bound::Bound;
use super::column::{self, Change, Column, Probable, shown};
use super::judged::{Evidence, Judged, evidence, judged};
use super::quantity::{Quantity, Scale};
use super::record::{Block, Ending, Header, Kind, LeftOut, Record, Side, Start, Work};
use super::statistics::{Drift, Interval, bca, bootstrap, drift, holm, jackknife, median};
use std::collections::BTreeSet;

/// Resamples of the bootstrap.
const RESAMPLES: usize = 2000;
/// The level of the interval that describes.
const LEVEL: f64 = 0.95;
/// A drift with a smaller p-value is reported.
const DRIFTS: f64 = 0.01;

/// A comparison, as far as it has come.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// The header: both sides, and the method.
    pub header: Header,
    /// Blocks of both sides.
    pub blocks: usize,
    /// Blocks of the first side twice.
    pub noise_blocks: usize,
    /// Blocks that failed.
    pub left_out: Vec<LeftOut>,
    /// How long all blocks took that did not fail, seconds.
    pub took_s: f64,
    /// One a quantity, in the order of their declaration.
    pub rows: Vec<Row>,
    /// Calls that a start of each side made, answered or not, in the last block.
    pub calls: [u64; 2],
    /// The work of the first block in which the two sides did not do the same.
    pub different_work: Option<[Work; 2]>,
    /// Why it stopped; `None`: it goes on, or was killed.
    pub ending: Option<Ending>,
    /// The verdict on each bound, in their order.
    pub judged: Vec<(Bound, Judged)>,
}

/// One quantity.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Row {
    /// Which.
    pub quantity: Quantity,
    /// Whether the comparison goes on until it is decided.
    pub decides: bool,
    /// The median over the blocks of each side.
    pub medians: [f64; 2],
    /// The verdict.
    pub change: Change,
    /// Ratio of the second side to the first, or their difference: the median over blocks, and its BCa
    /// interval, as description.
    pub estimate: f64,
    /// See [`bca`]; `None`: the blocks are too few, or it is not over.
    pub described: Option<Interval>,
    /// Standard deviation of the logarithm of the ratio between two starts of the same side.
    pub noise: Option<f64>,
    /// Blocks that move with time, where that is no chance.
    pub drift: Option<Drift>,
    /// The recorded value; `None`: this is no recording, or the blocks do not bound it yet.
    pub kept: Option<Kept>,
}

/// The comparison that the records show. `None`: they have no header.
pub fn compare(records: &[Record]) -> Option<Comparison> {
    let header = records.iter().find_map(|record| match record {
        Record::Header(header) => Some((**header).clone()),
        _ => None,
    })?;
    let all: Vec<&Block> = records
        .iter()
        .filter_map(|record| if let Record::Block(block) = record { Some(&**block) } else { None })
        .collect();
    let of = |kind| all.iter().copied().filter(|block| block.kind == kind).collect::<Vec<_>>();
    let (pairs, noise) = (of(Kind::Pair), of(Kind::Noise));
    let measured: BTreeSet<Quantity> = pairs
        .iter()
        .flat_map(|block| &block.starts)
        .flat_map(|start| start.values.keys().chain(start.missing.keys()))
        .copied()
        .collect();
    let (bounds, method) = (&header.bounds, &header.method);
    // A program that calls has no other beside it, so its times are not compared with recorded ones.
    let untimed = header.reference.as_ref().is_some_and(|reference| !reference.beside);
    let decide = |quantity: Quantity| match bounds.is_empty() {
        true if untimed => quantity == Quantity::ConnectionsOpened,
        true => quantity.gates() && !(method.scheduled && quantity == Quantity::CallsPerS),
        false => bounds.iter().any(|bound| bound.quantity == quantity),
    };
    let ending = records.iter().find_map(|record| match record {
        Record::End(ending) => Some(ending.clone()),
        _ => None,
    });
    let column = |quantity| {
        let column = Column::of(quantity, &pairs, &all, decide(quantity));
        match header.reference.as_ref().and_then(|reference| reference.baseline.as_ref()) {
            Some(baseline) => column.since(baseline),
            None => column,
        }
    };
    let told = |quantity: &Quantity| !(untimed && quantity.of_machine());
    let columns: Vec<Column> = measured.into_iter().filter(told).map(column).collect();
    let changes = changes(&columns, &header);
    let rows: Vec<Row> = columns
        .iter()
        .zip(changes)
        .map(|(column, change)| Row {
            kept: recording(&header).and_then(|reference| column.kept(reference.beside)),
            ..row(column, change, &noise, ending.is_some(), header.method.seed)
        })
        .collect();
    let found: Vec<Evidence> = bounds.iter().map(|bound| evidence(bound, &columns)).collect();
    let judged = bounds.iter().copied().zip(judged(&found, method.alpha)).collect();
    Some(Comparison {
        blocks: pairs.len(),
        noise_blocks: noise.len(),
        left_out: records.iter().filter_map(left_out).cloned().collect(),
        took_s: all.iter().map(|block| block.took_s).sum(),
        rows,
        calls: pairs.last().map_or([0; 2], |block| block.starts.each_ref().map(|start| start.work.made())),
        different_work: different_work(&all, header.reference.as_ref()),
        ending,
        judged,
        header,
    })
}

impl Comparison {
    /// Whether further blocks change nothing that decides.
    pub fn decided(&self) -> bool {
        let rows = || self.rows.iter().filter(|row| row.decides);
        let open = self.judged.iter().any(|(_, judged)| *judged == Judged::Open);
        if recording(&self.header).is_some() {
            return rows().next().is_some() && rows().all(|row| self.is_recorded(row));
        }
        match self.judged.is_empty() {
            _ if self.blocks == 0 => false,
            true => rows().next().is_some() && rows().all(|row| row.change.decided()),
            false => !open,
        }
    }

    /// Whether it came to an end that says something: not refused, failed or without a single block.
    pub fn concluded(&self) -> bool {
        let stopped =
            matches!(self.ending, Some(Ending::DifferentWork | Ending::Saturated | Ending::Failed { .. }));
        !stopped && self.blocks > 0
    }

    /// Whether the bounds cannot be said to be kept: the second side failed in some of its starts, which were
    /// left out.
    pub fn failed_at_times(&self) -> bool {
        !self.judged.is_empty() && self.left_out.iter().any(|block| block.side == Some(Side::After))
    }

    /// Whether a recording knows this closely enough to tell a difference as large as the band.
    fn is_recorded(&self, row: &Row) -> bool {
        let width = |kept: Kept| {
            let Interval { low, high, .. } = kept.interval(1.0);
            if low == high { 0.0 } else { (high / low).ln().abs() }
        };
        row.kept.is_some_and(|kept| width(kept) <= (1.0 + self.header.method.band).ln())
    }

    /// The recording, if this is one and all that decides is known.
    pub fn recorded(&self) -> Option<Baseline> {
        let known = self.concluded() && self.rows.iter().all(|row| !row.decides || row.kept.is_some());
        recording(&self.header).filter(|_| known)?;
        let after = &self.header.sides[Side::After.at()];
        Some(Baseline {
            schema: baseline::SCHEMA.into(),
            lastfd_version: self.header.lastfd_version.clone(),
            recorded_at: self.header.started_at.clone(),
            command: after.command.clone(),
            load: after.load.clone(),
            calls: self.calls[Side::After.at()],
            quantities: self.rows.iter().filter_map(|row| Some((row.quantity, row.kept?))).collect(),
        })
    }

    /// The row of a quantity.
    pub fn row(&self, quantity: Quantity) -> Option<&Row> {
        self.rows.iter().find(|row| row.quantity == quantity)
    }
}

fn left_out(record: &Record) -> Option<&LeftOut> {
    if let Record::LeftOut(left_out) = record { Some(left_out) } else { None }
}

/// How a recording is made; `None`: this compares.
fn recording(header: &Header) -> Option<&Reference> {
    header.reference.as_ref().filter(|reference| reference.baseline.is_none())
}

/// The result for one column.
fn row(column: &Column, change: Change, noise: &[&Block], over: bool, seed: u64) -> Row {
    let estimate = median(&column.changes);
    let resamples = || bootstrap(&column.changes, median, RESAMPLES, seed);
    let described = (over && column.changes.len() >= 5 && column.exact().is_none())
        .then(|| bca(estimate, &resamples(), &jackknife(&column.changes, median), LEVEL))
        .flatten();
    let scale = column.quantity.scale();
    let noise: Vec<f64> = noise
        .iter()
        .filter(|_| scale == Scale::Ratio)
        .filter_map(|block| column::change(column.quantity, block))
        .collect();
    // About the zero that two starts of one program differ by.
    let spread =
        |values: &[f64]| (values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64).sqrt();
    Row {
        quantity: column.quantity,
        decides: column.decides,
        medians: [median(&column.sides[0]), median(&column.sides[1])],
        change,
        estimate: shown(scale, estimate),
        described: described.map(|interval| interval.map(|value| shown(scale, value))),
        noise: (!noise.is_empty()).then(|| spread(&noise)),
        kept: None,
        drift: drift(&column.changes).filter(|drift| drift.p < DRIFTS && column.exact().is_none()),
    }
}

/// The verdict on each quantity. The quantities that decide share the probability of a false claim; any other
/// has it alone.
fn changes(columns: &[Column], header: &Header) -> Vec<Change> {
    let (alpha, band) = (header.method.alpha, (1.0 + header.method.band).ln());
    let probable: Vec<Probable> = columns.iter().map(|column| column.probable(band)).collect();
    let deciding: Vec<usize> = (0..columns.len()).filter(|at| columns[*at].decides).collect();
    let claimed = |p: fn(&Probable) -> f64| {
        let together = holm(&deciding.iter().map(|at| p(&probable[*at])).collect::<Vec<_>>(), alpha);
        let of_one = |at: usize| match deciding.iter().position(|deciding| *deciding == at) {
            Some(place) => together[place],
            None => (p(&probable[at]) <= alpha, alpha),
        };
        (0..columns.len()).map(of_one).collect::<Vec<_>>()
    };
    let (differ, same) = (claimed(|p| p.more.min(p.less)), claimed(|p| p.same));
    let verdict = |(at, column): (usize, &Column)| column.verdict(probable[at], differ[at], same[at], band);
    columns.iter().enumerate().map(verdict).collect()
}

/// Two starts whose shares of failed calls differ by more did not do the same work.
const FAILED_APART: f64 = 0.01;

/// Whether two starts did the same work, and as many calls as were recorded: about as many of them answered.
pub fn same_work(starts: &[Start; 2], reference: Option<&Reference>) -> bool {
    let [made, other] = starts.each_ref().map(|start| start.work.made());
    let [failed, also] = starts.each_ref().map(|start| (start.work.made() - start.work.calls) as f64);
    let recorded = reference.and_then(|reference| reference.baseline.as_ref());
    recorded.is_none_or(|baseline| baseline.calls == other)
        && made == other
        && (failed - also).abs() <= FAILED_APART * made as f64
}

/// The work of the first block in which the sides differ.
fn different_work(blocks: &[&Block], reference: Option<&Reference>) -> Option<[Work; 2]> {
    let differs = |block: &&&Block| block.kind != Kind::Noise && !same_work(&block.starts, reference);
    let works = blocks.iter().find(differs)?.starts.each_ref().map(|start| start.work.clone());
    match reference.and_then(|reference| reference.baseline.as_ref()) {
        Some(baseline) => {
            Some([Work { calls: baseline.calls, ..Work::default() }, works[Side::After.at()].clone()])
        }
        None => Some(works),
    }
}
