//! The book and the READMEs: complete, compiled, run, and nothing said twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use actix_web_sse::{
    Hub, Policy,
    config::{AuthConfig, HubConfig, PolicyConfig, StreamConfig},
};
use actix_web_sse_metrics::{CATALOGUE, PROCESS_CATALOGUE};
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use toml::{Table, Value};

use crate::tree::{files, root};

/// What the book's commands need that the suite does not have, and how many blocks need it.
const NOT_RUN: [(&str, usize); 7] = [
    ("docker", 1),
    ("kubernetes", 1),
    // The suite itself, and what takes as long.
    ("long", 2),
    // It is not on the registries yet.
    ("published", 5),
    // A stream at a public URL, behind a proxy or a CDN.
    ("public", 2),
    // It installs packages of the system, or stops its services.
    ("root", 1),
    // A tool for readers, which the suite uses otherwise.
    ("tool", 2),
];

/// The languages of blocks. `rust` is compiled, `sh` is run, `toml` is built.
const LANGUAGES: [&str; 8] = [
    "js",
    "json",
    "rust",
    "rust,no_run",
    "sh",
    "text",
    "toml",
    "yaml",
];

fn pages() -> Vec<PathBuf> {
    files(&root().join("docs/src"), "md")
        .into_iter()
        .filter(|path| !path.ends_with("SUMMARY.md"))
        .collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn name(path: &Path) -> String {
    let path = path.strip_prefix(root()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The blocks of code of a page, with their languages.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for event in Parser::new_ext(text, Options::all()) {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                let language = match kind {
                    CodeBlockKind::Fenced(language) => language.to_string(),
                    CodeBlockKind::Indented => "indented".to_owned(),
                };
                found.push((language, String::new()));
                inside = true;
            }
            Event::End(TagEnd::CodeBlock) => inside = false,
            Event::Text(text) if inside => found.last_mut().unwrap().1.push_str(&text),
            _ => {}
        }
    }
    found
}

#[test]
fn every_page_is_in_the_summary_and_compiled() {
    let summary = read(&root().join("docs/src/SUMMARY.md"));
    let compiled = read(&root().join("tests/book/src/lib.rs"));
    let listed: BTreeSet<String> = summary
        .split("](")
        .skip(1)
        .map(|rest| rest.split(')').next().unwrap().to_owned())
        .collect();
    let there: BTreeSet<String> = pages()
        .iter()
        .map(|page| page.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(listed, there, "SUMMARY.md and the pages");
    for page in there {
        let include = format!("\"../../../docs/src/{page}\"");
        assert!(compiled.contains(&include), "tests/book lacks {page}");
    }
}

#[test]
fn every_block_of_the_book_has_a_language_that_is_checked() {
    for page in pages() {
        for (language, code) in blocks(&read(&page)) {
            let known = LANGUAGES.contains(&&*language);
            assert!(known, "{}: {language:?} above {code}", name(&page));
        }
    }
}

#[test]
fn commands_that_are_not_run_are_counted_with_their_reasons() {
    let mut counted = BTreeMap::<String, usize>::new();
    let mut commands = 0;
    for page in pages().into_iter().chain([root().join("README.md")]) {
        let text = read(&page);
        commands += blocks(&text)
            .iter()
            .filter(|(language, _)| language == "sh")
            .count();
        for rest in text.split("<!-- not run: ").skip(1) {
            let (reason, rest) = rest.split_once(" -->\n").unwrap();
            assert!(rest.starts_with("```sh\n"), "{}: {reason}", name(&page));
            *counted.entry(reason.to_owned()).or_default() += 1;
        }
    }
    let expected: BTreeMap<String, usize> = NOT_RUN
        .iter()
        .map(|(reason, count)| ((*reason).to_owned(), *count))
        .collect();
    assert_eq!(counted, expected);
    let not_run: usize = counted.values().sum();
    assert!(
        commands > 2 * not_run,
        "{not_run} of {commands} blocks are not run"
    );
}

/// A section of a configuration, as its type.
fn section<T: serde::de::DeserializeOwned>(value: Value) -> T {
    value
        .try_into()
        .unwrap_or_else(|error| unreachable!("{error}"))
}

#[test]
fn every_configuration_of_the_book_can_be_built() {
    let mut built = 0;
    for page in pages() {
        for (language, code) in blocks(&read(&page)) {
            if language != "toml" {
                continue;
            }
            let table: Table = code.parse().unwrap();
            // Those of sse-probe; its own tests read the like.
            if table.contains_key("modules") {
                continue;
            }
            let mut policy = Policy::builder();
            let mut hub = Hub::builder();
            for (key, value) in table {
                match &*key {
                    "policy" => policy = policy.config(section::<PolicyConfig>(value)),
                    "auth" => policy = policy.auth(section::<AuthConfig>(value)),
                    "hub" => hub = hub.config(section::<HubConfig>(value)),
                    "stream" => hub = hub.stream(section::<StreamConfig>(value)),
                    other => unreachable!("{}: [{other}]", name(&page)),
                }
                built += 1;
            }
            policy.build().unwrap();
            hub.build().unwrap();
        }
    }
    assert!(built > 5, "only {built} sections");
}

/// Words of code in a text: `sse_connections_active`, `SSECorsRegression`.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
}

#[test]
fn every_metric_and_alert_of_the_book_exists() {
    let metrics: BTreeSet<&str> = CATALOGUE
        .iter()
        .chain(PROCESS_CATALOGUE)
        .map(|metric| metric.name)
        .collect();
    let runbook = read(&root().join("grafana/runbook.md"));
    let alerts: BTreeSet<&str> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    // Records of the log, and a tag of a sub-command.
    let others = [
        "sse_misconfigured",
        "sse_operator_action",
        "sse_suppressed",
        "sse_probe",
        "sse_",
        "sse_reports",
    ];
    let mut seen = 0;
    for page in pages()
        .iter()
        .filter(|page| !page.ends_with("sse-probe.md"))
    {
        let text = read(page);
        for word in words(&text) {
            let known = if word.starts_with("sse_") {
                metrics.contains(word)
                    || others.contains(&word)
                    // The beginning of several names, in a pattern.
                    || metrics.iter().any(|name| name.starts_with(word) && word.ends_with('_'))
            } else if word.starts_with("SSE") && word.len() > 3 {
                alerts.contains(word)
            } else {
                continue;
            };
            assert!(known, "{}: {word}", name(page));
            seen += 1;
        }
    }
    assert!(seen > 10, "only {seen} names");
}

/// The sentences of a document, without code.
fn sentences(markdown: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut text = String::new();
    let mut in_code = false;
    for event in Parser::new_ext(markdown, Options::all()) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => in_code = true,
            Event::Text(part) | Event::Code(part) if !in_code => text.push_str(&part),
            Event::SoftBreak | Event::HardBreak => text.push(' '),
            Event::End(TagEnd::CodeBlock) => in_code = false,
            Event::End(
                TagEnd::Paragraph | TagEnd::Item | TagEnd::TableCell | TagEnd::Heading(_),
            ) => {
                let ends = [". ", ": ", "; ", "? "];
                let mut rest = std::mem::take(&mut text);
                for end in ends {
                    rest = rest.replace(end, ".\n");
                }
                found.extend(rest.lines().map(|sentence| {
                    let sentence = sentence.trim().trim_end_matches('.').to_lowercase();
                    sentence.split_whitespace().collect::<Vec<_>>().join(" ")
                }));
            }
            _ => {}
        }
    }
    found
}

#[test]
fn no_sentence_stands_twice() {
    let mut documents = pages();
    for folder in [
        "clients",
        "crates",
        "examples",
        "grafana",
        "packaging",
        "tests",
    ] {
        let all = files(&root().join(folder), "md").into_iter();
        documents.extend(all.filter(|path| path.ends_with("README.md")));
    }
    documents.extend(["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(|name| root().join(name)));
    let mut places = BTreeMap::<String, Vec<String>>::new();
    for document in &documents {
        for sentence in sentences(&read(document)) {
            if sentence.split(' ').count() >= 7 {
                places.entry(sentence).or_default().push(name(document));
            }
        }
    }
    assert!(places.len() > 500, "only {} sentences", places.len());
    places.retain(|_, places| places.len() > 1);
    assert!(places.is_empty(), "{places:#?}");
}

#[test]
fn a_sentence_that_stands_twice_is_found() {
    let text = "# One\n\nThis is said. That, too: and\nthis `code`.\n\n- This is said\n\n```sh\nno. text\n```\n";
    let found = sentences(text);
    assert_eq!(
        found,
        [
            "one",
            "this is said",
            "that, too",
            "and this code",
            "this is said"
        ]
    );
}

#[test]
fn the_readme_is_read_in_ten_minutes() {
    let lines = read(&root().join("README.md")).lines().count();
    assert!(lines <= 150, "{lines} lines");
}

/// `diff` takes the application first. The other way round, a header that was taken away is reported as one that was added.
#[test]
fn every_diff_names_the_application_before_the_public_url() {
    let mut found = 0;
    for folder in ["docs", "grafana", "packaging", "crates", "examples"] {
        for path in files(&root().join(folder), "md") {
            let text = read(&path);
            for (at, command) in text.match_indices("sse-probe diff ") {
                let mut words = text[at + command.len()..].split_whitespace();
                let sides = [words.next(), words.next()].map(Option::unwrap_or_default);
                let is_command = |side: &str| {
                    side.contains("://") || side.chars().all(|c| c.is_ascii_uppercase())
                };
                if !sides.into_iter().all(is_command) {
                    continue;
                }
                found += 1;
                let inside = ["APPLICATION", "DIRECT", "http://"];
                assert!(
                    inside.iter().any(|known| sides[0].starts_with(known))
                        && !inside[..2].contains(&sides[1]),
                    "{}: {sides:?}",
                    path.display()
                );
            }
        }
    }
    assert!(found >= 6, "{found}");
}
