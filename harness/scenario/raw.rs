//! A scenario file as it is written: types for serde and for the JSON Schema. They say what may stand where;
//! what it means together is checked in `check`. Doc comments here are what an editor shows for a key.

use super::expect::{ExpectLimits, FirstFailure, Outcome, Policy, Refusal, SeenAs, Verdict};
use super::launcher_options::{RawContainer, RawSystemd, Session, Shell};
use super::model::{AfterCall, Body, Certificate, Channel, Recovery, Rlimits, Serve, Supervisor, Then};
use crate::event::Limits;
use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use toml::Spanned;

/// A scenario of lastfd: what to start, how to load it, what must be observed, and variants of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(title = "lastfd scenario")]
pub(super) struct File {
    /// What the run is to show, in a sentence.
    #[schemars(with = "String")]
    pub claim: Spanned<String>,
    /// What people thought when it happened, in their words: a column of the remedy table.
    pub believed: Option<String>,
    /// The process whose ceiling is asked for; may be left out where there is one.
    #[schemars(with = "Option<String>")]
    pub subject: Option<Spanned<String>>,
    /// How long saturation is watched at most, such as "5s" (the default).
    #[schemars(with = "Option<String>")]
    pub hold: Option<Spanned<String>>,
    /// The processes, by name.
    #[schemars(with = "BTreeMap<String, RawProcess>")]
    pub processes: BTreeMap<Spanned<String>, RawProcess>,
    /// The workloads, by name; they run at the same time.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RawWorkload>")]
    pub workloads: BTreeMap<Spanned<String>, RawWorkload>,
    /// Sysctls for the whole run, which then happens in a network namespace of its own, such as `"net.core.somaxconn" = 128`. Most of
    /// those left out have the kernel's defaults there. Never set on the host.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RawSysctl>")]
    pub sysctls: BTreeMap<Spanned<String>, RawSysctl>,
    /// What is done to the live subject at the wall, in this order: `[[then]]`, with `at = "saturated"` and `limit = { soft = 2048 }`.
    #[serde(default)]
    #[schemars(with = "Vec<Then>")]
    pub then: Vec<Spanned<Then>>,
    /// How recovery is sampled, such as `{ rounds = 8 }`.
    #[schemars(with = "Option<Recovery>")]
    pub recovery: Option<Spanned<Recovery>>,
    /// What must be observed; what is left out is not judged.
    #[serde(default)]
    pub expect: RawExpect,
    /// The same scenario with something changed, each a run of its own.
    #[serde(default)]
    pub variant: Vec<RawVariant>,
}

/// A sysctl's value: a number, or words such as "10000 20000". `net.core.somaxconn = 128` without quotes is a table of tables.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Sysctl")]
pub(super) enum RawSysctl {
    Number(i64),
    Words(String),
    Below(BTreeMap<String, RawSysctl>),
}

/// A process: one of `command`, `serve` and `call`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Process")]
pub(super) struct RawProcess {
    /// Program and arguments, run in the scenario's folder. `{port}` and `{tls-port}` stand for ports of its own, `{NAME.port}` for that
    /// of another process, `{scratch}` for a directory that is removed after the run, `{certificate}` and `{key}` for files with the
    /// run's certificate.
    #[schemars(with = "Option<Vec<String>>")]
    pub command: Option<Spanned<Vec<Spanned<String>>>>,
    /// A bundled server in place of a command, such as `serve.websocket = { accept = "spin" }`.
    #[schemars(with = "Option<Serve>")]
    pub serve: Option<Spanned<Serve>>,
    /// The bundled caller in place of a command: it makes the calls of the workload of this name itself, so it can be the subject.
    #[schemars(with = "Option<String>")]
    pub call: Option<Spanned<String>>,
    /// What starts it: a name, or a table such as `launcher.supervisord = { minfds = 1024 }`. Default: "exec".
    #[schemars(with = "Option<RawLauncher>")]
    pub launcher: Option<Spanned<RawLauncher>>,
    /// `RLIMIT_NOFILE` that the launcher itself is started with.
    #[schemars(with = "Limits")]
    pub limits: Spanned<Limits>,
    /// Other limits that it is started with, such as `{ nproc = 40 }` or `{ as = 268435456 }`: to see what else can bind.
    #[serde(default)]
    pub rlimits: Rlimits,
    /// Programs (`nginx`), files of the scenario's folder (`./server`) or Python modules (`python3:tornado`) that must be there;
    /// without them the run is skipped.
    #[serde(default)]
    pub requires: Vec<String>,
    /// What `{port}` stands for. Left out: a free one.
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// Added to the environment.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub env: BTreeMap<String, Spanned<String>>,
    /// How long it may take until it listens, such as "10s" (the default).
    #[schemars(with = "Option<String>")]
    pub ready_within: Option<Spanned<String>>,
    /// From TERM to KILL, such as "2s" (the default).
    #[schemars(with = "Option<String>")]
    pub grace: Option<Spanned<String>>,
    /// A client that nobody connects to: the signal that it waits for before it calls. Left out: it calls as soon as it runs, and its
    /// descriptors at rest cannot be counted.
    #[schemars(extend("enum" = ["HUP", "USR1", "USR2"]))]
    pub begin: Option<String>,
}

/// A launcher: its name, or a table of its options.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Launcher")]
pub(super) enum RawLauncher {
    Name(LauncherName),
    Table(LauncherTable),
}

/// A launcher with its defaults.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LauncherName {
    /// Nothing between: limits, then exec.
    Exec,
    /// The rules of nohup(1), bundled.
    NohupLike,
    /// The real nohup(1).
    Nohup,
    /// The rules of supervisord, bundled.
    SupervisorLike,
    /// The real supervisord.
    Supervisord,
    /// The real /bin/sh, which stays as the parent.
    Shell,
    /// The real runuser(1): a PAM session of `nobody`. Root only.
    Runuser,
    /// The real su(1): a PAM session of `nobody`. Root only.
    Su,
    /// A service of systemd with its default limits, bundled.
    SystemdLike,
    /// A container with its daemon's limits, bundled.
    ContainerLike,
}

/// A launcher with options.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LauncherTable {
    /// The rules of supervisord, bundled.
    SupervisorLike(Supervisor),
    /// The real supervisord.
    Supervisord(Supervisor),
    /// The real /bin/sh, with `ulimit`.
    Shell(Shell),
    /// The real runuser(1), with its PAM session. Root only.
    Runuser(Session),
    /// The real su(1), with its PAM session. Root only.
    Su(Session),
    /// The rules of systemd's `LimitNOFILE=`, bundled.
    SystemdLike(RawSystemd),
    /// The rules of `docker run --ulimit nofile=`, bundled.
    ContainerLike(RawContainer),
}

/// A workload: what each client does, and to whom.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Workload")]
pub(super) enum RawWorkload {
    /// Connects and holds; asks nothing.
    Tcp(Load),
    /// One answered request, then the keep-alive connection is held.
    HttpIdle(Load),
    /// Upgraded, then held; answers pings.
    Websocket(Load),
    /// HTTP/2 settings exchanged, then held; answers pings.
    Grpc(Load),
    /// HTTP calls that keep each response with its body unread: the next needs another connection.
    HttpLeakBody(CallLoad),
    /// gRPC calls over TLS, with a channel for each call or one for all.
    GrpcPerCall(CallLoad),
    /// HTTP calls on a connection each.
    HttpPerCall(CallLoad),
    /// A plain caller beside the other workloads: one HTTP call after the other, told apart by how they end.
    Caller(CallLoad),
}

/// Who is called, and how.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct CallLoad {
    /// The process that is called. Left out: the subject.
    #[schemars(with = "Option<String>")]
    pub to: Option<Spanned<String>>,
    /// How many calls in all. Left out: twice the soft limit and 64 more.
    #[schemars(range(min = 1))]
    pub calls: Option<u32>,
    /// Calls at a time; 1 when left out.
    #[schemars(range(min = 1))]
    pub concurrency: Option<u32>,
    /// Shortest time from the start of a call to that of the next, such as "50ms". Left out: none.
    #[schemars(with = "Option<String>")]
    pub every: Option<Spanned<String>>,
    /// Speak TLS, at the process's `{tls-port}`. gRPC calls always do.
    pub tls: bool,
    /// Request path of HTTP; "/" when left out.
    #[schemars(with = "Option<String>")]
    pub path: Option<Spanned<String>>,
    /// Bytes sent with each call, by POST. Left out: none, by GET.
    pub upload_bytes: u32,
    /// How often the certificate to trust is read from its file.
    pub certificate: Certificate,
    /// gRPC: a channel for each call, or one for all.
    pub channel: Channel,
    /// Whether a call's connection is closed.
    pub after_call: AfterCall,
    /// `http-leak-body`: what becomes of the response's body.
    pub body: Body,
    /// A TCP connect that takes longer has timed out; "3s" when left out.
    #[schemars(with = "Option<String>")]
    pub connect_timeout: Option<Spanned<String>>,
    /// A TLS handshake or an answer that takes longer: the server is connected and silent; "3s" when left out.
    #[schemars(with = "Option<String>")]
    pub read_timeout: Option<Spanned<String>>,
}

/// Who is loaded, and how.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Load {
    /// The process that is loaded. Left out: the subject.
    #[schemars(with = "Option<String>")]
    pub to: Option<Spanned<String>>,
    /// How many clients. Left out: soft limit × 1.5 + the accept queue's capacity.
    #[schemars(range(min = 1))]
    pub clients: Option<u32>,
    /// Request path; "/" when left out.
    #[schemars(with = "Option<String>")]
    pub path: Option<Spanned<String>>,
    /// Which of several listeners. Left out: the only one.
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// Overflow the accept queue on purpose, in place of waiting for the server to accept.
    #[serde(default)]
    pub burst: bool,
}

/// What must be observed; what is left out is not judged.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Expect")]
pub(super) struct RawExpect {
    /// Limits in force in the process that accepts, read back from it.
    #[schemars(with = "Option<ExpectLimits>")]
    pub limits: Option<Spanned<ExpectLimits>>,
    /// Descriptors at rest.
    pub baseline: Option<u64>,
    /// Connections accepted at the ceiling: a number, a range (`{ from, to }` or "1010..=1013"), a formula over `soft`, `hard`
    /// and `baseline` ("soft - baseline"), or "not reached".
    #[schemars(with = "Option<RawCeiling>")]
    pub ceiling: Option<Spanned<RawCeiling>>,
    /// The first failing descriptor call.
    pub first_failure: Option<FirstFailure>,
    /// What the server does at its ceiling.
    pub policy: Option<Policy>,
    /// The pause between its tries at the ceiling, within 10 %: a constant one such as "1s", or one that grows, such as
    /// `{ first = "5ms", longest = "1s" }`.
    #[schemars(with = "Option<RawDelay>")]
    pub delay: Option<Spanned<RawDelay>>,
    /// From the moment all clients leave until a new one is served, such as "1s".
    #[schemars(with = "Option<String>")]
    pub recovers_within: Option<Spanned<String>>,
    /// What it comes to when clients leave. `recovered` means: it serves again as before, and nothing leaks.
    pub recovery: Option<Verdict>,
    /// From the last move of the limit (`[[then]]`) until it accepts again, such as "2s".
    #[schemars(with = "Option<String>")]
    pub resumes_within: Option<Spanned<String>>,
    /// As `ceiling`, under the limit that was moved last: `soft` and `hard` are its values.
    #[schemars(with = "Option<RawCeiling>")]
    pub ceiling_after: Option<Spanned<RawCeiling>>,
    /// Descriptors more than at rest after all clients left.
    pub leaked: Option<i64>,
    /// Whether `fs.file-max`, the bound of the whole host, is what stops it. It is compared, and never set.
    pub file_max_binds: Option<bool>,
    /// As what clients see, in disguise, that descriptor calls other than accept fail, in any order: `["error-reply"]` where they are told an
    /// error, such as 500; `[]`: nobody sees such a thing.
    pub disguise: Option<Vec<SeenAs>>,
    /// What a client that only connects gets at the ceiling on each listener of its processes beside the one that is loaded: `served` is to
    /// be accepted.
    pub other_listeners: Option<Outcome>,
    /// Of workloads of calls, by their names: what the calls came to, each once, in the order in which they were first met, such as
    /// `a = ["served", "waits", "times-out"]` for answered, connected but silent, and a connect that times out.
    #[schemars(with = "BTreeMap<String, Vec<Outcome>>")]
    pub outcomes: BTreeMap<Spanned<String>, Vec<Outcome>>,
    /// That the launcher refuses, or the program ends before it is ready, such as `{ exit-status = 2, says = "minfds" }`. The scenario's own
    /// expectations do not apply to a variant that has this. Beside other expectations of the same variant: either this, or all of them, as
    /// with a number that only some machines permit.
    pub not_started: Option<Refusal>,
}

/// Expected pauses as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Delay")]
pub(super) enum RawDelay {
    Constant(String),
    Grows(RawGrowth),
}

/// A pause that grows, as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Growth")]
pub(super) struct RawGrowth {
    /// After the first failure, such as "5ms".
    pub first: String,
    /// However often it fails, such as "1s".
    pub longest: String,
}

/// An expected ceiling as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Ceiling")]
pub(super) enum RawCeiling {
    Exactly(u64),
    Range(RawRange),
    Text(String),
}

/// From the first to the last, both included.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Range")]
pub(super) struct RawRange {
    /// The least.
    pub from: u64,
    /// The most.
    pub to: u64,
}

/// The same scenario with something changed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Variant")]
pub(super) struct RawVariant {
    /// Its name, one of its own.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// What this variant shows, where that is something else.
    pub claim: Option<String>,
    /// What people thought that this remedy does, in their words: a column of the remedy table.
    pub believed: Option<String>,
    /// Dotted paths, quoted (`"processes.server.launcher"`), and what replaces the whole value there.
    /// It is laid over the document before that is read: `set` looks at keys and spans, not at this.
    #[serde(default, rename = "set")]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub _set: BTreeMap<String, IgnoredAny>,
    /// Laid over the scenario's own expectations, key by key. With `ceiling = "not reached"` the scenario's `first-failure`, `policy`,
    /// `delay`, `recovery`, `resumes-within` and `disguise` no longer apply, unless they are named here; with a `policy` of its own the scenario's `delay` does not.
    #[serde(default)]
    pub expect: RawExpect,
    /// Needed by this variant, beyond what the scenario needs.
    #[serde(default)]
    pub requires: Vec<String>,
}

/// The JSON Schema (draft 2020-12) of a scenario file, for editors; what `lastfd schema` prints.
pub fn schema() -> serde_json::Value {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(without_null));
    let schema = settings.into_generator().into_root_schema_for::<File>();
    serde_json::to_value(schema).expect("a schema is JSON")
}

/// TOML has no null: an optional key is left out. Removes what schemars says of it.
fn without_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(serde_json::Value::Array(types)) = object.get_mut("type") {
        types.retain(|t| t != "null");
        if let [only] = types.as_slice() {
            object["type"] = only.clone();
        }
    }
    if let Some(serde_json::Value::Array(branches)) = object.get_mut("anyOf") {
        branches.retain(|branch| branch.get("type").is_none_or(|t| t != "null"));
        if let [only] = branches.as_slice() {
            let only = only.clone();
            object.remove("anyOf");
            object.extend(only.as_object().cloned().unwrap_or_default());
        }
    }
    if let Some(serde_json::Value::Array(values)) = object.get_mut("enum") {
        values.retain(|v| !v.is_null());
    }
    if object.get("default").is_some_and(serde_json::Value::is_null) {
        object.remove("default");
    }
}
