//! The files of the page, compiled in. None of them holds data.

use actix_web::{HttpResponse, http::header};

/// Own files only, and nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file of the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct File {
    /// Below the page's own path.
    pub(super) path: &'static str,
    kind: &'static str,
    text: &'static str,
}

macro_rules! files {
    ($($path:literal: $kind:ident from $file:literal,)+) => {
        &[$(File { path: $path, kind: $kind, text: include_str!(concat!("page/", $file)) },)+]
    };
}

pub(super) const FILES: &[File] = files! {
    "/": HTML from "index.html",
    "/page.css": CSS from "page.css",
    "/icon.svg": SVG from "icon.svg",
    "/main.js": SCRIPT from "main.js",
    "/api.js": SCRIPT from "api.js",
    "/element.js": SCRIPT from "element.js",
    "/life.js": SCRIPT from "life.js",
    "/lists.js": SCRIPT from "lists.js",
    "/streams.js": SCRIPT from "streams.js",
};

impl File {
    pub(super) fn answer(self) -> HttpResponse {
        HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, self.kind))
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
            .insert_header((header::REFERRER_POLICY, "no-referrer"))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .body(self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names in these places of the text.
    fn named(text: &'static str, before: &str) -> impl Iterator<Item = &'static str> {
        let starts: Vec<_> = text.match_indices(before).map(|(at, _)| at).collect();
        let length = before.len();
        starts.into_iter().filter_map(move |at| {
            let rest = text.get(at + length..)?;
            rest.split('"').next()
        })
    }

    #[test]
    fn every_file_that_the_page_names_is_served_beside_it() {
        let mut count = 0;
        for file in FILES {
            let names = ["from \"./", "src=\"", "<link rel=\"stylesheet\" href=\""];
            let names = names
                .into_iter()
                .flat_map(|before| named(file.text, before));
            for name in names {
                let path = format!("/{name}");
                assert!(FILES.iter().any(|file| file.path == path), "{path}");
                count += 1;
            }
        }
        assert!(count > 5, "{count} names were found");
    }

    #[test]
    fn the_page_has_nothing_inline_nothing_from_elsewhere_and_makes_no_markup_of_text() {
        for file in FILES {
            for forbidden in [
                "<style",
                " style=",
                "<script>",
                " onclick=",
                "innerHTML",
                "insertAdjacentHTML",
                "document.write",
                "https://",
                "eval(",
            ] {
                assert!(!file.text.contains(forbidden), "{}: {forbidden}", file.path);
            }
        }
    }
}
