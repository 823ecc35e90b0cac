//! Event streams of Rust frameworks: `framework-servers NAME PORT ORIGIN`.
//!
//! Each serves /events and /idle to pages of ORIGIN, with cookies, by the framework's usual CORS middleware, and /private
//! without any. An idle stream sends nothing for 4 s. Written as the frameworks' own documentation does it.

use std::{env, process::ExitCode, time::Duration};

use futures_util::{Stream, stream};
use tokio::time::sleep;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [name, port, origin] = arguments.as_slice() else {
        eprintln!("framework-servers NAME PORT ORIGIN");
        return ExitCode::from(2);
    };
    let address = ([127, 0, 0, 1], port.parse().expect("a port")).into();
    match name.as_str() {
        "rocket" => with_rocket::serve(address, origin).await,
        "poem" => with_poem::serve(address, origin).await,
        "salvo" => with_salvo::serve(address, origin).await,
        _ => return ExitCode::from(2),
    }
    ExitCode::SUCCESS
}

/// Numbers, the first of them at once or after 4 s.
fn numbers(idle: bool) -> impl Stream<Item = String> + Send + Sync + 'static {
    stream::unfold(1_u64, move |n| async move {
        let first = if idle { 4000 } else { 0 };
        sleep(Duration::from_millis(if n == 1 { first } else { 500 })).await;
        Some((n.to_string(), n + 1))
    })
}

mod with_rocket {
    use std::{net::SocketAddr, pin::Pin};

    use futures_util::{Stream, StreamExt as _};
    use rocket::{
        Config, get,
        log::LogLevel,
        response::stream::{Event, EventStream},
        routes,
    };
    use rocket_cors::{AllowedOrigins, CorsOptions, Guard, Responder};

    use super::numbers;

    type Events = EventStream<Pin<Box<dyn Stream<Item = Event> + Send>>>;

    fn stream(idle: bool) -> Events {
        EventStream::from(
            Box::pin(numbers(idle).map(|n| Event::data(n.clone()).id(n))) as Pin<Box<_>>,
        )
    }

    #[get("/events")]
    fn events(cors: Guard<'_>) -> Responder<Events> {
        cors.responder(stream(false))
    }

    #[get("/idle")]
    fn idle(cors: Guard<'_>) -> Responder<Events> {
        cors.responder(stream(true))
    }

    #[get("/private")]
    fn private() -> Events {
        stream(false)
    }

    pub async fn serve(address: SocketAddr, origin: &str) {
        let cors = CorsOptions::default()
            .allowed_origins(AllowedOrigins::some_exact(&[origin]))
            .allow_credentials(true)
            .to_cors()
            .expect("CORS");
        let config = Config {
            address: address.ip(),
            port: address.port(),
            log_level: LogLevel::Critical,
            ..Config::default()
        };
        rocket::custom(config)
            .manage(cors)
            .mount("/", routes![events, idle, private])
            .mount("/", rocket_cors::catch_all_options_routes())
            .launch()
            .await
            .expect("it serves");
    }
}

mod with_poem {
    use std::{net::SocketAddr, time::Duration};

    use futures_util::StreamExt as _;
    use poem::{
        EndpointExt as _, Route, Server, get, handler,
        listener::TcpListener,
        middleware::Cors,
        web::sse::{Event, SSE},
    };

    use super::numbers;

    fn stream(late: bool) -> SSE {
        let messages = numbers(late).map(|n| Event::message(n.clone()).id(n));
        SSE::new(messages).keep_alive(Duration::from_secs(15))
    }

    #[handler]
    fn events() -> SSE {
        stream(false)
    }

    #[handler]
    fn idle() -> SSE {
        stream(true)
    }

    pub async fn serve(address: SocketAddr, origin: &str) {
        let cors = || Cors::new().allow_origin(origin).allow_credentials(true);
        let app = Route::new()
            .at("/events", get(events).with(cors()))
            .at("/idle", get(idle).with(cors()))
            .at("/private", get(events));
        Server::new(TcpListener::bind(address))
            .run(app)
            .await
            .expect("it serves");
    }
}

mod with_salvo {
    use std::{convert::Infallible, net::SocketAddr};

    use futures_util::StreamExt as _;
    use salvo::{
        cors::Cors,
        prelude::*,
        sse::{SseEvent, SseKeepAlive},
    };

    use super::numbers;

    fn stream(response: &mut Response, late: bool) {
        let messages =
            numbers(late).map(|n| Ok::<_, Infallible>(SseEvent::default().text(n.clone()).id(n)));
        SseKeepAlive::new(messages).stream(response);
    }

    #[handler]
    async fn events(response: &mut Response) {
        stream(response, false);
    }

    #[handler]
    async fn idle(response: &mut Response) {
        stream(response, true);
    }

    pub async fn serve(address: SocketAddr, origin: &str) {
        let cors = || {
            Cors::new()
                .allow_origin(origin)
                .allow_credentials(true)
                .into_handler()
        };
        let router = Router::new()
            .push(Router::with_path("events").hoop(cors()).get(events))
            .push(Router::with_path("idle").hoop(cors()).get(idle))
            .push(Router::with_path("private").get(events));
        let acceptor = TcpListener::new(address).bind().await;
        Server::new(acceptor).serve(router).await;
    }
}
