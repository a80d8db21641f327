//! Scenario files: what is wrong with one is shown at its place with the nearest accepted word; what is right
//! expands into the plans it says; the files of this repository are right.

use lastfd::internal::cli::diagnostic;
use lastfd::internal::event::{Call, Errno, Limits};
use lastfd::internal::scenario::{
    self, Ceiling, Dialogue, ExpectLimits, FirstFailure, Invalid, Launcher, Obstacle, Pace, Plan, Policy,
    Program, Serve, ServeOptions, Supervisor,
};
use miette::{GraphicalReportHandler, GraphicalTheme};
use proptest::prelude::*;
use std::path::{Path, PathBuf};

const GOOD: &str = r#"claim = "stops at 1012"
subject = "server"
hold = "3s"

[processes.server]
command = ["./server", "{port}"]
launcher.supervisord = { minfds = 1024 }
limits = { soft = 256, hard = 4096 }
requires = ["./server", "supervisord"]
port = 9001
env = { MODE = "push" }
ready-within = "500ms"
grace = "1m"

[workloads.flood]
websocket = { to = "server", clients = 1500, path = "/ws", port = 9002, burst = true }

[expect]
limits = { soft = 1024, hard = 4096 }
baseline = 12
ceiling = "soft - baseline"
first-failure = { call = "accept4", errno = "EMFILE" }
policy = "spin"
recovers-within = "1s"
leaked = 0

[[variant]]
name = "raised"
claim = "holds all"
set = { "processes.server.launcher" = { supervisord = { minfds = 4096 } }, "workloads.flood.websocket.clients" = 3000 }
expect = { limits = { soft = 4096 }, ceiling = "not reached" }
requires = ["python3:os"]

[[variant]]
name = "no supervisor"
set = { "processes.server.launcher" = "exec" }
expect = { limits = { soft = 256 }, ceiling = "240..=244" }
"#;

fn parse(text: &str) -> Result<Vec<Plan>, Invalid> {
    scenario::parse(text, "push.scenario.toml", "push", Path::new("."))
}

/// The workload of that scenario.
const WORKLOAD: &str =
    r#"websocket = { to = "server", clients = 1500, path = "/ws", port = 9002, burst = true }"#;

/// The scenario above with one thing changed.
#[track_caller]
fn with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "nothing to replace: {from}");
    GOOD.replacen(from, to, 1)
}

fn rendered(error: &Invalid) -> String {
    let mut text = String::new();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(110)
        .with_links(false);
    handler.render_report(&mut text, &diagnostic::Faults::from(error)).unwrap();
    text
}

/// A test a line: its name, what is replaced in `GOOD`, and by what. The error is that of the snapshot of
/// that name.
macro_rules! bad {
    ($($name:ident: $from:expr => $to:expr;)*) => {$(
        #[test]
        fn $name() {
            let error = parse(&with($from, $to)).expect_err("it is not valid");
            insta::assert_snapshot!(stringify!($name), rendered(&error));
        }
    )*};
}

bad! {
    an_unknown_key_names_the_nearest: "launcher.supervisord" => "luancher.supervisord";
    an_unknown_top_level_key_names_the_nearest: "hold =" => "holds =";
    an_unknown_launcher_names_the_nearest: "launcher.supervisord = { minfds = 1024 }" => "launcher = \"supervisor\"";
    an_unknown_launcher_option_is_shown: "{ minfds = 1024 }" => "{ min-fds = 1024 }";
    two_launchers_at_once_are_refused: "launcher.supervisord = { minfds = 1024 }" => "launcher = { supervisord = {}, supervisor-like = {} }";
    a_ulimit_that_is_no_pair_is_refused: "launcher.supervisord = { minfds = 1024 }" => "launcher.container-like = { ulimit = \"1024-4096\" }";
    a_shell_s_soft_limit_above_its_hard_limit_is_refused: "launcher.supervisord = { minfds = 1024 }" => "launcher.shell = { soft = 64, hard = 32 }";
    a_user_that_is_an_option_is_refused: "launcher.supervisord = { minfds = 1024 }" => "launcher.su = { user = \"-c\" }";
    an_unknown_policy_names_the_nearest: "\"spin\"" => "\"spinn\"";
    an_unknown_call_names_the_nearest: "\"accept4\"" => "\"acept4\"";
    an_unknown_errno_names_the_nearest: "\"EMFILE\"" => "\"EMFILES\"";
    an_unknown_accept_policy_names_the_nearest: "command = [\"./server\", \"{port}\"]" => "serve.websocket = { accept = \"spinlog\" }";
    an_unknown_workload_kind_names_the_nearest: "websocket = { to" => "web-socket = { to";
    a_key_beside_the_workload_kind_is_shown_where_it_belongs: "[workloads.flood]" => "[workloads.flood]\nclents = 7";
    two_workload_kinds_at_once_are_refused: "[workloads.flood]" => "[workloads.flood]\ntcp = {}";
    a_division_by_zero_is_pointed_at: "\"soft - baseline\"" => "\"soft - baseline / 0\"";
    a_number_beyond_any_limit_is_refused: "\"soft - baseline\"" => "\"1024 * 1e30\"";
    a_soft_limit_above_the_hard_limit_is_shown: "soft = 256, hard = 4096" => "soft = 4096, hard = 256";
    an_expected_soft_limit_above_the_hard_limit_is_shown: "soft = 1024, hard = 4096" => "soft = 8192, hard = 4096";
    a_subject_that_is_no_process_names_the_nearest: "subject = \"server\"" => "subject = \"sever\"";
    a_workload_to_no_process_names_the_nearest: "to = \"server\"" => "to = \"sevrer\"";
    no_clients_are_refused: "clients = 1500" => "clients = 0";
    a_rate_of_nothing_is_refused: WORKLOAD => "http-per-call = { rate = \"0/s\" }";
    a_rate_without_a_number_is_refused: WORKLOAD => "http-per-call = { rate = \"fast\", every = \"1s\" }";
    arrivals_without_a_rate_are_refused: WORKLOAD => "http-per-call = { arrivals = \"poisson\" }";
    a_seed_of_constant_intervals_is_refused: WORKLOAD => "grpc-per-call = { rate = \"10/s\", seed = 3 }";
    a_caller_has_no_rate: WORKLOAD => "caller = { rate = \"10/s\" }";
    calls_for_no_time_are_refused: WORKLOAD => "http-leak-body = { duration = \"0s\" }";
    calls_for_hours_are_refused: WORKLOAD => "http-per-call = { duration = \"1h\" }";
    a_rate_of_clients_that_hold_is_a_pace: WORKLOAD => "websocket = { rate = \"10/s\" }";
    port_0_is_refused: "port = 9001" => "port = 0";
    a_port_above_65535_is_refused: "port = 9001" => "port = 65536";
    a_negative_duration_is_refused: "\"3s\"" => "\"-3s\"";
    a_duration_without_unit_is_refused: "\"3s\"" => "\"3\"";
    an_endless_duration_is_refused: "\"3s\"" => "\"99999m\"";
    a_duration_as_a_number_is_refused: "\"3s\"" => "3";
    a_command_as_one_string_is_refused: "[\"./server\", \"{port}\"]" => "\"./server {port}\"";
    a_table_in_place_of_a_number_is_refused: "baseline = 12" => "baseline = { is = 12 }";
    a_launcher_of_the_wrong_type_is_refused: "launcher.supervisord = { minfds = 1024 }" => "launcher = 1024";
    a_negative_limit_is_refused: "soft = 256" => "soft = -256";
    an_empty_command_is_refused: "[\"./server\", \"{port}\"]" => "[]";
    a_command_without_program_is_refused: "\"./server\", \"{port}\"" => "\"\"";
    a_process_with_nothing_to_run_is_refused: "command = [\"./server\", \"{port}\"]" => "";
    a_process_with_two_things_to_run_is_refused: "port = 9001" => "serve.http = {}";
    a_missing_claim_is_shown: "claim = \"stops at 1012\"" => "";
    missing_limits_are_shown_at_their_process: "limits = { soft = 256, hard = 4096 }" => "";
    a_subject_must_be_named_among_several: "subject = \"server\"" => "processes.proxy = { serve.http = {}, limits = { soft = 64, hard = 64 } }";
    a_set_path_to_no_process_names_the_nearest: "\"processes.server.launcher\" = \"exec\"" => "\"processes.sever.launcher\" = \"exec\"";
    a_set_path_that_ends_in_no_key_names_the_nearest: "\"processes.server.launcher\" = \"exec\"" => "\"processes.server.luancher\" = \"exec\"";
    a_set_path_outside_what_a_variant_changes_is_refused: "\"processes.server.launcher\" = \"exec\"" => "\"expect.ceiling\" = 7";
    a_set_path_through_a_value_is_refused: "\"processes.server.launcher\" = \"exec\"" => "\"processes.server.port.http\" = 80";
    a_set_path_without_quotes_is_explained: "\"processes.server.launcher\" = \"exec\"" => "processes.server.launcher = \"exec\"";
    a_set_value_is_checked_where_it_is_written: "\"processes.server.launcher\" = \"exec\"" => "\"processes.server.launcher\" = \"exek\"";
    a_variant_is_checked_as_a_whole: "\"processes.server.launcher\" = \"exec\"" => "\"processes.server.limits.soft\" = 8192";
    two_variants_of_one_name_are_refused: "\"no supervisor\"" => "\"raised\"";
    a_formula_that_does_not_parse_is_pointed_into: "\"soft - baseline\"" => "\"(soft - baseline\"";
    an_unknown_identifier_in_a_formula_names_the_nearest: "\"soft - baseline\"" => "\"soft - basline\"";
    a_ceiling_that_is_prose_is_refused: "\"soft - baseline\"" => "\"never reached\"";
    a_delay_that_is_no_time_is_refused: "policy = \"spin\"" => "policy = \"fixed-delay\"\ndelay = { first = \"5\", longest = \"1s\" }";
    a_delay_that_shrinks_is_refused: "policy = \"spin\"" => "policy = \"backoff\"\ndelay = { first = \"2s\", longest = \"1s\" }";
    a_range_backwards_is_refused: "\"240..=244\"" => "{ from = 244, to = 240 }";
    a_range_of_words_is_refused: "\"240..=244\"" => "\"240..=many\"";
    a_syntax_error_is_pointed_at: "hold = \"3s\"" => "hold = \"3s";
    a_key_written_twice_is_pointed_at: "hold = \"3s\"" => "hold = \"3s\"\nhold = \"4s\"";
    a_sysctl_of_the_whole_host_is_refused: "[workloads.flood]" => "[sysctls]\n\"fs.file-max\" = 9\n\"kernel.pid_max\" = \"1\"\n\n[workloads.flood]";
    a_sysctl_with_a_fraction_is_refused: "[workloads.flood]" => "[sysctls]\nnet.core.somaxconn = 1.5\n\n[workloads.flood]";
    a_sysctl_that_is_set_twice_is_refused: "[workloads.flood]" => "[sysctls]\nnet.core.somaxconn = 1\n\"net.core\".somaxconn = 2\n\n[workloads.flood]";
    too_few_clients_for_a_ceiling_are_refused_in_each_variant: "clients = 1500" => "clients = 100";
    a_slip_of_a_placeholder_names_what_was_meant: "\"{port}\"" => "\"--listen={prot}\"";
    a_slip_in_the_environment_is_found_too: "MODE = \"push\"" => "MODE = \"{server.prot}\"";
    a_metric_that_is_not_known_names_the_nearest: "leaked = 0" => "cpu-precent = \"at most 20 %\"";
    an_amount_without_its_unit_is_refused: "leaked = 0" => "first-served = \"at most 20\"";
    a_time_that_must_be_exact_is_refused: "leaked = 0" => "first-served = \"20ms\"";
    an_amount_that_is_prose_is_refused: "leaked = 0" => "leaked = \"no more than at most usual\"";
    a_slip_in_an_amount_is_pointed_into: "leaked = 0" => "capacity = \"at least soft - basline\"";
    an_empty_range_of_amounts_is_refused: "leaked = 0" => "cpu-percent = \"30..=20\"";
    a_word_that_no_run_comes_to_names_the_nearest: "leaked = 0" => "binds = [\"descriptor\"]";
    too_few_clients_for_an_amount_are_refused: "leaked = 0" => "served = \"at least 1501\"";
    a_word_that_is_to_compare_with_a_recording_is_explained:
        "leaked = 0" => "recovery = \"no worse than recorded by 5 %\"";
    a_relative_request_path_is_refused: "path = \"/ws\"" => "path = \"ws\"";
}

#[test]
fn all_faults_are_reported_at_once_in_the_order_of_the_text() {
    let text = with("launcher.supervisord", "luancher.supervisord")
        .replace("\"spin\"", "\"spinn\"")
        .replace("clients = 1500", "clients = 0");
    insta::assert_snapshot!("all_faults_at_once", rendered(&parse(&text).unwrap_err()));
}

#[test]
fn faults_of_several_variants_are_reported_at_once() {
    let text = with("\"processes.server.launcher\" = \"exec\"", "\"processes.sever.port\" = 1")
        .replace("clients\" = 3000", "clients\" = 0");
    insta::assert_snapshot!("faults_of_several_variants", rendered(&parse(&text).unwrap_err()));
}

#[test]
fn an_empty_file_lacks_a_claim_and_processes() {
    insta::assert_snapshot!("an_empty_file", rendered(&parse("").unwrap_err()));
}

#[test]
fn a_scenario_expands_into_itself_and_its_variants() {
    let plans = parse(GOOD).unwrap_or_else(|error| panic!("{}", rendered(&error)));
    assert_eq!(
        plans.iter().map(|plan| plan.variant.as_deref()).collect::<Vec<_>>(),
        [None, Some("raised"), Some("no supervisor")]
    );
    let [base, raised, bare] = plans.as_slice() else { panic!("three plans") };

    let server = &base.processes["server"];
    assert_eq!(
        (base.scenario.as_str(), base.claim.as_str(), base.subject.as_str(), base.hold_s),
        ("push", "stops at 1012", "server", 3.0)
    );
    assert_eq!(server.program, Program::Command(vec!["./server".into(), "{port}".into()]));
    assert_eq!(server.launcher, Launcher::Supervisord(Supervisor { minfds: 1024, ..Supervisor::default() }));
    assert_eq!((server.limits, server.port), (Limits { soft: 256, hard: 4096 }, Some(9001)));
    assert_eq!((server.ready_within_s, server.grace_s, server.env["MODE"].as_str()), (0.5, 60.0, "push"));
    let flood = &base.workloads["flood"];
    assert_eq!(
        (flood.kind, flood.to.as_str(), flood.clients, flood.port),
        (Some(Dialogue::Websocket), "server", Some(1500), Some(9002))
    );
    assert_eq!((flood.path.as_str(), flood.pace), ("/ws", Pace::Burst));
    assert_eq!(base.expect.limits, ExpectLimits { soft: Some(1024), hard: Some(4096) });
    assert_eq!(
        (base.expect.baseline, base.expect.leaked, base.expect.recovers_within_s),
        (Some(12), Some(0), Some(1.0))
    );
    assert_eq!(base.expect.ceiling, Some(Ceiling::Formula("soft - baseline".into())));
    assert_eq!(
        base.expect.first_failure,
        Some(FirstFailure { call: Call::Accept4, or: Vec::new(), errno: Errno::EMFILE })
    );

    // What the variant sets is replaced as a whole, all else stays.
    assert_eq!(
        raised.processes["server"].launcher,
        Launcher::Supervisord(Supervisor { minfds: 4096, ..Supervisor::default() })
    );
    assert_eq!(
        (raised.workloads["flood"].clients, raised.workloads["flood"].path.as_str()),
        (Some(3000), "/ws")
    );
    assert_eq!(raised.claim, "holds all");
    assert_eq!(raised.processes["server"].requires, ["./server", "supervisord", "python3:os"]);
    assert_eq!(bare.processes["server"].launcher, Launcher::Exec);
    assert_eq!((bare.claim.as_str(), bare.processes["server"].requires.len()), ("stops at 1012", 2));

    // Expectations are laid over field by field; what cannot be where nothing fails is no longer expected.
    assert_eq!(raised.expect.limits, ExpectLimits { soft: Some(4096), hard: Some(4096) });
    assert_eq!(
        (&raised.expect.ceiling, &raised.expect.first_failure, &raised.expect.policy),
        (&Some(Ceiling::NotReached), &None, &None)
    );
    assert_eq!((raised.expect.leaked, raised.expect.baseline), (Some(0), Some(12)));
    assert_eq!(bare.expect.ceiling, Some(Ceiling::Range(240, 244)));
    assert_eq!(
        (bare.expect.policy.map(Policy::name), bare.expect.first_failure.is_some()),
        (Some("spin"), true)
    );
}

#[test]
fn a_delay_is_one_that_stays_or_one_that_grows_and_goes_with_its_policy() {
    let delays = |text: &str, variant: &str| {
        let text = with("policy = \"spin\"", text).replacen("ceiling = \"240..=244\"", variant, 1);
        parse(&text)
            .unwrap()
            .iter()
            .map(|plan| plan.expect.delay.map(|d| (d.first_s, d.longest_s)))
            .collect::<Vec<_>>()
    };
    let constant = "policy = \"fixed-delay\"\ndelay = \"500ms\"";
    assert_eq!(
        delays(constant, "leaked = 0"),
        [Some((0.5, 0.5)), None, Some((0.5, 0.5))],
        "nothing fails below a raised limit"
    );
    assert_eq!(delays(constant, "policy = \"spin\"")[2], None, "it was another policy's");
    let grows = "policy = \"backoff\"\ndelay = { first = \"5ms\", longest = \"1s\" }";
    assert_eq!(
        delays(grows, "policy = \"backoff\", delay = \"2s\"")[..],
        [Some((0.005, 1.0)), None, Some((2.0, 2.0))]
    );
}

#[test]
fn a_variant_lays_its_amounts_over_those_of_the_scenario_and_over_plain_values() {
    let text = with(
        "leaked = 0",
        "leaked = 0\ncpu-percent = \"at most 20 %\"\nserved = \"at least 3\"\nbinds = \"descriptors\"",
    );
    let text = text.replace(
        "expect = { limits = { soft = 256 }, ceiling = \"240..=244\" }",
        "expect = { limits = { soft = \"at least 200\" }, leaked = \"at most 1\", cpu-percent = \"at most 5 %\" }",
    );
    let plans = parse(&text).unwrap_or_else(|e| panic!("{e}"));
    let written = |plan: &Plan| {
        let all = plan.expect.amounts.iter().map(|(metric, amount)| format!("{metric} {amount}"));
        all.chain(plan.expect.aspects.keys().map(|aspect| aspect.to_string())).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(written(&plans[0]), "served at least 3, cpu-percent at most 20 %, binds");
    // What is not reached costs nothing at the limit, and nothing binds.
    assert_eq!(written(&plans[1]), "served at least 3");
    assert_eq!(
        written(&plans[2]),
        "limits.soft at least 200, served at least 3, cpu-percent at most 5 %, leaked at most 1, binds"
    );
    let (base, over) = (&plans[0].expect, &plans[2].expect);
    assert_eq!((base.leaked, over.leaked), (Some(0), None));
    assert_eq!((over.limits.soft, over.limits.hard), (None, Some(4096)));
}

#[test]
fn a_variant_that_is_not_reached_keeps_the_policy_it_names() {
    let text = with("ceiling = \"not reached\" }", "ceiling = \"not reached\", policy = \"limits-itself\" }");
    let expect = &parse(&text).unwrap()[1].expect;
    assert_eq!((expect.policy.map(Policy::name), &expect.first_failure), (Some("limits-itself"), &None));
}

#[test]
fn a_variant_that_is_not_reached_keeps_nothing_that_follows_a_ceiling() {
    let follows =
        "policy = \"spin\"\nrecovery = \"recovered\"\nresumes-within = \"1s\"\ndisguise = [\"closed\"]";
    let plans = parse(&with("policy = \"spin\"", follows)).unwrap();
    let kept = |plan: &Plan| {
        (
            plan.expect.recovery.is_some(),
            plan.expect.resumes_within_s.is_some(),
            plan.expect.disguise.is_some(),
            plan.expect.leaked,
        )
    };
    assert_eq!(
        (kept(&plans[0]), kept(&plans[1]), kept(&plans[2])),
        ((true, true, true, Some(0)), (false, false, false, Some(0)), (true, true, true, Some(0)))
    );
    let named =
        parse(&with("ceiling = \"not reached\" }", "ceiling = \"not reached\", disguise = [] }")).unwrap();
    assert_eq!(named[1].expect.disguise.as_deref(), Some([].as_slice()));
}

#[test]
fn defaults_are_filled_in() {
    let text = "claim = 'c'\n[processes.s]\nserve.tcp = {}\nlauncher = 'supervisor-like'\nlimits = { soft = 64, hard = 64 }\n[workloads.w]\ntcp = {}";
    let plans = parse(text).unwrap();
    let (plan, process) = (&plans[0], &plans[0].processes["s"]);
    assert_eq!((plan.subject.as_str(), plan.hold_s, plan.workloads["w"].to.as_str()), ("s", 5.0, "s"));
    assert_eq!(process.program, Program::Serve(Serve::Tcp(ServeOptions::default())));
    assert_eq!(process.launcher, Launcher::SupervisorLike(Supervisor::default()));
    assert_eq!(
        (process.ready_within_s, process.grace_s, plan.workloads["w"].path.as_str()),
        (10.0, 2.0, "/")
    );
    assert_eq!((plan.workloads["w"].clients, &plan.expect.ceiling), (None, &None));
}

#[test]
fn a_variant_may_add_a_process_and_point_the_workload_at_it() {
    let proxy = "\"processes.proxy\" = { command = [\"proxy\", \"{server.port}\"], limits = { soft = 64, hard = 64 } }, \"workloads.flood.websocket.to\" = \"proxy\"";
    let plans = parse(&with("\"processes.server.launcher\" = \"exec\"", proxy)).unwrap();
    assert_eq!((plans[0].processes.len(), plans[2].processes.len()), (1, 2));
    assert_eq!(plans[2].workloads["flood"].to, "proxy");
}

/// A scenario whose relay is served with these options, beside an API and a backend.
fn relay(serve: &str, backend: &str) -> String {
    let limits = "limits = { soft = 64, hard = 64 }";
    format!(
        "claim = 'c'\nsubject = 'relay'\n[processes.relay]\nserve.{serve}\n{limits}\n[processes.api]\nserve.http = {{}}\n{limits}\n\
         [processes.backend]\nserve.{backend}\n{limits}\n[workloads.w]\ntcp = {{}}\n"
    )
}

#[test]
fn a_bundled_service_is_told_where_those_are_whom_it_calls() {
    let words = |serve: &str| {
        let plan = parse(&relay(serve, "grpc = { tls = true }")).unwrap().remove(0);
        let Program::Serve(serve) = &plan.processes["relay"].program else { panic!("it is served") };
        serve.arguments().join(" ")
    };
    assert_eq!(
        words(
            "relay = { api = 'api', backend = 'backend', body = 'closed', certificate = 'per-call', accept = 'backoff', poll-each = true }"
        ),
        "relay --api 127.0.0.1:{api.port} --body closed --backend 127.0.0.1:{backend.tls-port} --ca {certificate} --channel per-call \
         --certificate-read per-call --after-call closed --folder {scratch} --poll-each --accept backoff"
    );
    assert_eq!(
        words("outbound = { api = 'api', after-call = 'left-open', baseline = 9 }"),
        "outbound --api 127.0.0.1:{api.port} --after-call left-open --baseline 9"
    );
    assert_eq!(words("collector = { log = 'shared' }"), "collector --log shared --folder {scratch}");
}

#[test]
fn whom_a_bundled_service_calls_must_be_there_and_speak_tls_where_that_is_asked_for() {
    for (serve, backend, message) in [
        (
            "relay = { api = 'apo' }",
            "grpc = { tls = true }",
            "`api` names no process of this scenario: \"apo\"",
        ),
        ("outbound = { api = 'backen' }", "grpc = {}", "did you mean `backend`?"),
        ("outbound = {}", "grpc = {}", "`processes.relay.serve.outbound` has no `api`"),
        ("relay = {}", "grpc = {}", "the relay has nobody to call"),
        ("relay = { backend = 'backend' }", "grpc = {}", "the backend `backend` does not speak TLS"),
        (
            "relay = { backend = 'backend' }",
            "http = { tls = true }",
            "the backend `backend` does not speak TLS",
        ),
        ("tcp = { tls = true }", "grpc = {}", "this bundled server does not speak TLS"),
    ] {
        let error = rendered(&parse(&relay(serve, backend)).expect_err(message));
        assert!(error.contains(message), "{serve}: {error}");
    }
}

#[test]
fn only_the_subject_can_be_the_bundled_caller() {
    let scenario = |subject: &str| {
        format!(
            "claim = \"c\"\nsubject = \"{subject}\"\n[processes.caller]\ncall = \"calls\"\nlimits = {{ soft = 64, hard = 64 }}\n\
             [processes.backend]\nserve.http = {{}}\nlimits = {{ soft = 64, hard = 64 }}\n[workloads.calls]\nhttp-per-call = {{ to = \"backend\" }}\n"
        )
    };
    parse(&scenario("caller")).unwrap();
    let error = rendered(&parse(&scenario("backend")).expect_err("nobody would give it orders"));
    assert!(error.contains("`caller` calls, and is not the subject"), "{error}");
}

#[test]
fn a_port_of_a_process_that_is_not_there_names_the_nearest() {
    let text = "claim = \"c\"\nsubject = \"client\"\n[processes.client]\ncommand = [\"client\", \"--to\", \"127.0.0.1:{bakend.port}\"]\n\
                limits = { soft = 64, hard = 64 }\n[processes.backend]\nserve.http = {}\nlimits = { soft = 64, hard = 64 }\n";
    let error = rendered(&parse(text).expect_err("there is no such process"));
    assert!(
        error.contains("no process of this scenario is called \"bakend\"") && error.contains("backend"),
        "{error}"
    );
}

/// A scenario of these processes, the first of which is its subject, each with limits of 64.
fn of(processes: &[(&str, &str)], rest: &str) -> Result<Vec<Plan>, String> {
    let process = |(name, keys): &(&str, &str)| {
        format!("[processes.{name}]\n{keys}\nlimits = {{ soft = 64, hard = 64 }}\n")
    };
    let all: String = processes.iter().map(process).collect();
    parse(&format!("claim = 'c'\nsubject = '{}'\n{all}{rest}", processes[0].0)).map_err(|e| rendered(&e))
}

#[test]
fn a_subject_that_nobody_loads_is_refused_unless_it_may_call() {
    let back = ("back", "serve.http = {}");
    for alone in ["serve.http = {}", "serve.outbound = { api = 'back' }", "command = ['./server', '{port}']"]
    {
        let error = of(&[("front", alone), back], "").expect_err(alone);
        assert!(error.contains("nothing loads the subject `front`") && error.contains(":3:"), "{error}");
    }
    assert!(of(&[("front", "command = ['./server']\nport = 9001"), back], "").is_err());
    for calls in [
        "command = ['./client', '{back.port}']",
        "command = ['./client']\nenv = { API = '{back.port}' }",
        "command = ['./client', '{port}']\nbegin = 'USR1'",
    ] {
        of(&[("front", calls), back], "").unwrap_or_else(|error| panic!("{calls}: {error}"));
    }
    let first = |call: &str| format!("[expect]\nfirst-failure = {{ call = '{call}', errno = 'EMFILE' }}\n");
    let reader = [("reader", "command = ['./reads-files']")];
    of(&reader, &first("openat")).expect("it opens files by itself");
    assert!(of(&reader, &first("accept4")).is_err(), "nobody would be accepted");
    of(&reader, "[expect]\nnot-started = {}\n").expect("nobody connects to what does not start");
}

#[test]
fn a_subject_that_a_bundled_service_calls_is_no_client() {
    let relay = [("api", "serve.http = {}"), ("front", "serve.outbound = { api = 'api' }")];
    let plan = of(&relay, "[workloads.flood]\nhttp-idle = { to = 'front' }\n").expect("valid").remove(0);
    assert!(!plan.subject_is_client());
}

#[test]
fn as_few_clients_as_cannot_reach_the_ceiling_are_refused() {
    let server = ("server", "serve.http = {}");
    let wrong = |rest: &str| of(&[server], rest).err();
    let loads =
        |workloads: &str, expect: &str| wrong(&format!("[workloads]\n{workloads}\n[expect]\n{expect}\n"));
    let ten = "flood.tcp = { clients = 10 }";
    for expect in
        ["ceiling = 59", "ceiling = '59..=60'", "ceiling = { from = 59, to = 60 }", "ceiling = '60 - 1'"]
    {
        let error = loads(ten, expect).unwrap_or_else(|| panic!("{expect} is refused"));
        assert!(error.contains("10 clients cannot reach 59"), "{error}");
    }
    let then = "[[then]]\nat = 'saturated'\nlimit = { soft = 128, hard = 128 }\n";
    let moved =
        wrong(&format!("{then}[workloads]\nflood.tcp = {{ clients = 60 }}\n[expect]\nceiling-after = 121\n"));
    assert!(moved.is_some_and(|error| error.contains("60 clients cannot reach 121")));
    for (workloads, expect) in [
        (ten, "ceiling = 10"),
        (ten, "ceiling = 'not reached'"),
        (ten, "ceiling = 'soft - baseline'"),
        ("flood.tcp = {}", "ceiling = 59"),
        ("flood.tcp = { clients = 30 }\nidle.http-idle = { clients = 30 }", "ceiling = 59"),
    ] {
        assert_eq!(loads(workloads, expect), None, "{workloads}, {expect}");
    }
    let caller = [("caller", "call = 'calls'"), ("back", "serve.http = {}")];
    let calls = "[workloads]\ncalls.http-per-call = { to = 'back', calls = 100 }\n[expect]\nceiling = 200\n";
    let error = of(&caller, calls).expect_err("too few calls");
    assert!(error.contains("100 calls cannot reach 200"), "{error}");
}

#[test]
fn every_scenario_of_the_repository_is_valid() {
    let files = scenario::discover(&[PathBuf::from("scenarios")]).unwrap();
    assert!(files.iter().any(|file| file.ends_with("scenarios/websocket-1012/scenario.toml")), "{files:?}");
    let mut names = std::collections::BTreeSet::new();
    for file in &files {
        let plans = scenario::load(file).unwrap_or_else(|error| panic!("{error:?}"));
        assert!(names.insert(plans[0].scenario.clone()), "{} is there twice", plans[0].scenario);
        for plan in plans {
            let shows = plan.expect.ceiling.is_some() || plan.expect.first_failure.is_some();
            assert!(shows, "{}: without a ceiling or a first failure a run shows nothing", plan.scenario);
            let unwritten = serde_json::from_value::<Plan>(serde_json::to_value(&plan).unwrap());
            assert_eq!(unwritten.unwrap(), plan, "the event log gives the plan back");
        }
    }
}

#[test]
fn a_bundled_policy_has_a_scenario_each() {
    let files = scenario::discover(&[PathBuf::from("scenarios")]).unwrap();
    let plans: Vec<Plan> = files.iter().flat_map(|file| scenario::load(file).unwrap()).collect();
    for policy in scenario::ACCEPT_POLICIES {
        let uses =
            |plan: &Plan| format!("{:?}", plan.processes).contains(&format!("accept: Some({policy:?})"));
        assert!(plans.iter().any(uses), "no scenario runs a bundled server with `accept = {policy:?}`");
    }
}

#[test]
fn sysctls_are_the_same_in_both_spellings_and_a_variant_replaces_them_all() {
    let quoted = with(
        "[workloads.flood]",
        "[sysctls]\n\"net.core.somaxconn\" = 128\n\"net.ipv4.ip_local_port_range\" = \"1  2\"\n\n[workloads.flood]",
    );
    let bare = with(
        "[workloads.flood]",
        "[sysctls.net]\ncore.somaxconn = 128\nipv4.ip_local_port_range = \"1 2\"\n\n[workloads.flood]",
    );
    let set =
        quoted.replace("\"processes.server.launcher\" = \"exec\"", "sysctls = { net.ipv4.tcp_tw_reuse = 1 }");
    let plans = parse(&quoted).expect("valid");
    let shown =
        |plan: &Plan| plan.sysctls.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
    assert_eq!(shown(&plans[0]), ["net.core.somaxconn=128", "net.ipv4.ip_local_port_range=1 2"]);
    assert_eq!(plans, parse(&bare).expect("valid"));
    assert_eq!(shown(&parse(&set).expect("valid")[2]), ["net.ipv4.tcp_tw_reuse=1"]);
}

#[test]
fn a_limit_above_the_machines_is_an_obstacle_and_no_error() {
    let text = with("hard = 4096", "hard = 9000000000")
        .replace("launcher.supervisord = { minfds = 1024 }", "")
        .replace("[\"./server\", \"supervisord\"]", "[\"sh\", \"no-such-program\"]")
        .replace("command = [\"./server\"", "command = [\"sh\"");
    let plans = parse(&text).unwrap();
    let obstacles = scenario::preflight(&plans[0]);
    assert!(
        matches!(&obstacles[0], Obstacle::Missing { requirement, .. } if requirement == "no-such-program"),
        "{obstacles:?}"
    );
    assert!(
        matches!(&obstacles[1], Obstacle::HardLimit { needed: 9_000_000_000, lower: "limits.hard", .. }),
        "{obstacles:?}"
    );
    assert_eq!(obstacles.len(), 2);
}

#[test]
fn check_tells_valid_invalid_and_nothing_apart_by_exit_code() {
    use lastfd::internal::cli::{Exit, check};
    let check = |path: &Path| {
        check::run(&check::Args { paths: vec![path.to_owned()], selection: Default::default() })
            .map_err(|failure| (failure.exit, failure.message))
    };
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(check(folder.path()).unwrap_err().0, Exit::NothingSelected);
    assert_eq!(check(&folder.path().join("absent")).unwrap_err().0, Exit::NothingSelected);
    std::fs::write(folder.path().join("scenario.toml"), GOOD).unwrap();
    assert_eq!(check(folder.path()), Ok(Exit::Met), "a missing program is no fault of the file");
    std::fs::write(folder.path().join("scenario.toml"), with("\"spin\"", "\"spinn\"")).unwrap();
    let (exit, message) = check(folder.path()).unwrap_err();
    assert_eq!(exit, Exit::Invalid);
    assert!(message.contains("scenario.toml:23:10") && message.contains("did you mean `spin`?"), "{message}");
}

#[test]
fn what_is_no_text_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.toml");
    std::fs::write(&file, b"claim = \"c\"\nsubject = \"\xc3\xa9 \xff\"\n").unwrap();
    let told = scenario::load(&file).expect_err("Latin-1").to_string();
    assert!(
        told.ends_with("scenario.toml:2:14: the byte 0xff is not UTF-8, which a scenario is written in"),
        "{told}"
    );
}

/// A megabyte, wherever it stands: the message shows its place, and not itself.
#[test]
fn a_line_without_end_is_not_echoed() {
    let long = "a".repeat(1_000_000);
    for (text, words) in [
        (format!("# {long}\nclaim = 3\n"), "wants a string"),
        (format!("claim = \"{long}\"\nclam = 3\n"), "unknown key `clam`"),
        (format!("claim = \"c\"\n{long} = 3\n"), "unknown key"),
        (with("\"spin\"", &format!("\"{long}\"")), "cannot be"),
        (with("\"soft - baseline\"", &format!("\"{long}\"")), "is not known in a formula"),
        (
            with("hold = \"3s\"", &format!("x = [\"{long}\"]; hold = \"3s\"")),
            "push.scenario.toml:3:1000009: ",
        ),
        (
            with("hold = \"3s\"", &format!("hold = \"\"\"\n{}\"\"\"", "a\n".repeat(100_000))),
            "not a time to wait",
        ),
    ] {
        let shown = rendered(&parse(&text).expect_err(words));
        assert!(
            shown.len() < 50_000 && shown.contains(words),
            "{words}: {} bytes: {}",
            shown.len(),
            shown.chars().take(3000).collect::<String>()
        );
    }
}

#[test]
fn control_characters_of_a_file_do_not_reach_the_terminal() {
    let shown =
        rendered(&parse("claim = \"\u{1b}[2J\u{9b}31m\"\nclam = 1 # \u{1b}[0m\n").expect_err("not valid"));
    assert!(!shown.contains(['\u{1b}', '\u{9b}']), "{shown:?}");
}

#[test]
fn nesting_without_end_is_an_error_and_no_stack_overflow() {
    let deep = 100_000;
    let dotted = format!("{}a = 1", "a.".repeat(deep));
    let set = GOOD.replace(
        "\"processes.server.launcher\" = \"exec\"",
        &format!("\"processes.{}a\" = 1", "a.".repeat(deep)),
    );
    for text in [
        format!("a = {}", "[".repeat(deep)),
        format!("a = {}", "{a=".repeat(deep)),
        format!("[{}a]", "a.".repeat(deep)),
        dotted,
        set,
    ] {
        assert!(parse(&text).is_err());
    }
}

/// The good scenario with a slice of it taken out, doubled, or replaced by something else of the language.
fn mangled() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        "\\PC{0,8}",
        proptest::sample::select(vec![
            "[[variant]]\n",
            "set = {}",
            "\"",
            "{",
            "}",
            "= ",
            "\n",
            ".",
            "[",
            "-9",
            "1e400",
            "'''",
            "1979-05-27"
        ])
        .prop_map(String::from)
    ];
    (0..GOOD.len(), 0..60usize, proptest::collection::vec(fragment, 0..3)).prop_map(
        |(start, length, fragments)| {
            let start = GOOD.floor_char_boundary(start);
            let end = GOOD.floor_char_boundary((start + length).min(GOOD.len()));
            format!("{}{}{}", &GOOD[..start], fragments.concat(), &GOOD[end..])
        },
    )
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic_and_every_error_points_into_it(text in prop_oneof![mangled(), mangled(), "\\PC{0,80}", "[a-z.=\"{}\\[\\]\n ]{0,80}"]) {
        if let Err(error) = parse(&text) {
            prop_assert!(!error.problems.is_empty());
            for problem in &error.problems {
                prop_assert!(problem.at.end <= text.len(), "{problem} at {:?} of {}", problem.at, text.len());
            }
            prop_assert!(error.to_string().lines().count() > error.problems.len());
            rendered(&error);
        }
    }
}
