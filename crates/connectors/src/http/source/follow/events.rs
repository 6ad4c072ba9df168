//! Server-sent events, as the HTML standard has them (section 9.2.6, Interpreting an event stream).

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// Its lines of data.
    pub(super) data: String,
    /// The id of this event or of the last before it that had one: what to go on from.
    pub(super) id: Option<String>,
}

/// Cuts bytes into events, as they come.
#[derive(Debug, Default)]
pub(super) struct EventCutter {
    /// What there is of a line that is not over.
    line: Vec<u8>,
    /// Whether the last byte was a carriage return: a line feed after it belongs to it.
    after_return: bool,
    /// Whether a line has been read: a byte order mark stands before the first alone.
    begun: bool,
    data: Vec<u8>,
    has_data: bool,
    id: Option<String>,
}

impl EventCutter {
    /// The events that `bytes` complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for &byte in bytes {
            let follows_return = std::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\n' if follows_return => {}
                b'\n' | b'\r' => events.extend(self.end_line()),
                _ => self.line.push(byte),
            }
        }
        events
    }

    /// How many bytes of an event that is not over are kept.
    pub(super) fn kept(&self) -> usize {
        self.line.len() + self.data.len()
    }

    fn end_line(&mut self) -> Option<Event> {
        let mut line = std::mem::take(&mut self.line);
        if !std::mem::replace(&mut self.begun, true) && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            // A comment, which keeps the connection alive.
            Some(0) => return None,
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line.as_slice(), &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
            }
            b"id" if !value.contains(&0) => self.id = Some(String::from_utf8_lossy(value).into_owned()),
            // The type of an event, and how long to wait: neither is part of a record.
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<Event> {
        let data = std::mem::take(&mut self.data);
        if !std::mem::take(&mut self.has_data) || data.is_empty() {
            return None;
        }
        // Half a character is replaced; what is read of it then is no JSON, and said to be none.
        Some(Event { data: String::from_utf8_lossy(&data).into_owned(), id: self.id.clone() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8]) -> Vec<(String, Option<String>)> {
        let events = EventCutter::default().push(bytes);
        events.into_iter().map(|event| (event.data, event.id)).collect()
    }

    #[test]
    fn the_examples_of_the_standard_read() {
        let event = |data: &str, id: Option<&str>| (data.to_owned(), id.map(str::to_owned));
        assert_eq!(all(b"data: YHOO\ndata: +2\ndata: 10\n\n"), [event("YHOO\n+2\n10", None)]);
        let stream = b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\ndata: lost\n";
        assert_eq!(
            all(stream),
            [
                event("first event", Some("1")),
                event("second event", Some("")),
                event(" third event", Some(""))
            ]
        );
        assert_eq!(all(b"data\n\ndata\ndata\n\ndata:"), [event("\n", None)]);
        assert_eq!(
            all(b"\xef\xbb\xbfevent: x\r\ndata: a\r\n\r\ndata: b\r\rretry: 5\n\n"),
            [event("a", None), event("b", None)]
        );
    }

    proptest! {
        #[test]
        fn wherever_it_is_cut_the_events_are_the_same(
            lines in prop::collection::vec("(data: ?[a-z]{0,3}|id: ?[0-9]{0,2}|:|)", 0..20),
            ends in prop::collection::vec(prop::sample::select(vec!["\n", "\r\n", "\r"]), 20),
            sizes in prop::collection::vec(1_usize..5, 1..10),
        ) {
            let text: String = lines.iter().zip(&ends).flat_map(|(line, end)| [line.as_str(), end]).collect();
            let mut cutter = EventCutter::default();
            let (mut rest, mut pieces, mut sizes) = (text.as_bytes(), Vec::new(), sizes.iter().cycle());
            while !rest.is_empty() {
                let (head, tail) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
                pieces.extend(cutter.push(head).into_iter().map(|event| (event.data, event.id)));
                rest = tail;
            }
            prop_assert_eq!(pieces, all(text.as_bytes()));
        }
    }
}
