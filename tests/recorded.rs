//! What holds for every recorded run (`tests/data/recorded`), whatever it is of.

use crate::log;
use crate::run::CLASSES;
use crate::support::{RECORDED, recordings};
use lastfd::internal::event::{Log, Phase, SCHEMA, What};
use lastfd::internal::judge::Outcome;
use lastfd::internal::measure::{Known, Leaves, Term, Why};
use lastfd::internal::report::{Report, short};
use lastfd::internal::scenario::{ACCEPT_POLICIES, Plan};

/// All of them together: a clone of the project should not be heavy.
const BYTES_AT_MOST: u64 = 8_000_000;

#[test]
fn every_accept_policy_is_recorded_under_either_observer_and_the_whole_folder_is_small() {
    let names: Vec<&str> = recordings().iter().map(|(name, ..)| name.as_str()).collect();
    for policy in ACCEPT_POLICIES {
        for kind in ["http-32", "tcp-64"] {
            assert!(
                names.contains(&format!("policy-{kind}-{policy}").as_str()),
                "{kind}, {policy}: {names:?}"
            );
        }
    }
    let files = std::fs::read_dir(RECORDED).unwrap().flatten();
    let bytes: u64 = files.map(|file| file.metadata().unwrap().len()).sum();
    assert!(bytes <= BYTES_AT_MOST, "{bytes}");
}

#[test]
fn every_recording_is_whole_and_of_the_current_schema() {
    for (name, _, log) in recordings() {
        let What::Header { schema, .. } = &log.events[0].is else { panic!("{name}: no header") };
        assert_eq!((schema.as_str(), log.complete), (SCHEMA, true), "{name}: record it again");
    }
}

#[test]
fn every_recorded_formula_comes_to_the_ceiling_that_the_run_announced() {
    let mut formulas = 0;
    for (name, _, log) in recordings() {
        for event in &log.events {
            let What::Prediction { ceiling, formula, .. } = &event.is else { continue };
            assert_eq!(formula.ceiling(), *ceiling, "{name}: {formula:?}");
            formulas += 1;
        }
    }
    assert!(formulas >= 300, "{formulas}");
}

#[test]
fn every_phase_of_a_log_ended_with_a_reason_when_the_next_began() {
    let told: Vec<_> = log::all().filter(|(_, _, log, _)| log.complete).collect();
    let told = told.iter().map(|(name, _, log, _)| (*name, log));
    for (name, log) in recordings().iter().map(|(name, _, log)| (name.as_str(), log)).chain(told) {
        let mut open: Option<Phase> = None;
        for event in &log.events {
            match event.is {
                What::Phase(phase) => {
                    assert_eq!(open, None, "{name}: {phase:?} begins at {} within another", event.at);
                    open = Some(phase);
                }
                What::PhaseEnded { phase, .. } => {
                    assert_eq!(open.take(), Some(phase), "{name}: {}", event.at)
                }
                _ => {}
            }
        }
        assert_eq!(open, None, "{name}");
    }
}

#[test]
fn the_witnesses_of_a_recording_agree_or_its_report_is_inconclusive() {
    for (name, plan, log) in recordings() {
        let report = Report::of(plan, log);
        let (witnesses, verdict) = (&report.found.witnesses, &report.verdict);
        let agree = witnesses.agreement.value() != Some(false) || verdict.outcome == Outcome::Inconclusive;
        assert!(agree, "{name}: {:?}, {:?}", witnesses.notes, verdict.reasons);
    }
}

#[test]
fn a_recorded_policy_is_classified_as_its_server_was_told_to_behave() {
    for (name, plan, log) in recordings().iter().filter(|(name, ..)| name.starts_with("policy-")) {
        let class = CLASSES.iter().find(|(policy, _)| {
            name.split_once("-32-").or(name.split_once("-64-")).is_some_and(|(_, of)| of == *policy)
        });
        let policy = Report::of(plan, log).found.policy.policy.value().expect("each was seen at its wall");
        assert_eq!(policy.name(), class.expect("listed").1, "{name}");
    }
}

/// Listeners of one port each: the kernel fills them unevenly.
#[test]
fn the_first_full_worker_is_seen_beside_what_all_of_them_hold() {
    let (_, plan, log) =
        recordings().iter().find(|(name, ..)| name == "scenario-workers-reuseport").expect("recorded");
    let found = Report::of(plan, log).found;
    let full = found.first_full.value().expect("one failed");
    let clients = found.clients_account.value().expect("clients");
    assert_eq!(full.most, clients.held, "as the clients count them");
    assert!(full.held < full.most, "{full:?}");
    for (name, plan, log) in recordings() {
        let found = Report::of(plan, log).found;
        let Some(full) = found.first_full.value() else { continue };
        assert!(Some(full.held) >= found.ceiling.accepted.value(), "{name}: one process is a part of all");
    }
}

/// The report of the recording of this name, its plan and its log.
fn recording(wanted: &str) -> (Report, &'static Plan, &'static Log) {
    let (_, plan, log) = recordings().iter().find(|(name, ..)| name == wanted).expect("it is recorded");
    (Report::of(plan, log), plan, log)
}

#[test]
fn leaked_sockets_lead_to_the_upstream_that_the_run_started() {
    let (report, _, log) = recording("find-upstream-left-open");
    let upstream = log.events.iter().find_map(|event| match &event.is {
        What::Listening { process, address, .. } if process == "upstream" => Some(address.as_str()),
        _ => None,
    });
    let leads_to = report.found.leaks[0].leads_to.as_ref().expect("they are connected");
    assert_eq!((Some(leads_to.address.as_str()), leads_to.accepted), (upstream, false));
    let said = format!("It leaks 1 tcp socket a connection to {}", upstream.expect("it listens"));
    assert!(short::paragraph(&report).contains(&said), "{}", short::paragraph(&report));
}

#[test]
fn who_set_the_hard_limit_is_said_of_a_program_that_raised_its_soft_limit_to_it() {
    let mut raised = 0;
    for (name, plan, log) in recordings() {
        let asked = plan.processes[&plan.subject].limits;
        let report = Report::of(plan, log);
        let paragraph = short::paragraph(&report);
        if paragraph.contains("raised the soft limit to its hard limit") {
            let said = format!("its hard limit of {}, which the scenario set.", asked.hard);
            assert!(paragraph.contains(&said), "{name}: {paragraph}");
            raised += 1;
        }
    }
    assert!(raised >= 5, "only {raised} programs raise their limit");
}

/// One hundred requests are under way at a time, each on a connection of its own.
#[test]
fn the_sum_of_a_service_that_is_called_counts_the_connections_of_its_clients() {
    let (report, plan, log) = recording("scenario-grpc-leaked-bodies-service");
    let at_a_time = plan.workloads["requests"].calls.as_ref().expect("it is called").concurrency;
    let sum = report.found.sum.get().expect("its limits were read");
    let Leaves::Nothing = sum.leaves else { panic!("{sum:?}") };
    let [Term::AlreadyOpen(rest), Term::ConnectionsOfClients(clients), Term::OpenedByCalls(opened)] =
        sum.terms[..]
    else {
        panic!("{sum:?}")
    };
    let open = log.events.iter().rev().find_map(|event| match &event.is {
        What::Sample { descriptors, .. } if *descriptors == sum.soft => Some(*descriptors),
        _ => None,
    });
    assert_eq!(clients, u64::from(at_a_time));
    assert_eq!(open, Some(rest + clients + opened), "as `/proc` counted a full table");
    let said = ": 15 already open, 100 client connections and 13 opened by calls)";
    assert!(short::paragraph(&report).contains(said), "{}", short::paragraph(&report));
}

#[test]
fn each_reason_why_nobody_knows_what_a_connection_costs_is_the_true_one() {
    let reasons = [
        ("server-http-unobserved", Why::NoObserver),
        ("server-http-io-uring-unseen", Why::AcceptsPassBy),
        ("find-caller", Why::CountedInCalls),
        ("policy-tcp-64-exit", Why::NotSampledAtCeiling),
        ("subject-a-process-each", Why::HeldByOthers),
        ("scenario-workloads-client-program-each-is-answered-and-leaves", Why::NoneHeldWhenCounted),
    ];
    for (name, why) in reasons {
        let (report, ..) = recording(name);
        assert_eq!(report.found.ceiling.descriptors_per_connection, Known::Unknown(why), "{name}");
    }
}
