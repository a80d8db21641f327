//! Why a verdict is not *met*: the expectation, what was expected and what was observed, as the values that
//! were compared.

use crate::event::{Call, SeenAs};
use crate::measure::{
    BeforeRamp, BindsEvidence, Delay, Doubt, End, FileNr, FirstFailure, Kind, Leak, NotStarted, Policy,
    PolicyEvidence, SetBy, Verdict, VerdictEvidence, Why,
};
use crate::scenario::formula::{FormulaError, NoCount, Values};
use crate::scenario::{self, Amount, Aspect, Ceiling, ExpectDelay, Kept, Metric, Outcome, Refusal};
use std::collections::BTreeSet;

/// One expectation that was not met or could not be judged.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Reason {
    /// Which.
    pub expectation: Expectation,
    /// The value that the scenario expects.
    pub expected: Expected,
    /// The measured value, or why there is none.
    pub observed: Observed,
}

impl Reason {
    /// Whether it concerns the run as a whole: then nothing can be concluded from it.
    pub fn of_the_run(&self) -> bool {
        self.expectation == Expectation::Run
    }

    /// Why it could not be judged; `None` where it was, and was not met.
    pub const fn not_measured(&self) -> Option<&NotMeasured> {
        match &self.observed {
            Observed::NotMeasured(why) => Some(why),
            _ => None,
        }
    }
}

/// The subject of an expectation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as in scenario files, where they are described")]
#[non_exhaustive]
pub enum Expectation {
    /// The run can be judged at all.
    Run,
    /// The scenario's requirements for the machine.
    Requires,
    NotStarted,
    SoftLimit,
    HardLimit,
    Baseline,
    Ceiling,
    FirstFailure,
    Policy,
    Delay,
    RecoversWithin,
    Recovery,
    ResumesWithin,
    CeilingAfter,
    Leaked,
    /// Outcomes of the workload of this name.
    Outcomes(String),
    FileMaxBinds,
    Disguise,
    OtherListeners,
    /// A number.
    Amount(Metric),
    /// A word.
    Aspect(Aspect),
}

/// The value that the scenario expects.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Expected {
    /// A run that can be judged.
    Judgeable,
    /// A program, a right or a file that this machine has.
    Requirement(String),
    /// It does not start.
    Refusal(Refusal),
    /// A limit, or descriptors at rest.
    Number(u64),
    /// Descriptors more than at rest.
    Leaked(i64),
    /// A ceiling.
    Ceiling(Ceiling),
    /// The first failing call.
    Failure(scenario::FirstFailure),
    /// An accept policy.
    Policy(Policy),
    /// The pauses between tries.
    Delay(ExpectDelay),
    /// At most so many seconds.
    Within(f64),
    /// The state of the server when clients leave.
    Recovery(Verdict),
    /// The outcomes of calls, in their order.
    Outcomes(Vec<Outcome>),
    /// Whether the bound of the whole host binds.
    FileMaxBinds(bool),
    /// As what clients see a failure.
    SeenAs(BTreeSet<SeenAs>),
    /// The outcome of a new client.
    NewClient(Outcome),
    /// The bounds of a number.
    Amount(Amount),
    /// One of these words.
    AnyOf(Vec<String>),
}

/// An observation that explains a value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Because {
    /// The setter of the soft limit.
    SetBy(SetBy),
    /// The call that failed first, under this soft limit.
    Failed {
        /// Which.
        call: Call,
        /// With what.
        errno: &'static str,
        /// The limit in force.
        soft: Option<u64>,
    },
    /// The accept loop's behaviour at the limit.
    Policy(Policy, PolicyEvidence),
    /// The resource that ran out.
    Binds(BindsEvidence),
    /// The state of the server after clients left.
    End(Verdict, VerdictEvidence),
    /// The descriptors that stay open.
    Leaks(Vec<Leak>),
}

/// The finding.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the variants say what the fields are")]
#[non_exhaustive]
pub enum Observed {
    /// It could not be judged.
    NotMeasured(NotMeasured),
    /// Nothing can be concluded from the run.
    Doubt(Doubt),
    /// The requirement is not there, in the words of what looked for it.
    Missing(String),
    /// It started.
    Started,
    /// It did not start.
    NotStarted(NotStarted),
    /// A limit, or descriptors at rest.
    Number { number: u64, because: Option<Because> },
    /// Descriptors more than at rest.
    Leaked { number: i64, because: Option<Because> },
    /// A number of the table of metrics, its bounds under this run's limits or by the recorded value, and the
    /// recorded value.
    Amount {
        value: f64,
        /// The least that it may be.
        least: Option<f64>,
        most: Option<f64>,
        kept: Option<Kept>,
        because: Option<Because>,
    },
    /// A word of the table of aspects; `None`: there is none.
    Word { seen: Option<String>, because: Option<Because> },
    /// So many, where the ceiling is any number; `formula`: the value of the expected formula, if it is one.
    Counted { number: u64, formula: Option<u64>, because: Option<Because> },
    /// It did not stop: so many connections held, or calls answered.
    NotReached { number: Option<u64>, calls: bool, before_ramp: Option<BeforeRamp> },
    /// It stopped for this reason.
    Stopped { number: Option<u64>, kind: Kind, before_ramp: Option<BeforeRamp> },
    /// So many by its descriptor count, as nobody saw its calls.
    HeldByCount(u64),
    /// So many under the limits that were moved, up to the next failure, if any.
    HeldAfter { held: u64, failed: Option<(Call, &'static str)> },
    /// The first failing call.
    Failure(FirstFailure),
    /// No call failed.
    NoFailure,
    /// Its accept policy.
    Policy(Policy, PolicyEvidence),
    /// The pauses between its tries.
    Delay(Delay),
    /// It makes no pauses, with this policy.
    NoPauses(Policy),
    /// After so many seconds.
    After(f64),
    /// No new client was served after all had left.
    NobodyServed,
    /// It did not accept again.
    NotResumed,
    /// The state of the server after clients left.
    Recovery(End),
    /// The outcomes of calls, in their order.
    Outcomes(Vec<Outcome>),
    /// Whether the bound of the whole host binds.
    FileMaxBinds { binds: bool, files: FileNr },
    /// As what clients saw a failure.
    SeenAs(BTreeSet<SeenAs>),
    /// The outcome of a new client at each other listener's port; `None`: the port was not tried.
    OtherListeners(Vec<(u16, Option<Outcome>)>),
}

/// Why an expectation could not be judged.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the variants say what the fields are")]
#[non_exhaustive]
pub enum NotMeasured {
    /// The value that it asks for is unknown.
    Unknown(Why),
    /// The generator ran out before the subject.
    GeneratorFirst,
    /// No limit was moved.
    NothingMoved,
    /// No workload of this name made calls.
    NoCalls(String),
    /// No other listener of its processes was found.
    NoOtherListener,
    /// This other port was not tried, or not to the end.
    PortNotTried(u16),
    /// The pauses were seen longer than expected, and it was given no processor for so long.
    Starved {
        /// The pauses.
        seen: Delay,
        /// Seconds.
        starved_s: f64,
    },
    /// Fewer clients came than the number that is expected.
    TooFewClients { wanted: u64, came: u64 },
    /// No run has this number, or this one has none.
    Absent(Metric),
    /// Nothing is recorded of it, for this scenario file.
    NotRecorded { scenario: String },
    /// The recorded runs differ among themselves by more than the expectation allows, or are too few.
    Noise { metric: Metric, kept: Kept, by_percent: f64 },
    /// The formula cannot be read.
    Formula(FormulaError),
    /// The formula gives no number with these values.
    NoCount { formula: String, why: NoCount, values: Values },
}

impl From<&Why> for NotMeasured {
    fn from(why: &Why) -> Self {
        NotMeasured::Unknown(why.clone())
    }
}
