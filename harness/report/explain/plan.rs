//! What a scenario makes happen: who starts what with which limits, what the launchers make of them, the load, and the number that
//! comes out. From plans alone; nothing is started or asked of the machine.

use super::{BEFORE_THE_QUEUE, KERNEL_CONNECTS, numbers, pair};
use crate::event::Limits;
use crate::measure::Policy;
use crate::report::counted;
use crate::report::terminal::{Page, behaviour};
use crate::scenario::{
    AfterCall, Body, Caller, Calls, Ceiling, Certificate, Channel, Dialogue, Launcher, Listeners, Plan,
    Process, Program, Serve, ServeOptions, Supervisor, Then, Workload,
};
use owo_colors::Style;
use serde::Serialize;

/// The story of a scenario's plans, the first of them in full and each other one by what it changes.
pub fn scenario(plans: &[Plan], colour: bool, width: usize) -> String {
    let mut page = Page::new(colour, width);
    let Some((first, variants)) = plans.split_first() else { return String::new() };
    let title = page.styled(&first.title(), Style::new().bold());
    page.line(&title);
    page.say("Claim", &first.claim);
    if let Some(believed) = &first.believed {
        page.say("Believed", believed);
    }
    in_full(&mut page, first);
    for plan in variants {
        variant(&mut page, first, plan);
    }
    page.text
}

fn in_full(page: &mut Page, plan: &Plan) {
    for (name, process) in plan.processes.iter().filter(|(name, _)| **name != plan.subject) {
        page.say(
            "Beside it",
            &format!("`{name}` runs {}. {}", program(&process.program), launched(process).0),
        );
    }
    let Some(subject) = plan.processes.get(&plan.subject) else { return };
    page.say(
        "Starts",
        &format!(
            "`{}`, the subject, is {}. {}",
            plan.subject,
            program(&subject.program),
            launched(subject).0
        ),
    );
    page.say("Limits", &in_force_words(plan, subject));
    if !subject.rlimits.is_empty() {
        page.say("", &format!("It is started with {} as well, which may bind first.", other_limits(subject)));
    }
    if !plan.sysctls.is_empty() {
        page.say("Sysctls", &sysctls(plan));
    }
    page.say("Numbers", &arithmetic(plan, subject));
    for (i, (name, workload)) in plan.workloads.iter().enumerate() {
        page.say(if i == 0 { "Load" } else { "" }, &load(name, workload, plan));
    }
    if plan.subject_is_client() {
        page.say(
            "",
            &format!(
                "`{}` is a client itself: what counts is the calls that it completes before one fails.",
                plan.subject
            ),
        );
    }
    if let Some(signal) = &subject.begin {
        page.say(
            "",
            &format!(
                "It waits for SIG{signal} before it calls, so that its descriptors at rest can be counted."
            ),
        );
    }
    let fits = reach(plan, subject);
    if !fits.is_empty() {
        page.say("", &fits);
    }
    page.say("Then", &then(plan, subject));
    for moved in &plan.then {
        page.say("", &move_of(moved));
    }
    page.say("Expected", &expected(plan));
}

/// One variant: what it changes, and what comes of that.
fn variant(page: &mut Page, base: &Plan, plan: &Plan) {
    let name = plan.variant.as_deref().unwrap_or("as written");
    let heading = page.styled(&format!("\nVariant {name}"), Style::new().bold());
    page.line(&heading);
    if let Some(believed) = &plan.believed {
        page.say("Believed", believed);
    }
    let changes = changes(base, plan);
    page.say(
        "Changes",
        &if changes.is_empty() { "nothing but what is expected".into() } else { changes.join(" ") },
    );
    let Some(subject) = plan.processes.get(&plan.subject) else { return };
    let mut text = sum(plan, subject);
    let fits = reach(plan, subject);
    if !fits.is_empty() {
        text += &format!(". {fits}");
    }
    page.say("Numbers", &text);
    page.say("Expected", &expected(plan));
}

fn changes(base: &Plan, plan: &Plan) -> Vec<String> {
    let mut changes = Vec::new();
    if base.subject != plan.subject {
        changes.push(format!("The subject is `{}`.", plan.subject));
    }
    for (name, process) in &plan.processes {
        let Some(was) = base.processes.get(name) else {
            changes.push(format!(
                "`{name}` runs as well: {}. {}",
                program(&process.program),
                launched(process).0
            ));
            continue;
        };
        if was.program != process.program {
            changes.push(format!("`{name}` is {}.", program(&process.program)));
        }
        if was.launcher != process.launcher || was.limits != process.limits {
            changes.push(format!("`{name}`: {}", launched(process).0));
        }
        if was.rlimits != process.rlimits {
            changes.push(format!("`{name}` is started with {}.", other_limits(process)));
        }
        if was.env != process.env {
            let env: Vec<String> = process.env.iter().map(|(key, value)| format!("{key}={value}")).collect();
            changes.push(format!("`{name}` has {} in its environment.", env.join(" ")));
        }
    }
    changes.extend(
        base.processes
            .keys()
            .filter(|name| !plan.processes.contains_key(*name))
            .map(|name| format!("`{name}` does not run.")),
    );
    let other = plan.workloads.iter().filter(|(name, workload)| base.workloads.get(*name) != Some(workload));
    changes.extend(other.map(|(name, workload)| load(name, workload, plan)));
    changes.extend(
        base.workloads
            .keys()
            .filter(|name| !plan.workloads.contains_key(*name))
            .map(|name| format!("No `{name}`.")),
    );
    if base.sysctls != plan.sysctls {
        changes.push(sysctls(plan));
    }
    if base.recovery != plan.recovery {
        changes.push(format!("Recovery is sampled {} times.", plan.recovery.rounds));
    }
    if base.then != plan.then {
        changes.extend(plan.then.iter().map(move_of));
        changes.extend(plan.then.is_empty().then(|| "No limit is moved.".to_owned()));
    }
    if base.hold_s != plan.hold_s {
        changes.push(format!("Saturation is watched for {} s at most.", plan.hold_s));
    }
    changes
}

/// Limits beside that on descriptors.
fn other_limits(process: &Process) -> String {
    let all = [("RLIMIT_NPROC", process.rlimits.nproc), ("RLIMIT_AS", process.rlimits.address_space)];
    let set: Vec<String> =
        all.into_iter().filter_map(|(name, limit)| Some(format!("{name} {}", limit?))).collect();
    if set.is_empty() { "no other limit".into() } else { set.join(" and ") }
}

fn sysctls(plan: &Plan) -> String {
    if plan.sysctls.is_empty() {
        return "No sysctl is set.".into();
    }
    let all: Vec<String> = plan.sysctls.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    let where_to = "in a network namespace made for the run; the host's stay as they are, and none of them is a limit on descriptors";
    format!("{}, {where_to}.", all.join(", "))
}

fn program(program: &Program) -> String {
    match program {
        Program::Command(words) => format!("`{}`", words.join(" ")),
        Program::Call(workload) => {
            format!("the bundled caller, which makes the calls of `{workload}` itself")
        }
        Program::Serve(serve) => format!("a bundled server, `lastfd serve {}`", serve.arguments().join(" ")),
    }
}

fn options(program: &Program) -> Option<&ServeOptions> {
    match program {
        Program::Serve(Serve::Http(o) | Serve::Websocket(o) | Serve::Tcp(o) | Serve::Grpc(o)) => Some(o),
        Program::Serve(_) | Program::Command(_) | Program::Call(_) => None,
    }
}

/// The word for it in a scenario file: a string, or the only key of a table.
fn word(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    let word = value.as_str().or_else(|| value.as_object()?.keys().next().map(String::as_str));
    word.unwrap_or("it").to_owned()
}

/// What the launcher does with the limits it is started with, in words; and what comes out, where its rules tell.
fn launched(process: &Process) -> (String, Option<Limits>) {
    let (launcher, from) = (word(&process.launcher), pair(process.limits));
    match &process.launcher {
        Launcher::Exec => {
            let text = format!("lastfd sets RLIMIT_NOFILE to {from} (soft:hard) and executes it, with nothing between.");
            (text, Some(process.limits))
        }
        Launcher::SupervisorLike(options) | Launcher::Supervisord(options) => supervised(&launcher, options, process.limits),
        Launcher::Nohup | Launcher::NohupLike => {
            (format!("`{launcher}` is started with {from} (soft:hard), ignores SIGHUP, and changes no limit."), Some(process.limits))
        }
        other => super::launcher::rule(other, &launcher, process.limits).unwrap_or_else(|| {
            (format!("`{launcher}` is started with {from} (soft:hard) and starts it; what it makes of the limits is read back."), None)
        }),
    }
}

/// supervisord's rule: `minfds` raises the soft limit, the hard one only where it is in the way, and lowers neither.
fn supervised(launcher: &str, options: &Supervisor, from: Limits) -> (String, Option<Limits>) {
    let minfds = options.minfds;
    let started = format!(
        "`{launcher}` is started with {} (soft:hard). Its minfds is {minfds}, which only ever raises:",
        pair(from)
    );
    if from.soft >= minfds {
        return (
            format!(
                "{started} {} is not below it, so nothing changes, and its child inherits {}.",
                from.soft,
                pair(from)
            ),
            Some(from),
        );
    }
    let to = Limits { soft: minfds, hard: from.hard.max(minfds) };
    let text = match from.hard >= minfds {
        true => format!(
            "{started} the soft limit goes from {} to {minfds}, the hard limit stays, and its child inherits {}.",
            from.soft,
            pair(to)
        ),
        false => format!(
            "{started} above the hard limit of {}, so it raises both where it may (CAP_SYS_RESOURCE; its child inherits {}), and otherwise \
             ends with exit status 2 and starts nothing.",
            from.hard,
            pair(to)
        ),
    };
    (text, Some(to))
}

/// The limits that apply in the end, as far as the plan tells: what is expected, or what the launcher leaves.
fn in_force(plan: &Plan, subject: &Process) -> Option<Limits> {
    let left = launched(subject).1;
    let soft = plan.expect.limits.soft.or(left.map(|l| l.soft))?;
    Some(Limits { soft, hard: plan.expect.limits.hard.or(left.map(|l| l.hard)).unwrap_or(soft).max(soft) })
}

fn in_force_words(plan: &Plan, subject: &Process) -> String {
    let read_back = "They are read back from /proc of the live process, once it has settled: a program may change its own, as Go, Node, \
                     Java, redis and memcached do";
    match (in_force(plan, subject), launched(subject).1) {
        (Some(expected), Some(left)) if expected == left => format!("In force: {}. {read_back}.", pair(left)),
        (Some(expected), Some(left)) => {
            format!(
                "The launcher leaves {}, and the scenario expects {} in force. {read_back}.",
                pair(left),
                pair(expected)
            )
        }
        (Some(expected), None) => format!("The scenario expects {} in force. {read_back}.", pair(expected)),
        (None, _) => format!("{read_back}."),
    }
}

/// Descriptors at rest, where the plan tells; and who says so.
fn at_rest(plan: &Plan, subject: &Process) -> Option<(u64, &'static str)> {
    let told = options(&subject.program)
        .and_then(|o| o.baseline)
        .map(|n| (u64::from(n), "the server is told to open that many"));
    plan.expect.baseline.map(|n| (n, "the scenario expects that, and the report names each")).or(told)
}

/// The formula in words.
fn arithmetic(plan: &Plan, subject: &Process) -> String {
    let Some(limits) = in_force(plan, subject) else {
        return "The soft limit in force, less the descriptors at rest, is the ceiling.".into();
    };
    let mut text = numbers(limits.soft);
    match at_rest(plan, subject) {
        Some((rest, why)) => text += &format!(". {rest} are taken at rest ({why}): {}", sum(plan, subject)),
        None => {
            text += &format!(
                "; those taken at rest are counted once it has settled. What is left is the ceiling: {}",
                sum(plan, subject)
            )
        }
    }
    let options = options(&subject.program);
    if let Some(threads) = options.and_then(|o| o.threads).filter(|n| *n > 1) {
        text += &format!(
            ". Each of its {threads} threads that block in accept holds one number in advance, which /proc/PID/fd does not list"
        );
    }
    if let Some(workers) = options.and_then(|o| o.workers).filter(|n| *n > 1) {
        text += &format!(
            ". Its {workers} workers are processes with a limit each: the first of them to fail gives the ceiling"
        );
        if options.is_some_and(|o| o.listeners == Some(Listeners::Reuseport)) {
            text += ". Each has a listener of its own on the port (SO_REUSEPORT): the kernel chooses one for each client by a hash of its \
                     address, so they fill unevenly, and who meets a full one waits though another has room";
        }
    }
    text + "."
}

/// The subtraction, as far as the plan tells.
fn sum(plan: &Plan, subject: &Process) -> String {
    let one_each =
        if plan.subject_is_client() { "one for each connection that stays open" } else { "one a connection" };
    match (in_force(plan, subject), at_rest(plan, subject)) {
        (Some(l), Some((rest, _))) => {
            let left = l.soft.saturating_sub(rest);
            match plan.expect.ceiling {
                // Two descriptors a connection, or something of its own besides.
                Some(Ceiling::Exactly(expected)) if expected < left && !plan.subject_is_client() => {
                    format!("{} − {rest} = {left} are left, and {expected} connections take them all", l.soft)
                }
                _ => format!("{} − {rest} = {left} are left, {one_each}", l.soft),
            }
        }
        (Some(l), None) => format!("{} − (at rest), {one_each}", l.soft),
        _ => format!("the soft limit − (at rest), {one_each}"),
    }
}

/// Connections that fit, where the plan tells.
fn room(plan: &Plan, subject: &Process) -> Option<u64> {
    Some(in_force(plan, subject)?.soft.saturating_sub(at_rest(plan, subject)?.0))
}

fn load(name: &str, workload: &Workload, plan: &Plan) -> String {
    if let Some(calls) = &workload.calls {
        let to = if workload.to == plan.subject || plan.subject_is_client() {
            ""
        } else {
            ", which is not the subject"
        };
        return format!(
            "`{name}` makes {} `{}`{to}{}; {}.",
            how_many(workload),
            workload.to,
            at_a_time(calls),
            each_call(calls)
        );
    }
    let clients = workload.clients.map_or_else(
        || "as many clients as half more than the soft limit, and the accept queue besides,".to_owned(),
        |n| counted(n.into(), "client"),
    );
    let to =
        if workload.to == plan.subject { String::new() } else { " which is not the subject;".to_owned() };
    let pace = match workload.burst {
        true => "All at once, so that the accept queue overflows.",
        false => "They pause while the accept queue is more than half full, so that none is lost.",
    };
    format!("`{name}` sends {clients} to `{}`;{to} each {}. {pace}", workload.to, doing(workload.kind))
}

fn how_many(workload: &Workload) -> String {
    workload.clients.map_or_else(
        || "as many calls as twice the soft limit and 64 to".into(),
        |n| format!("{} to", counted(n.into(), "call")),
    )
}

fn at_a_time(calls: &Calls) -> String {
    match calls.concurrency {
        0 | 1 => ", one at a time".into(),
        n => format!(", {n} at a time"),
    }
}

/// What each call takes, and what it leaves open.
fn each_call(calls: &Calls) -> String {
    let tls = if calls.tls || calls.caller == Caller::GrpcPerCall { " over TLS" } else { "" };
    let certificate = match calls.certificate {
        Certificate::PerCall => {
            ". The certificate file is opened for each call anew, which takes a number for a moment"
        }
        Certificate::Cached => "",
    };
    let left = match held(calls) {
        Held::EachCall => "each keeps a number",
        Held::AtOnce => "only calls under way at the same time keep a number each",
        Held::One => "one number serves all calls",
    };
    let (what, then) = match (calls.caller, calls.channel, calls.after_call) {
        (Caller::GrpcPerCall, Channel::Shared, _) => ("a gRPC call", "on one channel for all calls"),
        (Caller::GrpcPerCall, Channel::PerCall, AfterCall::Closed) => {
            ("a gRPC call", "on a channel of its own, which is closed after it")
        }
        (Caller::GrpcPerCall, Channel::PerCall, AfterCall::LeftOpen) => {
            ("a gRPC call", "on a channel of its own, which stays open")
        }
        (Caller::HttpLeakBody, ..) => (
            "an HTTP call",
            match calls.body {
                Body::Kept => {
                    "whose response is kept with the body unread, so that its connection is neither closed nor free"
                }
                Body::Drained => {
                    "whose body is read to its end, so that the next call uses the connection again"
                }
                Body::Closed | Body::Dropped => "whose connection is closed with the unread body",
            },
        ),
        (Caller::HttpPerCall | Caller::Caller, _, AfterCall::Closed) => {
            ("an HTTP call", "on a connection of its own, which is closed after it")
        }
        (Caller::HttpPerCall | Caller::Caller, _, AfterCall::LeftOpen) => {
            ("an HTTP call", "on a connection of its own, which stays open")
        }
    };
    format!("each is {what}{tls} {then}; {left}{certificate}")
}

/// How many numbers calls keep.
#[derive(PartialEq)]
enum Held {
    EachCall,
    AtOnce,
    One,
}

fn held(calls: &Calls) -> Held {
    match (calls.caller, calls.body, calls.channel, calls.after_call) {
        (Caller::HttpLeakBody, Body::Kept, ..) => Held::EachCall,
        (Caller::HttpLeakBody, Body::Drained, ..) if calls.concurrency <= 1 => Held::One,
        (Caller::HttpLeakBody, ..) => Held::AtOnce,
        (Caller::GrpcPerCall, _, Channel::Shared, _) => Held::One,
        (.., AfterCall::LeftOpen) => Held::EachCall,
        (.., AfterCall::Closed) => Held::AtOnce,
    }
}

fn doing(kind: Option<Dialogue>) -> String {
    match kind.map(|kind| word(&kind)).as_deref() {
        Some("tcp") => "connects, asks nothing, and holds".into(),
        Some("http-idle") => "has one request answered, then holds the keep-alive connection".into(),
        Some("websocket") => "is upgraded to a WebSocket, then holds it and answers pings".into(),
        Some("grpc") => "exchanges HTTP/2 settings, then holds the channel and answers pings".into(),
        Some(other) => format!("does what `{other}` is (`lastfd list`)"),
        None => {
            "asks with HTTP if the server answers that, and only connects otherwise; then it holds".into()
        }
    }
}

/// Whether the clients, or the calls, are enough to reach the ceiling.
fn reach(plan: &Plan, subject: &Process) -> String {
    let Some(room) = room(plan, subject) else { return String::new() };
    let (most, what) = if plan.subject_is_client() {
        let open = own_calls(plan, subject).and_then(|(workload, calls)| match held(calls) {
            Held::EachCall => workload.clients.map(u64::from),
            Held::AtOnce => Some(calls.concurrency.into()),
            Held::One => Some(1),
        });
        (open, "open connections")
    } else {
        let to_subject = plan.workloads.values().filter(|w| w.to == plan.subject && w.calls.is_none());
        (to_subject.map(|w| w.clients.map(u64::from)).sum(), "clients")
    };
    match most {
        None | Some(0) => String::new(),
        Some(n) if n > room => format!("{n} {what} are more than {room}: the ceiling must show."),
        Some(n) => format!("{n} {what} fit into {room}: no ceiling can show."),
    }
}

/// The calls that the subject makes itself, where it is the bundled caller.
fn own_calls<'p>(plan: &'p Plan, subject: &Process) -> Option<(&'p Workload, &'p Calls)> {
    let Program::Call(name) = &subject.program else { return None };
    let workload = plan.workloads.get(name)?;
    Some((workload, workload.calls.as_ref()?))
}

/// A limit that is moved on the live process.
fn move_of(moved: &Then) -> String {
    let soft = moved.limit.soft;
    let hard = moved.limit.hard.map_or_else(String::new, |hard| format!(", and the hard limit to {hard}"));
    format!(
        "Once that was watched, prlimit(2) moves the soft limit of the live process to {soft}{hard}: what is open stays open, and its accept \
         loop finds out at its next call."
    )
}

/// What will happen at the ceiling, and why.
fn then(plan: &Plan, subject: &Process) -> String {
    if plan.expect.ceiling == Some(Ceiling::NotReached) {
        return "Every client is taken, nothing fails, and all leave again.".into();
    }
    if plan.subject_is_client() {
        let call = plan
            .expect
            .first_failure
            .as_ref()
            .map_or("the next call that needs a descriptor", |f| f.call.name());
        let why = match own_calls(plan, subject).map(|(_, calls)| calls.certificate) {
            Some(Certificate::PerCall) => ": the certificate is opened before the socket",
            Some(Certificate::Cached) => ": a new connection begins with its socket",
            None => "",
        };
        return format!(
            "When the last number is taken, {call} fails with EMFILE{why}. What fails is what needs a number next, not what leaked."
        );
    }
    let last = in_force(plan, subject).and_then(|l| l.soft.checked_sub(1));
    let first = last.map_or("The last connection takes the last number".to_owned(), |last| {
        format!("The last connection that fits takes number {last}")
    });
    let call = plan.expect.first_failure.as_ref().map_or("accept4", |f| f.call.name());
    let why = if call.starts_with("accept") {
        format!(": {BEFORE_THE_QUEUE}, so it fails also when nobody waits")
    } else {
        String::new()
    };
    let policy = plan.expect.policy.filter(|p| *p != Policy::None);
    let later = match policy {
        Some(Policy::Sheds | Policy::LimitsItself) => {
            "Clients that come later are turned away at once.".to_owned()
        }
        Some(Policy::Exits) => {
            "Every connection that it held is gone, and clients that come later are refused.".to_owned()
        }
        Some(Policy::WorkerRestarts) => {
            "Every connection of that worker is gone, and the next worker begins anew.".to_owned()
        }
        _ => format!(
            "Clients that come later see no error: {KERNEL_CONNECTS}, and no answer comes. Once that queue is full, connects time out."
        ),
    };
    let does = policy.map_or(String::new(), |p| format!(" {} ({}).", behaviour(p), p.name()));
    let recovery = match plan.recovery.rounds {
        1 => " Then some clients leave, then all: who waited is served, and what stays open is a leak."
            .to_owned(),
        rounds => format!(
            " Then a tenth of the clients and one client leave in turn, {rounds} times, each time at another phase of the server's own \
             delay, and new ones come; then all leave, and a second ramp shows whether the ceiling is the same."
        ),
    };
    let recovery = if policy == Some(Policy::Exits) { String::new() } else { recovery };
    format!("{first}. The next {call} fails with EMFILE{why}.{does} {later}{recovery}")
}

fn ceiling(expected: &Ceiling) -> String {
    match expected {
        Ceiling::Exactly(n) => format!("a ceiling of {n}"),
        Ceiling::Range(from, to) => format!("a ceiling of {from} to {to}"),
        Ceiling::Formula(text) => format!("a ceiling of {text}"),
        Ceiling::NotReached => "no ceiling".into(),
    }
}

fn expected(plan: &Plan) -> String {
    let e = &plan.expect;
    let mut all = Vec::new();
    match (e.limits.soft, e.limits.hard) {
        (Some(soft), Some(hard)) => all.push(format!("{soft}:{hard} in force")),
        (Some(soft), None) => all.push(format!("a soft limit of {soft} in force")),
        (None, Some(hard)) => all.push(format!("a hard limit of {hard} in force")),
        (None, None) => {}
    }
    all.extend(e.baseline.map(|n| format!("{} at rest", counted(n, "descriptor"))));
    all.extend(e.ceiling.as_ref().map(ceiling));
    all.extend(
        e.first_failure.as_ref().map(|f| format!("{} as the first to fail, with {}", f.calls(), f.errno)),
    );
    all.extend(e.policy.map(|policy| format!("the policy {}", policy.name())));
    all.extend(e.delay.as_ref().map(|delay| format!("pauses of {delay}")));
    all.extend(e.disguise.as_ref().map(|seen| match seen.iter().map(|one| one.name()).collect::<Vec<_>>() {
        none if none.is_empty() => "no failure in disguise".to_owned(),
        names => format!("failures in disguise ({})", names.join(", ")),
    }));
    all.extend(
        e.other_listeners.map(|got| format!("`{}` for a new client of each other listener", got.name())),
    );
    all.extend(
        e.file_max_binds
            .map(|binds| format!("fs.file-max {} it", if binds { "stops" } else { "does not stop" })),
    );
    all.extend(
        e.resumes_within_s.map(|s| format!("it accepts again within {s} s after its limit was moved")),
    );
    all.extend(
        e.ceiling_after.as_ref().map(|after| format!("{} under the limit that was moved", ceiling(after))),
    );
    all.extend(e.recovery.map(|verdict| format!("in the end it is {}", verdict.name())));
    all.extend(e.recovers_within_s.map(|s| format!("a new client served within {s} s after all left")));
    all.extend(e.leaked.map(|n| {
        if n == 0 {
            "nothing leaked".to_owned()
        } else {
            format!("{n} descriptor{} leaked", if n == 1 { "" } else { "s" })
        }
    }));
    all.extend(e.outcomes.iter().map(|(workload, met)| {
        let met: Vec<_> = met.iter().map(|o| o.name()).collect();
        format!("the calls of `{workload}` {}", met.join(", then "))
    }));
    if let Some(refusal) = &e.not_started {
        let or = if all.is_empty() { "" } else { "or, where this machine does not permit it, " };
        all.push(
            format!("{or}that it does not start")
                + &refusal.says.as_ref().map_or(String::new(), |text| format!(", and says {text:?}")),
        );
    }
    if all.is_empty() {
        "nothing: the run is measured, not judged".into()
    } else {
        format!("{}.", all.join(", "))
    }
}
