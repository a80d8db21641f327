//! Calls at a rate (an open loop) on a server that stalls once: what the log has of each call, and what is
//! told from the intended times.

use crate::support::{LASTFD, find};
use lastfd::internal::event::{Log, What};
use serde_json::Value;

/// What the log has of a call, seconds.
#[derive(Debug, Clone, Copy)]
struct Call {
    intended: f64,
    late: f64,
    took: f64,
}

/// The run of so many calls a second on a bundled server that stalls once for 100 ms, and the calls of its
/// rate, in the order of their intended times.
fn stalled(per_s: u32, duration: &str, arrivals: &[&str]) -> (Value, Vec<Call>) {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events.jsonl").display().to_string();
    let rate = format!("{per_s}/s");
    let options =
        ["--nofile", "4096", "--calls", "--rate", &rate, "--duration", duration, "--events", &events];
    let server = [LASTFD, "serve", "http", "--port", "{port}", "--stall-ms", "100", "--stall-at", "300"];
    let run = find(&[&options[..], arrivals].concat(), &server).run();
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
    // Those before are of the calibration.
    (run, calls.split_off(calls.len() - sends))
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

/// The p99 is within 1 % of the analytic one; needs a quiet machine.
#[test]
#[ignore = "needs a quiet machine: cargo test --release -- --ignored --nocapture the_p99_of_a_stall"]
fn the_p99_of_a_stall_is_the_analytic_one() {
    for per_s in [200, 400] {
        let (run, calls) = stalled(per_s, "5s", &[]);
        let open = &run["calls"][0]["open_loop"];
        // One call of 100 of those in 5 s: the calls intended in the first 50 ms of the stall.
        let analytic = 0.1 - 0.01 * 5.0;
        let p99 = open["from_intended_s"]["p99"].as_f64().unwrap_or(f64::NAN);
        let from_send = open["from_send_s"]["p99"].as_f64().unwrap_or(f64::NAN);
        println!(
            "{per_s}/s, {} calls: p99 {:.2} ms, analytic {:.2} ms, {:+.2} %; from the sends {:.2} ms; late {}, saturated {}",
            calls.len(),
            p99 * 1e3,
            analytic * 1e3,
            (p99 / analytic - 1.0) * 100.0,
            from_send * 1e3,
            open["late"],
            open["saturated"],
        );
        assert!((p99 / analytic - 1.0).abs() < 0.01, "{p99} s and not {analytic} s: {open:#}");
    }
}
