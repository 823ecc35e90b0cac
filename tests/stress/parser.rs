//! Reads a response with an event stream, in whatever pieces it comes.

/// What a response has said so far.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    bytes: Vec<u8>,
    body: Vec<u8>,
    stage: Stage,
    id: Option<String>,
    data: Option<String>,
    event: Option<String>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Head,
    Body,
    End,
}

/// An event, whole.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) id: Option<String>,
    pub(crate) event: Option<String>,
    pub(crate) data: String,
}

impl Parser {
    /// Whether the head has come.
    pub(crate) fn is_open(&self) -> bool {
        self.stage != Stage::Head
    }

    /// Whether the last chunk has come.
    pub(crate) fn is_ended(&self) -> bool {
        self.stage == Stage::End
    }

    pub(crate) fn feed(&mut self, piece: &[u8]) -> Vec<Received> {
        self.bytes.extend_from_slice(piece);
        if self.stage == Stage::Head {
            let Some(end) = find(&self.bytes, b"\r\n\r\n") else {
                return Vec::new();
            };
            let head = String::from_utf8_lossy(&self.bytes[..end]).to_ascii_lowercase();
            assert!(head.starts_with("http/1.1 200"), "{head}");
            assert!(head.contains("text/event-stream"), "{head}");
            self.bytes.drain(..end + 4);
            self.stage = Stage::Body;
        }
        while self.stage == Stage::Body && self.chunk() {}
        self.events()
    }

    /// Takes a whole chunk, if there is one.
    fn chunk(&mut self) -> bool {
        let Some(line) = find(&self.bytes, b"\r\n") else {
            return false;
        };
        let size = String::from_utf8_lossy(&self.bytes[..line]);
        let size = usize::from_str_radix(&size, 16).expect("a chunk size");
        let start = line + 2;
        if self.bytes.len() < start + size + 2 {
            return false;
        }
        self.body
            .extend_from_slice(&self.bytes[start..start + size]);
        assert_eq!(&self.bytes[start + size..start + size + 2], b"\r\n");
        self.bytes.drain(..start + size + 2);
        if size == 0 {
            self.stage = Stage::End;
        }
        true
    }

    fn events(&mut self) -> Vec<Received> {
        let mut received = Vec::new();
        let Some(end) = self.body.iter().rposition(|byte| *byte == b'\n') else {
            return received;
        };
        let lines: Vec<u8> = self.body.drain(..=end).collect();
        let lines = String::from_utf8(lines).expect("text");
        for line in lines.split_terminator('\n') {
            let (name, value) = line.split_once(": ").unwrap_or((line, ""));
            match name {
                "id" => self.id = Some(value.to_owned()),
                "event" => self.event = Some(value.to_owned()),
                "data" => self.data = Some(value.to_owned()),
                "retry" | ":" => {}
                "" => {
                    let (id, event) = (self.id.take(), self.event.take());
                    let anchor = event.as_deref() == Some("anchor");
                    if let Some(data) = self.data.take().filter(|_| !anchor) {
                        received.push(Received { id, event, data });
                    }
                }
                other => panic!("an unknown field {other:?}"),
            }
        }
        received
    }
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes
        .windows(pattern.len())
        .position(|window| window == pattern)
}
