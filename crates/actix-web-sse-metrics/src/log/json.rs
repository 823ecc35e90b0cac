//! A layer that writes events as flat JSON lines.

use std::{
    fmt::{self, Write as _},
    io::{self, Write as _},
    time::SystemTime,
};

use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{Layer, fmt::MakeWriter, layer::Context, registry::LookupSpan};

use super::record::{TARGET, timestamp};

/// Writes each event as one line: a record of ours as exactly its fields, those without a value
/// as `null`; any other event with `timestamp`, `level`, `target`, `requestId` (that of the
/// request it happened in) and its own fields. Made by [`json_layer`].
#[derive(Debug, Clone)]
pub struct JsonLayer<W = fn() -> io::Stdout> {
    writer: W,
}

/// A layer that writes JSON lines to standard output.
#[must_use]
pub fn json_layer() -> JsonLayer {
    JsonLayer { writer: io::stdout }
}

/// A layer that writes JSON lines to wherever this says.
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
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut line = Line::default();
        if metadata.target() == TARGET {
            for field in metadata.fields() {
                let value = fields.0.remove(field.name()).unwrap_or(Value::Null);
                line.push(field.name(), &value);
            }
        } else {
            line.push("timestamp", &timestamp(SystemTime::now()).into());
            line.push("level", &metadata.level().as_str().into());
            line.push("target", &metadata.target().into());
            if let Some(id) = request_id(event, &context) {
                line.push("requestId", &id.into());
            }
            for field in metadata.fields() {
                if let Some(value) = fields.0.remove(field.name()) {
                    line.push(field.name(), &value);
                }
            }
        }
        // A log that cannot be written is nobody's reason to fail.
        let _ = self
            .writer
            .make_writer_for(metadata)
            .write_all(line.finish().as_bytes());
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
#[derive(Default)]
struct Line(String);

impl Line {
    fn push(&mut self, name: &str, value: &Value) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{}:{value}", Value::from(name));
    }

    fn finish(mut self) -> String {
        if self.0.is_empty() {
            self.0.push('{');
        }
        self.0.push_str("}\n");
        self.0
    }
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn set(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}").into());
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
