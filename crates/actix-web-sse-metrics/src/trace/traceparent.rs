//! The header `traceparent` (W3C Trace Context, § 3.2).

use super::TraceContext;

impl TraceContext {
    /// Reads the value of a header `traceparent`. `None` for whatever is not exactly as the
    /// specification says: uppercase digits, an ID of zeros, version `ff`, a version 00 with more behind
    /// the flags.
    #[must_use]
    pub fn from_traceparent(value: &str) -> Option<Self> {
        let mut parts = value.splitn(5, '-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let version = hex(version, 2)?;
        // What later versions add stands behind another dash.
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return None;
        }
        let (trace, span, flags) = (hex(trace, 32)?, hex(span, 16)?, hex(flags, 2)?);
        Self::new(trace, u64::try_from(span).ok()?, flags & 1 == 1)
    }
}

/// A number of exactly so many lowercase hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != digits || !text.bytes().all(is_digit) {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_specification_is_read() {
        let context = TraceContext::from_traceparent(EXAMPLE).unwrap();
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.span_id(), "00f067aa0ba902b7");
        assert!(context.is_sampled());
        let unsampled = EXAMPLE.replace("-01", "-fe");
        assert!(
            !TraceContext::from_traceparent(&unsampled)
                .unwrap()
                .is_sampled()
        );
    }

    #[test]
    fn a_later_version_may_have_more_behind_the_flags() {
        for later in [
            EXAMPLE.replacen("00", "cc", 1),
            EXAMPLE.replacen("00", "01", 1) + "-what-ever",
        ] {
            assert!(TraceContext::from_traceparent(&later).is_some(), "{later}");
        }
    }

    #[test]
    fn whatever_else_is_ignored() {
        let zeros = |digits| "0".repeat(digits);
        for bad in [
            String::new(),
            "00".to_owned(),
            "---".to_owned(),
            EXAMPLE.to_uppercase(),
            format!(" {EXAMPLE}"),
            format!("{EXAMPLE}-"),
            format!("{EXAMPLE}-more"),
            format!("{EXAMPLE},{EXAMPLE}"),
            EXAMPLE.replacen("00", "ff", 1),
            EXAMPLE.replacen("00", "0", 1),
            EXAMPLE.replace("4bf92f3577b34da6a3ce929d0e0e4736", &zeros(32)),
            EXAMPLE.replace("00f067aa0ba902b7", &zeros(16)),
            EXAMPLE.replace("4bf9", "+bf9"),
            EXAMPLE.replace("4bf9", "4b"),
            EXAMPLE.replace("-01", "-1"),
            EXAMPLE.replace("-01", "-0é"),
            EXAMPLE.replace("-01", ""),
        ] {
            assert_eq!(TraceContext::from_traceparent(&bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn every_context_is_read_as_it_was_written(trace in 1_u128.., span in 1_u64.., sampled: bool) {
            let context = TraceContext::new(trace, span, sampled).unwrap();
            let flags = u8::from(sampled);
            let text = format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id());
            prop_assert_eq!(TraceContext::from_traceparent(&text), Some(context));
        }

        #[test]
        fn nothing_panics(text in ".{0,80}") {
            let _ = TraceContext::from_traceparent(&text);
        }
    }
}
