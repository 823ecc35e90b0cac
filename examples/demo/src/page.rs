//! The page at `/`: plain files, compiled in, with the ports and the allow-list written into the
//! markup once the listeners are bound.

use std::sync::{Arc, PoisonError, RwLock};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{self, ServiceConfig},
};

const INDEX: &str = include_str!("../page/index.html");
/// The page of a foreign origin that the tour shows in a frame.
const VISITOR: &str = include_str!("../page/visitor.html");

const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! assets {
    ($($file:literal: $kind:ident from $path:literal,)+) => {
        &[$((concat!("/page/", $file), $kind, include_str!(concat!($path, $file))),)+]
    };
}

/// Path, content type and text of each file.
const ASSETS: &[(&str, &str, &str)] = assets! {
    "page.css": CSS from "../page/",
    "icon.svg": SVG from "../page/",
    "main.js": SCRIPT from "../page/",
    "alerts.js": SCRIPT from "../page/",
    "charts.js": SCRIPT from "../page/",
    "counts.js": SCRIPT from "../page/",
    "element.js": SCRIPT from "../page/",
    "explain.js": SCRIPT from "../page/",
    "headers.js": SCRIPT from "../page/",
    "incidents.js": SCRIPT from "../page/",
    "metrics.js": SCRIPT from "../page/",
    "place.js": SCRIPT from "../page/",
    "refusals.js": SCRIPT from "../page/",
    "sign-in.js": SCRIPT from "../page/",
    "stream.js": SCRIPT from "../page/",
    "tour.js": SCRIPT from "../page/",
    "visitor.js": SCRIPT from "../page/",
    "sse-client.js": SCRIPT from "../../../clients/bundle/",
};

/// What the page must know of the process that serves it.
#[derive(Debug, Default)]
pub(crate) struct Surroundings<'a> {
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
    pub(crate) stream_port: u16,
    pub(crate) foreign_port: Option<u16>,
    /// Where the metrics are, if not beside the page.
    pub(crate) metrics: Option<String>,
    /// The origins on the allow-list.
    pub(crate) allow: &'a [String],
    /// What the server can do beyond streaming, as words: `sign-in`, `tour`, `required`,
    /// `tokens`, `tickets`.
    pub(crate) offers: &'a [&'static str],
}

/// The page, as one process serves it at each of its origins.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    scheme: &'static str,
    stream_port: u16,
    foreign_port: Option<u16>,
    /// The markup, but for the allow-list.
    html: Arc<str>,
    /// The origins on the allow-list, which may change.
    allow: Arc<RwLock<String>>,
}

/// Where the allow-list goes into the markup.
const ALLOW: &str = "{{allow}}";

impl Page {
    /// Writes what the page must know into it.
    pub(crate) fn new(around: &Surroundings<'_>) -> Self {
        let attribute = |name: &str, value: &str| format!(" data-{name}=\"{}\"", escaped(value));
        let mut attributes = attribute("stream-port", &around.stream_port.to_string());
        if let Some(port) = around.foreign_port {
            attributes += &attribute("foreign-port", &port.to_string());
        }
        if let Some(metrics) = &around.metrics {
            attributes += &attribute("metrics", metrics);
        }
        attributes += &attribute("allow", ALLOW);
        attributes += &attribute("offers", &around.offers.join(" "));
        let page = Self {
            scheme: around.scheme,
            stream_port: around.stream_port,
            foreign_port: around.foreign_port,
            html: INDEX.replace(" {{attributes}}", &attributes).into(),
            allow: Arc::default(),
        };
        page.allow(around.allow);
        page
    }

    /// From now on these are the origins on the allow-list.
    pub(crate) fn allow(&self, origins: &[String]) {
        let mut allow = self.allow.write().unwrap_or_else(PoisonError::into_inner);
        *allow = escaped(&origins.join(" "));
    }

    fn html(&self) -> String {
        let allow = self.allow.read().unwrap_or_else(PoisonError::into_inner);
        self.html.replace(ALLOW, &allow)
    }

    /// Mounts the page and its files.
    pub(crate) fn mount(&self, config: &mut ServiceConfig) {
        let page = self.clone();
        config.route(
            "/",
            web::get().to(move |request: HttpRequest| {
                let reply = page.reply(&request);
                async move { reply }
            }),
        );
        for &(path, kind, body) in ASSETS {
            config.route(
                path,
                web::get().to(move || async move { asset(kind, body) }),
            );
        }
    }

    /// Mounts the page that the tour shows in a frame.
    pub(crate) fn mount_visitor(&self, config: &mut ServiceConfig) {
        let page = self.clone();
        config.route(
            "/tour/visitor",
            web::get().to(move |request: HttpRequest| {
                let policy = page.visitors_policy(request.connection_info().host());
                async move { document(&policy, VISITOR.to_owned()) }
            }),
        );
    }

    fn reply(&self, request: &HttpRequest) -> HttpResponse {
        let policy = self.content_security_policy(request.connection_info().host());
        document(&policy, self.html())
    }

    /// Own scripts and styles only; connections to this origin and to the stream's, by each name
    /// under which the page offers it; frames of the foreign origin.
    fn content_security_policy(&self, host: &str) -> String {
        let connect = self.sources(self.stream_port, host);
        let frames = self.foreign_port.map(|port| self.sources(port, host));
        let frames = frames.unwrap_or_else(|| "'none'".to_owned());
        format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
             connect-src 'self' {connect}; frame-src {frames}; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'"
        )
    }

    /// The visitor's script and the stream, shown by the page on tour only.
    fn visitors_policy(&self, host: &str) -> String {
        let stream = self.sources(self.stream_port, host);
        format!(
            "default-src 'none'; script-src 'self'; connect-src {stream}; base-uri 'none'; \
             form-action 'none'; frame-ancestors {stream}"
        )
    }

    /// A port of this machine, by each name under which it may have been reached.
    fn sources(&self, port: u16, host: &str) -> String {
        let scheme = self.scheme;
        let mut sources = format!("{scheme}://localhost:{port} {scheme}://127.0.0.1:{port}");
        if let Some(name) = host_name(host) {
            sources += &format!(" {scheme}://{name}:{port}");
        }
        sources
    }
}

/// A page under this content security policy.
pub(crate) fn document(policy: &str, html: String) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        .body(html)
}

fn asset(kind: &'static str, body: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, kind))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(body)
}

/// The name in a `Host`, if it is one that can stand in a policy; IPv6 literals cannot.
fn host_name(host: &str) -> Option<&str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    (!name.is_empty() && name.bytes().all(plain)).then_some(name)
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page {
        let allow = ["http://localhost:8080".to_owned(), "\"><script>".to_owned()];
        Page::new(&Surroundings {
            scheme: "http",
            stream_port: 8080,
            foreign_port: Some(8081),
            allow: &allow,
            ..Surroundings::default()
        })
    }

    #[test]
    fn the_ports_and_the_allow_list_stand_in_the_markup_escaped() {
        let html = page().html();
        assert!(
            html.contains("<html lang=\"en\" data-stream-port=\"8080\" data-foreign-port=\"8081\"")
        );
        assert!(html.contains("data-allow=\"http://localhost:8080 &quot;>&lt;script>\""));
        assert!(!html.contains("{{"), "every placeholder is filled");
    }

    #[test]
    fn every_file_that_the_page_names_is_served() {
        let texts = ASSETS.iter().map(|(_, _, body)| *body);
        let texts = texts.chain([INDEX, VISITOR]);
        for text in texts {
            for (at, _) in text.match_indices("from \"./") {
                let name = text[at + "from \"./".len()..].split('"').next().unwrap();
                assert!(
                    ASSETS
                        .iter()
                        .any(|(path, ..)| *path == format!("/page/{name}")),
                    "{name}"
                );
            }
            for (at, _) in text.match_indices("\"/page/") {
                let path = text[at + 1..].split('"').next().unwrap();
                assert!(ASSETS.iter().any(|(known, ..)| *known == path), "{path}");
            }
        }
    }

    #[test]
    fn the_page_needs_no_inline_script_or_style() {
        for forbidden in ["<style", " style=", "<script>", " onclick=", " onload="] {
            assert!(!INDEX.contains(forbidden), "{forbidden}");
            assert!(!VISITOR.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn a_host_goes_into_the_policy_only_if_it_is_a_plain_name() {
        let policy = page().content_security_policy("demo.example:8081");
        assert!(policy.contains("http://demo.example:8080;"), "{policy}");
        assert!(policy.contains("http://demo.example:8081;"), "{policy}");
        for hostile in ["a; script-src *:1", "[::1]:8081", "x y", ""] {
            let policy = page().content_security_policy(hostile);
            assert!(policy.contains("127.0.0.1:8080; frame-src"), "{policy}");
            assert!(policy.contains("127.0.0.1:8081; base-uri"), "{policy}");
        }
    }
}
