//! Bencher's metric format: what was measured of each run, for a dashboard that follows it from commit to
//! commit. A benchmark a variant, a measure a number.

use serde_json::{Map, Value, json};

/// The measures, by their slugs, and where the JSON report of a run has each. Times are in seconds.
const MEASURES: [(&str, &[&str]); 8] = [
    ("ceiling", &["/ceiling/capacity", "/ceiling/accepted"]),
    ("descriptors-at-rest", &["/baseline/descriptors"]),
    ("descriptors-per-connection", &["/ceiling/descriptors_per_connection"]),
    ("leaked-descriptors", &["/recovery/leaked"]),
    ("new-client-served-s", &["/recovery/new_client_served_s"]),
    ("failed-calls-per-s", &["/saturation/failures_per_s"]),
    ("cpu-percent", &["/saturation/cpu_percent"]),
    ("log-bytes-per-s", &["/saturation/log_bytes_per_s"]),
];

/// The runs of a JSON report (its `runs`). If a variant ran several times, each measure is the median,
/// between the least and the most; what was not measured is left out.
pub fn render(runs: &[Value]) -> String {
    let mut benchmarks: Vec<(String, Vec<&Value>)> = Vec::new();
    for run in runs {
        let name = name(run);
        match benchmarks.iter_mut().find(|(known, _)| *known == name) {
            Some((_, same)) => same.push(run),
            None => benchmarks.push((name, vec![run])),
        }
    }
    let measured = |(name, runs): (String, Vec<&Value>)| {
        let measures: Map<String, Value> = MEASURES
            .iter()
            .filter_map(|(slug, places)| Some(((*slug).to_owned(), metric(&runs, places)?)))
            .collect();
        (!measures.is_empty()).then(|| (name, Value::Object(measures)))
    };
    super::json::pretty(&benchmarks.into_iter().filter_map(measured).collect::<Map<_, _>>())
}

/// `scenario`, or `scenario / variant`.
fn name(run: &Value) -> String {
    let scenario = run["scenario"].as_str().unwrap_or_default();
    run["variant"].as_str().map_or_else(|| scenario.to_owned(), |variant| format!("{scenario} / {variant}"))
}

fn metric(runs: &[&Value], places: &[&str]) -> Option<Value> {
    let one = |run: &&Value| places.iter().find_map(|place| run.pointer(place)?.as_f64());
    let mut values: Vec<f64> = runs.iter().filter_map(one).collect();
    values.sort_by(f64::total_cmp);
    let (least, most) = (values.first()?, values.last()?);
    let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
    let value = f64::midpoint(low, high);
    Some(match values.len() {
        1 => json!({ "value": value }),
        _ => json!({ "value": value, "lower_value": least, "upper_value": most }),
    })
}
