//! OpenTelemetry's context of `tracing` spans.

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::TraceContext;

/// The context of this span; of the current one of OpenTelemetry's where the layer does not see it.
pub(super) fn of(span: &Span) -> Option<TraceContext> {
    let context = Some(span.context());
    let context = context.filter(|context| context.span().span_context().is_valid());
    let context = context.unwrap_or_else(Context::current);
    let span = context.span();
    let span = span.span_context();
    TraceContext::new(
        u128::from_be_bytes(span.trace_id().to_bytes()),
        u64::from_be_bytes(span.span_id().to_bytes()),
        span.is_sampled(),
    )
}

/// Makes a span that was not yet entered a child of that one, which may have ended.
pub(super) fn adopt(span: &Span, parent: TraceContext) {
    let parent = SpanContext::new(
        TraceId::from_bytes(parent.trace.to_be_bytes()),
        SpanId::from_bytes(parent.span.to_be_bytes()),
        if parent.sampled {
            TraceFlags::SAMPLED
        } else {
            TraceFlags::NOT_SAMPLED
        },
        true,
        TraceState::NONE,
    );
    // Without the layer there is no OpenTelemetry span that could have a parent.
    let _ = span.set_parent(Context::new().with_remote_span_context(parent));
}
