//! The runbook: what alerts point to in every Grafana that has the dashboards.

use crate::board::{Board, Panel, text};

const RUNBOOK: &str = include_str!("../../../../../grafana/runbook.md");

pub fn board() -> Board {
    let (introduction, _) = RUNBOOK.split_once("\n## ").unwrap_or((RUNBOOK, ""));
    let (_, introduction) = introduction.split_once('\n').unwrap_or_default();
    let mut panels = vec![Panel {
        width: 24,
        ..text(
            "Runbook",
            introduction,
            "What to know before anything else.",
        )
    }];
    panels.extend(RUNBOOK.split("\n## ").skip(1).map(|section| {
        let (alert, section) = section.split_once('\n').unwrap_or((section, ""));
        text(
            alert,
            section,
            "What the alert means, what to look at first, what to do.",
        )
    }));
    Board {
        uid: "sse-runbook",
        title: "Event streams / Runbook",
        description: "What each alert means, what to look at first, what to do.",
        anchor: "sse_build_info",
        panels,
    }
}

/// The number of the panel about an alert; 0 if there is none.
pub fn panel(alert: &str) -> usize {
    let mut panels = board().panels.into_iter();
    panels
        .position(|panel| panel.title == alert)
        .map_or(0, |index| index + 1)
}
