//! The limit in force, which process set it, and the chain that it came down.

use super::super::Report;
use super::counted;
use crate::event::{Limits, Link, Pid};
use crate::measure::{By, SetBy};
use crate::report::page::cut;

/// A program's name is cut to this.
const NAME: usize = 28;
/// The name of the limit in the line that begins with it.
const IN_ITS_LINE: &str = "it";
/// Programs whose script is what a reader knows.
const INTERPRETERS: [&str; 5] = ["python", "node", "perl", "ruby", "php"];

/// The value in force, what it was before, and which process set it.
pub fn limit(r: &Report) -> Option<String> {
    let limits = &r.found.limits;
    let effective = limits.effective.value()?;
    let asked = limits.requested.value().filter(|asked| *asked != effective);
    let asked = asked.map_or(String::new(), |asked| format!("; lastfd had asked for {}", pair(asked)));
    let before = limits.earlier.first().map_or(String::new(), |before| {
        format!("; the program had {} at first and changed it while it ran", pair(*before))
    });
    let by = set_by(r, IN_ITS_LINE).map_or(String::new(), |by| format!(": {by}"));
    let unseen = limits.set_by.get().filter(|by| Setter::of(r, by) == Setter::Unseen);
    let unseen =
        unseen.map_or(String::new(), |by| format!(", in process {}; that call was not seen", by.pid));
    let mine = r.found.limits.set_by.get().is_some_and(|by| Setter::of(r, by) == Setter::Run);
    let yours =
        if mine { " `lastfd inspect PID` shows who sets the limit of a running service." } else { "" };
    Some(format!("{} (soft:hard){by}{unseen}{asked}{before}.{yours}", pair(effective)))
}

/// The soft limit in force, as the first paragraph calls it.
pub fn the_soft(r: &Report) -> String {
    let limits = &r.found.limits;
    match (limits.effective.value(), limits.set_by.get().map(|by| Setter::of(r, by))) {
        // The hard limit is as high.
        (None, _) | (_, Some(Setter::ToItsHardLimit)) => "the soft limit".into(),
        (Some(now), _) => format!("the soft limit of {}", counted(now.soft, "descriptor")),
    }
}

/// Which process set the soft limit, as a clause; `it`: what the limit is called there.
pub fn set_by(r: &Report, it: &str) -> Option<String> {
    let by = r.found.limits.set_by.get()?;
    let name = name(&by.command);
    // The line of the limit says which process; the first paragraph is short.
    let pid = if it == IN_ITS_LINE { format!(" (pid {})", by.pid) } else { String::new() };
    Some(match Setter::of(r, by) {
        Setter::Run if r.is_find() => format!("this run set {it} (`--nofile`)"),
        Setter::Run => format!("the scenario set {it} (`limits`)"),
        Setter::ToItsHardLimit => {
            let hard =
                r.found.limits.effective.value().map_or(String::new(), |now| format!(" of {}", now.hard));
            let whose = match self::hard(r) {
                Some(Hard::Run) if r.is_find() => ", which this run set".into(),
                Some(Hard::Run) => ", which the scenario set".into(),
                Some(Hard::By(name)) => format!(", which `{name}` set"),
                Some(Hard::Inherited) | None => String::new(),
            };
            format!("the program itself (`{name}`) raised {it} to its hard limit{hard}{whose}")
        }
        Setter::Program => format!("the program itself (`{name}`) set {it}"),
        Setter::Inherited => format!("{it} was there already in `{name}`{pid}"),
        Setter::Ancestor => format!("`{name}`{pid} set {it}{}", with(r, by)),
        Setter::BeforeExec => {
            let chain = &r.found.limits.chain;
            let now = chain.iter().rfind(|link| link.pid == by.pid).map(|link| self::name(&link.command));
            let then = now.map_or_else(|| "something else".to_owned(), |now| format!("`{now}`"));
            format!("`{name}`{pid} set {it}{} before it executed {then}", with(r, by))
        }
        Setter::Another => format!("`{name}`{pid} set {it} from outside"),
        Setter::Unseen => {
            let mut names = vec![name.clone()];
            names.extend(by.alternatives.iter().map(|one| self::name(one)));
            names.dedup();
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            let (names, with) = (names.join(" or "), with(r, by));
            format!("{names} probably set {it}{with}")
        }
    })
}

/// The setter of the hard limit.
pub enum Hard {
    /// This run.
    Run,
    /// It was so already where the chain begins.
    Inherited,
    /// This program.
    By(String),
}

/// The setter of the hard limit, where that is known.
pub fn hard(r: &Report) -> Option<Hard> {
    let by = r.found.limits.hard_set_by.get()?;
    Some(match by.by {
        By::AskedFor => Hard::Run,
        By::Inherited => Hard::Inherited,
        _ => Hard::By(name(&by.command)),
    })
}

/// The setter of the soft limit, where it has a name: this run, or a process above.
pub fn whose(r: &Report) -> Option<String> {
    let by = r.found.limits.set_by.get()?;
    match Setter::of(r, by) {
        Setter::Run if r.is_find() => Some("lastfd's `--nofile`".into()),
        Setter::Run => Some("the scenario".into()),
        Setter::Ancestor => Some(format!("`{}`", name(&by.command))),
        _ => None,
    }
}

fn with(r: &Report, by: &SetBy) -> String {
    setting(launcher(r, by)).map_or(String::new(), |setting| format!(" (`{}`)", setting.name))
}

/// The launcher of the program, where it set the limit; otherwise the program that did.
pub fn launcher<'a>(r: &'a Report, by: &'a SetBy) -> &'a str {
    let launched =
        r.found.limits.chain.iter().any(|link| link.command == Link::REQUESTED && link.pid == by.pid);
    r.found.subject.launcher.get().filter(|_| launched).map_or(by.command.as_str(), String::as_str)
}

/// Where a launcher takes the limit from.
pub struct Setting {
    pub name: &'static str,
    /// Where it is written.
    pub place: &'static str,
    /// The step that makes a change take effect.
    pub then: &'static str,
}

/// The setting of a launcher, or of a program that launches others.
pub fn setting(launcher: &str) -> Option<Setting> {
    let (name, place, then) = match name(launcher).as_str() {
        name if name.contains("supervis") => ("minfds", "in supervisord.conf", "restart supervisord"),
        "systemd-like" | "systemd" => ("LimitNOFILE=", "in its unit file", "restart the service"),
        "container-like" | "containerd-shim" | "conmon" | "dockerd" => {
            ("--ulimit nofile=", "of its container", "create that again")
        }
        "shell" | "sh" | "bash" | "dash" | "zsh" | "ksh" => ("ulimit -n", "in its script", "run that again"),
        _ => return None,
    };
    Some(Setting { name, place, then })
}

/// The setter of the soft limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setter {
    /// This run asked for it, and nothing changed it.
    Run,
    /// The program raised it as far as its hard limit lets it.
    ToItsHardLimit,
    /// The program set it for itself.
    Program,
    /// It was so already where the chain begins.
    Inherited,
    /// A process above.
    Ancestor,
    /// The program that the same process ran before its last exec.
    BeforeExec,
    /// A process that is not in the chain.
    Another,
    /// Nobody saw the call.
    Unseen,
}

impl Setter {
    /// The setter of this limit.
    pub fn of(r: &Report, by: &SetBy) -> Self {
        let own = Some(by.pid) == r.found.subject.pid.value();
        let raised = |asked: Limits| {
            r.found
                .limits
                .effective
                .value()
                .is_some_and(|now| asked.soft < now.soft && asked.hard == now.soft)
        };
        match by.by {
            By::AskedFor => Setter::Run,
            By::BeforeExec => Setter::BeforeExec,
            By::AnotherProcess => Setter::Another,
            By::Inherited => Setter::Inherited,
            By::Unseen => Setter::Unseen,
            _ if own && r.found.limits.requested.value().is_some_and(raised) => Setter::ToItsHardLimit,
            _ if own => Setter::Program,
            _ => Setter::Ancestor,
        }
    }
}

/// A line of the chain of limits.
#[derive(Debug, Clone, PartialEq)]
pub enum Step<'a> {
    /// A link; whether the soft limit was set there.
    Link(&'a Link, Option<&'static str>),
    /// So many links that change nothing.
    Folded(usize),
}

/// The chain, first ancestor first. Unless `whole`, links that change nothing are folded, except the first
/// and the subject itself.
pub fn chain(r: &Report, whole: bool) -> Vec<Step<'_>> {
    let links = &r.found.limits.chain;
    let mark = |link: &Link| {
        let by = r.found.limits.set_by.get()?;
        let here = by.pid == link.pid && by.command == link.command;
        here.then_some(match by.by {
            By::Unseen => "probably set here",
            _ if by.inherited => "already so here",
            _ => "set here",
        })
    };
    let changes =
        |at: usize| at == 0 || (links[at].soft, links[at].hard) != (links[at - 1].soft, links[at - 1].hard);
    let mut steps = Vec::new();
    for (at, link) in links.iter().enumerate() {
        match steps.last_mut() {
            _ if whole || changes(at) || mark(link).is_some() || at + 1 == links.len() => {
                steps.push(Step::Link(link, mark(link)))
            }
            Some(Step::Folded(n)) => *n += 1,
            _ => steps.push(Step::Folded(1)),
        }
    }
    steps
}

/// Links that were folded.
pub fn folded(count: usize) -> String {
    format!("… {} with the same limits", counted(count as u64, "process"))
}

/// A process by its number.
pub fn pid(pid: Pid) -> String {
    format!("pid {pid}")
}

/// `1024:4096`, soft before hard.
pub fn pair(limits: Limits) -> String {
    format!("{}:{}", limits.soft, limits.hard)
}

/// The program of a command line, without its arguments: they are long, and may hold secrets.
pub fn name(command: &str) -> String {
    if command == Link::REQUESTED {
        return "lastfd".into();
    }
    let base = |word: &str| word.rsplit('/').next().unwrap_or(word).to_owned();
    let mut words = command.split_whitespace();
    // A process that names itself: `nginx: worker process`.
    let first = words.next().map(|word| base(word.trim_end_matches(':'))).unwrap_or_default();
    let mut plain = words.take_while(|word| !word.starts_with('-') && !word.contains('='));
    let name = match first.as_str() {
        "lastfd" => match (plain.next(), plain.next()) {
            // A bundled launcher.
            (Some("exec"), Some(launcher)) => launcher.to_owned(),
            (Some(command), _) => format!("lastfd {command}"),
            (None, _) => first,
        },
        interpreter if INTERPRETERS.iter().any(|name| interpreter.starts_with(name)) => {
            plain.next().map_or(first.clone(), base)
        }
        _ => first,
    };
    cut(&name, NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_called_by_its_name_and_not_by_its_arguments() {
        let names = [
            "/usr/sbin/nginx -g daemon off;",
            "python3 /opt/app/server.py --password=secret",
            "sh -c ulimit -n 32; exec ./server",
            "server --port 9000",
            "lastfd exec systemd-like --soft 64",
            "python3 -m http.server",
            "nginx: worker process",
        ]
        .map(name);
        assert_eq!(names, ["nginx", "server.py", "sh", "server", "systemd-like", "python3", "nginx"]);
    }
}
