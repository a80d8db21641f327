//! Checks of keys in different tables together: a workload that nobody calls, a load too small to reach its
//! ceiling.

use super::text::{check_slips, no_process};
use crate::scenario::amount::{Bound as AmountBound, Wanted};
use crate::scenario::expect::{Ceiling, ExpectLimits};
use crate::scenario::formula;
use crate::scenario::model::*;
use crate::scenario::problem::{Problem, unknown};
use crate::scenario::raw::{File, RawExpect, RawVariant, RawWorkload};
use std::collections::BTreeMap;
use toml::Spanned;

/// A limit can be moved only so that setrlimit(2) takes it, and is watched at the accept loop.
pub(super) fn check_then(file: &File, plan: &Plan, problems: &mut Vec<Problem>) {
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
pub(super) fn check_rounds(file: &File, plan: &Plan, problems: &mut Vec<Problem>) {
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

/// Every process that a bundled server calls must exist, and speak TLS where the scenario asks for it.
pub(super) fn check_called(file: &File, names: &[&str], problems: &mut Vec<Problem>) {
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

/// `{NAME.port}` must name a process; a word that is almost a placeholder is a slip.
pub(super) fn check_placeholders(file: &File, names: &[&str], problems: &mut Vec<Problem>) {
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

/// A process is loaded by UDP or by connections: its ceiling is in one of them. Keys that are measured at an
/// accept loop are refused for UDP.
pub(super) fn check_datagrams(file: &File, plan: &Plan, problems: &mut Vec<Problem>) {
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

/// A subject without a load reaches no ceiling, unless it is known to call another process.
pub(super) fn check_loaded(file: &File, plan: &Plan, problems: &mut Vec<Problem>) {
    let key = file.processes.keys().find(|name| *name.get_ref() == plan.subject);
    let (Some(key), None) = (key, &plan.expect.not_started) else { return };
    // The problem of a workload without a target is reported already.
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
pub(super) fn check_reach(raw: &RawExpect, plan: &Plan, problems: &mut Vec<Problem>) {
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

/// A caller's workload must be a workload of calls, to another process.
pub(super) fn check_callers(
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

/// Expected outcomes are for workloads of calls only.
pub(super) fn check_outcomes(
    raw: &RawExpect,
    workloads: &BTreeMap<String, Workload>,
    problems: &mut Vec<Problem>,
) {
    let calling =
        || workloads.iter().filter(|(_, workload)| workload.calls.is_some()).map(|(name, _)| name.as_str());
    for name in
        raw.outcomes.keys().filter(|name| !calling().any(|calling| calling == name.get_ref().as_str()))
    {
        let message = format!("`outcomes` names no workload of calls: {:?}", name.get_ref());
        problems.push(unknown(name.span(), message, name.get_ref(), calling()));
    }
}

pub(super) fn check_name(variant: &RawVariant, file: &File, problems: &mut Vec<Problem>) {
    let name = &variant.name;
    if name.get_ref().trim().is_empty() {
        problems.push(Problem::new(name.span(), "a variant needs a name", "empty"));
    }
    // The first of two keeps its name; each other one is a problem.
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
