//! Parses the answers of Redis. No shape is assumed, because other programs may have written the
//! keys.

use redis::Value;

use crate::entry::{Entry, record};

/// One stream of an answer to `XREAD`: its key and its unparsed entries.
pub(crate) type Stream = (String, Vec<Value>);

/// The fields of an entry and their values.
pub(crate) type Fields = Vec<(String, String)>;

/// The streams of an answer to `XREAD`; empty when it timed out.
pub(crate) fn streams(answer: Value) -> Vec<Stream> {
    let stream = |value| {
        let [key, entries] = <[Value; 2]>::try_from(array(value)).ok()?;
        Some((text(key)?, array(entries)))
    };
    array(answer).into_iter().filter_map(stream).collect()
}

/// The entries of a topic's stream.
pub(crate) fn entries(values: Vec<Value>) -> Vec<Entry> {
    let entry = |value| {
        let (id, fields) = id_and_fields(value)?;
        let (number, _) = id.split_once('-')?;
        let number = number.parse().ok()?;
        let ours = id.ends_with("-0");
        Some(Entry {
            number,
            record: fields
                .filter(|_| ours)
                .and_then(|fields| record(number, fields)),
        })
    };
    values.into_iter().filter_map(entry).collect()
}

/// The ID and the fields of an entry; `None` for fields that are not UTF-8.
pub(crate) fn id_and_fields(value: Value) -> Option<(String, Option<Fields>)> {
    let [id, fields] = <[Value; 2]>::try_from(array(value)).ok()?;
    let texts: Option<Vec<String>> = array(fields).into_iter().map(text).collect();
    let pairs = texts.map(|texts| {
        let mut texts = texts.into_iter();
        let mut pairs = Vec::new();
        while let (Some(field), Some(value)) = (texts.next(), texts.next()) {
            pairs.push((field, value));
        }
        pairs
    });
    Some((text(id)?, pairs))
}

pub(crate) fn array(value: Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values,
        _ => Vec::new(),
    }
}

pub(crate) fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn entry(id: &str, fields: &[&str]) -> Value {
        let fields = fields.iter().map(|field| bulk(field)).collect();
        Value::Array(vec![bulk(id), Value::Array(fields)])
    }

    #[test]
    fn an_answer_is_parsed() {
        let ours = ["e", "epoch000", "p", "x3", "d", "x"];
        let answer = Value::Array(vec![Value::Array(vec![
            bulk("k"),
            Value::Array(vec![entry("12-0", &ours)]),
        ])]);
        let mut streams = streams(answer);
        let (key, values) = streams.remove(0);
        assert_eq!(key, "k");
        let entries = entries(values);
        assert_eq!(entries[0].number, 12);
        assert!(entries[0].record.is_some());
    }

    #[test]
    fn an_entry_of_another_program_has_a_number_and_no_record() {
        let ours = ["e", "epoch000", "p", "x3", "d", "x"];
        let not_text = Value::Array(vec![
            bulk("14-0"),
            Value::Array(vec![Value::BulkString(vec![0xff]), bulk("x")]),
        ]);
        let values = vec![entry("12-1", &ours), entry("13-0", &["a", "b"]), not_text];
        let entries = entries(values);
        let numbers: Vec<_> = entries.iter().map(|entry| entry.number).collect();
        assert_eq!(numbers, [12, 13, 14]);
        assert!(entries.iter().all(|entry| entry.record.is_none()));
    }

    #[test]
    fn no_answer_is_no_stream() {
        assert!(streams(Value::Nil).is_empty());
    }
}
