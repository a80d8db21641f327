//! The events of a scenario, before anything runs.

use super::kernel::{BEFORE_THE_QUEUE, KERNEL_CONNECTS, RESERVED, numbers};
use super::limits::pair;
use super::policy::behaviour;
use super::{counted, judged, launcher};
use crate::event::Call;
use crate::measure::Policy;
use crate::report::explain::{AtRest, Change, InForce, Kept, Reach, Room, kept, options, own_calls};
use crate::scenario::{
    AfterCall, Alone, Body, Caller, Calls, Ceiling, Certificate, Channel, Dialogue, Expect, ExpectLimits,
    KeepAlive, Listeners, One, Pace, Plan, Process, Program, Then, Version, Wanted, Workload,
};

/// Why nothing else runs beside it.
pub fn alone(why: Alone) -> String {
    let said = match why {
        Alone::Asked => "the scenario says `alone = true`",
        Alone::Time => "it expects something within a time",
        Alone::Rate => "its clients or calls come at a rate",
        Alone::Tasks => "its limit `nproc` counts the processes of other runs too",
        Alone::Port => "lastfd does not choose where it listens (`port`, or no `{port}` in its command)",
        Alone::Large => return format!("it has more than {} descriptors or clients", Alone::MANY),
    };
    said.to_owned()
}

/// A process beside the subject.
pub fn starts(name: &str, process: &Process) -> String {
    format!("`{name}` runs {}. {}", program(&process.program), launcher::rule(process))
}

/// The process whose ceiling is asked for.
pub fn subject_starts(name: &str, process: &Process) -> String {
    format!("`{name}`, the subject, runs {}. {}", program(&process.program), launcher::rule(process))
}

fn program(program: &Program) -> String {
    match program {
        Program::Command(words) => format!("`{}`", words.join(" ")),
        Program::Call(workload) => format!("the bundled caller, which makes the calls of `{workload}`"),
        Program::Serve(serve) => format!("a bundled server, `lastfd serve {}`", serve.arguments().join(" ")),
    }
}

/// The limits that apply in the end.
pub fn in_force(found: InForce) -> String {
    let read_back = "lastfd reads them back from /proc once the program has settled, because a program may \
                     change its own limits (Go, Node, Java, redis and memcached do).";
    match (found.limits, found.left) {
        (Some(limits), Some(left)) if limits == left => format!("In force: {}. {read_back}", pair(left)),
        (Some(limits), Some(left)) => format!(
            "The launcher leaves {}, and the scenario expects {} in force. {read_back}",
            pair(left),
            pair(limits)
        ),
        (Some(limits), None) => format!("The scenario expects {} in force. {read_back}", pair(limits)),
        (None, _) => format!("The plan does not tell which are in force. {read_back}"),
    }
}

/// Limits beside the one on descriptors.
pub fn also_limited(subject: &Process) -> String {
    format!("It also starts with {}, which may bind first.", other_limits(subject))
}

fn other_limits(process: &Process) -> String {
    let all = [("RLIMIT_NPROC", process.rlimits.nproc), ("RLIMIT_AS", process.rlimits.address_space)];
    let set: Vec<String> =
        all.into_iter().filter_map(|(name, limit)| Some(format!("{name} {}", limit?))).collect();
    if set.is_empty() { "no other limit".into() } else { set.join(" and ") }
}

/// Sysctls that the run sets.
pub fn sysctls(plan: &Plan) -> String {
    if plan.sysctls.is_empty() {
        return "No sysctl is set.".into();
    }
    let all: Vec<String> = plan.sysctls.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    format!(
        "{}, in a network namespace made for the run: the host's values do not change. No such sysctl limits \
         descriptors.",
        all.join(", ")
    )
}

/// Why the ceiling is where it is.
pub fn arithmetic(room: Room, subject: &Process) -> String {
    let Some(soft) = room.soft else {
        return "The ceiling is the soft limit in force, less the descriptors that are already open.".into();
    };
    let numbers = numbers(soft);
    let mut text = match room.rest {
        Some(rest) => {
            let by = match rest {
                AtRest::Expected(_) => "as the scenario expects; the report lists them",
                AtRest::Opened(_) => "which the server opens on purpose",
            };
            format!("{numbers}. {} are open before the first client ({by}): {}.", rest.count(), sum(room))
        }
        None => format!("{numbers}. Those that are already open are counted once it is idle: {}.", sum(room)),
    };
    let options = options(&subject.program);
    if let Some(threads) = options.and_then(|o| o.threads).filter(|n| *n > 1) {
        text += &format!(" Its {threads} threads each have one more {RESERVED}.");
    }
    if let Some(workers) = options.and_then(|o| o.workers).filter(|n| *n > 1) {
        text += &format!(
            " Each of its {workers} workers is a process with a limit of its own: the first to fail sets the ceiling."
        );
        if options.is_some_and(|o| o.listeners == Some(Listeners::Reuseport)) {
            text += " Each worker has its own listener on the port (SO_REUSEPORT). The kernel picks one for each \
                     client by a hash of its address, so workers fill unevenly: a client of a full one waits \
                     although another has room.";
        }
    }
    text
}

/// The subtraction, without a full stop.
pub fn sum(room: Room) -> String {
    let each = match (room.client, room.flows) {
        (true, _) => "for each connection that stays open",
        (_, true) => "for each descriptor that a client takes",
        _ => "for each connection",
    };
    let many = if room.flows { "clients" } else { "connections" };
    match (room.soft, room.rest, room.left(), room.connections) {
        (Some(soft), Some(rest), Some(left), Some(connections)) => {
            format!("{soft} − {} = {left} remain, and {connections} {many} use them all", rest.count())
        }
        (Some(soft), Some(rest), Some(left), None) => {
            format!("{soft} − {} = {left} remain, one {each}", rest.count())
        }
        (Some(soft), ..) => format!("{soft} − (already open) remain, one {each}"),
        (None, ..) => format!("the soft limit − (already open) remain, one {each}"),
    }
}

/// One workload.
pub fn load(name: &str, workload: &Workload, plan: &Plan) -> String {
    let other = match workload.to == plan.subject || plan.subject_is_client() {
        true => "",
        false => " (not the subject)",
    };
    let to = format!("`{}`{other}", workload.to);
    if let Some(calls) = &workload.calls {
        let wanted = wanted(workload);
        let at_a_time = match (calls.schedule, calls.concurrency) {
            (Some(schedule), n) => format!(
                "{} a second ({} intervals) whether earlier ones are answered or not, at most {n} at a time",
                schedule.per_s, schedule.arrivals
            ),
            (None, 0 | 1) => "one at a time".to_owned(),
            (None, n) => format!("{n} at a time"),
        };
        return format!("`{name}` makes {wanted} to {to}, {at_a_time}. {}", each_call(calls));
    }
    if let Some(program) = &workload.program {
        let clients = wanted(workload);
        let command = shell_words::join(&program.run);
        return match program.one {
            One::All => format!("`{name}` sends {clients} to {to}. One program is all of them: `{command}`."),
            One::Each => {
                let served = match &program.served {
                    Some(pattern) => format!("when a line of its output matches `{pattern}`"),
                    None => "when it ends with exit status 0".to_owned(),
                };
                let pace = pace(workload.pace);
                format!(
                    "`{name}` sends {clients} to {to}. Each is a program: `{command}`. It is served {served}. {pace}"
                )
            }
        };
    }
    let datagrams = workload.kind == Some(Dialogue::Datagram);
    let wanted = wanted(workload);
    let comma = if wanted.contains(',') { "," } else { "" };
    let pace = if datagrams { of_datagrams(workload.pace) } else { pace(workload.pace) };
    format!("`{name}` sends {wanted}{comma} to {to}. Each {}. {pace}", doing(workload))
}

/// How many clients or calls.
pub fn wanted(workload: &Workload) -> String {
    let what = if workload.calls.is_some() { "call" } else { "client" };
    let for_a_time = workload.calls.as_ref().and_then(|calls| calls.duration_s);
    if let Some(s) = for_a_time {
        return match workload.clients {
            Some(n) => format!("{} within {s} s", counted(n.into(), what)),
            None => format!("calls for {s} s"),
        };
    }
    let by_itself = match (&workload.calls, &workload.program, workload.kind) {
        (Some(_), ..) => "2 × soft limit + 64 calls",
        (_, Some(_), _) => "1.25 × soft limit + 8 clients",
        (.., Some(Dialogue::Datagram)) => "1.5 × soft limit clients",
        _ => {
            "1.5 × soft limit clients (for each of two to eight workers), and as many more as its accept queue holds"
        }
    };
    workload.clients.map_or_else(|| by_itself.to_owned(), |n| counted(n.into(), what))
}

fn of_datagrams(pace: Pace) -> String {
    match pace {
        Pace::Burst => "All come at once, whether others are answered or not.".into(),
        Pace::PerSecond(n) => {
            format!("At most {n} come in a second, whether others are answered or not.")
        }
        _ => "At most 64 wait for an answer at a time.".into(),
    }
}

fn pace(pace: Pace) -> String {
    match pace {
        Pace::Burst => "All connect at once, so the accept queue overflows.".into(),
        Pace::Steady => {
            "They come one by one or a few at a time, when the work for the earlier ones is done.".into()
        }
        Pace::PerSecond(n) => {
            format!("At most {n} come in a second, and none while the accept queue is more than half full.")
        }
        _ => "New clients pause while the accept queue is more than half full, so that none is lost.".into(),
    }
}

/// Descriptors that each call takes, and those that it leaves open.
fn each_call(calls: &Calls) -> String {
    let tls = if calls.tls || calls.caller == Caller::GrpcPerCall { " over TLS" } else { "" };
    let certificate = match calls.certificate {
        Certificate::PerCall => {
            " Each call opens the certificate file, which takes a descriptor for a moment."
        }
        Certificate::Cached => "",
    };
    let kept = match kept(calls) {
        Kept::EachCall => "each call keeps a descriptor",
        Kept::AtOnce => "only calls under way keep a descriptor each",
        Kept::One => "one descriptor serves all calls",
    };
    let protocol = if calls.caller == Caller::GrpcPerCall { "a gRPC call" } else { "an HTTP call" };
    format!("Each is {protocol}{tls} {}: {kept}.{certificate}", connection(calls))
}

fn connection(calls: &Calls) -> &'static str {
    if calls.request.each().0 > 1 {
        return match calls.request.on.version {
            Version::Http2 => "as a stream of HTTP/2, on a connection that calls share",
            _ => "on a connection that takes several calls, one after the other",
        };
    }
    match (calls.caller, calls.channel, calls.after_call, calls.body) {
        (Caller::GrpcPerCall, Channel::Shared, ..) => "on one channel for all calls",
        (Caller::GrpcPerCall, Channel::PerCall, AfterCall::Closed, _) => {
            "on its own channel, closed afterwards"
        }
        (Caller::GrpcPerCall, Channel::PerCall, AfterCall::LeftOpen, _) => {
            "on its own channel, which stays open"
        }
        (Caller::HttpLeakBody, _, _, Body::Kept) => {
            "whose response is kept unread, so its connection is neither closed nor free for the next call"
        }
        (Caller::HttpLeakBody, _, _, Body::Drained) => {
            "whose body is read to its end, so the next call uses the connection again"
        }
        (Caller::HttpLeakBody, ..) => "whose connection is closed with the body unread",
        (Caller::HttpPerCall | Caller::Caller, _, AfterCall::Closed, _) => {
            "on its own connection, closed afterwards"
        }
        (Caller::HttpPerCall | Caller::Caller, _, AfterCall::LeftOpen, _) => {
            "on its own connection, which stays open"
        }
    }
}

fn doing(workload: &Workload) -> String {
    match workload.kind {
        Some(Dialogue::Tcp) => "connects, sends nothing and holds the connection",
        Some(Dialogue::HttpIdle) => return kept_alive(&workload.keep_alive),
        Some(Dialogue::Websocket) => "upgrades to a WebSocket, then holds it and answers pings",
        Some(Dialogue::Grpc) => "exchanges HTTP/2 settings, then holds the channel and answers pings",
        Some(Dialogue::Datagram) => "sends one datagram from a socket of its own",
        Some(Dialogue::Exchange) => {
            "goes through the steps of its exchange, then holds the connection unless it closes it"
        }
        None => "sends an HTTP request, or only connects where the server answers none; then it holds",
    }
    .to_owned()
}

fn kept_alive(keep_alive: &KeepAlive) -> String {
    let asks = match (keep_alive.on.version, keep_alive.each()) {
        (Version::Http1, (1, _)) => "gets one response".to_owned(),
        (Version::Http1, (n, _)) => format!("gets {n} responses, one after the other"),
        (_, (1, _)) => "gets one response over HTTP/2".to_owned(),
        (_, (n, streams)) if streams >= n => format!("gets {n} responses over HTTP/2, all at a time"),
        (_, (n, streams)) => format!("gets {n} responses over HTTP/2, {streams} at a time"),
    };
    let again = keep_alive.every_s.map_or(String::new(), |s| format!(" and asks again every {s} s"));
    format!("{asks}, then holds the keep-alive connection{again}")
}

/// A sentence for a subject that makes the connections.
pub fn is_client(subject: &str) -> String {
    format!("`{subject}` is a client: its ceiling is the number of calls that it completes before one fails.")
}

/// A sentence for a subject that begins when it gets a signal.
pub fn waits_for(signal: &str) -> String {
    format!(
        "It waits for SIG{signal} before its first call, so that the descriptors that are already open can be counted."
    )
}

/// Whether the load reaches the ceiling.
pub fn reach(reach: Reach) -> String {
    let Reach { wanted, room, client } = reach;
    let what = match (client, wanted) {
        (true, 1) => "open connection",
        (true, _) => "open connections",
        (false, 1) => "client",
        (false, _) => "clients",
    };
    let subject = if client { "the program" } else { "the server" };
    let (are, fit) = if wanted == 1 { ("is", "fits") } else { ("are", "fit") };
    match wanted > room {
        true => format!("{wanted} {what} {are} more than {room}, so {subject} reaches its ceiling."),
        false => format!("{wanted} {what} {fit} into {room}, so {subject} cannot reach a ceiling."),
    }
}

/// A limit that is moved while the subject runs.
pub fn moves(then: &Then) -> String {
    let soft = then.limit.soft;
    let hard = then.limit.hard.map_or_else(String::new, |hard| format!(" and its hard limit to {hard}"));
    format!(
        "After that, prlimit(2) sets the soft limit of the running process to {soft}{hard}. Open descriptors \
         stay open; its accept loop notices at its next call."
    )
}

/// Events at the ceiling, and why.
pub fn then(plan: &Plan, subject: &Process) -> String {
    if plan.serves_datagrams(&plan.subject) {
        return flows_fail(plan);
    }
    if plan.expect.ceiling == Some(Ceiling::NotReached) {
        return "Every client is accepted, nothing fails, and all leave again.".into();
    }
    if plan.subject_is_client() {
        return client_fails(plan, subject);
    }
    let last = InForce::of(plan, subject).limits.and_then(|l| l.soft.checked_sub(1));
    let last = last.map_or("the last number".to_owned(), |last| format!("number {last}"));
    let call = plan.expect.first_failure.as_ref().map_or(Call::Accept4, |f| f.call);
    let why = match call.accepts() {
        true => format!(": {BEFORE_THE_QUEUE}, so it fails even if nobody waits"),
        false => String::new(),
    };
    let policy = plan.expect.policy.filter(|p| *p != Policy::None);
    let does = policy.map_or(String::new(), |p| format!(" {} ({}).", behaviour(p), p.name()));
    let recovery = if policy == Some(Policy::Exits) { String::new() } else { recovery(plan.recovery.rounds) };
    format!(
        "The last connection that fits takes {last}. The next {call} fails with EMFILE{why}.{does} {}{recovery}",
        later(policy)
    )
}

/// Events at the ceiling of a server that is loaded by UDP.
fn flows_fail(plan: &Plan) -> String {
    if plan.expect.ceiling == Some(Ceiling::NotReached) {
        return "Every client is answered, and no call fails.".into();
    }
    let call =
        plan.expect.first_failure.as_ref().map_or("the next call that needs a descriptor", |f| f.call.name());
    format!(
        "When the last number is taken, {call} fails with EMFILE, and the client that it is for gets no answer, or an error. Then all \
         clients leave. The server does not learn that: it closes their descriptors when nothing has come for a while, and lastfd waits for that."
    )
}

fn client_fails(plan: &Plan, subject: &Process) -> String {
    let first = plan.expect.first_failure.as_ref();
    let call = first.map_or("the next call that needs a descriptor", |f| f.call.name());
    let why = match own_calls(plan, subject).map(|(_, calls)| calls.certificate) {
        Some(Certificate::PerCall) => ", because the certificate is opened before the socket",
        Some(Certificate::Cached) => ", because a new connection begins with its socket",
        None => "",
    };
    format!(
        "When the last number is taken, {call} fails with EMFILE{why}. The call that fails is the next one to \
         need a descriptor, not necessarily the one that leaks them."
    )
}

fn later(policy: Option<Policy>) -> String {
    match policy {
        Some(Policy::Sheds | Policy::LimitsItself) => "Later clients are turned away at once.".to_owned(),
        Some(Policy::Exits) => {
            "All connections that it held are gone, and later clients are refused.".to_owned()
        }
        Some(Policy::WorkerRestarts) => {
            "All connections of that worker are gone, and the next worker starts with none.".to_owned()
        }
        _ => format!(
            "Later clients see no error: {KERNEL_CONNECTS}, but no answer comes. Once the queue is full, \
             connects time out."
        ),
    }
}

fn recovery(rounds: u32) -> String {
    match rounds {
        1 => " Then some clients leave, and then all: waiting clients are served, and whatever stays open is a \
              leak."
            .to_owned(),
        rounds => format!(
            " Then, {rounds} times, some clients leave (a tenth of them or one, in turn) at another phase of the \
             server's own delay, and new ones come. At last all leave, and a second ramp shows whether the \
             ceiling is still the same."
        ),
    }
}

/// The changes of a variant, in sentences.
pub fn changes(changes: &[Change<'_>], plan: &Plan) -> String {
    if changes.is_empty() {
        return "only what is expected".into();
    }
    changes.iter().map(|change| one_change(change, plan)).collect::<Vec<_>>().join(" ")
}

fn one_change(change: &Change<'_>, plan: &Plan) -> String {
    match change {
        Change::Subject(name) => format!("The subject is `{name}`."),
        Change::Added(name, process) => {
            format!("`{name}` runs, too: {}. {}", program(&process.program), launcher::rule(process))
        }
        Change::Program(name, process) => format!("`{name}` runs {}.", program(&process.program)),
        Change::Launcher(name, process) => format!("`{name}`: {}", launcher::rule(process)),
        Change::Rlimits(name, process) => format!("`{name}` starts with {}.", other_limits(process)),
        Change::Environment(name, process) => {
            let env: Vec<String> = process.env.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("`{name}` has {} in its environment.", env.join(" "))
        }
        Change::Removed(name) => format!("`{name}` does not run."),
        Change::Load(name, workload) => load(name, workload, plan),
        Change::NoLoad(name) => format!("There is no `{name}`."),
        Change::Sysctls => sysctls(plan),
        Change::Recovery(sampled) => {
            format!("Recovery is sampled {}.", super::times(sampled.rounds.into()))
        }
        Change::Then(then) => moves(then),
        Change::NoThen => "No limit is moved.".to_owned(),
        Change::Hold(s) => format!("Saturation is watched for at most {s} s."),
    }
}

/// All that a scenario expects.
pub fn expected(expect: &Expect) -> String {
    let mut all = Vec::new();
    all.extend(limits(&expect.limits));
    all.extend(expect.baseline.map(|n| format!("{} already open", counted(n, "descriptor"))));
    all.extend(expect.ceiling.as_ref().map(ceiling));
    all.extend(expect.first_failure.as_ref().map(|f| format!("{} fails first, with {}", f.calls(), f.errno)));
    all.extend(expect.policy.map(|policy| format!("policy {}", policy.name())));
    all.extend(expect.delay.as_ref().map(|delay| format!("pauses of {delay}")));
    all.extend(expect.disguise.as_ref().map(|seen| match seen.as_slice() {
        [] => "no failure in disguise".to_owned(),
        seen => {
            let names: Vec<_> = seen.iter().map(|one| one.name()).collect();
            format!("failures in disguise ({})", names.join(", "))
        }
    }));
    all.extend(
        expect.other_listeners.map(|got| format!("new clients of its other listeners get `{}`", got.name())),
    );
    all.extend(expect.file_max_binds.map(|binds| {
        if binds { "fs.file-max stops it".to_owned() } else { "fs.file-max does not stop it".to_owned() }
    }));
    let resumes = |s| format!("it accepts again within {s} s after its limit is moved");
    all.extend(expect.resumes_within_s.map(resumes));
    all.extend(expect.ceiling_after.as_ref().map(|c| format!("{} under the moved limit", ceiling(c))));
    all.extend(expect.recovery.map(|verdict| format!("in the end it is {}", verdict.name())));
    let served = |s| format!("a new client is served within {s} s after all have left");
    all.extend(expect.recovers_within_s.map(served));
    all.extend(expect.leaked.map(leaked));
    all.extend(expect.outcomes.iter().map(|(workload, outcomes)| {
        let names: Vec<_> = outcomes.iter().map(|o| o.name()).collect();
        format!("the calls of `{workload}` end in {}", names.join(", then "))
    }));
    all.extend(expect.amounts.iter().map(|(metric, amount)| match amount.wanted {
        Wanted::NoWorse { kept: Some(kept), .. } => {
            format!("{metric} {amount} ({})", judged::quantity(metric.unit(), kept.median))
        }
        _ => format!("{metric} {amount}"),
    }));
    all.extend(expect.aspects.iter().map(|(aspect, words)| format!("{aspect} {}", words.join(" or "))));
    if let Some(refusal) = &expect.not_started {
        let or = if all.is_empty() { "" } else { "or, where this machine does not allow it, " };
        let says =
            refusal.says.as_ref().map_or(String::new(), |text| format!(", and the output says {text:?}"));
        all.push(format!("{or}it does not start{says}"));
    }
    match all.is_empty() {
        true => "nothing: the run is measured, not judged".into(),
        false => format!("{}.", all.join("; ")),
    }
}

fn limits(expected: &ExpectLimits) -> Option<String> {
    match (expected.soft, expected.hard) {
        (Some(soft), Some(hard)) => Some(format!("{soft}:{hard} in force")),
        (Some(soft), None) => Some(format!("a soft limit of {soft} in force")),
        (None, Some(hard)) => Some(format!("a hard limit of {hard} in force")),
        (None, None) => None,
    }
}

fn ceiling(expected: &Ceiling) -> String {
    match expected {
        Ceiling::Exactly(n) => format!("a ceiling of {n}"),
        Ceiling::Range(from, to) => format!("a ceiling of {from} to {to}"),
        Ceiling::Formula(text) => format!("a ceiling of {text}"),
        Ceiling::NotReached => "no ceiling".into(),
    }
}

fn leaked(descriptors: i64) -> String {
    match u64::try_from(descriptors) {
        Ok(0) => "nothing leaked".into(),
        Ok(n) => format!("{} leaked", counted(n, "descriptor")),
        Err(_) => {
            format!(
                "{} fewer open than before the first client",
                counted(descriptors.unsigned_abs(), "descriptor")
            )
        }
    }
}
