//! Keepers as they are: real processes, real pseudo-terminals, `sh`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod checkpoint;
mod ends;
mod start;
mod typed;

use std::{
    fmt::Debug,
    fs::File,
    io::{ErrorKind, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::Child,
    time::{Duration, Instant},
};

use compere::{
    id::{Exit, Offset, Size},
    keeper::{
        LaunchError, Launched, Ring, Spec, StartError, connect, launch,
        wire::{Decoder, Event, Request, VERSION, Whom},
    },
};
use rustix::process::{Pid, Signal};
use serde_json::Value;
use sha2::{Digest, Sha256};

const EXE: &str = env!("CARGO_BIN_EXE_compere");
/// A hang becomes a failure with a name; nothing waits so long otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

fn spec(dir: &Path, argv: &[&str]) -> Spec {
    Spec {
        child: "c1".into(),
        argv: argv.iter().map(|&arg| arg.into()).collect(),
        cwd: dir.into(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into()), ("SHELL".into(), "/bin/sh".into())],
        size: Size::DEFAULT,
        ring: dir.join("ring"),
        socket: dir.join("socket"),
        about: Value::Null,
        files: None,
    }
}

/// A running keeper. Nothing of it is left when this goes.
pub(crate) struct Kept {
    dir: tempfile::TempDir,
    process: Child,
    pub(crate) keeper: Pid,
    pub(crate) child: Pid,
}

impl Kept {
    pub(crate) fn sh(script: &str) -> Kept {
        Kept::with(script, |_| {})
    }

    fn with(script: &str, change: impl FnOnce(&mut Spec)) -> Kept {
        let dir = tempfile::tempdir().unwrap();
        let mut spec = spec(dir.path(), &["sh", "-c", script]);
        change(&mut spec);
        let Launched { process, keeper_pid, child_pid } = launch(Path::new(EXE), &spec).unwrap();
        assert_eq!(process.id() as i32, keeper_pid);
        Kept {
            dir,
            process,
            keeper: Pid::from_raw(keeper_pid).unwrap(),
            child: Pid::from_raw(child_pid).unwrap(),
        }
    }

    pub(crate) fn ring(&self) -> PathBuf {
        self.dir.path().join("ring")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    fn client(&self) -> Client {
        Client::new(connect(&self.socket()).unwrap())
    }

    fn follower(&self) -> Follower {
        self.follower_from(Offset(0))
    }

    fn follower_from(&self, from: Offset) -> Follower {
        let mut client = self.client();
        client.send(&Request::Follow { from });
        Follower { client, next: from, text: Vec::new() }
    }

    /// Waits until the keeper has ended by itself, and looks at what it left.
    pub(crate) fn ended(mut self) -> compere::keeper::Record {
        assert!(self.process.wait().unwrap().success());
        assert!(!self.socket().exists());
        assert!(!Ring::is_kept(&self.ring()).unwrap());
        let record = Ring::open(&self.ring()).unwrap();
        assert!(record.eof);
        assert_eq!(record.keeper_pid, self.process.id() as i32);
        record
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Ok(stream) = connect(&self.socket()) {
            let mut client = Client::new(stream);
            let mut bytes = Vec::new();
            Request::Signal { signal: 9, whom: Whom::Tree }.encode(&mut bytes);
            // The keeper may be about to end.
            let _ = client.stream.write_all(&bytes);
        }
        let _ = self.process.wait();
    }
}

struct Client {
    stream: UnixStream,
    decoder: Decoder,
}

impl Client {
    fn new(stream: UnixStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { stream, decoder: Decoder::default() }
    }

    fn send(&mut self, request: &Request<'_>) {
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        self.stream.write_all(&bytes).unwrap();
    }

    /// The first answer of which `pick` makes something; `None` at the end of the stream.
    fn find<T>(&mut self, mut pick: impl FnMut(Event<'_>) -> Option<T>) -> Option<T> {
        loop {
            while let Some(event) = self.decoder.next().unwrap() {
                if let Some(picked) = pick(event) {
                    return Some(picked);
                }
            }
            match self.decoder.read_from(&mut self.stream) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("waited in vain: {error}"),
            }
        }
    }

    #[track_caller]
    fn until<T>(&mut self, pick: impl FnMut(Event<'_>) -> Option<T>) -> T {
        self.find(pick).expect("the keeper hung up")
    }

    fn ask<T>(&mut self, request: &Request<'_>, pick: impl FnMut(Event<'_>) -> Option<T>) -> T {
        self.send(request);
        self.until(pick)
    }

    fn type_in(&mut self, text: &str) {
        self.send(&Request::Input { id: 99, bytes: text.as_bytes() });
    }

    fn end(&mut self) -> Offset {
        self.ask(&Request::Hello { version: VERSION }, |event| match event {
            Event::Hello { end, .. } => Some(end),
            _ => None,
        })
    }

    fn tty(&mut self) -> (bool, bool, Option<i32>) {
        self.ask(&Request::Tty { req: 5 }, |event| match event {
            Event::Tty { req: 5, canonical, echo, foreground } => Some((canonical, echo, foreground)),
            _ => None,
        })
    }

    fn processes(&mut self) -> Vec<i32> {
        self.ask(&Request::Processes { req: 6 }, |event| match event {
            Event::Processes { req: 6, pids } => Some(pids),
            _ => None,
        })
    }

    fn exited(&mut self) -> Exit {
        self.until(|event| match event {
            Event::Exited { exit } => Some(exit),
            _ => None,
        })
    }
}

/// One that gathers output and minds that it is all there.
struct Follower {
    client: Client,
    next: Offset,
    text: Vec<u8>,
}

impl Follower {
    fn one<T>(&mut self, mut pick: impl FnMut(&Event<'_>, &[u8]) -> Option<T>) -> Option<T> {
        let Follower { client, next, text } = self;
        client.find(|event| {
            if let Event::Output { from, bytes } = event {
                assert_eq!(from, *next, "a gap or a double");
                *next = from + bytes.len();
                text.extend(bytes);
            }
            pick(&event, text)
        })
    }

    #[track_caller]
    fn sees(&mut self, wanted: &str) {
        let seen = |text: &[u8]| text.windows(wanted.len()).any(|at| at == wanted.as_bytes());
        let found = seen(&self.text) || self.one(|_, text| seen(text).then_some(())).is_some();
        assert!(found, "{wanted:?} is not in {:?}", String::from_utf8_lossy(&self.text));
    }

    /// How it ended, and everything it wrote until then.
    fn exited(&mut self) -> Exit {
        let exit = self.one(|event, _| match event {
            Event::Exited { exit } => Some(*exit),
            _ => None,
        });
        exit.expect("the keeper hung up")
    }

    fn eof(&mut self) -> Offset {
        let end = self.one(|event, _| match event {
            Event::Eof { end } => Some(*end),
            _ => None,
        });
        end.expect("the keeper hung up")
    }

    fn text(&self) -> String {
        String::from_utf8(self.text.clone()).unwrap()
    }
}

fn lines(last: u32) -> String {
    (1..=last).map(|i| format!("{i}\r\n")).collect()
}

/// Whether a process runs, one that has ended and is not yet waited for not counted.
fn runs(pid: Pid) -> bool {
    std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()))
        .is_ok_and(|stat| !stat.contains(") Z"))
}

#[track_caller]
fn eventually(mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited in vain");
        std::thread::yield_now();
    }
}

#[test]
fn output_reaches_whoever_follows_and_the_exit_comes_after_it() {
    let kept = Kept::sh("echo hello; read x; echo bye; exit 3");
    let mut follower = kept.follower();
    follower.sees("hello\r\n");
    follower.client.type_in("\n");
    assert_eq!(follower.exited(), Exit::Code(3));
    assert_eq!(follower.text(), "hello\r\n\r\nbye\r\n");
    assert_eq!(follower.eof(), Offset(14));
    assert!(follower.one(|_, _| Some(())).is_none(), "then it hangs up");
    assert_eq!(kept.ended().exit, Some(Exit::Code(3)));
}

#[test]
fn hello_tells_who_is_there() {
    let kept = Kept::with("echo hello; read x", |spec| spec.size = Size { rows: 0, cols: 9999 });
    kept.follower().sees("hello");
    kept.client().ask(&Request::Hello { version: VERSION }, |event| {
        assert_eq!(
            event,
            Event::Hello {
                version: VERSION,
                keeper_pid: kept.keeper.as_raw_nonzero().get(),
                child_pid: kept.child.as_raw_nonzero().get(),
                start: Offset(0),
                end: Offset(7),
                size: Size { rows: 1, cols: 1000 },
                exit: None,
                typed: vec![],
                forgotten: 0,
            }
        );
        Some(())
    });
}

#[test]
fn a_follower_killed_again_and_again_misses_nothing_and_gets_nothing_twice() {
    let kept = Kept::sh("read x; seq 1 60000; echo end; read x");
    kept.client().type_in("\n");
    let (mut next, mut text) = (Offset(0), Vec::new());
    for round in 1..=20 {
        let mut follower = kept.follower_from(next);
        follower.text = text;
        let enough = round * 15_000;
        if follower.text.len() < enough {
            follower.one(|_, text| (text.len() >= enough).then_some(())).unwrap();
        }
        (next, text) = (follower.next, follower.text);
    }
    let mut follower = kept.follower_from(next);
    follower.text = text;
    follower.sees("end\r\n");
    assert_eq!(follower.text(), format!("\r\n{}end\r\n", lines(60_000)));
}

#[test]
fn two_followers_both_get_everything() {
    let kept = Kept::sh("read x; seq 1 20000; exit 0");
    let (mut one, mut two) = (kept.follower(), kept.follower());
    one.client.type_in("\n");
    for follower in [&mut one, &mut two] {
        follower.exited();
        assert_eq!(follower.text(), format!("\r\n{}", lines(20_000)));
    }
}

#[test]
fn the_terminals_settings_and_foreground_are_told() {
    let kept = Kept::sh("echo cooked; read x; stty raw -echo; echo ready; exec cat");
    let mut follower = kept.follower();
    follower.sees("cooked");
    let child = Some(kept.child.as_raw_nonzero().get());
    assert_eq!(kept.client().tty(), (true, true, child));
    follower.client.type_in("\n");
    follower.sees("ready");
    assert_eq!(kept.client().tty(), (false, false, child));
}

#[test]
fn a_mebibyte_of_input_arrives_whole() {
    let kept = Kept::sh("stty raw -echo; echo ready; head -c 1048576 | sha256sum; read x");
    let mut follower = kept.follower();
    follower.sees("ready");
    let input: Vec<u8> = (0..1 << 20).map(|i| (i * 7 % 253) as u8).collect();
    follower.client.send(&Request::Input { id: 1, bytes: &input });
    follower.one(|event, _| (*event == Event::Written { id: 1 }).then_some(())).unwrap();
    follower.sees(&hex::encode(Sha256::digest(&input)));
}

#[test]
fn inputs_of_several_connections_keep_their_order_and_outlive_who_sent_them() {
    let kept = Kept::sh("stty raw -echo; echo ready; dd bs=1 count=300 2>/dev/null; echo done; read x");
    let mut follower = kept.follower();
    follower.sees("ready");
    let mut expected = String::new();
    for i in 0..100 {
        let text = format!("{i:02}.");
        let mut client = kept.client();
        client.send(&Request::Input { id: 1, bytes: text.as_bytes() });
        // Half of them are gone before they are answered; the answer to the other half makes the order
        // certain.
        if i % 2 == 0 {
            client.until(|event| (event == Event::Written { id: 1 }).then_some(()));
        } else {
            drop(client);
            follower.sees(&text);
        }
        expected += &text;
    }
    follower.sees("done");
    assert!(follower.text().contains(&expected), "{}", follower.text());
}

#[test]
fn input_that_nobody_reads_is_bounded_and_the_keeper_still_answers() {
    let kept = Kept::sh("stty raw -echo; echo ready; exec sleep 1000");
    kept.follower().sees("ready");
    let mut client = kept.client();
    let piece = vec![b'x'; 64 * 1024];
    for id in 0..40 {
        client.send(&Request::Input { id, bytes: &piece });
    }
    let (mut first, mut refused) = (None, 0);
    client.until(|event| match event {
        Event::Refused { id, reason } => {
            assert_eq!(reason, "queue full");
            first.get_or_insert(id);
            refused += 1;
            (id == 39).then_some(())
        }
        Event::Written { .. } => None,
        other => panic!("{other:?}"),
    });
    assert!(first >= Some(17) && refused >= 20, "{first:?} {refused}");
    assert!(!client.tty().0);

    // And what waits is refused when it has become pointless.
    client.send(&Request::Signal { signal: 9, whom: Whom::Group });
    let mut gone = 0;
    client.until(|event| match event {
        Event::Refused { reason, .. } => {
            assert_eq!(reason, "child is gone");
            gone += 1;
            None
        }
        Event::Exited { exit } => {
            assert_eq!(exit, Exit::Signal(9));
            Some(())
        }
        _ => None,
    });
    assert!(gone >= 16, "{gone}");
}

#[test]
fn without_a_follower_the_last_mebibyte_stays_under_its_right_offsets() {
    let kept = Kept::sh("seq 1 400000");
    let all = lines(400_000);
    let record = kept.ended();
    assert_eq!(record.end, Offset(all.len() as u64));
    let (from, bytes) = record.read(Offset(0), usize::MAX).unwrap();
    assert_eq!((from, bytes.len()), (Offset(all.len() as u64 - (1 << 20)), 1 << 20));
    assert!(bytes == all.as_bytes()[from.0 as usize..]);
}

#[test]
fn output_can_be_read_once_by_offset() {
    let kept = Kept::sh("seq 1 300000; echo end; read x");
    let mut client = kept.client();
    let all = lines(300_000) + "end\r\n";
    let total = all.len() as u64;
    eventually(|| client.end() == Offset(total));
    for (from, max, expected) in [
        (total - 5, 100, total - 5..total),
        (total - 100, 10, total - 100..total - 90),
        (0, u32::MAX, total - (1 << 20)..total),
        (u64::MAX, 10, total..total),
    ] {
        client.ask(&Request::Read { req: 4, from: Offset(from), max }, |event| {
            let Event::Data { req: 4, from, start, end, bytes } = event else { panic!("{event:?}") };
            assert_eq!((from.0, start.0, end.0), (expected.start, total - (1 << 20), total));
            assert!(bytes == &all.as_bytes()[expected.start as usize..expected.end as usize]);
            Some(())
        });
    }
    // Many at once: nobody hangs up on someone who is only slow to read.
    for req in 0..16 {
        client.send(&Request::Read { req, from: Offset(0), max: u32::MAX });
    }
    let mut next = 0;
    client.until(|event| {
        let Event::Data { req, bytes, .. } = event else { panic!("{event:?}") };
        assert_eq!((req, bytes.len()), (next, 1 << 20));
        next += 1;
        (next == 16).then_some(())
    });
}

#[test]
fn a_follower_that_stops_makes_the_child_wait_and_loses_nothing() {
    let kept = Kept::sh("read x; seq 1 600000; echo end; read x");
    let mut follower = kept.follower();
    follower.client.type_in("\n");
    // It has seen something, so the keeper knows of it; from now on it does not read.
    follower.sees("1\r\n");
    let mut other = kept.client();
    let (mut last, mut same) = (Offset(0), 0);
    eventually(|| {
        let end = other.end();
        same = if end == last { same + 1 } else { 0 };
        last = end;
        same == 200 && end.0 > 512 * 1024
    });
    assert!(last.0 < 2 << 20, "{last}");
    assert!(runs(kept.child));
    follower.sees("end\r\n");
    assert!(follower.text() == format!("\r\n{}end\r\n", lines(600_000)));

    // One that goes while others wait for it counts no more.
    drop(follower);
    other.type_in("\n");
    assert_eq!(other.exited(), Exit::Code(0));
}

#[test]
fn a_stopped_follower_that_dies_lets_the_child_go_on() {
    let kept = Kept::sh("read x; seq 1 600000; exit 4");
    let mut follower = kept.follower();
    follower.client.type_in("\n");
    follower.sees("1\r\n");
    let mut other = kept.client();
    eventually(|| other.end().0 > 512 * 1024);
    drop(follower);
    assert_eq!(other.exited(), Exit::Code(4));
}

#[test]
fn a_follower_a_whole_ring_behind_loses_nothing_when_the_child_dies() {
    let kept = Kept::sh("seq 1 300000; echo end; read x; seq 1 100000000");
    let mut other = kept.client();
    let total = lines(300_000).len() as u64 + 5;
    eventually(|| other.end() == Offset(total));
    // A large answer that it does not read stands before its first output.
    let mut slow = kept.client();
    slow.send(&Request::Read { req: 1, from: Offset(0), max: 1_000_000 });
    slow.send(&Request::Follow { from: Offset(0) });
    other.type_in("\n");
    other.until(|event| (event == Event::Written { id: 99 }).then_some(()));
    other.send(&Request::Signal { signal: 9, whom: Whom::Group });
    assert_eq!(other.exited(), Exit::Signal(9));

    let (mut next, mut exited) = (None, false);
    let end = slow.until(|event| match event {
        Event::Output { from, bytes } => {
            assert_eq!(from, *next.get_or_insert(Offset(total - (1 << 20))));
            next = Some(from + bytes.len());
            None
        }
        Event::Exited { .. } => {
            exited = true;
            None
        }
        Event::Eof { end } => Some(end),
        _ => None,
    });
    assert!(exited && next == Some(end) && end > Offset(total), "{next:?} {end}");
}

#[test]
fn a_new_size_reaches_the_child_and_the_record() {
    let kept = Kept::sh("stty size; read x; stty size");
    let mut follower = kept.follower();
    follower.sees("40 120");
    follower.client.send(&Request::Resize { size: Size { rows: 50, cols: 1 } });
    follower.client.type_in("\n");
    follower.sees("50 2");
    assert_eq!(kept.ended().size, Size { rows: 50, cols: 2 });
}

#[test]
fn a_child_that_lets_go_of_its_terminal_may_take_it_again() {
    let kept =
        Kept::sh("mkfifo go; tty=$(tty); read x; exec >&- 2>&- <&-; read x <go; exec >$tty; echo back");
    let mut follower = kept.follower();
    follower.client.type_in("\n");
    // Opens when the child does, which is after it has let go.
    let mut go = eventually_open(&kept.dir.path().join("go"));
    kept.client().tty();
    go.write_all(b"\n").unwrap();
    assert_eq!(follower.exited(), Exit::Code(0));
    assert_eq!(follower.text(), "\r\nback\r\n");
}

#[test]
fn nonsense_ends_its_own_connection_only() {
    let kept = Kept::sh("echo ready; read x; echo got $x; read x");
    let mut follower = kept.follower();
    follower.sees("ready");
    for nonsense in [
        &b"\xff\xff\xff\xff"[..],
        b"\0\0\0\0",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x03\0\0\0\x02{}",
        b"\x02\0\0\0\x04x",
        b"\x05\0\0\0\x06null",
    ] {
        let mut client = kept.client();
        client.stream.write_all(nonsense).unwrap();
        assert!(client.find(|_| Some(())).is_none(), "{:?}", nonsense.escape_ascii().to_string());
    }
    // A kind of another time is no nonsense.
    let mut client = kept.client();
    client.stream.write_all(b"\x03\0\0\0\x7fxy").unwrap();
    client.tty();

    follower.client.type_in("this\n");
    follower.sees("got this");
}

#[test]
fn one_connection_too_many_is_sent_away() {
    let kept = Kept::sh("read x");
    let mut clients: Vec<_> = (0..8).map(|_| kept.client()).collect();
    for client in &mut clients {
        client.tty();
    }
    assert!(kept.client().find(|_| Some(())).is_none());
    clients.pop();
    // The place is free as soon as the keeper has seen that it is.
    eventually(|| {
        let mut client = kept.client();
        let mut bytes = Vec::new();
        Request::Tty { req: 1 }.encode(&mut bytes);
        client.stream.write_all(&bytes).is_ok() && client.find(|_| Some(())).is_some()
    });
}

#[test]
fn who_never_reads_its_answers_is_left() {
    let kept = Kept::sh("stty raw -echo; echo ready; exec cat >/dev/null");
    kept.follower().sees("ready");
    let mut client = kept.client();
    let mut bytes = Vec::new();
    for id in 0..2000 {
        Request::Input { id, bytes: b"x" }.encode(&mut bytes);
    }
    let start = Instant::now();
    client.stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    // Either it stops reading from us or it hangs up; its memory is bounded in both cases.
    while client.stream.write_all(&bytes).is_ok() {
        assert!(start.elapsed() < PATIENCE);
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", kept.keeper.as_raw_nonzero())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let resident: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(resident < 40_000, "{resident} kB");
    kept.client().tty();
}

fn eventually_open(fifo: &Path) -> File {
    eventually(|| fifo.exists());
    File::options().write(true).open(fifo).unwrap()
}
