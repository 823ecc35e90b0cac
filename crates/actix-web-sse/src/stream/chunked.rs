//! The chunked coding of HTTP/1.1 (RFC 9112 § 7.1), byte for byte as actix writes it. Pure.

use bytes::{Bytes, BytesMut};

/// The last chunk: the end of the response.
pub(crate) const LAST: &[u8] = b"0\r\n\r\n";

/// The longest head of a chunk: the digits of a `usize`, CR and LF.
const HEAD: usize = usize::BITS as usize / 4 + 2;

/// These bytes as one chunk. An empty piece is none: it would be the end of the response.
pub(crate) fn chunk(piece: &[u8]) -> Bytes {
    if piece.is_empty() {
        return Bytes::new();
    }
    let mut head = [0; HEAD];
    let head = chunk_head(piece.len(), &mut head);
    let mut bytes = BytesMut::with_capacity(head.len() + piece.len() + 2);
    bytes.extend_from_slice(head);
    bytes.extend_from_slice(piece);
    bytes.extend_from_slice(b"\r\n");
    bytes.freeze()
}

/// Whether these bytes end with these pieces, each as one chunk.
pub(crate) fn ends_with(bytes: &[u8], pieces: &[Bytes]) -> bool {
    let rest = pieces.iter().rev().try_fold(bytes, |rest, piece| {
        let mut head = [0; HEAD];
        let head = chunk_head(piece.len(), &mut head);
        rest.strip_suffix(b"\r\n")?
            .strip_suffix(&**piece)?
            .strip_suffix(head)
    });
    rest.is_some()
}

/// The length in capital hexadecimal digits, and the end of the line.
fn chunk_head(len: usize, into: &mut [u8; HEAD]) -> &[u8] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut left = len;
    let mut from = HEAD;
    for (at, byte) in into.iter_mut().enumerate().rev() {
        *byte = match HEAD - at {
            1 => b'\n',
            2 => b'\r',
            _ => {
                let digit = DIGITS.get(left & 0xf).copied().unwrap_or(b'0');
                left >>= 4;
                digit
            }
        };
        from = at;
        if HEAD - at > 2 && left == 0 {
            break;
        }
    }
    into.get(from..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_has_its_length_in_capital_digits() {
        assert_eq!(&chunk(b":\n")[..], b"2\r\n:\n\r\n");
        let long = [b'x'; 0xABC];
        let coded = chunk(&long);
        assert!(coded.starts_with(b"ABC\r\nxxx") && coded.ends_with(b"xxx\r\n"));
        assert_eq!(coded.len(), 3 + 2 + long.len() + 2);
        assert!(chunk(b"").is_empty());
    }

    #[test]
    fn heads_are_as_actix_formats_them() {
        for len in (1..70_000).step_by(7).chain([usize::MAX, 1 << 40]) {
            let mut head = [0; HEAD];
            let head = chunk_head(len, &mut head);
            assert_eq!(head, format!("{len:X}\r\n").as_bytes());
        }
    }

    #[test]
    fn pieces_are_found_at_the_end_and_only_as_they_are() {
        let pieces = [Bytes::from_static(b"one\n"), Bytes::from_static(b"two\n\n")];
        let coded: Vec<u8> = pieces.iter().flat_map(|piece| chunk(piece)).collect();
        let with_head = [b"HTTP/1.1 200 OK\r\n\r\n", &coded[..]].concat();
        assert!(ends_with(&coded, &pieces) && ends_with(&with_head, &pieces));
        assert!(ends_with(&with_head, &pieces[1..]));
        assert!(!ends_with(&with_head, &pieces[..1]));
        assert!(!ends_with(&[&coded[..], b"\n"].concat(), &pieces));
        assert!(!ends_with(&coded[1..], &pieces));
        // The same bytes, cut at another place.
        assert!(!ends_with(&chunk(b"one\ntwo\n\n"), &pieces));
    }
}
