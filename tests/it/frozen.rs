//! Programs of another time: what they said is understood, and what is said today they understand.

mod record_v1;
mod wire_v1;

use std::{io::Write, os::unix::net::UnixStream};

use compere::{id, keeper::wire};

use self::wire_v1::{Decoder, Event, Exit, Offset, Request, Size, Whom};
use crate::keeper::{Kept, PATIENCE};

/// A broker that knows version 1 only.
struct Broker {
    stream: UnixStream,
    decoder: Decoder,
    /// All output it was sent.
    text: Vec<u8>,
}

impl Broker {
    fn new(kept: &Kept) -> Broker {
        let stream = UnixStream::connect(kept.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Broker { stream, decoder: Decoder::default(), text: Vec::new() }
    }

    fn send(&mut self, request: &Request<'_>) {
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        self.stream.write_all(&bytes).unwrap();
    }

    #[track_caller]
    fn until<T>(&mut self, mut pick: impl FnMut(&Event<'_>, &[u8]) -> Option<T>) -> T {
        loop {
            while let Some(event) = self.decoder.next::<Event<'_>>().unwrap() {
                if let Event::Output { from, bytes } = event {
                    assert_eq!(from.0 as usize, self.text.len());
                    self.text.extend(bytes);
                }
                if let Some(picked) = pick(&event, &self.text) {
                    return picked;
                }
            }
            match self.decoder.read_from(&mut self.stream) {
                // A child of another test has ended.
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => assert_ne!(read.unwrap(), 0, "the keeper hung up"),
            }
        }
    }

    #[track_caller]
    fn sees(&mut self, wanted: &str) {
        self.until(|_, text| String::from_utf8_lossy(text).contains(wanted).then_some(()));
    }
}

#[test]
fn a_broker_of_version_1_drives_todays_keeper() {
    let kept = Kept::sh(
        "trap 'echo caught; exit 7' TERM; echo ready; read x; stty size; while :; do sleep 0.02; done",
    );
    let mut broker = Broker::new(&kept);
    broker.send(&Request::Hello { version: wire_v1::VERSION });
    broker.until(|event, _| match event {
        Event::Hello { keeper_pid, child_pid, start: Offset(0), size, exit: None, .. } => {
            assert_eq!(*keeper_pid, kept.keeper.as_raw_nonzero().get());
            assert_eq!(*child_pid, kept.child.as_raw_nonzero().get());
            assert_eq!(*size, Size { rows: 40, cols: 120 });
            Some(())
        }
        other => panic!("{other:?}"),
    });
    broker.send(&Request::Follow { from: Offset(0) });
    broker.sees("ready\r\n");
    broker.send(&Request::Resize { size: Size { rows: 50, cols: 132 } });
    broker.send(&Request::Input { id: 5, bytes: b"\n" });
    let mut written = false;
    broker.until(|event, text| {
        written |= *event == Event::Written { id: 5 };
        (written && String::from_utf8_lossy(text).contains("50 132\r\n")).then_some(())
    });
    broker.send(&Request::Read { req: 1, from: Offset(0), max: 5 });
    let data = broker.until(|event, _| match event {
        Event::Data { req: 1, from: Offset(0), bytes, .. } => Some(bytes.to_vec()),
        _ => None,
    });
    assert_eq!(data, b"ready");
    broker.send(&Request::Tty { req: 2 });
    broker.until(|event, _| matches!(event, Event::Tty { req: 2, canonical: true, .. }).then_some(()));
    broker.send(&Request::Processes { req: 3 });
    let processes = broker.until(|event, _| match event {
        Event::Processes { req: 3, pids } => Some(pids.clone()),
        _ => None,
    });
    // The `stty` may not have ended yet.
    assert!(processes.contains(&kept.child.as_raw_nonzero().get()), "{processes:?}");
    broker.send(&Request::Signal { signal: 15, whom: Whom::Group });
    broker.until(|event, _| (*event == Event::Exited { exit: Exit::Code(7) }).then_some(()));
    assert!(String::from_utf8_lossy(&broker.text).contains("caught\r\n"));
    let end = broker.until(|event, _| match event {
        Event::Eof { end } => Some(*end),
        _ => None,
    });
    assert_eq!(end.0 as usize, broker.text.len());

    // What it has told stands in the file already.
    let record = record_v1::Record::open(&kept.ring());
    assert_eq!((record.start, record.end), (Offset(0), end));
    assert_eq!((record.exit, record.eof), (Some(Exit::Code(7)), true));
    assert_eq!(record.keeper_pid, kept.keeper.as_raw_nonzero().get());
    assert_eq!(record.child_pid, kept.child.as_raw_nonzero().get());
    assert_eq!(record.size, Size { rows: 50, cols: 132 });
    assert_eq!(record.read(Offset(0), usize::MAX), (Offset(0), broker.text));
    drop(broker.stream);
    assert_eq!(kept.ended().exit, Some(id::Exit::Code(7)));
}

#[test]
fn what_a_keeper_of_version_1_says_is_understood() {
    let mut bytes = Vec::new();
    for event in [
        Event::Hello {
            version: wire_v1::VERSION,
            keeper_pid: 10,
            child_pid: 11,
            start: Offset(1),
            end: Offset(2),
            size: Size { rows: 4, cols: 5 },
            exit: Some(Exit::Signal(9)),
        },
        Event::Output { from: Offset(7), bytes: b"out" },
        Event::Data { req: 1, from: Offset(2), start: Offset(3), end: Offset(4), bytes: b"data" },
        Event::Written { id: 8 },
        Event::Refused { id: 9, reason: "queue full".into() },
        Event::Tty { req: 2, canonical: true, echo: false, foreground: None },
        Event::Processes { req: 3, pids: vec![4, 5] },
        Event::Exited { exit: Exit::Code(3) },
        Event::Eof { end: Offset(6) },
    ] {
        event.encode(&mut bytes);
    }
    let mut decoder = wire::Decoder::default();
    decoder.feed(&bytes);
    for expected in [
        wire::Event::Hello {
            version: 1,
            keeper_pid: 10,
            child_pid: 11,
            start: id::Offset(1),
            end: id::Offset(2),
            size: id::Size { rows: 4, cols: 5 },
            exit: Some(id::Exit::Signal(9)),
            typed: vec![],
            forgotten: 0,
        },
        wire::Event::Output { from: id::Offset(7), bytes: b"out" },
        wire::Event::Data {
            req: 1,
            from: id::Offset(2),
            start: id::Offset(3),
            end: id::Offset(4),
            bytes: b"data",
        },
        wire::Event::Written { id: 8 },
        wire::Event::Refused { id: 9, reason: "queue full".into() },
        wire::Event::Tty { req: 2, canonical: true, echo: false, foreground: None },
        wire::Event::Processes { req: 3, pids: vec![4, 5] },
        wire::Event::Exited { exit: id::Exit::Code(3) },
        wire::Event::Eof { end: id::Offset(6) },
    ] {
        assert_eq!(decoder.next().unwrap(), Some(expected));
    }
    assert!(!decoder.has_frame());
}
