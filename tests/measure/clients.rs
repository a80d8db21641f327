//! What clients see.

use super::near;
use crate::log::{self, changed, client, event, measured, ms, with};
use lastfd::internal::event::{Client, Event, Label, Log, Outcome as Got, Queue, What};
use lastfd::internal::measure::{self, Findings};
use lastfd::internal::report::{self, Report};

#[test]
fn what_clients_see_is_counted_apart_for_those_held_queued_and_next() {
    let seen = measured("spin").clients;
    assert_eq!((seen.queued, seen.next.len()), (4, 1), "{seen:?}");
    assert_eq!((seen.next[0].outcome, seen.next[0].clients), (Got::Waits, 4), "twelve came, eight are held");
    // Each of the eight was answered 0.2 ms after its connect.
    let before = seen.before_s.value();
    assert!(before.is_some_and(|l| near(Some(l.p50), 0.0002) && near(Some(l.max), 0.0002)), "{before:?}");
    // The first clients are told to leave at 1500 ms.
    let ask = |at, outcome, answer_s| {
        let (workload, label, detail) = ("flood".into(), Label::Held, String::new());
        event(at, What::Probe { workload, label, outcome, detail, connect_s: None, answer_s })
    };
    let held = changed("spin", |events| {
        events.extend([
            ask(1499.6, Got::Served, Some(0.001)),
            ask(1499.7, Got::Served, Some(0.003)),
            ask(1499.8, Got::Closed, Some(0.002)),
            ask(1499.8, Got::ErrorReply, Some(0.002)),
            ask(1499.9, Got::Waits, None),
            ask(1500.1, Got::Closed, Some(0.5)),
        ]);
    })
    .clients
    .held;
    assert_eq!(
        (held.probed, held.answered, held.dropped, held.silent),
        (5, 2, 1, 1),
        "one was released before it answered: {held:?}"
    );
    assert_eq!(held.error_replies, 1, "it keeps the connection, and can do nothing for it: {held:?}");
    assert!(held.latency_s.value().is_some_and(|l| near(Some(l.p50), 0.001) && near(Some(l.max), 0.003)));
}

/// The server, executed by lastfd itself, exits with 8 of 12 connections held: the kernel closes them, and
/// the accept queue with them.
#[test]
fn clients_of_a_process_that_exited_are_lost_whether_they_noticed_it_or_not() {
    let unnoticed = |event: &Event| !matches!(&event.is, What::Client { state: Client::Closed, .. });
    for found in [measured("exits"), changed("exits", |events| events.retain(unnoticed))] {
        let account = found.clients_account.value().expect("clients");
        let exit = account.exit.expect("it exited");
        assert_eq!((account.connected, account.held, account.waiting), (12, 0, 0), "{account:?}");
        assert_eq!((exit.held, exit.clients), (8, 12), "{account:?}");
        assert_eq!(found.ceiling.served.value(), Some(8), "those that were answered until then");
    }
}

#[test]
fn who_waits_in_the_ramp_and_is_dismissed_then_is_not_in_the_queue_at_the_wall() {
    let first = measured("sheds").ceiling.first_failure.get().expect("a failure").at_s;
    assert!(first < 0.049, "the ramp went on after the first failure, until 50 ms");
    let queue = Some(77);
    let waits = What::Sample { pid: 100, descriptors: 16, queue, cpu_s: 0.0, log_bytes: 0 };
    let sockets = with("sheds", 49.999, waits).sockets;
    let queue = sockets.accept_queue.get().expect("a queue");
    assert!(queue.length < 77 && queue.most == Some(77), "{queue:?}");
}

/// The whole report of a spinning server to which this happened besides.
fn full_report(more: Vec<Event>) -> (Report, String) {
    let (plan, log) = log::told("spin");
    let report = Report::of(&plan, &Log::new(log.events.into_iter().chain(more).collect()));
    let text = report::terminal::render_full(std::slice::from_ref(&report), false, 100);
    (report, text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The subject's sockets, the port's and the namespace's are three counts; one that goes on while clients
/// leave is of no moment.
#[test]
fn sockets_by_state_are_those_of_the_last_whole_count_before_clients_leave() {
    let states = |held: u64| std::collections::BTreeMap::from([("ESTABLISHED".to_owned(), held)]);
    let count = |at, held, took| {
        let is = What::Tcp {
            states: states(held + 16),
            listen_overflows: 3,
            subject: Some(states(held)),
            namespace: Some([("TIME_WAIT".to_owned(), 3400)].into()),
            descriptors: Some(held + 8),
            took: ms(took),
        };
        event(at, is)
    };
    let files = event(1499.999, What::FileNr { allocated: 1234, max: 5678 });
    let (report, text) =
        full_report(vec![count(1480.0, 8, 1.0), count(1490.0, 5, 11.0), count(1500.001, 2, 0.001), files]);
    let s = &report.found.sockets;
    assert_eq!((s.tcp_states.get(), s.tcp_port.get()), (Some(&states(8)), Some(&states(24))));
    assert_eq!(s.tcp_namespace.get().and_then(|all| all.get("TIME_WAIT")), Some(&3400));
    let descriptors = report.found.tcp.iter().map(|point| point.descriptors.value());
    assert_eq!(descriptors.collect::<Vec<_>>(), [Some(16), Some(13), Some(10)]);
    let words =
        "It holds 8 ESTABLISHED, 0 CLOSE_WAIT; in the whole namespace 3400 in TIME_WAIT hold no descriptor.";
    assert!(text.contains(words), "{text}");
    let files = s.file_nr.value().expect("read");
    assert_eq!((files.allocated, files.max), (1234, 5678));
    let without = measured("spin").sockets;
    assert_eq!(without.tcp_states.why(), Some(&measure::Why::SocketsNotListed), "a log without them says so");
}

#[test]
fn clients_that_wait_for_a_full_worker_while_another_has_room_are_pointed_out() {
    let queue = |pid, length, room| Queue { pid, length, capacity: 5, room };
    let (_, text) =
        full_report(vec![event(1499.999, What::Queues(vec![queue(100, 4, 0), queue(101, 0, 3)]))]);
    let words = "4 clients wait for process 100, which is full, while process 101 has room for 3.";
    assert!(text.contains(words), "{text}");
}

/// A run whose clients from this one on are answered with this status.
fn saying(status: &str, from: u32) -> Findings {
    changed("not-reached", |events| answer(events, status, from))
}

fn answer(events: &mut Vec<Event>, status: &str, from: u32) {
    let answered = |event: &Event| match event.is {
        What::Client { id, state: Client::Served, .. } if id >= from => Some((id, event.at)),
        _ => None,
    };
    let answers: Vec<_> = events.iter().filter_map(answered).collect();
    events.retain(|e| !matches!(e.is, What::Client { id, state: Client::ErrorAnswer(_), .. } if id >= from));
    let words = || Client::ErrorAnswer(status.into());
    events.extend(answers.iter().map(|&(id, at)| Event { at, ..client(0.0, id, words()) }));
}

/// A server that lacks a descriptor for a file may say 404, where it said 200 before.
#[test]
fn an_error_that_the_first_client_did_not_get_is_no_service() {
    let not_found = |from: u32| saying("HTTP 404 Not Found", from);
    let at_the_wall = not_found(8);
    assert_eq!(at_the_wall.ceiling.served.value(), Some(8));
    let replies = at_the_wall.error_replies.expect("error replies");
    assert_eq!((replies.first.as_str(), replies.clients), ("HTTP 404 Not Found", 4));
    let account = at_the_wall.clients_account.get().expect("twelve clients");
    assert_eq!((account.held, account.held_with_error + account.error_replies), (8, 4));
    let always = not_found(0);
    assert_eq!(always.ceiling.served.value(), Some(12), "it is what this server answers");
}

/// One that lacks it for its sessions may send clients to the login page.
#[test]
fn a_redirect_that_the_first_client_did_not_get_is_no_service() {
    assert_eq!(saying("HTTP 302 Found", 8).ceiling.served.value(), Some(8));
    assert_eq!(
        saying("HTTP 302 Found", 0).ceiling.served.value(),
        Some(12),
        "it is what this server answers"
    );
    let then = |status: &str| {
        let m = changed("not-reached", |events| {
            answer(events, "HTTP 302 Found", 0);
            answer(events, status, 8);
        });
        m.ceiling.served.value()
    };
    assert_eq!(then("HTTP 404 Not Found"), Some(8), "a redirect was right, and this is none");
}

/// It said `hello` to all whom it accepted; they hear of its exit as the end of their connections.
#[test]
fn a_greeting_is_no_error_reply_when_the_server_exits() {
    let greeted = |at: fn(u32) -> f64| {
        changed("exits", |events| {
            let ends = at(7).max(42.5) + 0.05;
            events.extend((0..8).map(|id| client(ends, id, Client::ErrorReply("hello".into()))));
            events.extend((0..8).map(|id| client(at(id), id, Client::Greeted)));
        })
    };
    let before = greeted(|id| 31.15 + f64::from(id));
    assert_eq!(before.error_replies, None);
    let account = before.clients_account.get().expect("twelve clients");
    let lost = account.exit.as_ref().map(|lost| lost.clients);
    assert_eq!((lost, account.error_replies), (Some(12), 0), "{account:?}");
    let after = greeted(|_| 44.1);
    assert_eq!(after.error_replies.map(|replies| replies.clients), Some(8), "a call had failed by then");
}
