//! `Policy::cors` beside `Policy::api`: every case of a table goes through both, and what differs is
//! what the documentation says.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use actix_http::Request;
use actix_web::{
    App, HttpResponse,
    body::MessageBody,
    dev::{Service, ServiceResponse},
    http::{Method, header::HeaderValue},
    test::{self, TestRequest},
    web,
};
use actix_web_sse::Policy;

use super::support::reference;

const HOST: &str = "api.example.com";

/// Whose page asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    /// A program, or a page of the server's own, which reads without any header.
    Own,
    Allowed,
    Denied,
}

/// What browsers and others send as `Origin`, a line each; and whose page that is.
fn origins() -> Vec<(Vec<Vec<u8>>, Page)> {
    let one = |origin: &[u8]| vec![origin.to_vec()];
    let mut all = vec![
        (Vec::new(), Page::Own),
        (one(b"https://api.example.com"), Page::Own),
    ];
    for allowed in [
        "https://app.example.com",
        "http://localhost:5173",
        "https://a.tenant.example.net",
        "https://a.b.tenant.example.net",
        "https://a_b.tenant.example.net",
    ] {
        all.push((one(allowed.as_bytes()), Page::Allowed));
    }
    for denied in [
        "https://evilapp.example.com",
        "https://evil-app.example.com",
        "https://app.example.com.evil.com",
        "https://appXexample.com",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com:443",
        "HTTPS://APP.EXAMPLE.COM",
        "https://app.example.com/",
        "https://app.example.com@evil.com",
        "https://evil.com#.tenant.example.net",
        "https://evil.com/.tenant.example.net",
        "https://evil.com?.tenant.example.net",
        "null",
        "https://tenant.example.net",
        "https://xtenant.example.net",
        "https://a.tenant.example.net.evil.com",
        "https://a.tenant.example.net:444",
        "http://a.tenant.example.net",
        "https://app.example.com`.evil.com",
        "https://app.example.com_.evil.com",
        "https://app.example.com{.evil.com",
        "https://app.example.com!.evil.com",
        "https://app.example.com%60.evil.com",
        "https://a b.tenant.example.net",
        "https://app.example.com, https://evil.com",
        "https://app.example.com https://evil.com",
        "",
        "https://\u{430}pp.example.com",
        "http://[::1]:5173",
        "http://127.0.0.1:5173",
        "chrome-extension://abcd",
        "file://",
        "https://api.example.com:8080",
        "https://api.example.com.evil.com",
    ] {
        all.push((one(denied.as_bytes()), Page::Denied));
    }
    all.push((one(b"\xff"), Page::Denied));
    all.push((
        vec![
            b"https://app.example.com".to_vec(),
            b"https://evil.com".to_vec(),
        ],
        Page::Denied,
    ));
    all
}

/// What is asked for: a method, and the lines of a preflight.
#[derive(Clone, Copy)]
struct Asked {
    what: &'static str,
    method: &'static str,
    preflight: Option<(&'static str, &'static [&'static str])>,
}

const ASKED: [Asked; 10] = [
    plain("GET"),
    plain("POST"),
    preflight("a preflight for GET", "GET", &["authorization"]),
    preflight(
        "a preflight for POST",
        "POST",
        &["content-type,Authorization"],
    ),
    preflight("a preflight without headers", "DELETE", &[]),
    preflight("a foreign header", "GET", &["x-evil"]),
    preflight("a foreign method", "PURGE", &[]),
    preflight("small letters", "get", &[]),
    preflight("two lines", "GET", &["authorization", "x-evil"]),
    preflight("an empty list", "GET", &[""]),
];

const fn plain(method: &'static str) -> Asked {
    Asked {
        what: method,
        method,
        preflight: None,
    }
}

const fn preflight(
    what: &'static str,
    method: &'static str,
    headers: &'static [&'static str],
) -> Asked {
    Asked {
        what,
        method: "OPTIONS",
        preflight: Some((method, headers)),
    }
}

fn request(origin: &[Vec<u8>], asked: Asked) -> Request {
    let mut request = TestRequest::default()
        .method(Method::from_bytes(asked.method.as_bytes()).unwrap())
        .uri("/me")
        .insert_header(("host", HOST))
        .append_header(("x-forwarded-for", "203.0.113.9"))
        .append_header(("x-forwarded-proto", "https"))
        .peer_addr("10.0.0.2:4711".parse().unwrap());
    for line in origin {
        request = request.append_header(("origin", HeaderValue::from_bytes(line).unwrap()));
    }
    if let Some((method, headers)) = asked.preflight {
        request = request.insert_header(("access-control-request-method", method));
        for line in headers {
            request = request.append_header(("access-control-request-headers", *line));
        }
    }
    request.to_request()
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    status: u16,
    /// The handler ran.
    ran: bool,
    headers: BTreeMap<String, Vec<String>>,
}

impl Outcome {
    /// A set of names, in the order of the alphabet.
    fn names(&self, header: &str) -> Vec<String> {
        let lines = self.headers.get(header).into_iter().flatten();
        let mut names: Vec<_> = lines
            .flat_map(|line| line.split(','))
            .map(|name| name.trim().to_ascii_lowercase())
            .collect();
        names.sort();
        names
    }

    /// Whether the page may read the reply, or send what its preflight asked for, with cookies.
    fn lets_the_page(&self, origin: &[Vec<u8>], asked: Asked) -> bool {
        let [origin] = origin else { return false };
        let origin = String::from_utf8_lossy(origin).into_owned();
        let allowed = self.headers.get("access-control-allow-origin") == Some(&vec![origin])
            && self.headers.get("access-control-allow-credentials")
                == Some(&vec!["true".to_owned()]);
        let Some((method, headers)) = asked.preflight else {
            return allowed;
        };
        // Safelisted methods need no mention; names of methods are compared by their letters.
        let methods = self.headers.get("access-control-allow-methods");
        let methods: Vec<_> = methods
            .into_iter()
            .flatten()
            .flat_map(|line| line.split(", "))
            .collect();
        let granted = self.names("access-control-allow-headers");
        (200..300).contains(&self.status)
            && allowed
            && (matches!(method, "GET" | "HEAD" | "POST") || methods.contains(&method))
            && headers
                .iter()
                .flat_map(|line| line.split(','))
                .map(|name| name.trim().to_ascii_lowercase())
                .filter(|name| !name.is_empty())
                .all(|name| granted.contains(&name))
    }
}

async fn outcome<S, B>(app: &S, ran: &Mutex<bool>, request: Request) -> Outcome
where
    S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    *ran.lock().unwrap() = false;
    let response = app.call(request).await.unwrap();
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in response.headers() {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.entry(name.to_string()).or_default().push(value);
    }
    Outcome {
        status: response.status().as_u16(),
        ran: *ran.lock().unwrap(),
        headers,
    }
}

type Ran = Arc<Mutex<bool>>;

fn me(ran: &Ran) -> actix_web::Route {
    let ran = Arc::clone(ran);
    web::route().to(move || {
        *ran.lock().unwrap() = true;
        std::future::ready(HttpResponse::Ok().finish())
    })
}

/// Both outcomes of each case.
async fn table(policy: &Policy) -> Vec<(Vec<Vec<u8>>, Page, Asked, Outcome, Outcome)> {
    let ran = Ran::default();
    let api = policy.api().without_auth();
    let ours =
        test::init_service(App::new().service(web::resource("/me").wrap(api).route(me(&ran))));
    let cors = policy.cors();
    let theirs =
        test::init_service(App::new().service(web::resource("/me").wrap(cors).route(me(&ran))));
    let (ours, theirs) = (ours.await, theirs.await);
    let mut rows = Vec::new();
    for (origin, page) in origins() {
        for asked in ASKED {
            // For these there is none.
            if asked.preflight.is_some() && page == Page::Own {
                continue;
            }
            let one = outcome(&ours, &ran, request(&origin, asked)).await;
            let other = outcome(&theirs, &ran, request(&origin, asked)).await;
            rows.push((origin.clone(), page, asked, one, other));
        }
    }
    rows
}

/// For the page nothing differs but one thing, and no handler runs for a page that is denied.
#[actix_rt::test]
async fn one_list_rules_streams_and_other_routes() {
    let policy = reference(&Arc::default()).build().unwrap();
    let rows = table(&policy).await;
    assert_eq!(rows.len(), 44 * 10 - 2 * 8);
    let mut differ = BTreeMap::new();
    for (origin, page, asked, ours, theirs) in &rows {
        let case = format!(
            "{:?} {}",
            String::from_utf8_lossy(&origin.concat()),
            asked.what
        );
        let wanted = match asked.what {
            "a foreign header" | "a foreign method" | "small letters" | "two lines" => false,
            _ => *page == Page::Allowed,
        };
        assert_eq!(
            ours.lets_the_page(origin, *asked),
            wanted,
            "{case}: {ours:?}"
        );
        // The own page needs no headers, and may get some.
        if *page != Page::Own && theirs.lets_the_page(origin, *asked) != wanted {
            *differ.entry(asked.what).or_insert(0) += 1;
        }
        if asked.preflight.is_none() {
            let runs = *page != Page::Denied;
            assert_eq!((ours.ran, theirs.ran), (runs, runs), "{case}");
        } else {
            assert!(!ours.ran && !theirs.ran, "{case}");
        }
    }
    // Each for the five origins that may read.
    assert_eq!(differ, BTreeMap::from([("an empty list", 5)]));
}

/// What else differs, as the documentation of `Policy::cors` has it.
#[actix_rt::test]
async fn where_the_two_differ() {
    let policy = reference(&Arc::default()).build().unwrap();
    for (origin, page, asked, ours, theirs) in table(&policy).await {
        let case = format!(
            "{:?} {}",
            String::from_utf8_lossy(&origin.concat()),
            asked.what
        );
        let statuses = (ours.status, theirs.status);
        let granted = ours.lets_the_page(&origin, asked);
        match asked.preflight {
            _ if page == Page::Denied => assert_eq!(statuses, (403, 400), "{case}"),
            None => assert_eq!(statuses, (200, 200), "{case}"),
            Some(_) if asked.what == "an empty list" => assert_eq!(statuses, (204, 400), "{case}"),
            // The second line is not read; the browser refuses what is not granted by name.
            Some(_) if asked.what == "two lines" => assert_eq!(statuses, (403, 200), "{case}"),
            Some(_) if granted => assert_eq!(statuses, (204, 200), "{case}"),
            Some(_) => assert_eq!(statuses, (403, 400), "{case}"),
        }
        if granted && theirs.status < 300 {
            for header in [
                "access-control-allow-origin",
                "access-control-allow-credentials",
                "access-control-allow-methods",
                "access-control-allow-headers",
                "access-control-max-age",
            ] {
                assert_eq!(ours.names(header), theirs.names(header), "{case}: {header}");
            }
        }
        let exposes = |outcome: &Outcome| {
            outcome
                .headers
                .contains_key("access-control-expose-headers")
        };
        if asked.preflight.is_none() && page != Page::Denied {
            assert_eq!(exposes(&ours), page == Page::Allowed, "{case}");
            assert!(exposes(&theirs), "{case}");
        }
        let names = |outcome: &Outcome| {
            outcome
                .headers
                .keys()
                .any(|name| name.starts_with("access-control-"))
        };
        if page == Page::Denied {
            assert!(!names(&ours), "{case}: {ours:?}");
            assert!(!names(&theirs), "{case}: {theirs:?}");
        }
    }
}

/// A page of the server itself, which names its origin when it posts.
#[actix_rt::test]
async fn the_own_page_posts() {
    let policy = reference(&Arc::default()).build().unwrap();
    let ran = Ran::default();
    let cors = policy.cors();
    let app =
        test::init_service(App::new().service(web::resource("/me").wrap(cors).route(me(&ran))))
            .await;
    for (origin, site, status) in [
        ("https://api.example.com", None, 200),
        ("https://api.example.com", Some("same-origin"), 200),
        ("http://api.example.com", Some("same-origin"), 200),
        // A page over http of the same name is somebody else's where the API is https.
        ("http://api.example.com", None, 400),
        ("http://api.example.com", Some("cross-site"), 400),
        ("https://api.example.com", Some("same-site"), 400),
        // Behind a proxy that rewrites `Host` the browser's word is all there is.
        ("https://public.example.com", Some("same-origin"), 200),
        ("https://public.example.com", None, 400),
        ("chrome-extension://abcd", Some("same-origin"), 400),
    ] {
        let mut request = TestRequest::post()
            .uri("/me")
            .insert_header(("host", HOST))
            .insert_header(("origin", origin));
        if let Some(site) = site {
            request = request.insert_header(("sec-fetch-site", site));
        }
        let outcome = outcome(&app, &ran, request.to_request()).await;
        assert_eq!(outcome.status, status, "{origin} {site:?}");
        assert_eq!(outcome.ran, status == 200, "{origin} {site:?}");
    }
}

/// `*` stays `*`, and never meets credentials.
#[actix_rt::test]
async fn a_public_list_is_public_for_other_routes() {
    let policy = Policy::builder().allow_origin("*").build().unwrap();
    let ran = Ran::default();
    let cors = policy.cors();
    let app =
        test::init_service(App::new().service(web::resource("/me").wrap(cors).route(me(&ran))))
            .await;
    for origin in ["https://anybody.example", "null"] {
        let outcome = outcome(&app, &ran, request(&[origin.into()], plain("GET"))).await;
        assert_eq!(
            outcome.names("access-control-allow-origin"),
            ["*"],
            "{origin}"
        );
        assert!(
            !outcome
                .headers
                .contains_key("access-control-allow-credentials")
        );
        assert!(outcome.ran);
    }
}
