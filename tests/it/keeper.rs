//! Keepers as processes, driven by what a broker says to them.

use std::{
    io::Write,
    os::unix::{net::UnixStream, process::ExitStatusExt},
    path::PathBuf,
    process::ExitStatus,
    time::Duration,
};

use compere::{
    id::{Exit, Offset, Size},
    keeper::{
        launch::{self, Launched},
        pty::Spec,
        ring::Ring,
        wire::{self, Decoder, Event, Request, Whom},
    },
};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{COMPERE, PATH, alive, gone, short_dir};

/// A keeper with its child. Its end kills both.
struct Kept {
    dir: tempfile::TempDir,
    launched: Launched,
}

impl Kept {
    fn sh(script: &str) -> Self {
        let dir = short_dir();
        let spec = Spec {
            child: "c1".into(),
            argv: ["sh", "-c", script].map(str::to_owned).into(),
            cwd: dir.path().to_owned(),
            env: vec![("PATH".into(), PATH.into())],
            size: Size::DEFAULT,
            ring: dir.path().join("c1.ring"),
            socket: dir.path().join("c1.sock"),
        };
        Kept { launched: launch::launch(COMPERE.as_ref(), &spec).unwrap(), dir }
    }

    fn ring(&self) -> PathBuf {
        self.dir.path().join("c1.ring")
    }

    fn connect(&self) -> Wire {
        let stream = launch::connect(&self.dir.path().join("c1.sock")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut wire = Wire { stream, decoder: Decoder::default() };
        wire.ask(&Request::Hello { version: wire::VERSION });
        wire
    }

    /// A connection that is sent all output from there on.
    fn follow(&self, from: Offset) -> Wire {
        let mut wire = self.connect();
        wire.ask(&Request::Follow { from });
        wire
    }

    fn ended(&mut self) -> ExitStatus {
        gone(self.launched.keeper_pid);
        self.launched.process.wait().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.launched.keeper_pid).unwrap(), signal).unwrap();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        for pid in [self.launched.child_pid, self.launched.keeper_pid] {
            let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
        }
        let _ = self.launched.process.wait();
    }
}

/// A broker's side of a connection.
struct Wire {
    stream: UnixStream,
    decoder: Decoder,
}

impl Wire {
    fn ask(&mut self, request: &Request<'_>) {
        let mut bytes = Vec::new();
        wire::encode_request(request, &mut bytes);
        self.stream.write_all(&bytes).unwrap();
    }

    /// Hears events until one gives an answer; nothing if the connection ends before.
    fn hear<T>(&mut self, mut answer: impl FnMut(Event<'_>) -> Option<T>) -> Option<T> {
        loop {
            while let Some(event) = self.decoder.next_event().unwrap() {
                if let Some(answer) = answer(event) {
                    return Some(answer);
                }
            }
            if !self.decoder.read_from(&mut self.stream).unwrap() {
                return None;
            }
        }
    }

    /// All output from `from` on until the text ends with this, or until at least so many bytes came.
    fn output(&mut self, from: Offset, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut all = Vec::new();
        let heard = self.hear(|event| {
            if let Event::Output { from: at, bytes } = event {
                assert_eq!(at, from + all.len(), "a gap or a double");
                all.extend_from_slice(bytes);
            }
            enough(&all).then_some(())
        });
        assert!(heard.is_some(), "the connection ended after {} bytes", all.len());
        all
    }

    /// What it has written so far, from a connection that follows nothing.
    fn end(&mut self) -> Offset {
        self.ask(&Request::Hello { version: wire::VERSION });
        self.hear(|event| if let Event::Hello { end, .. } = event { Some(end) } else { None }).unwrap()
    }
}

#[track_caller]
fn numbered(bytes: &[u8], first: u32, last: u32) {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let numbers: Vec<u32> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!([numbers.first(), numbers.last()], [Some(&first), Some(&last)]);
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "a gap or a double");
}

#[test]
fn output_then_the_exit_then_the_end_reach_a_follower() {
    let mut kept = Kept::sh("read x; printf 'you said %s' $x; exit 4");
    let mut wire = kept.follow(Offset(0));
    wire.ask(&Request::Input { id: 7, bytes: b"hi\r"[..].into() });
    let mut heard = Vec::new();
    let eof = wire.hear(|event| {
        match event {
            Event::Written { id } => heard.push(format!("written {id}")),
            Event::Exited { exit } => heard.push(exit.to_string()),
            Event::Eof { end } => return Some(end),
            _ => {}
        }
        None
    });
    assert_eq!(heard, ["written 7", "exit code 4"]);
    assert_eq!(eof, Some(Offset("hi\r\nyou said hi".len() as u64)));
    assert!(kept.ended().success());
}

#[test]
fn a_follower_that_comes_again_and_again_hears_everything_once() {
    let kept = Kept::sh("seq 100000 159999; read x");
    let mut all = Vec::new();
    for _ in 0..20 {
        let from = Offset(all.len() as u64);
        let piece = kept.follow(from).output(from, |bytes| bytes.len() >= 20_001);
        // The rest was heard and is forgotten, as by a broker that was killed.
        all.extend_from_slice(&piece[..20_001]);
    }
    let from = Offset(all.len() as u64);
    all.extend(kept.follow(from).output(from, |bytes| bytes.ends_with(b"159999\r\n")));
    numbered(&all, 100_000, 159_999);
}

#[test]
fn a_follower_that_does_not_read_stops_the_child_and_misses_nothing() {
    let kept = Kept::sh("seq 100000 499999; read x");
    let mut slow = kept.follow(Offset(0));
    let mut other = kept.connect();
    // More than a follower may lag: the child is stopped about here, or ran on by mistake.
    while other.end() < Offset(600 * 1024) {}
    let all = slow.output(Offset(0), |bytes| bytes.ends_with(b"499999\r\n"));
    numbered(&all, 100_000, 499_999);
}

#[test]
fn without_a_follower_a_child_runs_on_and_the_ring_has_the_newest() {
    let mut kept = Kept::sh("seq 100000 499999");
    assert!(kept.ended().success());
    let record = Ring::open(&kept.ring()).unwrap();
    let (from, bytes) = record.read(Offset(0), usize::MAX);
    assert_eq!((record.end(), from + bytes.len()), (Offset(3_200_000), Offset(3_200_000)));
    assert!(bytes.len() <= 1 << 20 && bytes.len() > 1_000_000, "{}", bytes.len());
    let whole = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    numbered(&bytes[whole..], 500_000 - ((bytes.len() - whole) / 8) as u32, 499_999);
}

#[test]
fn a_keeper_that_is_killed_leaves_a_ring_that_can_be_read() {
    let mut kept = Kept::sh("echo kept; exec sleep 1000");
    kept.follow(Offset(0)).output(Offset(0), |bytes| bytes == b"kept\r\n");
    assert!(Ring::is_kept(&kept.ring()));
    kept.signal(Signal::KILL);
    assert_eq!(kept.ended().signal(), Some(9));
    assert!(!Ring::is_kept(&kept.ring()));
    let record = Ring::open(&kept.ring()).unwrap();
    assert_eq!(record.read(Offset(0), 100), (Offset(0), b"kept\r\n".to_vec()));
    assert_eq!((record.exit(), record.child(), record.keeper()), (None, kept.launched.child_pid, kept.launched.keeper_pid));
    // Nobody holds its terminal's other side any more: the kernel hangs it up.
    gone(kept.launched.child_pid);
}

#[test]
fn a_child_outlives_whoever_follows_it() {
    let kept = Kept::sh("while read x; do echo got $x; done");
    let mut first = kept.follow(Offset(0));
    first.ask(&Request::Input { id: 1, bytes: b"one\r"[..].into() });
    let heard = first.output(Offset(0), |bytes| bytes.ends_with(b"got one\r\n")).len();
    drop(first);
    let mut second = kept.follow(Offset(heard as u64));
    second.ask(&Request::Input { id: 1, bytes: b"two\r"[..].into() });
    second.output(Offset(heard as u64), |bytes| bytes.ends_with(b"got two\r\n"));
    assert!(alive(kept.launched.child_pid));
}

#[test]
fn how_it_ended_is_in_the_record_and_only_the_ring_is_left() {
    for (script, exit) in [("exit 0", Exit::Code(0)), ("exit 255", Exit::Code(255)), ("kill -TERM $$", Exit::Signal(15))] {
        let mut kept = Kept::sh(script);
        assert!(kept.ended().success());
        assert_eq!(Ring::open(&kept.ring()).unwrap().exit(), Some(exit));
        let left: Vec<_> = std::fs::read_dir(kept.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["c1.ring"]);
    }
}

#[test]
fn a_keeper_stays_while_anything_below_it_lives_and_tells_who() {
    let mut kept = Kept::sh("trap '' HUP; setsid sleep 1000 & exit 6");
    let mut wire = kept.connect();
    let exit = wire.hear(|event| if let Event::Exited { exit } = event { Some(exit) } else { None });
    assert_eq!(exit, Some(Exit::Code(6)));
    wire.ask(&Request::Processes { req: 5 });
    let pids = wire.hear(|event| if let Event::Processes { req: 5, pids } = event { Some(pids) } else { None }).unwrap();
    assert_eq!(pids.len(), 1);
    wire.ask(&Request::Signal { signal: Signal::KILL.as_raw(), whom: Whom::Tree });
    assert!(kept.ended().success());
    assert!(!alive(pids[0]));
}

#[test]
fn nonsense_ends_the_connection_it_came_by_and_no_other() {
    let kept = Kept::sh("read x");
    let (mut bad, mut good) = (kept.connect(), kept.connect());
    bad.stream.write_all(&[0xff; 64]).unwrap();
    assert_eq!(bad.hear(|_| None::<()>), None);
    assert_eq!(good.end(), Offset(0));
}

#[test]
fn a_word_it_does_not_know_is_skipped() {
    let kept = Kept::sh("read x");
    let mut wire = kept.connect();
    wire.stream.write_all(&[4, 0, 0, 0, 60, 1, 2, 3]).unwrap();
    assert_eq!(wire.end(), Offset(0));
}

#[test]
fn signals_meant_for_others_do_not_end_it() {
    let kept = Kept::sh("read x");
    let mut wire = kept.connect();
    for signal in [Signal::HUP, Signal::INT, Signal::TERM, Signal::QUIT, Signal::PIPE] {
        kept.signal(signal);
        wire.end();
    }
    assert!(alive(kept.launched.keeper_pid));
}

#[test]
fn the_terminal_has_the_size_it_was_given_and_takes_another() {
    let kept = Kept::sh("stty -echo; stty size; read x; stty size; read x");
    let mut wire = kept.follow(Offset(0));
    let heard = wire.output(Offset(0), |bytes| bytes.ends_with(b"40 120\r\n")).len();
    wire.ask(&Request::Resize { size: Size { rows: 10, cols: 20 } });
    wire.ask(&Request::Input { id: 1, bytes: b"\r"[..].into() });
    wire.output(Offset(heard as u64), |bytes| bytes.ends_with(b"10 20\r\n"));
}
