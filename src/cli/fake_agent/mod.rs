//! `compere fake-agent`: a program that behaves in its terminal as agents do, in ways that are chosen by its flags, for
//! trying compere and for tests. Knows no model and does nothing.

mod agent;
mod composer;
mod dialog;
mod keys;
mod picture;

use std::{
    fs::{File, OpenOptions},
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::{ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use clap::ValueEnum;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr},
};

use self::{
    agent::{Agent, Effect, Phase},
    keys::{Decoder, Key},
    picture::{Live, Picture},
};
use super::fail::Fail;

/// What it is for, at the head of its help.
pub(super) const LONG: &str = "\
A stand-in for an agent's terminal program: it has a composer at the bottom, takes pastes, works for a while and answers \
with what it got. It knows no model and does nothing. It is for trying compere, and for tests of what you build on it: \
the flags make it behave as the real programs do on their bad days, and may be combined.";

const AFTER: &str = "\
At its prompt it shows
  > Say something                   dim while the composer is empty
    enter sends, ctrl-d leaves
and at work, below its composer, `working… esc to interrupt`. A paste of 4 lines or 900 characters is shown as \
`[Pasted text #1 +3 lines]`. Keys: enter, ctrl-j (a new line), backspace, ctrl-u (clears), esc (interrupts), ctrl-c (clears, \
interrupts, or leaves), ctrl-d (leaves).

The log has one JSON object a line, in the order of what happened:
  {\"message\": \"the exact text\"}                    was sent with Enter
  {\"asked\": \"trust\", \"answer\": \"No, leave\"}        a question was answered
  {\"interrupted\": \"text\"}                          work on it was cut short
  {\"command\": \"/word\"}                             was not sent, see --commands

Examples:
  compere spawn fake-agent --message hello
  compere spawn --preset fake-agent -- compere fake-agent --trust --work 5000
  compere spawn --preset fake-agent -- compere fake-agent --eat-enter 1 --log got.jsonl

The preset gives it --report, as other presets give agents compere's tools.";

/// Its ways.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(args_override_self = true, after_help = AFTER)]
pub(super) struct Ways {
    /// Work this long on each message.
    #[arg(long, value_name = "MS", default_value_t = 300)]
    work: u64,
    /// Write nothing at all while working, not even a mark that turns.
    #[arg(long)]
    silent: bool,
    /// Answer this, instead of what it got.
    #[arg(long, value_name = "TEXT")]
    answer: Option<String>,
    /// Take this long to show a prompt; what is typed before is lost.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    start: u64,
    /// First ask whether the folder is trusted. Enter says yes; no ends it with code 1.
    #[arg(long)]
    trust: bool,
    /// Ask permission in the middle of each message. Enter says yes.
    #[arg(long)]
    ask: bool,
    /// Ignore the first N times that Enter would send something.
    #[arg(long, value_name = "N", default_value_t = 0)]
    eat_enter: u32,
    /// Have this in the composer at the start, as if a person had begun to write.
    #[arg(long, value_name = "TEXT")]
    draft: Option<String>,
    /// Hold what is pasted without showing it.
    #[arg(long)]
    hide_paste: bool,
    /// Take a leading `/` or `!` for a command and a trailing `\` for a new line.
    #[arg(long)]
    commands: bool,
    /// What becomes of a message that is sent while it works.
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    while_busy: WhileBusy,
    /// End on the Nth message, in place of working on it; 0: at once.
    #[arg(long, value_name = "N")]
    die: Option<u32>,
    /// The exit code of --die.
    #[arg(long, value_name = "CODE", default_value_t = 3)]
    code: u8,
    /// Tell its state by OSC 7501, once the terminal has answered that it listens, as Claude Code does.
    #[arg(long)]
    status: bool,
    /// Tell its state by the window's title, as Gemini CLI does.
    #[arg(long)]
    title: bool,
    /// Use the alternate screen.
    #[arg(long)]
    alternate: bool,
    /// Report to its parent when a message begins with `report:` (done) or `report blocked:` and the like.
    #[arg(long)]
    report: bool,
    /// Append what happened to this file.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum WhileBusy {
    /// It waits for its turn.
    #[default]
    Queue,
    /// It cuts the work short, as in Codex.
    Interrupt,
}

pub(super) fn run(ways: Ways) -> Result<ExitCode, Fail> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Fail::Usage("fake-agent needs a terminal: `compere spawn fake-agent`".into()));
    }
    if ways.die == Some(0) {
        return Ok(ExitCode::from(ways.code));
    }
    let log = ways.log.as_ref().map(|path| OpenOptions::new().create(true).append(true).open(path));
    let raw = Raw::set()?;
    let mut show = Show::new(&ways, log.transpose()?);
    let begun = show.begin(&ways).and_then(|()| show.run(Agent::new(ways, Instant::now())));
    show.end()?;
    drop(raw);
    Ok(ExitCode::from(begun?))
}

/// The agent at its terminal.
struct Show {
    picture: Picture,
    log: Option<File>,
    silent: bool,
    title: bool,
    /// Whether OSC 7501 was asked for, and whether the terminal listens.
    status: bool,
    listens: bool,
    /// What was told last, by either.
    told: &'static str,
    titled: &'static str,
    resized: Arc<AtomicBool>,
}

impl Show {
    /// A lone ESC is the key when nothing follows it for so long.
    const ESCAPE: Duration = Duration::from_millis(25);

    fn new(ways: &Ways, log: Option<File>) -> Self {
        Show {
            picture: if ways.alternate { Picture::alternate() } else { Picture::default() },
            log,
            silent: ways.silent,
            title: ways.title,
            status: ways.status,
            listens: false,
            told: "",
            titled: "",
            resized: Arc::default(),
        }
    }

    fn begin(&mut self, ways: &Ways) -> io::Result<()> {
        signal_hook::flag::register(signal_hook::consts::SIGWINCH, self.resized.clone())?;
        let screen = if ways.alternate { "\x1b[?1049h" } else { "" };
        let asks = if self.status { "\x1b]7501;?\x1b\\" } else { "" };
        write(&format!("{screen}\x1b[?2004h{asks}"))
    }

    fn end(&self) -> io::Result<()> {
        let screen = if self.picture.is_alternate() { "\x1b[?1049l" } else { "\r\x1b[J" };
        write(&format!("{screen}\x1b[?2004l\x1b[?25h"))
    }

    /// Runs it to its end; answers the exit code.
    fn run(&mut self, mut agent: Agent) -> io::Result<u8> {
        let mut decoder = Decoder::default();
        let mut buffer = [0; 4096];
        loop {
            self.show(&mut agent)?;
            if let Phase::Gone(code) = agent.phase() {
                return Ok(*code);
            }
            let wait = if decoder.waits() { Some(Self::ESCAPE) } else { self.pause(&agent) };
            let read = match readable(wait)? {
                Readiness::Bytes => rustix::io::read(io::stdin(), &mut buffer)?,
                Readiness::Signal => continue,
                Readiness::Nothing => {
                    let now = Instant::now();
                    decoder.settle().into_iter().for_each(|key| agent.key(key, now));
                    agent.tick(now);
                    continue;
                }
            };
            if read == 0 {
                return Ok(0);
            }
            let now = Instant::now();
            for key in decoder.feed(&buffer[..read]) {
                self.listens |= self.status && key == Key::Listens;
                agent.key(key, now);
            }
            agent.tick(now);
        }
    }

    /// How long nothing needs to be done.
    fn pause(&self, agent: &Agent) -> Option<Duration> {
        let due = agent.deadline()?.saturating_duration_since(Instant::now());
        let turns = matches!(agent.phase(), Phase::Working { .. }) && !self.silent;
        Some(if turns { due.min(picture::TURN) } else { due })
    }

    /// Does what the agent wants done, and draws it.
    fn show(&mut self, agent: &mut Agent) -> io::Result<()> {
        let mut said = Vec::new();
        for effect in agent.effects() {
            match effect {
                Effect::Print(text) => said.extend(text.lines().map(str::to_owned)),
                Effect::Log(line) => self.log.iter_mut().try_for_each(|log| writeln!(log, "{line}"))?,
                Effect::Report { status, text } => {
                    said.extend(report(&status, &text).lines().map(|line| format!("● {line}")));
                }
            }
        }
        let size = tcgetwinsize(io::stdout())?;
        let size = (usize::from(size.ws_row), usize::from(size.ws_col));
        let mut bytes = self.picture.draw(&said, Live::of(agent, self.silent, Instant::now()), size);
        if self.resized.swap(false, Ordering::Relaxed) {
            bytes += &self.picture.all(size);
        }
        bytes += &self.tell(agent.phase());
        if bytes.is_empty() { Ok(()) } else { write(&bytes) }
    }

    /// Its state in the protocols that were chosen, when it has changed.
    fn tell(&mut self, phase: &Phase) -> String {
        let (state, title) = match phase {
            Phase::Starting { .. } | Phase::Gone(_) => return String::new(),
            Phase::Idle { turns: false } => ("idle", "◇ Ready"),
            Phase::Idle { turns: true } => ("done", "◇ Ready"),
            Phase::Working { .. } => ("working", "✦ Working…"),
            Phase::Asking { .. } => ("blocked", "✋ Action Required"),
        };
        let mut bytes = String::new();
        if self.title && self.titled != title {
            bytes += &format!("\x1b]0;{title} (fake-agent)\x07");
            self.titled = title;
        }
        if self.listens && self.told != state {
            let more = match phase {
                Phase::Asking { dialog, .. } => {
                    format!(":kind={}:msg={}", dialog.what, BASE64_STANDARD.encode(&dialog.question))
                }
                _ => String::new(),
            };
            bytes += &format!("\x1b]7501;state={state}:app=fake-agent{more}\x1b\\");
            self.told = state;
        }
        bytes
    }
}

/// Why a wait ended.
enum Readiness {
    Bytes,
    Signal,
    Nothing,
}

fn readable(wait: Option<Duration>) -> io::Result<Readiness> {
    let stdin = io::stdin();
    let wait = wait.map(|wait| Timespec {
        tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: wait.subsec_nanos().into(),
    });
    match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], wait.as_ref()) {
        Ok(0) => Ok(Readiness::Nothing),
        Ok(_) => Ok(Readiness::Bytes),
        Err(rustix::io::Errno::INTR) => Ok(Readiness::Signal),
        Err(error) => Err(error.into()),
    }
}

fn write(bytes: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes.as_bytes())?;
    out.flush()
}

/// `compere report`, as this child; answers what it said.
fn report(status: &str, text: &str) -> String {
    let run = || {
        let mut command = std::process::Command::new(std::env::current_exe()?);
        command.args(["report", status, "--", text]).stdin(Stdio::null()).output()
    };
    match run() {
        Ok(output) => String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        Err(error) => format!("the report was not made: {error}"),
    }
}

/// The terminal without line editing and echo, until dropped.
struct Raw(Termios);

impl Raw {
    fn set() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Raw(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
