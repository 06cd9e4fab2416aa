//! MCAP's records, read without trusting the lengths in them.

use mcap::records::{Record, op};

/// What a record is made of, as far as lengths go.
enum Field {
    /// So many bytes.
    Bytes(usize),
    /// A length (u32), and as many bytes.
    Counted,
    /// A length (u32), and as many bytes of counted texts.
    Texts,
}

/// A record of a kind that is of use here; `None` if it is of another, or damaged.
///
/// The library takes as much memory as a text's length claims before it looks whether the record has
/// as much. So lengths are held against the record first.
pub(super) fn parse(kind: u8, body: &[u8]) -> Option<Record<'_>> {
    let fields: &[Field] = match kind {
        op::FOOTER | op::MESSAGE => &[],
        op::METADATA => &[Field::Counted, Field::Texts],
        op::CHUNK => &[Field::Bytes(28), Field::Counted],
        op::CHUNK_INDEX => &[Field::Bytes(32), Field::Counted, Field::Bytes(8), Field::Counted],
        _ => return None,
    };
    let mut rest = body;
    for field in fields {
        rest = match *field {
            Field::Bytes(count) => rest.get(count..)?,
            Field::Counted => counted(rest)?.1,
            Field::Texts => {
                let (mut texts, after) = counted(rest)?;
                while !texts.is_empty() {
                    texts = counted(texts)?.1;
                }
                after
            }
        };
    }
    mcap::parse_record(kind, body).ok()
}

/// Bytes behind their number, and what follows.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (count, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*count)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> Vec<u8> {
        [&(bytes.len() as u32).to_le_bytes(), bytes].concat()
    }

    #[test]
    fn metadata_is_read() {
        let map = text(&[text(b"trace"), text(b"3")].concat());
        let body = [text(b"unlazy"), map].concat();
        let Some(Record::Metadata(metadata)) = parse(op::METADATA, &body) else {
            panic!("it is whole");
        };
        assert_eq!((&*metadata.name, &*metadata.metadata["trace"]), ("unlazy", "3"));
        for len in 0..body.len() {
            assert!(parse(op::METADATA, &body[..len]).is_none(), "{len}");
        }
    }

    /// Every length that there is, made too long: refused before any memory is taken for it.
    #[test]
    fn no_length_is_believed() {
        let map = text(&[text(b"k"), text(b"v")].concat());
        let chunk = [&[0; 28][..], &text(b"zstd"), &[0; 8]].concat();
        let index = [&[0; 32][..], &text(&[0; 10]), &[0; 8], &text(b""), &[0; 16]].concat();
        for (kind, body, lengths) in [
            (op::METADATA, [text(b"unlazy"), map].concat(), &[0, 10, 14, 19][..]),
            (op::CHUNK, chunk, &[28]),
            (op::CHUNK_INDEX, index, &[32, 54]),
        ] {
            assert!(parse(kind, &body).is_some(), "{kind}");
            for &at in lengths {
                let mut body = body.clone();
                body[at..at + 4].copy_from_slice(&0xf000_0001_u32.to_le_bytes());
                assert!(parse(kind, &body).is_none(), "{kind} at {at}");
            }
        }
    }

    #[test]
    fn other_kinds_are_not_read() {
        assert!(parse(op::ATTACHMENT, &[0; 100]).is_none());
    }
}
