//! From the text of a scenario to its plans: parse, lay each variant over, read, check what the keys mean
//! together, and fill in every default. Pure: it asks nothing of the machine.

use super::amount::{Amount, Aspect, Bound as AmountBound, Metric, NoAmount, Wanted};
use super::duration::duration;
use super::exchange::{Exchange, READ_TIMEOUT_DEFAULT_S, Step};
use super::expect::{Ceiling, Expect, ExpectDelay, ExpectLimits};
use super::formula::{self, FormulaError, IDENTIFIERS};
use super::keep_alive::{KeepAlive, OnConnection, Version};
use super::launcher::of_table;
use super::launcher_options::{RawContainer, RawSystemd};
use super::model::*;
use super::pace::{NoPace, Pace, bytes_per_second, per_second};
use super::problem::{Problem, by_likeness, nearest, unknown};
use super::raw::{
    CallLoad, File, LauncherName, LauncherTable, Load, RawCeiling, RawClients, RawDatagram, RawDelay,
    RawExchange, RawExpect, RawLauncher, RawMeasured, RawProcess, RawSysctl, RawTls, RawVariant, RawWorkload,
};
use super::schedule::{Arrivals, Schedule};
use super::setting::{PREPARE_WITHIN_DEFAULT_S, Prepare, ReadyWhen, Setting, stays_where_it_is, wrong_name};
use super::{gathered, placeholder, set, shape, sysctl};
use crate::compare::Bound;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, Deserializer};

/// Longest time that saturation is watched when a scenario names none, seconds (contract.md, `--hold`).
const HOLD_DEFAULT_S: f64 = 5.0;
/// Longest time until a process listens when a scenario names none, seconds.
const READY_WITHIN_DEFAULT_S: f64 = 10.0;
/// Time from TERM to KILL when a scenario names none, seconds.
const GRACE_DEFAULT_S: f64 = 2.0;
/// No wait of a run is longer, seconds: a bound on everything.
const WAIT_MAX_S: f64 = 3600.0;

/// The plans of a scenario: as written first, then its variants in their order.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn plans(text: &str, name: &str, directory: &Path) -> Result<Vec<Plan>, Vec<Problem>> {
    let document = DeTable::parse(text).map_err(|error| vec![not_toml(&error, text)])?;
    refused(shape::problems(&document))?;
    let base = read(document.clone(), text)?;
    let mut problems = Vec::new();
    let mut plans = vec![plan(&base, None, name, directory, &mut problems)];
    let own_text = ..first_variant(&document);
    for (raw, set) in base.variant.iter().zip(sets(&document)) {
        let mut wrong = Vec::new();
        match varied(&document, set, text) {
            Ok(file) => plans.push(plan(&file, Some(raw), name, directory, &mut wrong)),
            Err(found) => wrong = found,
        }
        wrong.retain(|problem| !problems.contains(problem));
        problems.extend(wrong.into_iter().map(|problem| match own_text.contains(&problem.at.start) {
            true => problem.in_variant(raw.name.get_ref()),
            false => problem,
        }));
    }
    refused(problems).map(|()| plans)
}

fn refused(problems: Vec<Problem>) -> Result<(), Vec<Problem>> {
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn read(document: Spanned<DeTable<'_>>, text: &str) -> Result<File, Vec<Problem>> {
    let mut document = document;
    gathered::gather(document.get_mut());
    File::deserialize(Deserializer::from(document)).map_err(|error| vec![not_toml(&error, text)])
}

/// The scenario with a variant's `set` laid over it.
fn varied<'i>(
    document: &Spanned<DeTable<'i>>,
    set: Option<&DeTable<'i>>,
    text: &str,
) -> Result<File, Vec<Problem>> {
    let (laid, mut problems) = set::laid(document, set);
    problems.extend(shape::problems(&laid));
    refused(problems)?;
    read(laid, text)
}

/// Where the variants begin in the text, in bytes: what stands before is the scenario's own.
fn first_variant(document: &Spanned<DeTable<'_>>) -> usize {
    document
        .get_ref()
        .keys()
        .find(|key| key.get_ref() == "variant")
        .map_or(usize::MAX, |key| key.span().start)
}

/// A fault that the TOML parser, or serde, found.
fn not_toml(error: &toml::de::Error, text: &str) -> Problem {
    let at = error.span().unwrap_or(0..0);
    Problem::new(at.start.min(text.len())..at.end.min(text.len()), error.message(), "here")
}

/// The `set` of every variant, in their order.
fn sets<'d, 'i>(document: &'d Spanned<DeTable<'i>>) -> impl Iterator<Item = Option<&'d DeTable<'i>>> {
    let variants = document.get_ref().get("variant").and_then(|variants| variants.get_ref().as_array());
    let tables =
        variants.into_iter().flat_map(|variants| variants.iter()).map(|variant| variant.get_ref().as_table());
    tables.map(|variant| variant?.get("set")?.get_ref().as_table())
}

/// One run. Where something is wrong the problem is reported and a stand-in used, so that the rest is checked
/// too.
fn plan(
    file: &File,
    variant: Option<&RawVariant>,
    name: &str,
    directory: &Path,
    problems: &mut Vec<Problem>,
) -> Plan {
    let names: Vec<&str> = file.processes.keys().map(|name| name.get_ref().as_str()).collect();
    let subject = subject(file, &names, problems);
    let mut processes: BTreeMap<String, Process> = file
        .processes
        .iter()
        .map(|(name, raw)| (name.get_ref().clone(), process(name, raw, problems)))
        .collect();
    if let (Some(variant), Some(process)) = (variant, processes.get_mut(&subject)) {
        process.requires.extend(
            variant
                .requires
                .iter()
                .filter(|r| !file.processes[subject.as_str()].requires.contains(r))
                .cloned(),
        );
    }
    let workloads = file
        .workloads
        .iter()
        .map(|(n, raw)| (n.get_ref().clone(), workload(raw, &names, &subject, problems)))
        .collect();
    check_callers(file, &subject, &workloads, problems);
    check_placeholders(file, &names, problems);
    check_called(file, &names, problems);
    for raw in std::iter::once(&file.expect).chain(variant.map(|variant| &variant.expect)) {
        check_outcomes(raw, &workloads, problems);
    }
    if let Some(variant) = variant {
        check_name(variant, file, problems);
    }
    let expected = merged(&file.expect, variant.map(|variant| &variant.expect));
    let own_claim = variant.and_then(|variant| variant.claim.clone());
    let plan = Plan {
        scenario: name.to_owned(),
        variant: variant.map(|variant| variant.name.get_ref().clone()),
        claim: own_claim.unwrap_or_else(|| file.claim.get_ref().clone()),
        tags: tags(file, problems),
        believed: variant.map_or(&file.believed, |variant| &variant.believed).clone(),
        subject,
        processes,
        workloads,
        sysctls: sysctls(&file.sysctls, problems),
        then: file.then.iter().map(|then| then.get_ref().clone()).collect(),
        recovery: file.recovery.as_ref().map(|recovery| *recovery.get_ref()).unwrap_or_default(),
        compare: gate(file, problems),
        alone: file.alone,
        expect: expect(&expected, problems),
        hold_s: seconds(file.hold.as_ref(), HOLD_DEFAULT_S, problems),
        directory: directory.to_owned(),
    };
    check_loaded(file, &plan, problems);
    check_reach(&expected, &plan, problems);
    check_then(file, &plan, problems);
    check_rounds(file, &plan, problems);
    check_datagrams(file, &plan, problems);
    plan
}

/// The tags of a file, each a word that a filter can name without quotes.
fn tags(file: &File, problems: &mut Vec<Problem>) -> Vec<String> {
    let is_word =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
    for tag in file.tags.iter().filter(|tag| !is_word(tag.get_ref())) {
        problems.push(Problem::new(tag.span(), "a tag is one word of letters, digits, `-` and `_`", "here"));
    }
    file.tags.iter().map(|tag| tag.get_ref().clone()).collect()
}

/// What `lastfd compare` does with the file.
fn gate(file: &File, problems: &mut Vec<Problem>) -> Option<Gate> {
    let raw = file.compare.as_ref()?;
    if let Some(wanted) = &raw.variant
        && !file.variant.iter().any(|variant| variant.name.get_ref() == wanted.get_ref())
    {
        let names = file.variant.iter().map(|variant| variant.name.get_ref().as_str());
        let there = by_likeness(wanted.get_ref(), names).join(", ");
        let problem = Problem::new(wanted.span(), "no variant has this name", "here");
        problems.push(problem.help(format!("the variants are: {there}")));
    }
    let bound = |text: &Spanned<String>| {
        let parsed = text.get_ref().parse::<Bound>();
        parsed.map_err(|why| problems.push(Problem::new(text.span(), why, "here"))).ok()
    };
    let require = raw.require.iter().filter_map(bound).collect();
    Some(Gate { variant: raw.variant.as_ref().map(|name| name.get_ref().clone()), require })
}

/// A limit can be moved only so that setrlimit(2) takes it, and is watched at the accept loop.
fn check_then(file: &File, plan: &Plan, problems: &mut Vec<Problem>) {
    for then in &file.then {
        let MovedLimit { soft, hard } = then.get_ref().limit;
        if let Some(hard) = hard.filter(|hard| soft > *hard) {
            problems.push(Problem::new(
                then.span(),
                "the soft limit is moved above the hard limit",
                format!("{soft} > {hard}"),
            ));
        } else if plan.subject_is_client() {
            let problem = Problem::new(
                then.span(),
                "a limit is moved while the subject accepts, and nobody connects to this one",
                "here",
            );
            problems.push(problem.help(format!("a workload with `to = \"{}\"` loads it", plan.subject)));
        }
    }
}

/// Rounds need clients that hold connections to the subject, and others that wait for those.
fn check_rounds(file: &File, plan: &Plan, problems: &mut Vec<Problem>) {
    let leave_apart = |workload: &Workload| {
        workload.calls.is_none() && workload.program.as_ref().is_none_or(|program| program.one == One::Each)
    };
    let holds = plan.workloads.values().any(|workload| workload.to == plan.subject && leave_apart(workload));
    if let Some(recovery) = file.recovery.as_ref().filter(|recovery| recovery.get_ref().rounds > 1 && !holds)
    {
        let message =
            "recovery is sampled with clients that hold connections to the subject, and no workload has such";
        let problem = Problem::new(recovery.span(), message, "here");
        problems.push(
            problem.help(format!("add one of `tcp`, `http-idle`, `websocket`, `grpc` to {:?}", plan.subject)),
        );
    }
}

fn subject(file: &File, names: &[&str], problems: &mut Vec<Problem>) -> String {
    match (&file.subject, names) {
        (Some(subject), _) => {
            if !names.contains(&subject.get_ref().as_str()) {
                problems.push(no_process(subject, "subject", names));
            }
            return subject.get_ref().clone();
        }
        (None, [only]) => return (*only).to_owned(),
        (None, []) => problems.push(
            Problem::new(0..0, "the scenario has no processes", "nothing to start")
                .help("add `[processes.server]` with a `command`"),
        ),
        (None, _) => {
            let problem = Problem::new(
                file.claim.span(),
                "which of the processes is the subject?",
                "`subject` is missing",
            );
            problems.push(problem.help(format!("add `subject = \"…\"` with one of {}", names.join(", "))));
        }
    }
    String::new()
}

/// By their whole names, and with their values as the kernel writes them.
fn sysctls(
    raw: &BTreeMap<Spanned<String>, RawSysctl>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    for (key, value) in raw {
        flatten(key.get_ref(), value, &mut |name, value| {
            problems.extend(sysctl::misnamed(name, key.span()));
            if flat.insert(name.to_owned(), value).is_some() {
                problems.push(Problem::new(key.span(), format!("`{name}` is set twice"), "once is enough"));
            }
        });
    }
    flat
}

/// `net.core.somaxconn = 128` without quotes is a table in a table.
fn flatten(name: &str, value: &RawSysctl, each: &mut impl FnMut(&str, String)) {
    match value {
        RawSysctl::Number(number) => each(name, number.to_string()),
        RawSysctl::Words(text) => each(name, sysctl::words(text)),
        RawSysctl::Below(below) => {
            below.iter().for_each(|(key, value)| flatten(&format!("{name}.{key}"), value, each))
        }
    }
}

fn no_process(word: &Spanned<String>, key: &str, names: &[&str]) -> Problem {
    let message = format!("`{key}` names no process of this scenario: {:?}", word.get_ref());
    unknown(word.span(), message, word.get_ref(), names.iter().copied())
}

/// Whom a bundled server calls must be there, and speak TLS where that is asked for.
fn check_called(file: &File, names: &[&str], problems: &mut Vec<Problem>) {
    for serve in file.processes.values().filter_map(|raw| raw.serve.as_ref()) {
        for (key, called) in serve.get_ref().calls() {
            if !names.contains(&called.as_str()) {
                problems.push(no_process(&Spanned::new(serve.span(), called.clone()), key, names));
            }
        }
        let speaks_no_tls = |named: &str, help: String| {
            let message = format!("{named} does not speak TLS");
            Problem::new(serve.span(), message, "here").help(help)
        };
        match serve.get_ref() {
            Serve::Websocket(options) | Serve::Tcp(options) if options.tls => {
                problems.push(speaks_no_tls("this bundled server", "`http`, `grpc` and `mail` do".into()));
            }
            Serve::Websocket(options) if options.witness => {
                let message = "this bundled server is no witness of its callers";
                let problem = Problem::new(serve.span(), message, "here");
                problems.push(problem.help("`http`, `tcp` and `grpc` are, with `witness`"));
            }
            Serve::Http(options) | Serve::Grpc(options) if options.resumption && !options.tls => {
                let problem = Problem::new(serve.span(), "`resumption` is of TLS", "here");
                problems.push(problem.help("add `tls = true`"));
            }
            Serve::Http(options) if options.opens_ms.is_some() && options.opens.is_none() => {
                let problem = Problem::new(serve.span(), "`opens-ms` is of a file that is opened", "here");
                problems.push(problem.help("add `opens`"));
            }
            Serve::Http(options) if options.stall_at.is_some() && options.stall_ms.is_none() => {
                let problem = Problem::new(serve.span(), "`stall-at` is of a stall", "here");
                problems.push(problem.help("add `stall-ms`"));
            }
            Serve::Websocket(options) | Serve::Tcp(options) | Serve::Grpc(options) | Serve::Mail(options)
                if options.stall_ms.or(options.stall_at).is_some() =>
            {
                let problem = Problem::new(serve.span(), "this bundled server does not stall", "here");
                problems.push(problem.help("`http` does, with `stall-ms`"));
            }
            Serve::Http(options) | Serve::Tcp(options) | Serve::Grpc(options)
                if options.witness && options.workers.is_some_and(|workers| workers > 0) =>
            {
                let message = "several workers cannot count their callers together";
                problems.push(Problem::new(serve.span(), message, "here").help("leave out `workers`"));
            }
            Serve::Websocket(options) | Serve::Tcp(options) | Serve::Grpc(options) | Serve::Mail(options)
                if options.opens.is_some() =>
            {
                let problem =
                    Problem::new(serve.span(), "this bundled server opens no file for a request", "here");
                problems.push(problem.help("`http` does, with `opens`"));
            }
            Serve::Relay(options) if options.api.is_none() && options.backend.is_none() => {
                let problem =
                    Problem::new(serve.span(), "the relay has nobody to call", "neither `api` nor `backend`");
                problems.push(problem.help("name a process of the scenario"));
            }
            Serve::Relay(RelayOptions { backend: Some(name), .. }) => {
                let backend = file.processes.iter().find(|(process, _)| process.get_ref() == name);
                let bundled = backend.and_then(|(_, raw)| Some(raw.serve.as_ref()?.get_ref()));
                if bundled.is_some_and(|serve| !matches!(serve, Serve::Grpc(options) if options.tls)) {
                    let help = format!("`processes.{name}.serve.grpc = {{ tls = true }}`");
                    problems.push(speaks_no_tls(&format!("the backend `{name}`"), help));
                }
            }
            _ => {}
        }
    }
}

/// `{NAME.port}` must name a process, and what is nearly a placeholder is a slip.
fn check_placeholders(file: &File, names: &[&str], problems: &mut Vec<Problem>) {
    let commands = file.processes.values().filter_map(|raw| raw.command.as_ref());
    let env = file.processes.values().flat_map(|raw| raw.env.values());
    let prepare = file.processes.values().filter_map(|raw| raw.prepare.as_ref()).flat_map(Spanned::get_ref);
    let folders = file.processes.values().filter_map(|raw| raw.directory.as_ref());
    for word in commands.flat_map(|command| command.get_ref()).chain(env).chain(prepare).chain(folders) {
        let placeholders = word
            .get_ref()
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split_once('}'))
            .map(|(inside, _)| inside);
        for name in placeholders
            .filter_map(|inside| inside.strip_suffix(".port").or(inside.strip_suffix(".tls-port")))
        {
            if !names.contains(&name) {
                problems.push(unknown(
                    word.span(),
                    format!("no process of this scenario is called {name:?}"),
                    name,
                    names.iter().copied(),
                ));
            }
        }
        check_slips(word, names, &[], problems);
    }
}

/// What is nearly a placeholder, one that stands here or one of those `beside`, is a slip.
fn check_slips(word: &Spanned<String>, names: &[&str], beside: &[&'static str], problems: &mut Vec<Problem>) {
    for slip in placeholder::unknown(word.get_ref(), names, beside) {
        if let Some(near) = slip.near {
            let at = within(word.span(), word.get_ref(), slip.at);
            let message = format!("`{}` is not a placeholder", slip.written);
            problems
                .push(Problem::new(at, message, format!("did you mean `{near}`?")).help(placeholder::help()));
        }
    }
}

/// A process is loaded by UDP or by connections: its ceiling is in one of them. What is watched at an accept
/// loop is not asked of UDP.
fn check_datagrams(file: &File, plan: &Plan, problems: &mut Vec<Problem>) {
    let of = |name: &Spanned<String>| &plan.workloads[name.get_ref()];
    let datagrams = |name: &&Spanned<String>| of(name).kind == Some(Dialogue::Datagram);
    for name in file.workloads.keys().filter(datagrams) {
        let nothing = match &file.workloads[name] {
            RawWorkload::Datagram(raw) => raw.send.is_none() && raw.send_hex.is_none(),
            _ => false,
        };
        if nothing {
            let problem =
                Problem::new(name.span(), "a `datagram` has something to send", "add `send` or `send-hex`");
            problems.push(problem);
        }
        if !plan.serves_datagrams(&of(name).to) {
            let message = format!("`{}` is loaded by datagrams and by connections", of(name).to);
            let problem = Problem::new(name.span(), message, "these are the datagrams");
            problems.push(problem.help("make a scenario of each"));
        }
    }
    if plan.serves_datagrams(&plan.subject) {
        let rounds = file.recovery.as_ref().filter(|recovery| recovery.get_ref().rounds > 1);
        let spans = file.then.iter().map(Spanned::span).chain(rounds.map(Spanned::span));
        let message = "this is watched at an accept loop, and a server that is loaded by UDP has none";
        problems.extend(spans.map(|span| Problem::new(span, message, "leave it out")));
    }
}

/// A subject that nothing loads, and that is not known to call anybody, comes to no ceiling.
fn check_loaded(file: &File, plan: &Plan, problems: &mut Vec<Problem>) {
    let key = file.processes.keys().find(|name| *name.get_ref() == plan.subject);
    let (Some(key), None) = (key, &plan.expect.not_started) else { return };
    // A workload to nobody is told already.
    let loads_somebody = |workload: &Workload| plan.processes.contains_key(&workload.to);
    if !plan.workloads.values().all(loads_somebody) {
        return;
    }
    if plan.subject_is_client() && !plan.subject_may_call() {
        let problem = Problem::new(
            key.span(),
            format!("nothing loads the subject `{}`", plan.subject),
            "no workload connects to it",
        );
        problems.push(problem.help(format!(
            "add `[workloads.flood]` with `http-idle = {{ to = \"{0}\" }}`, or `tcp`, `websocket`, `grpc`; behind another process, name its \
             port there (`{{{0}.port}}`); a subject that is a client has `call`, waits for a signal (`begin`), or names the port of another \
             process (`{{NAME.port}}`)",
            plan.subject
        )));
    }
}

/// Fewer clients than a ceiling cannot reach it: neither all holders together, nor the calls of a subject
/// that calls.
fn check_reach(raw: &RawExpect, plan: &Plan, problems: &mut Vec<Problem>) {
    let Some((most, what)) = plan.most_clients() else { return };
    let baseline = plan.expect.baseline;
    // Limits that a launcher, or the program itself, may change are known only where the scenario expects
    // them.
    let ExpectLimits { soft, hard } = plan.expect.limits;
    if soft.zip(hard).is_some_and(|(soft, hard)| soft > hard) {
        return;
    }
    let wanted = |ceiling: &Option<Ceiling>, then: bool| match ceiling.as_ref()? {
        Ceiling::Exactly(count) | Ceiling::Range(count, _) => Some(*count),
        Ceiling::Formula(text) if !then => formula::parse(text).ok()?.count_with([soft, hard, baseline]),
        Ceiling::Formula(_) | Ceiling::NotReached => None,
    };
    let ceilings = [
        (&raw.ceiling, wanted(&plan.expect.ceiling, false)),
        (&raw.ceiling_after, wanted(&plan.expect.ceiling_after, true)),
    ];
    let ceilings = ceilings.map(|(written, count)| (written.as_ref().map(Spanned::span), count));
    let amounts = plan.expect.amounts.iter().filter(|(metric, _)| metric.needs_clients());
    let amounts = amounts.map(|(metric, amount)| {
        let written = raw.measured.iter().find(|(name, _)| name.get_ref() == metric.name());
        let least = match &amount.wanted {
            Wanted::Between { least: Some(AmountBound::Number(least)), .. } => Some(*least as u64),
            Wanted::Between { least: Some(AmountBound::Formula(text)), .. } => {
                formula::parse(text).ok().and_then(|formula| formula.count_with([soft, hard, baseline]))
            }
            _ => None,
        };
        (written.map(|(_, value)| value.span()), least)
    });
    for (written, count) in ceilings.into_iter().chain(amounts) {
        let (Some(at), Some(count)) = (written, count.filter(|count| *count > most)) else { continue };
        let message = format!("{most} {what} cannot reach {count}");
        let problem = Problem::new(at, message, format!("more than all {most} {what}"));
        let key = if what == "calls" { "calls" } else { "clients" };
        problems.push(
            problem.help(format!("raise `{key}` above {count}, or leave it out: then there are enough")),
        );
    }
}

/// A part of a string's text, in the file: where that is a plain one-line string, and else all of it.
fn within(span: Range<usize>, text: &str, part: Range<usize>) -> Range<usize> {
    match span.len() == text.len() + 2 {
        true => span.start + 1 + part.start..span.start + 1 + part.end,
        false => span,
    }
}

/// A caller's workload must be one of calls, and to somebody else.
fn check_callers(
    file: &File,
    subject: &str,
    workloads: &BTreeMap<String, Workload>,
    problems: &mut Vec<Problem>,
) {
    for (name, call) in
        file.processes.iter().filter_map(|(name, raw)| Some((name.get_ref(), raw.call.as_ref()?)))
    {
        match workloads.get(call.get_ref()) {
            None => {
                let message = format!("`call` names no workload of this scenario: {:?}", call.get_ref());
                problems.push(unknown(
                    call.span(),
                    message,
                    call.get_ref(),
                    workloads.keys().map(String::as_str),
                ));
            }
            Some(workload) if workload.calls.is_none() => {
                let problem = Problem::new(
                    call.span(),
                    format!("the clients of `{}` hold connections", call.get_ref()),
                    "not calls",
                );
                problems.push(problem.help(
                    "a caller needs one of `http-leak-body`, `grpc-per-call`, `http-per-call`, `caller`",
                ));
            }
            Some(_) if subject != name => {
                let problem = Problem::new(
                    call.span(),
                    format!("`{name}` calls, and is not the subject"),
                    "only the subject can be the caller",
                );
                problems.push(problem.help(format!(
                    "add `subject = \"{name}\"`, or leave the process out: a workload has a driver of its own"
                )));
            }
            Some(workload) if workload.to == *name => {
                problems.push(Problem::new(
                    call.span(),
                    format!("`{name}` would call itself"),
                    "needs a `to`",
                ));
            }
            Some(_) => {}
        }
    }
}

/// Outcomes are those of workloads of calls.
fn check_outcomes(raw: &RawExpect, workloads: &BTreeMap<String, Workload>, problems: &mut Vec<Problem>) {
    let calling =
        || workloads.iter().filter(|(_, workload)| workload.calls.is_some()).map(|(name, _)| name.as_str());
    for name in
        raw.outcomes.keys().filter(|name| !calling().any(|calling| calling == name.get_ref().as_str()))
    {
        let message = format!("`outcomes` names no workload of calls: {:?}", name.get_ref());
        problems.push(unknown(name.span(), message, name.get_ref(), calling()));
    }
}

fn check_name(variant: &RawVariant, file: &File, problems: &mut Vec<Problem>) {
    let name = &variant.name;
    if name.get_ref().trim().is_empty() {
        problems.push(Problem::new(name.span(), "a variant needs a name", "empty"));
    }
    // The first of two keeps its name, the others are told.
    if file
        .variant
        .iter()
        .any(|other| other.name.get_ref() == name.get_ref() && other.name.span().start < name.span().start)
    {
        let problem = Problem::new(
            name.span(),
            format!("two variants are called {:?}", name.get_ref()),
            "already taken",
        );
        problems.push(problem.help("`--variant` and the report tell variants apart by name"));
    }
}

fn process(name: &Spanned<String>, raw: &RawProcess, problems: &mut Vec<Problem>) -> Process {
    let nameless = name.get_ref().is_empty()
        || name.get_ref().contains(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'));
    if nameless {
        let problem = Problem::new(
            name.span(),
            format!("{:?} cannot be the name of a process", name.get_ref()),
            "letters, digits, - and _",
        );
        problems.push(problem.help("the paths of `set` are split at dots"));
    }
    let limits = *raw.limits.get_ref();
    if limits.soft > limits.hard {
        let message = format!("the soft limit of `{}` is above its hard limit", name.get_ref());
        let problem = Problem::new(raw.limits.span(), message, format!("{} > {}", limits.soft, limits.hard));
        problems.push(problem.help("setrlimit(2) refuses that: lower `soft` or raise `hard`"));
    }
    Process {
        program: program(name, raw, problems),
        launcher: raw.launcher.as_ref().map_or(Launcher::Exec, |raw| launcher(raw, problems)),
        limits,
        requires: raw.requires.clone(),
        port: raw.port,
        env: raw.env.iter().map(|(key, value)| (key.clone(), value.get_ref().clone())).collect(),
        ready_within_s: seconds(raw.ready_within.as_ref(), READY_WITHIN_DEFAULT_S, problems),
        grace_s: seconds(raw.grace.as_ref(), GRACE_DEFAULT_S, problems),
        begin: raw.begin.clone(),
        rlimits: raw.rlimits,
        setting: setting(raw, problems),
    }
}

/// What surrounds a process.
fn setting(raw: &RawProcess, problems: &mut Vec<Problem>) -> Setting {
    let session = raw.launcher.as_ref().is_some_and(|launcher| {
        matches!(
            launcher.get_ref(),
            RawLauncher::Name(LauncherName::Runuser | LauncherName::Su)
                | RawLauncher::Table(LauncherTable::Runuser(_) | LauncherTable::Su(_))
        )
    });
    if let (Some(_), Some(launcher), true) = (&raw.user, &raw.launcher, session) {
        let problem = Problem::new(launcher.span(), "this launcher has a `user` of its own", "here");
        problems.push(problem.help("leave out the `user` of the process"));
    }
    for name in raw.files.keys() {
        if let Some(wrong) = wrong_name(name.get_ref()) {
            problems.push(Problem::new(name.span(), wrong, "here"));
        }
    }
    if let Some(directory) =
        raw.directory.as_ref().filter(|directory| !stays_where_it_is(directory.get_ref()))
    {
        problems.push(Problem::new(
            directory.span(),
            "this is no folder inside `{scratch}`",
            "leads out of it",
        ));
    }
    if let Some(prepare) = raw.prepare.as_ref().filter(|prepare| prepare.get_ref().is_empty()) {
        problems.push(Problem::new(prepare.span(), "the command is empty", "name a program"));
    }
    if let (Some(within), None) = (&raw.prepare_within, &raw.prepare) {
        problems.push(Problem::new(within.span(), "there is no `prepare` that could take so long", "here"));
    }
    match raw.ready.as_ref().map(|ready| (ready, ready.get_ref())) {
        Some((written, ReadyWhen::Log(pattern))) => {
            if let Err(fault) = regex::Regex::new(pattern) {
                problems.push(Problem::new(written.span(), fault.to_string(), "here"));
            }
        }
        Some((written, ReadyWhen::Command(words))) if words.is_empty() => {
            problems.push(Problem::new(written.span(), "the command is empty", "name a program"));
        }
        _ => {}
    }
    let within_s = seconds(raw.prepare_within.as_ref(), PREPARE_WITHIN_DEFAULT_S, problems);
    let words =
        |words: &Spanned<Vec<Spanned<String>>>| words.get_ref().iter().map(|w| w.get_ref().clone()).collect();
    let files = raw.files.iter().map(|(name, from)| (name.get_ref().clone(), from.get_ref().clone()));
    Setting {
        directory: raw.directory.as_ref().map(|directory| directory.get_ref().clone()),
        user: raw.user.clone(),
        stdin: raw.stdin.as_ref().map(|stdin| stdin.get_ref().clone()),
        files: files.collect(),
        prepare: raw.prepare.as_ref().map(|prepare| Prepare { run: words(prepare), within_s }),
        ready: raw.ready.as_ref().map(|ready| ready.get_ref().clone()),
    }
}

fn program(name: &Spanned<String>, raw: &RawProcess, problems: &mut Vec<Problem>) -> Program {
    match (&raw.command, &raw.serve, &raw.call) {
        (Some(command), None, None) => {
            match command.get_ref().first() {
                None => problems.push(Problem::new(command.span(), "the command is empty", "name a program")),
                Some(first) if first.get_ref().is_empty() => {
                    problems.push(Problem::new(first.span(), "the command names no program", "empty"));
                }
                Some(_) => {}
            }
            return Program::Command(command.get_ref().iter().map(|word| word.get_ref().clone()).collect());
        }
        (None, Some(serve), None) => return Program::Serve(serve.get_ref().clone()),
        (None, None, Some(call)) => return Program::Call(call.get_ref().clone()),
        (None, None, None) => {
            let message = format!("`{}` has nothing to run", name.get_ref());
            let help = "add `command = [\"…\"]`, or a bundled server: `serve.http = {}`";
            problems.push(Problem::new(name.span(), message, "neither `command` nor `serve`").help(help));
        }
        (_, Some(_), Some(_)) | (Some(_), _, _) => {
            let spans = [
                raw.command.as_ref().map(Spanned::span),
                raw.serve.as_ref().map(Spanned::span),
                raw.call.as_ref().map(Spanned::span),
            ];
            let names =
                ["`command`", "`serve`", "`call`"].into_iter().zip(&spans).filter(|(_, span)| span.is_some());
            let names: Vec<_> = names.map(|(name, _)| name).collect();
            let message = format!("`{}` has both {}", name.get_ref(), names.join(" and "));
            let last = spans.into_iter().flatten().next_back().expect("two of them");
            problems.push(Problem::new(last, message, "which of them is to run?"));
        }
    }
    Program::Command(Vec::new())
}

fn launcher(raw: &Spanned<RawLauncher>, problems: &mut Vec<Problem>) -> Launcher {
    let table = match raw.get_ref() {
        RawLauncher::Name(LauncherName::Exec) => return Launcher::Exec,
        RawLauncher::Name(LauncherName::NohupLike) => return Launcher::NohupLike,
        RawLauncher::Name(LauncherName::Nohup) => return Launcher::Nohup,
        RawLauncher::Name(LauncherName::SupervisorLike) => {
            &LauncherTable::SupervisorLike(Supervisor::default())
        }
        RawLauncher::Name(LauncherName::Supervisord) => &LauncherTable::Supervisord(Supervisor::default()),
        RawLauncher::Name(LauncherName::Shell) => &LauncherTable::Shell(Shell::default()),
        RawLauncher::Name(LauncherName::Runuser) => &LauncherTable::Runuser(Session::default()),
        RawLauncher::Name(LauncherName::Su) => &LauncherTable::Su(Session::default()),
        RawLauncher::Name(LauncherName::SystemdLike) => &LauncherTable::SystemdLike(RawSystemd::default()),
        RawLauncher::Name(LauncherName::ContainerLike) => {
            &LauncherTable::ContainerLike(RawContainer::default())
        }
        RawLauncher::Table(table) => table,
    };
    of_table(table, raw.span(), problems)
}

fn workload(raw: &RawWorkload, names: &[&str], subject: &str, problems: &mut Vec<Problem>) -> Workload {
    let (kind, load): (Dialogue, &Load) = match raw {
        RawWorkload::Tcp(load) => (Dialogue::Tcp, load),
        RawWorkload::HttpIdle(load) => (Dialogue::HttpIdle, load),
        RawWorkload::Websocket(load) => (Dialogue::Websocket, load),
        RawWorkload::Grpc(load) => (Dialogue::Grpc, load),
        RawWorkload::Exchange(raw) => return exchanged(raw, names, subject, problems),
        RawWorkload::Datagram(raw) => return datagrams(raw, names, subject, problems),
        RawWorkload::Command(raw) => return programmed(raw, names, subject, problems),
        RawWorkload::HttpLeakBody(load) => {
            return calls(Caller::HttpLeakBody, load, names, subject, problems);
        }
        RawWorkload::GrpcPerCall(load) => return calls(Caller::GrpcPerCall, load, names, subject, problems),
        RawWorkload::HttpPerCall(load) => return calls(Caller::HttpPerCall, load, names, subject, problems),
        RawWorkload::Caller(load) => return calls(Caller::Caller, load, names, subject, problems),
    };
    Workload {
        kind: Some(kind),
        to: target(load.to.as_ref(), names, subject, problems),
        clients: load.clients,
        port: load.port,
        unix: unix((load.unix.as_ref(), load.port), names, problems),
        path: path(load.path.as_ref(), problems),
        pace: pace(load, problems),
        exchange: None,
        keep_alive: keep_alive(kind, load, problems),
        tls: load.tls.as_ref().and_then(RawTls::tls),
        calls: None,
        program: None,
    }
}

/// What clients of `http-idle` ask.
fn keep_alive(kind: Dialogue, load: &Load, problems: &mut Vec<Problem>) -> KeepAlive {
    let version = load.version.as_ref().map_or_else(Version::default, |version| *version.get_ref());
    let keys = [
        ("version", load.version.as_ref().map(Spanned::span)),
        ("requests", load.requests.as_ref().map(Spanned::span)),
        ("streams", load.streams.as_ref().map(Spanned::span)),
        ("every", load.every.as_ref().map(Spanned::span)),
    ];
    for (key, at) in keys.into_iter().filter_map(|(key, at)| Some((key, at?))) {
        if kind != Dialogue::HttpIdle {
            problems.push(Problem::new(at, format!("`{key}` is of `http-idle`"), "leave it out"));
        } else if key == "streams" && version.is_1() {
            let problem = Problem::new(at, "`streams` is of HTTP/2", "here");
            problems.push(problem.help("add `version = \"2\"`"));
        }
    }
    if let Some(every) = load.every.as_ref().filter(|every| duration(every.get_ref()) == Some(0.0)) {
        problems.push(Problem::new(every.span(), "no request is made every 0 s", "leave it out"));
    }
    KeepAlive {
        on: OnConnection {
            version,
            requests: load.requests.as_ref().map(|requests| *requests.get_ref()),
            streams: load.streams.as_ref().map(|streams| *streams.get_ref()),
        },
        every_s: load.every.as_ref().map(|every| seconds(Some(every), 1.0, problems)),
    }
}

/// A dialogue in steps. An error points at the step that is wrong.
fn exchanged(raw: &RawExchange, names: &[&str], subject: &str, problems: &mut Vec<Problem>) -> Workload {
    let steps = raw.steps.get_ref();
    let exchange = Exchange {
        every_s: raw.every.as_ref().map(|every| seconds(Some(every), 1.0, problems)),
        reject: raw.reject.as_ref().map(|reject| reject.get_ref().clone()),
        read_timeout_s: seconds(raw.read_timeout.as_ref(), READ_TIMEOUT_DEFAULT_S, problems),
        ..Exchange::of(steps.iter().map(|step| step.get_ref().clone()).collect())
    };
    if let Err(fault) = exchange.compile() {
        let of_pattern = raw.reject.as_ref().filter(|_| fault.of_reject);
        let span = match (fault.step, of_pattern) {
            (Some(step), _) => steps[step].span(),
            (None, Some(reject)) => reject.span(),
            (None, None) => raw.steps.span(),
        };
        problems.push(Problem::new(span, fault.to_string(), "here"));
    }
    if raw.tls.as_ref().and_then(RawTls::tls).is_some()
        && let Some(step) = steps.iter().find(|step| *step.get_ref() == Step::StartTls)
    {
        problems.push(Problem::new(step.span(), "with `tls` the connection speaks TLS already", "here"));
    }
    Workload {
        kind: Some(Dialogue::Exchange),
        to: target(raw.to.as_ref(), names, subject, problems),
        clients: raw.clients,
        port: raw.port,
        unix: unix((raw.unix.as_ref(), raw.port), names, problems),
        path: "/".into(),
        pace: paced(raw.pace.as_ref(), false, problems),
        exchange: Some(exchange),
        keep_alive: KeepAlive::default(),
        tls: raw.tls.as_ref().and_then(RawTls::tls),
        calls: None,
        program: None,
    }
}

/// Clients that are programs.
fn programmed(raw: &RawClients, names: &[&str], subject: &str, problems: &mut Vec<Problem>) -> Workload {
    let words = raw.run.get_ref();
    if words.first().is_none_or(|word| word.get_ref().is_empty()) {
        problems.push(Problem::new(raw.run.span(), "the clients' command names no program", "here"));
    }
    for word in words.iter().chain(raw.env.values()) {
        check_slips(word, names, &placeholder::OF_CLIENT, problems);
    }
    let program = ClientProgram {
        run: words.iter().map(|word| word.get_ref().clone()).collect(),
        env: raw.env.iter().map(|(key, value)| (key.clone(), value.get_ref().clone())).collect(),
        one: raw.one,
        served: raw.served.as_ref().map(|pattern| pattern.get_ref().clone()),
        error_status: None,
    };
    let by_name = ClientProgram::error_status_of(&program.run);
    let program = ClientProgram { error_status: raw.error_status.or(by_name), ..program };
    if let (Some(written), Err(fault)) = (&raw.served, program.pattern()) {
        problems.push(Problem::new(written.span(), fault.to_string(), "here"));
    }
    if let Some(written) = raw.served.as_ref().filter(|_| raw.one == One::All) {
        let message = "one program is all clients: a line of its output says nothing of any of them";
        problems.push(Problem::new(written.span(), message, "leave it out"));
    }
    Workload {
        kind: None,
        to: target(raw.to.as_ref(), names, subject, problems),
        clients: raw.clients,
        port: raw.port,
        unix: None,
        path: "/".into(),
        pace: paced(raw.pace.as_ref(), false, problems),
        exchange: None,
        keep_alive: KeepAlive::default(),
        tls: None,
        calls: None,
        program: Some(program),
    }
}

/// A datagram and its answer. An error points at the key that is wrong.
fn datagrams(raw: &RawDatagram, names: &[&str], subject: &str, problems: &mut Vec<Problem>) -> Workload {
    let sends = match (&raw.send, &raw.send_hex) {
        (Some(text), None) => Some((Step::Send(text.get_ref().clone()), text.span())),
        (None, Some(hex)) => Some((Step::SendHex(hex.get_ref().clone()), hex.span())),
        (Some(_), Some(hex)) => {
            problems.push(Problem::new(hex.span(), "a client sends `send` or `send-hex`", "leave out one"));
            None
        }
        // That it sends nothing is told with its name.
        (None, None) => Some((Step::Send(String::new()), 0..0)),
    };
    let exchange = sends.map(|(step, span)| {
        let expect = raw.expect.as_ref().map(|expect| expect.get_ref().as_str());
        let exchange = Exchange {
            every_s: raw.every.as_ref().map(|every| seconds(Some(every), 1.0, problems)),
            ..Exchange::datagram(step, expect)
        };
        if let Err(fault) = exchange.compile() {
            let other = raw.expect.as_ref().or(raw.every.as_ref()).map(Spanned::span);
            let at = if fault.step == Some(1) { None } else { other }.unwrap_or(span);
            problems.push(Problem::new(at, fault.to_string(), "here"));
        }
        exchange
    });
    Workload {
        kind: Some(Dialogue::Datagram),
        to: target(raw.to.as_ref(), names, subject, problems),
        clients: raw.clients,
        port: raw.port,
        unix: None,
        path: "/".into(),
        pace: paced(raw.pace.as_ref(), false, problems),
        exchange,
        keep_alive: KeepAlive::default(),
        program: None,
        tls: None,
        calls: None,
    }
}

fn target(
    to: Option<&Spanned<String>>,
    names: &[&str],
    subject: &str,
    problems: &mut Vec<Problem>,
) -> String {
    if let Some(to) = to.filter(|to| !names.contains(&to.get_ref().as_str())) {
        problems.push(no_process(to, "to", names));
    }
    to.map_or(subject, |to| to.get_ref()).to_owned()
}

fn unix(
    (unix, port): (Option<&Spanned<String>>, Option<u16>),
    names: &[&str],
    problems: &mut Vec<Problem>,
) -> Option<String> {
    let unix = unix?;
    check_slips(unix, names, &[], problems);
    if port.is_some() {
        problems.push(Problem::new(
            unix.span(),
            "a client connects to a port or to a Unix socket",
            "leave out one",
        ));
    }
    if matches!(unix.get_ref().as_str(), "" | "@") {
        problems.push(Problem::new(unix.span(), "a Unix socket has a path, or a name after `@`", "is empty"));
    }
    Some(unix.get_ref().clone())
}

fn path(path: Option<&Spanned<String>>, problems: &mut Vec<Problem>) -> String {
    if let Some(path) = path.filter(|path| !path.get_ref().starts_with('/')) {
        problems.push(Problem::new(path.span(), "a request path begins with `/`", "does not"));
    }
    path.map_or("/", |path| path.get_ref()).to_owned()
}

fn pace(load: &Load, problems: &mut Vec<Problem>) -> Pace {
    paced(load.pace.as_ref(), load.burst, problems)
}

fn paced(pace: Option<&Spanned<String>>, burst: bool, problems: &mut Vec<Problem>) -> Pace {
    let named = match pace {
        Some(text) => text.get_ref().parse().unwrap_or_else(|error: NoPace| {
            problems.push(Problem::new(text.span(), error.to_string(), "here"));
            Pace::Auto
        }),
        None => return if burst { Pace::Burst } else { Pace::Auto },
    };
    if let Some(text) = pace.filter(|_| burst && named != Pace::Burst) {
        problems.push(Problem::new(
            text.span(),
            "`burst` is another name of `pace = \"burst\"`",
            "another pace",
        ));
    }
    named
}

fn calls(
    caller: Caller,
    load: &CallLoad,
    names: &[&str],
    subject: &str,
    problems: &mut Vec<Problem>,
) -> Workload {
    let tls = load.tls.as_ref().and_then(RawTls::tls);
    let calls = Calls {
        caller,
        concurrency: load.concurrency.unwrap_or(if load.rate.is_some() { UNDER_WAY_DEFAULT } else { 1 }),
        every_s: seconds(load.every.as_ref(), 0.0, problems),
        tls: tls.is_some() || caller == Caller::GrpcPerCall,
        tls_or_not: false,
        resumption: tls.as_ref().is_some_and(|tls| tls.resumption),
        ca: tls.and_then(|tls| tls.ca),
        certificate: load.certificate,
        channel: load.channel,
        after_call: load.after_call,
        body: load.body,
        upload_bytes: load.upload_bytes,
        request: request(caller, load, problems),
        schedule: schedule(caller, load, problems),
        duration_s: load.duration.as_ref().map(|text| calls_for(text, problems)),
        connect_timeout_s: seconds(load.connect_timeout.as_ref(), CALL_TIMEOUT_DEFAULT_S, problems),
        read_timeout_s: seconds(load.read_timeout.as_ref(), CALL_TIMEOUT_DEFAULT_S, problems),
        answer_timeout_s: seconds(load.answer_timeout.as_ref(), ANSWER_TIMEOUT_DEFAULT_S, problems),
    };
    Workload {
        kind: None,
        to: target(load.to.as_ref(), names, subject, problems),
        clients: load.calls,
        port: load.port,
        unix: unix((load.unix.as_ref(), load.port), names, problems),
        path: path(load.path.as_ref(), problems),
        pace: Pace::Auto,
        exchange: None,
        keep_alive: KeepAlive::default(),
        tls: None,
        calls: Some(calls),
        program: None,
    }
}

/// When calls at a rate are made.
fn schedule(caller: Caller, load: &CallLoad, problems: &mut Vec<Problem>) -> Option<Schedule> {
    let mut complain = |at: Range<usize>, message: &str, label: &str| {
        problems.push(Problem::new(at, message, label));
    };
    let Some(rate) = &load.rate else {
        let (arrivals, seed) =
            (load.arrivals.as_ref().map(Spanned::span), load.seed.as_ref().map(Spanned::span));
        if let Some(at) = arrivals.or(seed) {
            complain(at, "`arrivals` and `seed` are of a `rate`", "add `rate = \"200/s\"`");
        }
        return None;
    };
    if caller == Caller::Caller {
        complain(rate.span(), "a `caller` makes one call after the other", "`http-per-call` has a rate");
    }
    if let Some(every) = &load.every {
        complain(every.span(), "`rate` says when calls are made", "leave out `every`");
    }
    let arrivals = load.arrivals.as_ref().map_or_else(Arrivals::default, |arrivals| *arrivals.get_ref());
    if let Some(seed) = load.seed.as_ref().filter(|_| arrivals == Arrivals::Constant) {
        complain(seed.span(), "nothing is drawn at constant intervals", "of `arrivals = \"poisson\"`");
    }
    let Some(per_s) = per_second(rate.get_ref()) else {
        let message = format!("{:?} is not a rate", rate.get_ref());
        complain(rate.span(), &message, "calls a second, from \"0.1/s\" to \"1000000/s\"");
        return None;
    };
    Some(Schedule::new(per_s, arrivals, load.seed.as_ref().map(|seed| *seed.get_ref())))
}

/// For how long calls are made, seconds.
fn calls_for(text: &Spanned<String>, problems: &mut Vec<Problem>) -> f64 {
    let before = problems.len();
    let seconds = seconds(Some(text), CALLS_DURATION_MAX_S, problems);
    if problems.len() == before && !(seconds > 0.0 && seconds <= CALLS_DURATION_MAX_S) {
        let label = format!("more than none, and at most {CALLS_DURATION_MAX_S} s");
        problems.push(Problem::new(text.span(), "calls are not made for so long", label));
    }
    seconds
}

/// What an HTTP call asks.
fn request(caller: Caller, load: &CallLoad, problems: &mut Vec<Problem>) -> Request {
    let mut complain = |at: Range<usize>, message: &str| {
        problems.push(Problem::new(at, message, "here"));
    };
    if let Some(method) = load.method.as_ref().filter(|method| !is_token(method.get_ref())) {
        complain(method.span(), "an HTTP method is one word, such as \"HEAD\"");
    }
    for (name, value) in &load.headers {
        if !is_token(name.get_ref()) {
            complain(name.span(), "a header has a name of letters, digits and hyphens");
        }
        if value.get_ref().chars().any(char::is_control) {
            complain(value.span(), "a header's value has no line ends or other control characters");
        }
    }
    let early = matches!(load.leave, Some(Leave::MidRequest | Leave::BeforeAnswer));
    let version = load.version.as_ref().map_or_else(Version::default, |version| *version.get_ref());
    if let Some(streams) = load.streams.as_ref().filter(|_| version != Version::Http2) {
        complain(streams.span(), "`streams` are of HTTP/2: add `version = \"2\"`");
    }
    let kept = [load.requests.is_some(), load.version.is_some(), load.streams.is_some()].contains(&true);
    let plain = load.method.is_none() && load.headers.is_empty() && load.leave.is_none() && !load.conditional;
    let wrong = match caller {
        Caller::HttpLeakBody | Caller::GrpcPerCall | Caller::Caller if kept => {
            "`requests`, `version` and `streams` are of `http-per-call`"
        }
        Caller::HttpPerCall | Caller::Caller
            if early && (load.conditional || load.expect_status.is_some()) =>
        {
            "a client that leaves before the answer sees neither its status nor its ETag"
        }
        Caller::HttpPerCall if early && version == Version::Http2 => {
            "`leave` before the answer is of HTTP/1.1: a stream of HTTP/2 is not the connection"
        }
        Caller::HttpPerCall | Caller::Caller => "",
        Caller::HttpLeakBody | Caller::GrpcPerCall if plain && load.expect_status.is_none() => "",
        Caller::HttpLeakBody | Caller::GrpcPerCall => {
            "`method`, `headers`, `conditional`, `expect-status` and `leave` are of `http-per-call` and `caller`"
        }
    };
    if !wrong.is_empty() {
        let at = load.method.as_ref().map(Spanned::span).or(load.to.as_ref().map(Spanned::span));
        problems.push(Problem::new(at.unwrap_or(0..0), wrong, "here"));
    }
    let headers = load.headers.iter().map(|(name, value)| (name.get_ref().clone(), value.get_ref().clone()));
    Request {
        method: load.method.as_ref().map(|method| method.get_ref().clone()),
        headers: headers.collect(),
        conditional: load.conditional,
        expect_status: load.expect_status,
        leave: load.leave,
        on: OnConnection {
            version,
            requests: load.requests,
            streams: load.streams.as_ref().map(|streams| *streams.get_ref()),
        },
        read_rate: bytes_rate(load.read_rate.as_ref(), caller, problems),
        write_rate: bytes_rate(load.write_rate.as_ref(), caller, problems),
    }
}

/// Bytes a second of a client of HTTP.
fn bytes_rate(text: Option<&Spanned<String>>, caller: Caller, problems: &mut Vec<Problem>) -> Option<u32> {
    let text = text?;
    if caller == Caller::GrpcPerCall {
        problems.push(Problem::new(text.span(), "a slow client is one of HTTP", "here"));
    }
    let rate = bytes_per_second(text.get_ref());
    if rate.is_none() {
        let message = format!("{:?} is no rate in bytes", text.get_ref());
        problems.push(Problem::new(text.span(), message, "bytes a second, such as \"10B/s\" or \"1KiB/s\""));
    }
    rate
}

/// A token of HTTP (RFC 9110, section 5.6.2).
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// The scenario's expectations with a variant's laid over them, key by key (those of `limits` too).
///
/// A ceiling that is not reached has no first failure, no policy and no delay, nothing that it recovers or
/// resumes from, and nobody who sees it in disguise: the scenario's own no longer apply, unless the variant
/// names them. Nor does its delay to a variant of another policy.
fn merged(base: &RawExpect, variant: Option<&RawExpect>) -> RawExpect {
    let Some(over) = variant.cloned() else { return base.clone() };
    if over.not_started.is_some() {
        return over;
    }
    let mut base = base.clone();
    over.measured.keys().filter_map(metric).for_each(|metric| base.forget(metric));
    let not_reached = match over.ceiling.as_ref().map(Spanned::get_ref) {
        Some(RawCeiling::Text(text)) => text == NOT_REACHED,
        _ => false,
    };
    let own: Vec<Metric> = Metric::ALL.iter().copied().filter(|metric| over.has(*metric)).collect();
    let limits = match (base.limits, over.limits) {
        (Some(base), Some(over)) => {
            let (soft, hard) =
                (over.get_ref().soft.or(base.get_ref().soft), over.get_ref().hard.or(base.get_ref().hard));
            Some(Spanned::new(over.span(), ExpectLimits { soft, hard }))
        }
        (base, over) => over.or(base),
    };
    let stays = |name: &Spanned<String>| match metric(name) {
        Some(metric) => !(own.contains(&metric) || not_reached && metric.of_the_limit()),
        None => !not_reached,
    };
    RawExpect {
        measured: base.measured.into_iter().filter(|(name, _)| stays(name)).chain(over.measured).collect(),
        limits,
        baseline: over.baseline.or(base.baseline),
        ceiling: over.ceiling.or(base.ceiling),
        first_failure: over.first_failure.or(base.first_failure.filter(|_| !not_reached)),
        delay: over.delay.or(base.delay.filter(|_| !not_reached && over.policy.is_none())),
        policy: over.policy.or(base.policy.filter(|_| !not_reached)),
        recovers_within: over.recovers_within.or(base.recovers_within),
        recovery: over.recovery.or(base.recovery.filter(|_| !not_reached)),
        resumes_within: over.resumes_within.or(base.resumes_within.filter(|_| !not_reached)),
        ceiling_after: over.ceiling_after.or(base.ceiling_after),
        leaked: over.leaked.or(base.leaked),
        file_max_binds: over.file_max_binds.or(base.file_max_binds),
        disguise: over.disguise.or(base.disguise.filter(|_| !not_reached)),
        other_listeners: over.other_listeners.or(base.other_listeners),
        outcomes: base.outcomes.into_iter().chain(over.outcomes).collect(),
        not_started: base.not_started,
    }
}

fn metric(name: &Spanned<String>) -> Option<Metric> {
    name.get_ref().parse().ok()
}

impl RawExpect {
    /// Whether this metric has a plain value, by the key of its own.
    fn has(&self, metric: Metric) -> bool {
        let limits = self.limits.as_ref().map(|limits| *limits.get_ref()).unwrap_or_default();
        match metric {
            Metric::SoftLimit => limits.soft.is_some(),
            Metric::HardLimit => limits.hard.is_some(),
            Metric::Baseline => self.baseline.is_some(),
            Metric::Leaked => self.leaked.is_some(),
            Metric::RecoversWithin => self.recovers_within.is_some(),
            _ => false,
        }
    }

    /// Takes that value out.
    fn forget(&mut self, metric: Metric) {
        let limits = self.limits.as_mut().map(Spanned::get_mut);
        match (metric, limits) {
            (Metric::SoftLimit, Some(limits)) => limits.soft = None,
            (Metric::HardLimit, Some(limits)) => limits.hard = None,
            (Metric::Baseline, _) => self.baseline = None,
            (Metric::Leaked, _) => self.leaked = None,
            (Metric::RecoversWithin, _) => self.recovers_within = None,
            _ => {}
        }
    }
}

/// The expected amounts.
fn amounts(raw: &RawExpect, problems: &mut Vec<Problem>) -> BTreeMap<Metric, Amount> {
    let mut read = |(name, value): (&Spanned<String>, &Spanned<RawMeasured>)| {
        let metric = metric(name)?;
        let text = match value.get_ref() {
            RawMeasured::Integer(number) => number.to_string(),
            RawMeasured::Number(number) => number.to_string(),
            RawMeasured::Text(text) => text.clone(),
            RawMeasured::Words(_) => return None,
        };
        Amount::read(metric, &text)
            .map_err(|error| problems.push(no_amount(value, metric, &text, &error)))
            .ok()
            .map(|amount| (metric, amount))
    };
    raw.measured.iter().filter_map(&mut read).collect()
}

fn no_amount(value: &Spanned<RawMeasured>, metric: Metric, text: &str, error: &NoAmount) -> Problem {
    let at = match error {
        NoAmount::Formula { at, .. } => within(value.span(), text, at.clone()),
        _ => value.span(),
    };
    let help = format!(
        "`{metric}` is {}, a range of two (\"A..=B\"), \"at most …\", \"at least …\", or \"no worse than recorded by 5 %\"",
        metric.unit().example()
    );
    Problem::new(at, format!("{text:?} is not an amount of `{metric}`"), error.to_string()).help(help)
}

/// The expected words.
fn aspects(raw: &RawExpect) -> BTreeMap<Aspect, Vec<String>> {
    let read = |(name, value): (&Spanned<String>, &Spanned<RawMeasured>)| {
        let aspect: Aspect = name.get_ref().parse().ok()?;
        match value.get_ref() {
            RawMeasured::Text(text) => Some((aspect, vec![text.clone()])),
            RawMeasured::Words(words) => Some((aspect, words.clone())),
            RawMeasured::Integer(_) | RawMeasured::Number(_) => None,
        }
    };
    raw.measured.iter().filter_map(read).collect()
}

/// How a scenario says that nothing fails.
const NOT_REACHED: &str = "not reached";

fn expect(raw: &RawExpect, problems: &mut Vec<Problem>) -> Expect {
    let limits = raw.limits.as_ref().map(|limits| *limits.get_ref()).unwrap_or_default();
    if let (Some(limits), Some(soft), Some(hard)) = (&raw.limits, limits.soft, limits.hard)
        && soft > hard
    {
        problems.push(Problem::new(
            limits.span(),
            "no process has a soft limit above its hard limit",
            format!("{soft} > {hard}"),
        ));
    }
    Expect {
        limits,
        ceiling: raw.ceiling.as_ref().and_then(|raw| ceiling(raw, problems)),
        baseline: raw.baseline,
        first_failure: raw.first_failure.clone(),
        policy: raw.policy,
        delay: raw.delay.as_ref().map(|raw| delay(raw, problems)),
        recovers_within_s: raw
            .recovers_within
            .as_ref()
            .map(|_| seconds(raw.recovers_within.as_ref(), 0.0, problems)),
        recovery: raw.recovery,
        resumes_within_s: raw
            .resumes_within
            .as_ref()
            .map(|_| seconds(raw.resumes_within.as_ref(), 0.0, problems)),
        ceiling_after: raw.ceiling_after.as_ref().and_then(|raw| ceiling(raw, problems)),
        leaked: raw.leaked,
        file_max_binds: raw.file_max_binds,
        disguise: raw.disguise.clone(),
        other_listeners: raw.other_listeners,
        outcomes: raw
            .outcomes
            .iter()
            .map(|(workload, met)| (workload.get_ref().clone(), met.clone()))
            .collect(),
        amounts: amounts(raw, problems),
        aspects: aspects(raw),
        not_started: raw.not_started.clone(),
    }
}

fn delay(raw: &Spanned<RawDelay>, problems: &mut Vec<Problem>) -> ExpectDelay {
    let mut read = |text: &String| seconds(Some(&Spanned::new(raw.span(), text.clone())), 0.0, problems);
    match raw.get_ref() {
        RawDelay::Constant(text) => {
            let always_s = read(text);
            ExpectDelay { first_s: always_s, longest_s: always_s }
        }
        RawDelay::Grows(growth) => {
            let delay = ExpectDelay { first_s: read(&growth.first), longest_s: read(&growth.longest) };
            if delay.first_s > delay.longest_s {
                let label = format!("{} > {}", growth.first, growth.longest);
                problems.push(Problem::new(raw.span(), "the first pause is longer than the longest", label));
            }
            delay
        }
    }
}

fn ceiling(raw: &Spanned<RawCeiling>, problems: &mut Vec<Problem>) -> Option<Ceiling> {
    let (from, to) = match raw.get_ref() {
        RawCeiling::Exactly(count) => return Some(Ceiling::Exactly(*count)),
        RawCeiling::Text(text) if text == NOT_REACHED => return Some(Ceiling::NotReached),
        RawCeiling::Range(range) => (range.from, range.to),
        RawCeiling::Text(text) => {
            match text.split_once("..=").map(|(from, to)| (from.trim().parse(), to.trim().parse())) {
                Some((Ok(from), Ok(to))) => (from, to),
                Some(_) => {
                    problems.push(Problem::new(
                        raw.span(),
                        format!("{text:?} is not a range"),
                        "wanted two numbers, such as \"1010..=1013\"",
                    ));
                    return None;
                }
                None => {
                    return match formula::parse(text) {
                        Ok(_) => Some(Ceiling::Formula(text.clone())),
                        Err(error) => {
                            problems.push(no_formula(raw, text, &error));
                            None
                        }
                    };
                }
            }
        }
    };
    if from > to {
        problems.push(Problem::new(raw.span(), "the range is empty", format!("{from} > {to}")));
    }
    Some(Ceiling::Range(from, to))
}

fn no_formula(raw: &Spanned<RawCeiling>, text: &str, error: &FormulaError) -> Problem {
    let at = within(raw.span(), text, error.at());
    let near = match error {
        FormulaError::Identifier { word, .. } => nearest(word, IDENTIFIERS),
        FormulaError::Wanted { .. } | FormulaError::NoCount { .. } | FormulaError::Long { .. } => None,
    };
    let label = near.map_or(error.to_string(), |near| format!("did you mean `{near}`?"));
    let help = "a ceiling is a number, a range (\"1010..=1013\"), \"not reached\", or a formula with `+ - * /` and parentheses over \
                numbers, `soft`, `hard` and `baseline`";
    Problem::new(at, format!("{text:?} is not a ceiling: {error}"), label).help(help)
}

/// A duration in seconds; `default_s` where it is left out or wrong.
fn seconds(raw: Option<&Spanned<String>>, default_s: f64, problems: &mut Vec<Problem>) -> f64 {
    let Some(raw) = raw else { return default_s };
    let complain =
        |label: String| Problem::new(raw.span(), format!("{:?} is not a time to wait", raw.get_ref()), label);
    match duration(raw.get_ref()) {
        Some(seconds) if (0.0..=WAIT_MAX_S).contains(&seconds) => return seconds,
        Some(seconds) if seconds < 0.0 => problems.push(complain("it cannot be negative".into())),
        Some(_) => problems.push(complain(format!("at most {WAIT_MAX_S} seconds"))),
        None => {
            let unit = if raw.get_ref().parse::<f64>().is_ok() { "a unit" } else { "a number and a unit" };
            let label = format!("wanted {unit}: `ms`, `s`, `m` or `h`");
            problems.push(complain(label).help("such as \"500ms\", \"2.5s\" or \"1m\""));
        }
    }
    default_s
}
