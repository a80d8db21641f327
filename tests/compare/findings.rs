//! Verdicts on blocks that are made up: what is decided, when, and in which words.

use lastfd::internal::compare::{
    Baseline, Block, Change, Comparison, Described, Ending, Header, Judged, Kind, Method, Quantity, Record,
    Reference, Side, Start, compare,
};
use lastfd::internal::report;

/// The head of a log.
fn header() -> Record {
    let side = |name: &str| {
        serde_json::from_value::<Described>(
            serde_json::json!({ "name": name, "command": name, "load": "calls", "limit": 64 }),
        )
    };
    let header = serde_json::json!({
        "schema": "lastfd/compare-log/1", "lastfd_version": "0", "started_at": "", "sides": [side("before").unwrap(), side("after").unwrap()],
        "environment": { "kernel": "", "cpus": 2, "privileges": "root", "observers": [] },
        "method": { "seed": 1, "alpha": 0.05, "band": 0.03, "blocks_max": 100, "within_s": 60.0, "scheduled": false },
        "bounds": [],
    });
    Record::Header(Box::new(serde_json::from_value::<Header>(header).expect("a header")))
}

/// A block with these values on either side.
fn block(number: u32, kind: &str, sides: [&[(Quantity, f64)]; 2]) -> Record {
    let start = |values: &[(Quantity, f64)]| serde_json::json!({ "work": { "calls": 100 }, "values": values.iter().map(|(q, v)| (q.name(), *v)).collect::<std::collections::BTreeMap<_, _>>() });
    let block = serde_json::json!({ "number": number, "kind": kind, "first": "before", "took_s": 1.0, "starts": sides.map(start) });
    Record::Block(Box::new(serde_json::from_value::<Block>(block).expect("a block")))
}

/// Blocks in which the second side has these ratios of calls a second to the first.
fn of_ratios(ratios: &[f64]) -> Vec<Record> {
    let one = |(number, ratio): (usize, &f64)| {
        // Both move together, as on a machine that is now quick and now slow.
        let base = 1000.0 * (1.0 + number as f64 / 7.0);
        let sides = [&[(Quantity::CallsPerS, base)][..], &[(Quantity::CallsPerS, base * ratio)]];
        block(number as u32, "pair", sides)
    };
    std::iter::once(header()).chain(ratios.iter().enumerate().map(one)).collect()
}

fn found(records: &[Record], bounds: &[&str]) -> Comparison {
    let mut records = records.to_vec();
    if let Record::Header(header) = &mut records[0] {
        header.bounds = bounds.iter().map(|bound| bound.parse().expect("a bound")).collect();
    }
    compare(&records).expect("a header")
}

fn change(comparison: &Comparison) -> Change {
    comparison.row(Quantity::CallsPerS).expect("calls a second").change
}

#[test]
fn a_slowdown_is_found_by_its_first_eight_blocks() {
    let slower = found(&of_ratios(&[0.90, 0.91, 0.89, 0.90, 0.92, 0.88, 0.90, 0.91]), &[]);
    let Change::Worse(interval) = change(&slower) else { panic!("{:?}", change(&slower)) };
    assert!(interval.low >= 0.879 && interval.high <= 0.921, "{interval:?}");
    assert!(slower.decided());
    let said = report::words::compare::answer(&slower);
    assert!(said.starts_with("after makes 10.0 % fewer calls a second ("), "{said}");
}

#[test]
fn the_page_of_a_comparison_shows_each_ratio_on_its_side_of_no_change() {
    let bars = |ratios: &[f64]| {
        let page = report::html::compared(&found(&of_ratios(ratios), &[]));
        let document = crate::html::is_sound("a comparison", &page);
        assert!(page.contains("calls a second"), "{page}");
        let bar = scraper::Selector::parse(".ratios rect[height='8']").expect("a selector");
        let part = |rect: scraper::ElementRef<'_>, name: &str| -> f64 {
            rect.attr(name).expect("a place").trim_end_matches('%').parse().expect("a percentage")
        };
        let bars = document.select(&bar).map(|rect| (part(rect, "x"), part(rect, "x") + part(rect, "width")));
        bars.collect::<Vec<_>>()
    };
    let slower = bars(&[0.90, 0.91, 0.89, 0.90, 0.92, 0.88, 0.90, 0.91]);
    assert!(slower.len() == 1 && slower[0].0 > 0.0 && slower[0].1 < 50.0, "{slower:?}");
    let faster = bars(&[1.10, 1.11, 1.09, 1.10, 1.12, 1.08, 1.10, 1.11]);
    assert!(faster.len() == 1 && faster[0].0 > 50.0 && faster[0].1 < 100.0, "{faster:?}");
}

#[test]
fn six_blocks_decide_nothing_and_say_how_many_more_would() {
    let open = found(&of_ratios(&[0.90, 0.91, 0.89, 0.90, 0.92, 0.88]), &[]);
    assert!(matches!(change(&open), Change::Open { needs: Some(1..=3), .. }), "{:?}", change(&open));
    assert!(!open.decided());
}

#[test]
fn what_differs_by_less_than_the_band_is_the_same() {
    let same = found(&of_ratios(&[1.001, 0.999, 1.01, 0.99, 1.0, 1.002, 0.998, 1.001, 1.003, 0.997]), &[]);
    assert!(matches!(change(&same), Change::Same(_)), "{:?}", change(&same));
    let said = report::words::compare::answer(&same);
    assert!(said.starts_with("The number of calls a second is the same (−"), "{said}");
}

#[test]
fn values_that_never_vary_need_no_statistics() {
    let values = |n| [(Quantity::ConnectionsOpened, n), (Quantity::Errors, 0.0)];
    let records: Vec<Record> = std::iter::once(header())
        .chain(std::iter::once(block(0, "warm-up", [&values(1000.0), &values(1.0)])))
        .chain((1..6).map(|number| block(number, "pair", [&values(1000.0), &values(1.0)])))
        .collect();
    let exact = found(&records, &["connections-opened <= 2", "errors <= 0"]);
    assert_eq!(exact.row(Quantity::ConnectionsOpened).unwrap().change, Change::Exactly { better: true });
    assert_eq!(exact.row(Quantity::Errors).unwrap().change, Change::ExactlySame);
    assert!(exact.decided() && exact.judged.iter().all(|(_, judged)| *judged == Judged::Kept));
    assert!(report::words::compare::answer(&exact).starts_with("after opens 1 connection, not 1000."));
    // Some starts may agree by chance.
    let few = found(&records[..6], &["connections-opened <= 2"]);
    assert!(!few.decided());
}

#[test]
fn one_start_that_differs_makes_a_value_uncertain() {
    let opened = |n| [(Quantity::ConnectionsOpened, n)];
    let records: Vec<Record> = std::iter::once(header())
        .chain(
            [1.0, 1.0, 3.0, 3.0, 1.0, 3.0, 1.0]
                .iter()
                .enumerate()
                .map(|(at, n)| block(at as u32, "pair", [&opened(9.0), &opened(*n)])),
        )
        .collect();
    let uncertain = found(&records, &["connections-opened <= 2"]);
    assert_eq!(uncertain.judged[0].1, Judged::Open, "{:?}", uncertain.row(Quantity::ConnectionsOpened));
}

#[test]
fn a_value_that_never_varies_keeps_its_own_bound_whatever_the_other_side_does() {
    let opened = |n| [(Quantity::ConnectionsOpened, n)];
    let records: Vec<Record> = std::iter::once(header())
        .chain((0..6).map(|at| block(at, "pair", [&opened(5.0 + f64::from(at % 2)), &opened(2.0)])))
        .collect();
    let judged = |bound| found(&records, &[bound]).judged[0].1;
    assert_eq!(judged("connections-opened <= 2"), Judged::Kept);
    assert_eq!(judged("connections-opened < 2"), Judged::Broken);
    assert_eq!(judged("connections-opened >= 2"), Judged::Kept);
}

#[test]
fn what_turns_round_in_the_middle_is_no_conclusion() {
    let ratios: Vec<f64> = (0..60).map(|at| if at < 10 { 1.1 } else { 0.9 } + f64::from(at) * 1e-4).collect();
    let turned = found(&of_ratios(&ratios), &["calls-per-s no worse than 1 %"]);
    assert!(matches!(change(&turned), Change::Open { needs: None, .. }), "{:?}", change(&turned));
    assert_eq!(turned.judged[0].1, Judged::Open);
}

#[test]
fn many_bounds_share_the_probability_of_a_false_verdict() {
    // Seven of seven: enough for one bound, and not for the first of six.
    let records = of_ratios(&[0.90, 0.91, 0.89, 0.90, 0.92, 0.88, 0.90]);
    let bound = "calls-per-s no worse than 5 %";
    assert_eq!(found(&records, &[bound]).judged[0].1, Judged::Broken);
    let others =
        ["p50", "p90", "p99", "memory-mib", "connect-p50"].map(|name| format!("{name} no worse than 5 %"));
    let all: Vec<&str> = std::iter::once(bound).chain(others.iter().map(String::as_str)).collect();
    assert_eq!(found(&records, &all).judged[0].1, Judged::Open);
}

#[test]
fn bounds_are_kept_broken_or_open_by_what_the_blocks_decide() {
    let slower = of_ratios(&[0.90, 0.91, 0.89, 0.90, 0.92, 0.88, 0.90, 0.91]);
    let judged = |bound: &str, records: &[Record]| found(records, &[bound]).judged[0].1;
    assert_eq!(judged("calls-per-s no worse than 5 %", &slower), Judged::Broken);
    assert_eq!(judged("calls-per-s no worse than 20 %", &slower), Judged::Kept);
    assert_eq!(judged("calls-per-s better by 5 %", &slower), Judged::Broken);
    assert_eq!(judged("calls-per-s no worse than 10 %", &slower), Judged::Open);
    assert_eq!(judged("p99 no worse than 5 %", &slower), Judged::NotMeasured);
    let quicker = of_ratios(&[1.30, 1.31, 1.29, 1.30, 1.32, 1.28, 1.30, 1.31]);
    assert_eq!(judged("calls-per-s better by 20 %", &quicker), Judged::Kept);
    assert_eq!(judged("calls-per-s better by 40 %", &quicker), Judged::Broken);
    assert_eq!(judged("calls-per-s >= 500", &quicker), Judged::Kept);
}

#[test]
fn blocks_of_one_side_twice_are_its_noise_and_decide_nothing() {
    let mut records = of_ratios(&[0.90, 0.91, 0.89, 0.90, 0.92, 0.88, 0.90, 0.91]);
    let values = |n| [(Quantity::CallsPerS, n)];
    records.push(block(9, "noise", [&values(100.0), &values(104.0)]));
    records.push(block(10, "noise", [&values(100.0), &values(97.0)]));
    let noisy = found(&records, &[]);
    assert_eq!((noisy.blocks, noisy.noise_blocks), (8, 2));
    let noise = noisy.row(Quantity::CallsPerS).unwrap().noise.expect("noise");
    let by_hand = ((1.04_f64.ln().powi(2) + 0.97_f64.ln().powi(2)) / 2.0).sqrt();
    assert!((noise - by_hand).abs() < 1e-12, "{noise}");
}

#[test]
fn a_ratio_that_falls_from_block_to_block_is_told() {
    let falling: Vec<f64> = (0..12).map(|n| 1.2 - f64::from(n) * 0.02).collect();
    let drifts = found(&of_ratios(&falling), &[]);
    let drift = drifts.row(Quantity::CallsPerS).unwrap().drift.expect("a drift");
    assert!(drift.rho < -0.99, "{drift:?}");
    let said: Vec<_> = report::words::compare::facts(&drifts);
    assert!(said.iter().any(|(label, text)| *label == "Drift" && text.contains("falls from block to block")));
}

#[test]
fn slices_that_alternated_count_before_the_values_of_the_starts() {
    let mut records = of_ratios(&[1.0; 8]);
    for record in &mut records[1..] {
        if let Record::Block(block) = record {
            block.alternated.insert(Quantity::CallsPerS, 0.5_f64.ln());
        }
    }
    assert!((found(&records, &[]).row(Quantity::CallsPerS).unwrap().estimate - 0.5).abs() < 1e-12);
}

#[test]
fn work_that_differs_is_refused_and_an_end_is_told() {
    let mut records = of_ratios(&[1.0, 1.0]);
    if let Record::Block(block) = &mut records[2] {
        block.starts[Side::After.at()].work.calls = 99;
        block.starts[Side::After.at()].work.failed.insert("refused at connect".into(), 2);
    }
    records.push(Record::End(Ending::DifferentWork));
    let refused = found(&records, &[]);
    assert!(!refused.concluded());
    let said = report::words::compare::answer(&refused);
    let both =
        "before made 100 calls, all answered; after made 101 calls, of which 2 failed (2 refused at connect)";
    assert!(said.contains(both), "{said}");
    let _: (Option<Start>, Option<Kind>, Option<Method>) = (None, None, None);
}

/// Ratios between two sides that are the same, with heavy tails, bursts and drift, from a generator with this
/// seed.
fn noise(blocks: usize, seed: u64) -> Vec<f64> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut gauss =
        || (-2.0 * random.f64().max(1e-300).ln()).sqrt() * (std::f64::consts::TAU * random.f64()).cos();
    let kind = seed % 4;
    let (burst, slope) = ((seed / 4) as usize % blocks, (seed % 11) as f64 / 10.0 - 0.5);
    (0..blocks)
        .map(|at| {
            let own = gauss() * 0.03;
            let of = match kind {
                0 => own,
                1 => own / ((gauss().powi(2) + gauss().powi(2)) / 2.0).sqrt(),
                2 => own + slope * 0.02 * (at as f64 / blocks as f64 - 0.5),
                _ if (burst..burst + blocks / 6).contains(&at) => own * 10.0,
                _ => own,
            };
            of.exp()
        })
        .collect()
}

/// Blocks of two sides that are the same, in three quantities that move together.
fn of_noise(blocks: usize, seed: u64) -> Vec<Record> {
    let ratios = [noise(blocks, seed), noise(blocks, seed), noise(blocks, seed ^ 0x5555)];
    let one = |at: usize| {
        let [calls, cpu, p50] = ratios.each_ref().map(|ratios| ratios[at]);
        let side = |calls, cpu, p50| {
            [(Quantity::CallsPerS, calls), (Quantity::CpuUsPerCall, cpu), (Quantity::P50, p50)]
        };
        block(at as u32, "pair", [&side(1.0, 1.0, 1.0), &side(calls, 1.0 / cpu, p50)])
    };
    std::iter::once(header()).chain((0..blocks).map(one)).collect()
}

#[test]
fn two_sides_that_are_the_same_are_seldom_said_to_differ_however_often_one_looks() {
    let claims = |seed: u64| {
        let records = of_noise(30, seed);
        (7..=records.len()).any(|upto| {
            let rows = found(&records[..upto], &[]).rows;
            rows.iter().any(|row| matches!(row.change, Change::Better(_) | Change::Worse(_)))
        })
    };
    let rounds = 160;
    let false_claims = (0..rounds).filter(|seed| claims(*seed)).count();
    // Of 160 at 5 % at most: 16 and more would come by chance once in 300.
    assert!(false_claims <= 15, "{false_claims} of {rounds}");
}

/// The same records as a recording, or in a comparison with one.
fn referred(records: &[Record], beside: bool, baseline: Option<Baseline>) -> Vec<Record> {
    let mut records = records.to_vec();
    if let Record::Header(header) = &mut records[0] {
        let mut of = serde_json::json!({ "beside": beside });
        of["baseline"] = serde_json::to_value(baseline).expect("numbers");
        header.reference = Some(serde_json::from_value::<Reference>(of).expect("a reference"));
    }
    records
}

/// Ratios to the bundled server that are about this one, in a recording; what it keeps.
fn recorded_about(ratio: f64) -> Baseline {
    let ratios: Vec<f64> =
        [1.0, 1.002, 0.998, 1.004, 0.996].iter().cycle().take(20).map(|noise| ratio * noise).collect();
    found(&referred(&of_ratios(&ratios), true, None), &[]).recorded().expect("enough blocks")
}

#[test]
fn a_later_version_is_compared_by_its_ratio_to_the_bundled_server() {
    // Recorded at 0.8 of the bundled server; the same today is 0.8, on whatever machine.
    let baseline = recorded_about(0.8);
    let later = |ratio: f64| {
        let ratios: Vec<f64> =
            [1.0, 0.999, 1.001, 1.003, 0.997].iter().cycle().take(15).map(|noise| ratio * noise).collect();
        found(
            &referred(&of_ratios(&ratios), true, Some(baseline.clone())),
            &["calls-per-s no worse than 5 %"],
        )
    };
    let same = later(0.8);
    assert!(matches!(change(&same), Change::Same(_)), "{:?}", change(&same));
    assert_eq!(same.judged[0].1, Judged::Kept);
    let slower = later(0.72);
    let Change::Worse(interval) = change(&slower) else { panic!("{:?}", change(&slower)) };
    assert!(interval.low < 0.9 && interval.high > 0.9, "{interval:?}");
    assert_eq!(slower.judged[0].1, Judged::Broken);
    // What the recording itself does not tell so closely is not claimed.
    let wide = recorded_with_interval(&baseline, 0.7, 0.9);
    let ratios = [0.72; 15];
    let open = found(&referred(&of_ratios(&ratios), true, Some(wide)), &["calls-per-s no worse than 5 %"]);
    assert!(matches!(change(&open), Change::Open { .. }), "{:?}", change(&open));
    assert_eq!(open.judged[0].1, Judged::Open);
}

/// The same recording with another interval of calls a second.
fn recorded_with_interval(baseline: &Baseline, low: f64, high: f64) -> Baseline {
    let mut value = serde_json::to_value(baseline).expect("numbers");
    let of = &mut value["quantities"]["calls-per-s"];
    (of["low"], of["high"]) = (low.into(), high.into());
    serde_json::from_value(value).expect("a recording")
}

#[test]
fn counts_are_recorded_as_they_are_and_other_work_is_refused() {
    let opened = |n| [(Quantity::ConnectionsOpened, n)];
    let records = |n: f64| -> Vec<Record> {
        std::iter::once(header())
            .chain((0..6).map(|at| block(at, "pair", [&opened(n), &opened(n)])))
            .collect()
    };
    let baseline = found(&referred(&records(1.0), false, None), &[]).recorded().expect("exact");
    let later = found(&referred(&records(400.0), false, Some(baseline.clone())), &[]);
    assert_eq!(later.row(Quantity::ConnectionsOpened).unwrap().change, Change::Exactly { better: false });
    assert!(later.decided() && later.different_work.is_none());
    let mut more = serde_json::to_value(&baseline).expect("numbers");
    more["calls"] = 99.into();
    let more = serde_json::from_value(more).expect("a recording");
    let refused = found(&referred(&records(1.0), false, Some(more)), &[]);
    let said = report::words::compare::answer(&refused);
    assert!(said.contains("before made 99 calls, all answered; after made 100 calls"), "{said}");
}

#[test]
fn calls_that_failed_are_part_of_the_recorded_work() {
    let opened = [(Quantity::ConnectionsOpened, 1.0)];
    let failed = |record: Record| match record {
        Record::Block(mut block) => {
            block.starts.iter_mut().for_each(|start| {
                (start.work.calls, start.work.failed) = (90, [("closed at answer".into(), 10)].into());
            });
            Record::Block(block)
        }
        other => other,
    };
    let blocks = (0..6).map(|at| failed(block(at, "pair", [&opened, &opened])));
    let records: Vec<Record> = std::iter::once(header()).chain(blocks).collect();
    let baseline = found(&referred(&records, false, None), &[]).recorded().expect("exact");
    let later = found(&referred(&records, false, Some(baseline)), &[]);
    assert!(
        later.different_work.is_none(),
        "the same program does the same work: {:?}",
        later.different_work
    );
}
