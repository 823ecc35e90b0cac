//! For programs: one JSON object.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json as object};

use super::CheckReport;
use crate::{
    check::{Outcome, Verdict},
    finding::Finding,
};

/// The report as JSON. Times are in seconds; what was not seen is null.
#[must_use]
pub fn json(report: &CheckReport) -> Value {
    let tally = report.tally();
    let facts = &report.facts;
    let cors: Vec<Value> = facts
        .cors
        .iter()
        .map(|fact| {
            object!({
                "originRole": fact.role,
                "credentials": fact.credentials.as_str(),
                "verdict": if fact.allowed { "allowed" } else { "blocked" },
            })
        })
        .collect();
    object!({
        "url": report.url,
        "clean": report.is_clean(),
        "worst": report.worst().map(crate::finding::Level::as_str),
        "tookSeconds": report.took.as_secs_f64(),
        "software": report.software.iter().map(|s| s.name()).collect::<Vec<_>>(),
        "tally": {
            "passed": tally.passed, "failed": tally.failed, "skipped": tally.skipped,
            "faults": tally.faults, "warnings": tally.warnings, "notes": tally.notes,
        },
        "facts": {
            "status": facts.status,
            "httpVersion": facts.version,
            "tls": facts.tls,
            "certificateExpiry": facts.certificate_expiry.and_then(unix),
            "firstByteSeconds": seconds(facts.first_byte),
            "firstEventSeconds": seconds(facts.first_event),
            "heartbeatMaxSeconds": seconds(facts.heartbeat_max),
            "retrySeconds": seconds(facts.retry),
            "buffering": facts.buffering,
            "resume": facts.resume,
            "authBypass": facts.auth_bypass,
            "cors": cors,
        },
        "checks": report.outcomes.iter().map(check).collect::<Vec<_>>(),
    })
}

fn check(outcome: &Outcome) -> Value {
    let (result, seen) = match &outcome.verdict {
        Verdict::Skipped(why) => ("skipped", why),
        Verdict::Judged(seen, _) if outcome.passed() => ("passed", seen),
        Verdict::Judged(seen, _) => ("failed", seen),
    };
    object!({
        "check": outcome.check,
        "title": outcome.title,
        "result": result,
        "seen": seen,
        "findings": outcome.findings().iter().map(finding).collect::<Vec<_>>(),
    })
}

/// One finding as JSON.
pub(crate) fn finding(finding: &Finding) -> Value {
    let remedies: Vec<Value> = finding
        .remedies
        .iter()
        .map(|r| object!({ "software": r.software.name(), "change": r.change }))
        .collect();
    object!({
        "level": finding.level.as_str(),
        "seen": finding.seen,
        "why": finding.why,
        "remedies": remedies,
    })
}

fn seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|t| t.as_secs_f64())
}

fn unix(time: SystemTime) -> Option<u64> {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .map(|t| t.as_secs())
}
