//! S42, facts B1 and A1: what a stream that the browser's CORS check blocked looks like from the
//! server, over both protocols, behind nothing and behind an nginx that strips the header; and
//! that a stream which was used looks different in each of these.

use std::time::Duration;

use actix_web_sse_tests::{Browser, BrowserKind, LIMIT, Nginx, Site, until};

use crate::{application::Application, certificate::Certificate, watched_page::WatchedPage};

#[derive(Clone, Copy, PartialEq)]
enum Protocol {
    Http1,
    Http2,
}

/// What stands between browser and application.
#[derive(Clone, Copy, PartialEq)]
enum Front {
    Nothing(Protocol),
    Nginx(Protocol),
}

/// An nginx that speaks this protocol to browsers, and HTTP/1.1 to the application.
fn nginx(
    application: &Application,
    protocol: Protocol,
    certificate: &Certificate,
    line: &str,
) -> Nginx {
    let (cert, key) = certificate.files();
    let listen = match protocol {
        Protocol::Http1 => "listen {listen};".to_owned(),
        Protocol::Http2 => format!(
            "listen {{listen}} ssl http2; ssl_certificate {}; ssl_certificate_key {};",
            cert.display(),
            key.display()
        ),
    };
    Nginx::start(&format!(
        "server {{ {listen} location / {{ proxy_pass http://{}; proxy_http_version 1.1; \
         proxy_set_header Connection ''; {line} }} }}",
        application.address
    ))
}

/// The immediate closes of each class so far: instant, drain, interval.
fn immediate(application: &Application) -> [u64; 3] {
    ["instant", "drain", "interval"].map(|class| {
        let beginning = format!("sse_connections_immediate_close_total{{class=\"{class}\"");
        application.sum(&beginning)
    })
}

fn closed(application: &Application) -> u64 {
    application.sum("sse_connections_closed_total{reason=\"client_gone\"")
}

/// Opens one stream that is blocked and one that is used and closed again.
fn is_told_apart(kind: BrowserKind, front: Front) {
    let pages = Site::empty();
    let certificate = Certificate::new();
    let application = match front {
        Front::Nothing(Protocol::Http2) => Application::start_tls(&pages.origin(), &certificate),
        _ => Application::start(&pages.origin()),
    };
    let through = |line: &str| match front {
        Front::Nothing(_) => None,
        Front::Nginx(protocol) => Some(nginx(&application, protocol, &certificate, line)),
    };
    let url = |nginx: &Option<Nginx>, path: &str| match (nginx, front) {
        (Some(nginx), Front::Nginx(Protocol::Http2)) => {
            format!("https://{}{path}", nginx.address())
        }
        (Some(nginx), _) => format!("http://{}{path}", nginx.address()),
        (None, _) => application.url(path),
    };
    let browser = Browser::launch(kind);

    // Behind nothing the guard is missing; behind nginx the header is.
    let stripping = through("proxy_hide_header Access-Control-Allow-Origin;");
    let path = if stripping.is_some() {
        "/events"
    } else {
        "/private"
    };
    let mut blocked = 0;
    let counted = loop {
        let page = WatchedPage::open(&browser, &pages.origin(), &url(&stripping, path));
        page.page().wait("errors.length > 0");
        assert_eq!(page.errors(), [2]);
        page.close();
        blocked += 1;
        until("the server sees the blocked stream's end", LIMIT, || {
            (closed(&application) == blocked).then_some(())
        });
        let counted = immediate(&application);
        // A browser that has to wait for a core closes too late for any class, and not in the wrong one.
        if counted != [0; 3] || blocked == 5 {
            break counted;
        }
    };
    let drains = kind == BrowserKind::Chromium
        && matches!(
            front,
            Front::Nothing(Protocol::Http1) | Front::Nginx(Protocol::Http1)
        );
    let expected = match front {
        _ if drains => [0, 1, 0],
        // Only a later write tells of the end.
        Front::Nothing(Protocol::Http2) => [0, 0, 1],
        _ => [1, 0, 0],
    };
    assert_eq!(counted, expected);
    drop(stripping);

    // One that is closed by the script, and one whose tab is closed.
    let honest = through("");
    for (more, data) in [(1, "one"), (2, "two")] {
        let opened = blocked + more;
        let page = WatchedPage::open(&browser, &pages.origin(), &url(&honest, "/events"));
        page.wait_for_opened(1);
        assert_eq!(application.sum("sse_connections_opened_total"), opened);
        application.publish(data);
        assert_eq!(page.wait_for_data(1), [data]);
        page.wait_until_open_for(Duration::from_millis(2500));
        if data == "one" {
            page.page().evaluate("source.close()");
        } else {
            page.close();
        }
        until("the server sees the used stream's end", LIMIT, || {
            (closed(&application) == opened).then_some(())
        });
        assert_eq!(
            immediate(&application),
            expected,
            "a stream that was used counts as blocked"
        );
    }
}

fn behind_nothing_over_http_1(kind: BrowserKind) {
    is_told_apart(kind, Front::Nothing(Protocol::Http1));
}

fn behind_nothing_over_http_2(kind: BrowserKind) {
    is_told_apart(kind, Front::Nothing(Protocol::Http2));
}

fn behind_nginx_over_http_1(kind: BrowserKind) {
    is_told_apart(kind, Front::Nginx(Protocol::Http1));
}

fn behind_nginx_over_http_2(kind: BrowserKind) {
    is_told_apart(kind, Front::Nginx(Protocol::Http2));
}

crate::in_each_browser!(
    behind_nothing_over_http_1,
    behind_nothing_over_http_2,
    behind_nginx_over_http_1,
    behind_nginx_over_http_2,
);
