//! The programs in the terminals: this same binary, started as `role NAME SOCKET`, which does one thing, and is told when
//! and tells how it went over a socket beside its terminal. And the pumps, which read such a program's terminal.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use compere::{child::screen::Screen, id::Size};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use rustix::termios::{InputModes, LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};

use crate::{clock, payload};

/// Lines and columns of all terminals here: what `screen` gives to a program that nobody looks at.
pub(crate) const SIZE: Size = Size { rows: 24, cols: 80 };

/// Where programs report for work.
pub(crate) struct Stage {
    listener: UnixListener,
    path: PathBuf,
}

impl Stage {
    pub(crate) fn new(dir: &Path, name: &str) -> Stage {
        let path = dir.join(name);
        Stage { listener: UnixListener::bind(&path).unwrap(), path }
    }

    /// The command line of a program that plays this role.
    pub(crate) fn role(&self, role: &str) -> Vec<String> {
        let exe = std::env::current_exe().unwrap();
        [exe.to_str().unwrap(), "role", role, self.path.to_str().unwrap()].map(str::to_owned).to_vec()
    }

    /// The next one that reports.
    pub(crate) fn actor(&self) -> Actor {
        let (stream, _) = self.listener.accept().unwrap();
        let mut actor = Actor { lines: BufReader::new(stream.try_clone().unwrap()), stream, parent: 0 };
        actor.parent = actor.hear().parse().unwrap();
        actor
    }
}

/// A program in a terminal, from outside.
pub(crate) struct Actor {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
    /// Who has started it.
    pub(crate) parent: i32,
}

impl Actor {
    /// Tells it to.
    pub(crate) fn tell(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// What it tells.
    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        assert!(self.lines.read_line(&mut line).unwrap() > 0, "a program has ended");
        line.trim_end().to_owned()
    }

    /// What it tells, as a number.
    pub(crate) fn number(&mut self) -> u64 {
        self.hear().parse().unwrap()
    }
}

/// Plays a role, to the end of the socket.
pub(crate) fn play(arguments: &[String]) -> ExitCode {
    let [role, rest @ ..] = arguments else { return ExitCode::FAILURE };
    match (&**role, rest) {
        ("hello", _) => write(format!("up {}\n", clock::now()).as_bytes()),
        ("busy", _) => busy(),
        ("discard", command) => pump(command, |_, _| ()),
        ("parse", command) => {
            let mut screen = Screen::new(SIZE);
            pump(command, move |bytes, now| drop(screen.feed(bytes, now)));
        }
        ("write", [socket]) => {
            still();
            each(socket, |line, said| {
                let bytes = std::fs::read(line).unwrap();
                let began = clock::now();
                write(&bytes);
                // Whoever answers this has dealt with all that was before it.
                write(QUESTION);
                until(b'R');
                writeln!(said, "{}", clock::now() - began).unwrap();
            });
        }
        ("ping", [socket]) => {
            each(socket, |line, _| write(format!("ping {line} {}\n", clock::now()).as_bytes()))
        }
        ("hear", [socket]) => {
            still();
            let mut said = report(socket);
            write(b"ready\n");
            loop {
                let mut byte = [0];
                if std::io::stdin().read(&mut byte).unwrap_or(0) == 0 {
                    return ExitCode::SUCCESS;
                }
                writeln!(said, "{}", clock::now()).unwrap();
                if byte != *b"\r" {
                    until(b'\r');
                }
            }
        }
        _ => return ExitCode::FAILURE,
    }
    ExitCode::SUCCESS
}

/// Where is the cursor? Terminals answer `ESC [ line ; column R`.
const QUESTION: &[u8] = b"\x1b[6n";

/// Says who started us, the first line of each actor.
fn report(socket: &str) -> UnixStream {
    let mut stream = UnixStream::connect(socket).unwrap();
    let parent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    writeln!(stream, "{parent}").unwrap();
    stream
}

fn each(socket: &str, mut act: impl FnMut(&str, &mut UnixStream)) {
    let mut stream = report(socket);
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        act(&line, &mut stream);
    }
}

/// Nothing of what is typed to us is shown, and it is ours at once.
fn still() {
    let mut modes = tcgetattr(std::io::stdin()).unwrap();
    modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
    modes.input_modes.remove(InputModes::ICRNL);
    // screen leaves them at what makes a read return nothing.
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(std::io::stdin(), OptionalActions::Now, &modes).unwrap();
}

fn write(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).unwrap();
}

fn until(end: u8) {
    let mut byte = [0];
    let mut typed = std::io::stdin().lock();
    while byte != [end] {
        typed.read_exact(&mut byte).unwrap();
    }
}

/// A program that has much to tell: 50 times in a second a part of a build log.
fn busy() {
    let log = payload::ALL[1].make(256 << 10);
    for part in log.chunks(1024).cycle() {
        write(part);
        clock::pause(20);
    }
}

/// Reads a terminal with a command in it, does that with what comes, and answers the question.
fn pump(command: &[String], mut with: impl FnMut(&[u8], Instant)) {
    let size = PtySize { rows: SIZE.rows, cols: SIZE.cols, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).unwrap();
    let mut builder = CommandBuilder::from_argv(command.iter().map(Into::into).collect());
    builder.cwd("/");
    pair.slave.spawn_command(builder).unwrap();
    drop(pair.slave);
    let (mut reader, mut writer) =
        (pair.master.try_clone_reader().unwrap(), pair.master.take_writer().unwrap());
    let (mut buffer, mut kept) = (vec![0; 64 << 10], 0);
    while let Ok(n @ 1..) = reader.read(&mut buffer[kept..]) {
        let read = kept + n;
        with(&buffer[kept..read], Instant::now());
        // The question is the last that comes, and may come in two pieces.
        let tail = &buffer[read.saturating_sub(QUESTION.len())..read];
        kept = if tail == QUESTION {
            writer.write_all(b"\x1b[1;1R").unwrap();
            0
        } else {
            let tail = tail.to_vec();
            buffer[..tail.len()].copy_from_slice(&tail);
            tail.len()
        };
    }
}

/// Waits for whatever it is, as long as that is bearable.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what} has not come");
        clock::pause(2);
    }
}
