//! The parts that every byte, every look and every call goes through, each as something that can be done any number of
//! times to the same input.

use std::{hint::black_box, path::PathBuf, sync::Arc, time::Instant};

use compere::{
    child::{
        screen::Screen,
        state::{Look, Reducer},
    },
    id::{Caller, RootId, Size},
    journal::Journal,
    keeper::Ring,
    preset::{PresetDirs, Presets},
    registry::{Place, Registry, limits::Limits, roots::Orphans, spawn::Session},
    tools::Server,
};
use rmcp::ServiceExt;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf, split},
    runtime::Runtime,
};
use tokio_util::sync::CancellationToken;

use crate::payload;

/// The usual size of a child's terminal.
const SIZE: Size = Size::DEFAULT;
/// Of each kind of output.
const MIXED: usize = 8 << 10;

/// A little of each kind of output, one after the other, as a terminal's line discipline hands it on.
pub(crate) fn mixed() -> Vec<u8> {
    payload::ALL.iter().flat_map(|payload| payload.cooked(MIXED)).collect()
}

/// What the keeper does with output.
pub(crate) struct Append {
    ring: Ring,
    bytes: Vec<u8>,
    _dir: tempfile::TempDir,
}

impl Append {
    pub(crate) fn new() -> Append {
        let dir = tempfile::tempdir().unwrap();
        let ring = Ring::create(&dir.path().join("ring")).unwrap();
        let mut append = Append { ring, bytes: mixed()[..4095].to_vec(), _dir: dir };
        // Once round it, so that its file has all of its pages.
        (0..600).for_each(|_| append.once());
        append
    }

    /// One read of a PTY.
    pub(crate) fn once(&mut self) {
        let free = self.ring.free().unwrap();
        let n = free.len().min(self.bytes.len());
        free[..n].copy_from_slice(&self.bytes[..n]);
        self.ring.commit(n);
    }
}

/// What the broker does with output.
pub(crate) struct Parse {
    pub(crate) screen: Screen,
    bytes: Vec<u8>,
}

impl Parse {
    pub(crate) fn new() -> Parse {
        let mut parse = Parse { screen: Screen::new(SIZE), bytes: mixed() };
        // So that there is a history.
        (0..4).for_each(|_| parse.once());
        parse
    }

    /// All kinds of output, in pieces as they come.
    pub(crate) fn once(&mut self) {
        let now = Instant::now();
        for piece in self.bytes.chunks(4095) {
            let _ = black_box(self.screen.feed(piece, now));
        }
    }

    /// The screen as a model reads it.
    pub(crate) fn text(&self) {
        black_box(self.screen.text(0));
    }
}

/// What the broker does each 384 KiB of output, so that the next one can go on: at its dearest, with a history in which each
/// cell has colours of its own.
pub(crate) struct Checkpoint(Screen);

impl Checkpoint {
    pub(crate) fn new() -> Checkpoint {
        let mut screen = Screen::new(SIZE);
        let truecolor = payload::ALL.iter().find(|payload| payload.name == "truecolor").unwrap();
        let _ = screen.feed(&truecolor.cooked(4 << 20), Instant::now());
        Checkpoint(screen)
    }

    /// One picture of it.
    pub(crate) fn once(&mut self) {
        black_box(self.0.checkpoint());
    }
}

/// What is done to know a child's state.
pub(crate) struct State {
    screen: Screen,
    reducer: Reducer,
}

impl State {
    pub(crate) fn new() -> State {
        let presets = Presets::load(PresetDirs::default());
        let mut screen = Screen::new(SIZE);
        let _ = screen.feed(&payload::ALL[2].cooked(MIXED), Instant::now());
        State { screen, reducer: Reducer::new(&presets.get("claude").unwrap().state, 1, Instant::now()) }
    }

    /// One look, with the rules for claude.
    pub(crate) fn once(&mut self) {
        let now = Instant::now();
        self.reducer.output(now);
        let (text, shades) = self.screen.shaded();
        black_box(self.reducer.look(Look { screen: &text, shades: &shades, ..Look::default() }, now));
    }
}

/// A host's connection, in this thread.
pub(crate) struct Call {
    runtime: Runtime,
    write: WriteHalf<DuplexStream>,
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    _dir: tempfile::TempDir,
}

impl Call {
    pub(crate) fn new() -> Call {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let path = dir.path().to_owned();
        let (write, lines) = runtime.block_on(async move {
            let (ours, theirs) = tokio::io::duplex(64 << 10);
            tokio::spawn(async move {
                let served = server(path).serve(split(theirs)).await.unwrap();
                served.waiting().await.unwrap();
            });
            let (read, write) = split(ours);
            (write, BufReader::new(read).lines())
        });
        let mut call = Call { runtime, write, lines, _dir: dir };
        call.ask(r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"parts","version":"0"}}}"#);
        call.runtime
            .block_on(
                call.write.write_all(b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n"),
            )
            .unwrap();
        call.once();
        call
    }

    /// `list_children`, from line to line.
    pub(crate) fn once(&mut self) {
        self.ask(r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"list_children","arguments":{}}}"#);
    }

    fn ask(&mut self, line: &str) {
        let answer = self.runtime.block_on(async {
            self.write.write_all(format!("{line}\n").as_bytes()).await.unwrap();
            self.lines.next_line().await.unwrap().unwrap()
        });
        assert!(answer.contains("\"result\""), "{answer}");
    }
}

fn server(dir: PathBuf) -> Server {
    let place = Place {
        exe: PathBuf::from("/nonexistent"),
        socket: dir.join("broker.sock"),
        keepers: dir.clone(),
        files: dir.clone(),
        presets: None,
        trust: None,
        open_files: None,
    };
    let (journal, _) = Journal::open(&dir).unwrap();
    let registry = Registry::new(place, Limits::default(), Orphans::default(), journal);
    let session = Session { cwd: dir.clone(), workspace: dir, env: Arc::default(), user: "ada".into() };
    Server::new(registry, Caller::Root(RootId(1)), session, CancellationToken::new())
}
