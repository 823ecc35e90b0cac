//! Every relative link of every Markdown document leads to a file, and to a heading if it names one.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::tree::{files, root};

/// The targets of the links and images in a document.
fn targets(markdown: &str) -> Vec<String> {
    let mut found = Vec::new();
    for event in Parser::new_ext(markdown, Options::all()) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                found.push(dest_url.into_string());
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                for attribute in ["href=\"", "src=\"", "srcset=\""] {
                    let values = html.split(attribute).skip(1);
                    found
                        .extend(values.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
                }
            }
            _ => {}
        }
    }
    found
}

/// The anchors of the headings in a document, as GitHub makes them.
fn anchors(markdown: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(markdown, Options::all()) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let text = heading.take().unwrap_or_default();
                let slug = anchor(&text);
                let free = |slug: &String| !found.contains(slug);
                let unique = std::iter::once(slug.clone())
                    .chain((1..).map(|number| format!("{slug}-{number}")))
                    .find(free);
                found.extend(unique);
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            _ => {}
        }
    }
    found
}

fn anchor(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// Whether a link leaves the repository, or names an item of the documentation, which rustdoc
/// checks.
fn is_foreign(target: &str) -> bool {
    target.contains("::") || target.starts_with("//") || {
        target.split_once(':').is_some_and(|(scheme, _)| {
            !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
    }
}

/// What is wrong with a link of this document, if anything is.
fn objection(document: &Path, target: &str) -> Option<String> {
    if is_foreign(target) {
        return None;
    }
    let (path, fragment) = match target.split_once('#') {
        Some((path, fragment)) => (path, Some(fragment)),
        None => (target, None),
    };
    let file = match (path, document.parent()) {
        ("", _) => document.to_owned(),
        (path, Some(folder)) => folder.join(path.split('?').next()?),
        (path, None) => PathBuf::from(path),
    };
    if !file.exists() {
        return Some(format!("{target}: there is no such file"));
    }
    let fragment = fragment.filter(|fragment| !fragment.is_empty())?;
    if file.extension().is_some_and(|ending| ending == "md") {
        let text = fs::read_to_string(&file).unwrap();
        if !anchors(&text).contains(fragment) {
            return Some(format!("{target}: there is no heading #{fragment}"));
        }
    }
    None
}

#[test]
fn every_relative_link_of_a_document_resolves() {
    let documents = files(&root(), "md");
    assert!(documents.len() > 8, "{documents:?}");
    let mut links = 0;
    let mut wrong = Vec::new();
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for target in targets(&text) {
            links += usize::from(!is_foreign(&target));
            if let Some(objection) = objection(&document, &target) {
                wrong.push(format!("{}: {objection}", document.display()));
            }
        }
    }
    assert!(links > 10, "only {links} links were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_link_to_a_missing_file_or_heading_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("a.md");
    let text =
        "# Two words\n\n## Two words\n\n`[code](none.md)` [item](krate::Item) [b]\n\n[b]: b.md\n";
    fs::write(&document, text).unwrap();
    let wrong = |target: &str| objection(&document, target);
    assert_eq!(targets(text), ["krate::Item", "b.md"]);
    assert_eq!(wrong("b.md").unwrap(), "b.md: there is no such file");
    assert_eq!(
        wrong("a.md#three").unwrap(),
        "a.md#three: there is no heading #three"
    );
    for right in [
        "a.md",
        "#two-words",
        "a.md#two-words-1",
        "https://a.example",
        "krate::Item",
    ] {
        assert_eq!(wrong(right), None, "{right}");
    }
    assert_eq!(targets("<img alt=\"\" src=\"c.png\">"), ["c.png"]);
}
