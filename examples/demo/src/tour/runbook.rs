//! The runbook of the alerts, for the links of the tour.

use actix_web::HttpResponse;

use crate::page::{document, escaped};

const RUNBOOK: &str = include_str!("../../../../grafana/runbook.md");

/// `GET /tour/runbook`: its text, with an anchor for each alert.
pub(super) async fn runbook() -> HttpResponse {
    let policy = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'";
    document(policy, html())
}

fn html() -> String {
    let mut html = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Runbook</title>\n<link rel=\"stylesheet\" href=\"/page/page.css\">\n</head>\n\
         <body class=\"runbook\">\n<h1>Runbook</h1>\n",
    );
    for section in RUNBOOK.split("\n## ").skip(1) {
        let (name, text) = section.split_once('\n').unwrap_or((section, ""));
        let (name, text) = (escaped(name), escaped(text.trim()));
        html += &format!("<section class=\"card\" id=\"{name}\">\n<h2>{name}</h2>\n");
        for paragraph in text.split("\n\n") {
            html += &format!("<p>{}</p>\n", paragraph.replace("**", ""));
        }
        html += "</section>\n";
    }
    html + "</body>\n</html>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALERTS: &str = include_str!("../../page/alerts.js");
    const RULES: &str = include_str!("../../../../grafana/rules/alerts.yml");
    const SETTINGS: &str = include_str!("../../../../grafana/settings.yml");

    /// The values of a key in the page's list of alerts.
    fn values<'t>(key: &str, end: char) -> Vec<&'t str> {
        let after = ALERTS.split(key).skip(1);
        after.filter_map(|text| text.split(end).next()).collect()
    }

    #[test]
    fn every_alert_of_the_tour_has_a_rule_and_a_section() {
        let names = values("name: \"", '"');
        assert_eq!(names.len(), 5);
        let html = html();
        for name in names {
            assert!(RULES.contains(&format!("- alert: {name}\n")), "{name}");
            assert!(html.contains(&format!("id=\"{name}\">")), "{name}");
        }
    }

    #[test]
    fn the_thresholds_of_the_tour_are_those_of_the_rules() {
        let thresholds = values("// settings: ", '\n');
        assert!(thresholds.len() >= 4);
        for threshold in thresholds {
            assert!(
                SETTINGS.contains(&format!("\n  {threshold}\n")),
                "{threshold}"
            );
        }
    }
}
