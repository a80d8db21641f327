//! What was started, under which limits, what it held at rest and what was predicted: read from the log, not derived.

use super::timeline::seconds;
use super::{Measured, Run, SetBy};
use crate::event::{Limits, Link, Phase, What};

/// Fills in header, subject, limits, baseline, prediction and timings.
pub(super) fn about(run: &Run<'_>, m: &mut Measured) {
    header(run, m);
    network(run, m);
    subject(run, m);
    limits(run, m);
    baseline(run, m);
    prediction(run, m);
    timings(run, m);
}

fn header(run: &Run<'_>, m: &mut Measured) {
    for event in &run.timeline.events {
        if let What::Header { lastfd_version, started_at, environment, .. } = &event.is {
            m.started_at = Some(started_at.clone());
            m.lastfd_version = Some(lastfd_version.clone());
            m.environment = Some(environment.clone());
            return;
        }
    }
    for field in ["started_at", "lastfd_version", "environment"] {
        m.missing::<()>(field, "the log has no header");
    }
}

fn network(run: &Run<'_>, m: &mut Measured) {
    for event in &run.timeline.events {
        if let What::Sysctls { namespace, set } = &event.is {
            m.network_namespace = Some(namespace.clone());
            m.sysctls = set.clone();
            return;
        }
    }
    m.missing::<()>(
        "network_namespace",
        match run.plan.sysctls.is_empty() {
            true => "the scenario sets no sysctl, so the run has none of its own",
            false => "it was not made",
        },
    );
}

fn subject(run: &Run<'_>, m: &mut Measured) {
    m.subject.name = run.plan.subject.clone();
    for event in &run.timeline.events {
        if let What::Launched { process, argv, launcher, requested, isolation, .. } = &event.is
            && *process == run.plan.subject
        {
            m.subject.argv = Some(argv.clone());
            m.subject.launcher = Some(launcher.clone());
            m.subject.isolation = isolation.clone();
            m.limits.requested = Some(*requested);
        }
    }
    m.subject.pid = run.tree.main;
    if m.subject.isolation.is_none() {
        m.missing::<()>("subject.isolation", "the log does not say");
    }
    if m.subject.argv.is_none() {
        for field in ["subject.argv", "subject.launcher", "limits.requested"] {
            m.missing::<()>(field, "the subject was never executed");
        }
    }
    if m.subject.pid.is_none() {
        m.missing::<()>("subject.pid", "no process of the subject was found");
    }
}

fn limits(run: &Run<'_>, m: &mut Measured) {
    let released = run.timeline.released_from();
    let mut last: Option<&[Link]> = None;
    for event in &run.timeline.events {
        if let What::Chain { process, pid, links, .. } = &event.is
            && *process == run.plan.subject
            && links.last().is_some_and(|own| own.pid == *pid && Some(*pid) == run.tree.main)
            && (event.at < released || last.is_none())
        {
            if let Some(before) = last.and_then(|l| l.last()) {
                m.limits.earlier.push(Limits { soft: before.soft, hard: before.hard });
            }
            last = Some(links);
        }
    }
    let Some((links, own)) = last.and_then(|links| Some((links, links.last()?))) else {
        m.missing::<()>("limits.effective", "the limits of the process that accepts were never read back");
        m.missing::<()>("limits.set_by", "the chain of limits was never read");
        return;
    };
    let effective = Limits { soft: own.soft, hard: own.hard };
    let first = links.iter().rposition(|l| l.soft != own.soft).map_or(0, |above| above + 1);
    // The limits asked for were set, even where the harness had the same.
    let first = first.max(links.iter().rposition(|l| l.command == Link::REQUESTED).unwrap_or(0));
    let setter = &links[first.min(links.len() - 1)];
    m.limits.set_by = Some(SetBy { pid: setter.pid, command: setter.command.clone(), inherited: first == 0 });
    m.limits.effective = Some(effective);
    m.limits.chain = links.to_vec();
    m.limits.earlier.retain(|l| *l != effective);
    m.limits.earlier.dedup();
}

fn baseline(run: &Run<'_>, m: &mut Measured) {
    let before_ramp = run.timeline.from(Phase::Ramp);
    let all: Vec<_> = run
        .timeline
        .events
        .iter()
        .filter_map(|e| match &e.is {
            What::Baseline { pid, descriptors, counted, inventory, settled } if e.at <= before_ramp => {
                Some((*pid, *descriptors, *counted, inventory, *settled))
            }
            _ => None,
        })
        .collect();
    let own = all.iter().rfind(|b| Some(b.0) == run.tree.main).or(all.last());
    let Some((pid, descriptors, counted, inventory, settled)) = own else {
        for field in ["baseline.descriptors", "baseline.counted", "baseline.settled"] {
            m.missing::<()>(field, "the descriptors at rest were never read");
        }
        return;
    };
    m.baseline.descriptors = Some(*descriptors);
    m.baseline.counted = Some(*counted);
    m.baseline.inventory = (*inventory).clone();
    m.baseline.settled = Some(*settled);
    m.baseline.changed_from =
        all.iter().find(|b| b.0 == *pid).map(|b| b.1).filter(|first| first != descriptors);
}

fn prediction(run: &Run<'_>, m: &mut Measured) {
    let (mut first, mut withdrawn) = (None, false);
    for event in &run.timeline.events {
        if let What::NotPredicted { reason, descriptors_per_connection, calibrated_with, .. } = &event.is {
            withdrawn = true;
            m.prediction.before_first_client = first;
            for field in ["ceiling", "formula"] {
                m.missing::<()>(&format!("prediction.{field}"), reason.clone());
            }
            (m.prediction.ceiling, m.prediction.formula) = (None, None);
            m.prediction.descriptors_per_connection =
                descriptors_per_connection.is_finite().then_some(*descriptors_per_connection);
            m.prediction.calibrated_with = Some(*calibrated_with);
        }
        if withdrawn {
            continue;
        }
        if let What::Prediction { ceiling, formula, descriptors_per_connection, calibrated_with, .. } =
            &event.is
        {
            let first = *first.get_or_insert(*ceiling);
            m.prediction.before_first_client = (first != *ceiling).then_some(first);
            m.prediction.ceiling = Some(*ceiling);
            m.prediction.formula = Some(formula.clone());
            m.prediction.descriptors_per_connection =
                descriptors_per_connection.is_finite().then_some(*descriptors_per_connection);
            m.prediction.calibrated_with = Some(*calibrated_with);
        }
    }
    if first.is_none() && !withdrawn {
        for field in ["ceiling", "formula", "descriptors_per_connection", "calibrated_with"] {
            m.missing::<()>(
                &format!("prediction.{field}"),
                "nothing was predicted: limits or descriptors at rest are unknown",
            );
        }
    } else if m.prediction.descriptors_per_connection.is_none() {
        m.missing::<()>("prediction.descriptors_per_connection", "it is not a finite number");
    }
}

fn timings(run: &Run<'_>, m: &mut Measured) {
    let of_subject = |name: &str| name == run.plan.subject;
    let launched = run
        .timeline
        .events
        .iter()
        .find(|e| matches!(&e.is, What::Launched { process, .. } if of_subject(process)));
    let listening = run
        .timeline
        .events
        .iter()
        .find(|e| matches!(&e.is, What::Listening { process, .. } if of_subject(process)));
    let since = launched.map_or(0, |e| e.at);
    m.timings.launch_s = match listening {
        Some(ready) => Some(seconds(ready.at.saturating_sub(since))),
        None => m.missing("timings.launch_s", "the subject never listened"),
    };
    m.timings.to_first_failure_s = match run.followed.first {
        Some(first) => Some(seconds(first.at.saturating_sub(since))),
        None => m.missing("timings.to_first_failure_s", "no descriptor call failed after the ramp began"),
    };
    m.timings.total_s = match run.timeline.events.last() {
        Some(last) => Some(seconds(last.at)),
        None => m.missing("timings.total_s", "the log is empty"),
    };
}
