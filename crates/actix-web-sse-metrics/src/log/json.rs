//! A layer that writes events as flat JSON lines.

use std::{
    fmt,
    io::{self, Write as _},
    time::SystemTime,
};

use serde::Serialize;
use tracing::{
    Event, Subscriber,
    field::{Field, FieldSet, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{Layer, fmt::MakeWriter, layer::Context, registry::LookupSpan};

use super::{
    queue::{LINES, LogGuard, LogQueue, queue},
    record::{OPTIONAL, TARGET, timestamp},
};

/// Writes each event as one line: a record of ours as exactly its fields, those without a value
/// as `null`, but for those of a trace, which are then left out; any other event with `timestamp`, `level`, `target`, `requestId` (that of the
/// request it happened in) and its own fields. Made by [`json_layer`].
#[derive(Debug, Clone)]
pub struct JsonLayer<W = LogQueue> {
    writer: W,
}

/// A layer that writes JSON lines to standard output, through a queue: [`json_layer_to`].
pub fn json_layer() -> (JsonLayer, LogGuard) {
    json_layer_to(io::stdout())
}

/// A layer that writes JSON lines to this writer, through a queue of 8192 lines and a thread of its
/// own. When the queue is full a line is dropped and counted: a pipe that is not read must not stop
/// the workers. The guard writes the waiting lines when it is dropped: keep it to the end of `main`.
///
/// [`Metrics::json_layer`](crate::Metrics::json_layer) does this and exports the count.
pub fn json_layer_to(writer: impl io::Write + Send + 'static) -> (JsonLayer, LogGuard) {
    let (writer, guard) = queue(writer, LINES);
    (JsonLayer { writer }, guard)
}

/// A layer that writes JSON lines to this writer at once, on the thread that logs.
/// For writers that never wait: memory, or a queue of their own. Standard output is none.
#[must_use]
pub fn json_layer_with<W>(writer: W) -> JsonLayer<W>
where
    W: for<'a> MakeWriter<'a> + 'static,
{
    JsonLayer { writer }
}

/// The request id of a span, for the events inside it.
struct SpanRequestId(String);

impl<S, W> Layer<S> for JsonLayer<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut seen = RequestIdVisitor(None);
        attributes.record(&mut seen);
        if let (Some(id), Some(span)) = (seen.0, context.span(id)) {
            span.extensions_mut().replace(SpanRequestId(id));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let ours = metadata.target() == TARGET;
        let mut line = Line::default();
        if !ours {
            line.push("timestamp", &*timestamp(SystemTime::now()));
            line.push("level", metadata.level().as_str());
            line.push("target", metadata.target());
            if let Some(id) = request_id(event, &context) {
                line.push("requestId", &*id);
            }
        }
        let mut fields = Fields {
            line,
            next: 0,
            nulls: ours.then(|| metadata.fields()),
        };
        event.record(&mut fields);
        let line = fields.finish();
        // A log that cannot be written must not make a request fail.
        let _ = self.writer.make_writer_for(metadata).write_all(&line);
    }
}

fn request_id<S>(event: &Event<'_>, context: &Context<'_, S>) -> Option<String>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    context.event_scope(event)?.find_map(|span| {
        span.extensions()
            .get::<SpanRequestId>()
            .map(|id| id.0.clone())
    })
}

/// One JSON object, in the order in which it is written: people read it too.
struct Line(Vec<u8>);

impl Default for Line {
    /// Empty, with room for what a record of ours takes as a rule.
    fn default() -> Self {
        Self(Vec::with_capacity(1024))
    }
}

impl Line {
    fn push(&mut self, name: &str, value: impl Serialize) {
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        self.write(name);
        self.0.push(b':');
        self.write(value);
    }

    fn write(&mut self, value: impl Serialize) {
        // What comes here is text, a number or nothing, and a vector takes all of that.
        let _ = serde_json::to_writer(&mut self.0, &value);
    }

    fn finish(mut self) -> Vec<u8> {
        if self.0.is_empty() {
            self.0.push(b'{');
        }
        self.0.extend_from_slice(b"}\n");
        self.0
    }
}

/// Writes the fields as they come, which is in the order of their declaration.
struct Fields<'a> {
    line: Line,
    /// The declared field that is to come next.
    next: usize,
    /// The declared fields, if those without a value are written too.
    nulls: Option<&'a FieldSet>,
}

impl Fields<'_> {
    fn push(&mut self, field: &Field, value: impl Serialize) {
        self.skip_to(field.index());
        self.line.push(field.name(), value);
        self.next = field.index() + 1;
    }

    /// Those that were passed over had no value.
    fn skip_to(&mut self, index: usize) {
        let passed = self.nulls.into_iter().flatten().take(index);
        for field in passed.skip(self.next) {
            if !OPTIONAL.contains(&field.name()) {
                self.line.push(field.name(), ());
            }
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.skip_to(usize::MAX);
        self.line.finish()
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, format!("{value:?}"));
    }
}

/// Picks out the request id as our root span and tracing-actix-web's own call it.
struct RequestIdVisitor(Option<String>);

impl Visit for RequestIdVisitor {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "request_id" {
            self.0 = Some(format!("{value:?}"));
        }
    }
}
