//! Why a field is null in elements of a list: one reason for each field, as what one element lacks others lack for the same cause. Comes
//! last of measuring; looks at what was measured, and measures nothing.

use super::Measured;

/// Notes the reasons for fields of lists that nothing else has given one.
pub(super) fn reasons(m: &mut Measured) {
    let of_probes = "it did not come to that, or a held connection was asked again, which connects nothing";
    let of_rates =
        "a rate takes two samples, and does not run backwards as that of a process that was replaced";
    let absent = [
        (
            "sysctls.before",
            m.sysctls.iter().any(|s| s.before.is_none()),
            "it could not be read, as its note says",
        ),
        (
            "sysctls.in_force",
            m.sysctls.iter().any(|s| s.in_force.is_none()),
            "it could not be read, as its note says",
        ),
        ("sysctls.note", m.sysctls.iter().any(|s| s.note.is_none()), "there is nothing to say of it"),
        (
            "ceiling.per_process.first_failure_at_s",
            m.ceiling.per_process.iter().any(|p| p.first_failure_at_s.is_none()),
            "no descriptor call of that process was seen to fail",
        ),
        ("saturation.probes.connect_s", m.saturation.probes.iter().any(|p| p.connect_s.is_none()), of_probes),
        (
            "saturation.probes.answer_s",
            m.saturation.probes.iter().any(|p| p.answer_s.is_none()),
            "there was no answer",
        ),
        (
            "series.accept_queue",
            m.series.iter().any(|p| p.accept_queue.is_none()),
            "no listener of it was found then",
        ),
        ("series.failures_per_s", m.series.iter().any(|p| p.failures_per_s.is_none()), of_rates),
        ("series.cpu_percent", m.series.iter().any(|p| p.cpu_percent.is_none()), of_rates),
        ("series.log_bytes_per_s", m.series.iter().any(|p| p.log_bytes_per_s.is_none()), of_rates),
        (
            "series.memory_bytes",
            m.series.iter().any(|p| p.memory_bytes.is_none()),
            "not read with that sample: never while clients connect",
        ),
        (
            "series.queue_overflows",
            m.series.iter().any(|p| p.queue_overflows.is_none()),
            "not read with that sample: never while clients connect",
        ),
        (
            "tcp.descriptors",
            m.tcp.iter().any(|p| p.descriptors.is_none()),
            "the process was not there, or not to be read",
        ),
        (
            "tcp.subject",
            m.tcp.iter().any(|p| p.subject.is_none()),
            "the descriptors of the subject could not be read",
        ),
    ];
    for (field, _, reason) in absent.into_iter().filter(|(_, absent, _)| *absent) {
        m.missing::<()>(field, reason);
    }
}
