//! Calls at a rate (an open loop) on a server that stalls once: what the log has of each call, and what is
//! told from the intended times.

use crate::support::{LASTFD, find, program};
use lastfd::internal::event::{Log, What};
use serde_json::Value;
use std::path::Path;

/// What the log has of a call, seconds.
#[derive(Debug, Clone, Copy)]
struct Call {
    intended: f64,
    late: f64,
    took: f64,
}

/// The run of so many calls a second on the bundled server that stalls once for 100 ms, and the calls of its
/// rate, in the order of their intended times.
fn stalled(per_s: u32, duration: &str, arrivals: &[&str]) -> (Value, Vec<Call>) {
    let server = [LASTFD, "serve", "http", "--port", "{port}", "--stall-ms", "100", "--stall-at", "300"];
    let (run, _, calls) = called(&server, per_s, duration, arrivals);
    (run, calls)
}

/// The same of any server, and how many calls of the calibration came before.
fn called(server: &[&str], per_s: u32, duration: &str, arrivals: &[&str]) -> (Value, usize, Vec<Call>) {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events.jsonl").display().to_string();
    let rate = format!("{per_s}/s");
    let options =
        ["--nofile", "4096", "--calls", "--rate", &rate, "--duration", duration, "--events", &events];
    let run = find(&[&options[..], arrivals].concat(), server).run();
    let log = Log::read(&events).unwrap();
    let call = |event: &lastfd::Event| match event.is {
        What::CallEnded { late_s: Some(late), took_s: took, .. } => {
            Some(Call { intended: event.at as f64 / 1e9 - took - late, late, took })
        }
        _ => None,
    };
    let mut calls: Vec<Call> = log.events.iter().filter_map(call).collect();
    calls.sort_by(|a, b| a.intended.total_cmp(&b.intended));
    let sends = run["calls"][0]["open_loop"]["sends"].as_u64().expect("calls at a rate") as usize;
    let before = calls.len() - sends;
    (run, before, calls.split_off(before))
}

#[test]
fn a_stall_shows_in_every_call_that_was_intended_meanwhile() {
    let (run, calls) = stalled(400, "2500ms", &[]);
    let open = &run["calls"][0]["open_loop"];
    assert_eq!(calls.len(), 1000, "{run:#}");
    for (n, call) in calls.iter().enumerate() {
        let exact = calls[0].intended + n as f64 / 400.0;
        assert!((call.intended - exact).abs() < 2e-6, "call {n} was intended at {exact}: {call:?}");
    }
    // Who was to be answered within the stall waited until its end. So of calls each 2.5 ms, one waited for
    // 97.5 ms at least, another for 95 ms, and so on, whatever else the machine did.
    let mut waited: Vec<f64> = calls.iter().map(|call| call.late + call.took).collect();
    waited.sort_by(|a, b| b.total_cmp(a));
    for (n, waited) in waited.iter().take(40).enumerate() {
        let least = 0.1 - (n + 1) as f64 / 400.0;
        assert!(*waited > least - 2e-6, "the latency of rank {n} is {waited}, and not {least}: {run:#}");
    }
    let p99 = open["from_intended_s"]["p99"].as_f64().expect("1000 calls are enough");
    assert!((p99 - waited[10]).abs() < 2e-6, "{p99} and not {}", waited[10]);
    assert!(open["from_send_s"]["p99"].as_f64().expect("as many") <= p99, "{run:#}");
    assert!(open["from_intended_s"]["p999"].is_null(), "ten calls beyond it need 10000: {run:#}");
    let late = calls.iter().filter(|call| call.late > 0.001).count() as u64;
    assert_eq!(open["late"], late, "{run:#}");
    assert_eq!(open["saturated"], late > 10 || open["held_back"] != 0, "{run:#}");
}

#[test]
fn poisson_arrivals_are_those_of_the_seed() {
    let gaps = |seed: &str| {
        let (run, calls) = stalled(400, "500ms", &["--arrivals", "poisson", "--seed", seed]);
        let open = &run["calls"][0]["open_loop"];
        assert_eq!(open["seed"].to_string(), seed, "{run:#}");
        let gaps: Vec<u64> =
            calls.windows(2).map(|two| ((two[1].intended - two[0].intended) * 1e5).round() as u64).collect();
        gaps
    };
    let (one, same, other) = (gaps("7"), gaps("7"), gaps("8"));
    assert_eq!(one.len(), same.len());
    assert!(one.iter().zip(&same).all(|(a, b)| a.abs_diff(*b) <= 1), "{one:?} and not {same:?}");
    assert_ne!(one, other);
}

/// A run in which lastfd falls behind says so, and is made again, so often at most.
const TRIES: usize = 5;

/// From the intended time to the answer, seconds, by rank: the 99th percentile of nearest rank.
fn p99(mut waited: Vec<f64>) -> f64 {
    waited.sort_by(f64::total_cmp);
    waited[(waited.len() * 99).div_ceil(100) - 1]
}

/// The p99 is within 1 % of the one that follows from when the server sent each answer. That is more than
/// what the stall alone makes, which is 0.1 s less one hundredth of the run: the server has to answer those
/// first that came before, one after the other, and how long it takes for each is its own matter. A debug
/// build of lastfd takes 0.2 ms itself to read each answer, and so is 4 % off.
#[test]
#[ignore = "needs a quiet machine: cargo test --release -- --ignored --nocapture the_p99_of_a_stall"]
fn the_p99_of_a_stall_follows_from_when_the_server_answered() {
    if program("python3").is_none() {
        return;
    }
    let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/subjects/stalls.py");
    let folder = tempfile::tempdir().unwrap();
    let times = folder.path().join("answered");
    let command = ["python3", server.to_str().unwrap(), "{port}", times.to_str().unwrap()];
    for per_s in [200, 400] {
        let mut tries = (0..TRIES).map(|_| called(&command, per_s, "5s", &[]));
        let keeps_up = |(run, ..): &(Value, usize, Vec<Call>)| {
            let open = &run["calls"][0]["open_loop"];
            println!("{per_s}/s: {} of {} sends late", open["late"], open["sends"]);
            open["saturated"] == false
        };
        let (run, before, calls) = tries.find(keeps_up).expect("a machine that is quiet for 5 s");
        let open = &run["calls"][0]["open_loop"];
        // In the order in which clients connect; those who ask after the run is over come last.
        let answered = std::fs::read_to_string(&times).unwrap();
        let answered: Vec<f64> =
            answered.lines().skip(before).map(|ns| ns.parse::<u64>().unwrap() as f64 / 1e9).collect();
        assert!(answered.len() >= calls.len(), "{} answers of {} calls", answered.len(), calls.len());
        // The server's clock and the log's differ by a constant: nobody reads an answer before it is sent.
        let read = calls.iter().map(|call| call.intended + call.late + call.took);
        let clocks = read.zip(&answered).map(|(read, sent)| read - sent).fold(f64::MAX, f64::min);
        let own = calls.iter().zip(&answered).map(|(call, sent)| sent + clocks - call.intended);
        let expected = p99(own.collect());
        let stall_alone = 0.1 - 0.01 * 5.0;
        let told = open["from_intended_s"]["p99"].as_f64().unwrap_or(f64::NAN);
        println!(
            "{per_s}/s, {} calls: p99 {:.2} ms, by the server's clock {:.2} ms ({:+.2} %), by the stall alone \
             {:.2} ms",
            calls.len(),
            told * 1e3,
            expected * 1e3,
            (told / expected - 1.0) * 100.0,
            stall_alone * 1e3,
        );
        assert!((told / expected - 1.0).abs() < 0.01, "{told} s and not {expected} s: {open:#}");
        assert!(expected > stall_alone - 2e-6, "the server stalled for 0.1 s, and its p99 is {expected} s");
    }
}
