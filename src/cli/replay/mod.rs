//! `compere replay`: an asciicast in the person's own terminal. What it holds goes through our emulator and is painted
//! anew: whoever made the file can move nothing but cells.

mod pace;
mod stage;

use std::{
    fs::File,
    io::{BufReader, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use futures::StreamExt;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};

use self::{pace::Pace, stage::compose};
use super::{
    fail::Fail,
    given::Span,
    out,
    top::{Taken, size},
};
use crate::child::{
    paint::paint,
    picture::Sheet,
    recording::{Happened, Recording},
    screen::Screen,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Asciicasts of version 2 and 3, as `compere record` and asciinema write them. Space pauses, q ends.")]
pub(super) struct Args {
    /// The recording.
    file: PathBuf,
    /// So many times as fast as it was.
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// No pause is longer than this.
    #[arg(long, value_name = "SPAN")]
    max_idle: Option<Span>,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.01..=1000.0).contains(&speed) => Ok(speed),
        _ => Err("give a number between 0.01 and 1000".into()),
    }
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Fail> {
    let said = |error: &dyn std::fmt::Display| Fail::Said(format!("{}: {error}", args.file.display()));
    let file = File::open(&args.file).map_err(|error| said(&error))?;
    let recording = Recording::new(BufReader::new(file)).map_err(|error| said(&error))?;
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Fail::Usage("replay needs a terminal".into()));
    }
    let name = args.file.file_name().unwrap_or_default().to_string_lossy();
    let player = Player {
        screen: Screen::new(recording.size()),
        recording,
        pace: Pace::new(args.speed, args.max_idle.map(|span| Duration::from_millis(span.ms))),
        title: format!("{} · {}x", out::plain(&name).replace(['\n', '\t'], " "), args.speed),
        shown: None,
        clock: Clock { began: Instant::now(), paused: None },
        at: Duration::ZERO,
        exit: None,
    };
    let (screen, ended) = player.play().await?;
    // What was seen last stays, as text.
    let text = screen.text(0).lines.join("\n");
    out::line(&out::plain(text.trim_end()))?;
    match ended {
        Ended::Damaged(why) => Err(said(&why)),
        Ended::Signalled(code) => Ok(ExitCode::from(code)),
        Ended::Left | Ended::Played => Ok(ExitCode::SUCCESS),
    }
}

/// How a playing ends.
enum Ended {
    Played,
    /// The person wanted no more.
    Left,
    Signalled(u8),
    /// The recording is broken from there on.
    Damaged(String),
}

/// Time that stands still while it is paused.
struct Clock {
    began: Instant,
    paused: Option<Instant>,
}

impl Clock {
    fn pause_or_go_on(&mut self) {
        match self.paused.take() {
            Some(since) => self.began += since.elapsed(),
            None => self.paused = Some(Instant::now()),
        }
    }

    /// Until then, or for ever while it is paused.
    async fn until(&self, due: Duration) {
        match (self.paused, self.began.checked_add(due)) {
            (None, Some(at)) => tokio::time::sleep_until(at).await,
            _ => std::future::pending().await,
        }
    }
}

struct Player {
    recording: Recording<BufReader<File>>,
    screen: Screen,
    pace: Pace,
    title: String,
    /// What the person's terminal shows.
    shown: Option<Sheet>,
    clock: Clock,
    /// How far the recording is, in its own time.
    at: Duration,
    exit: Option<i32>,
}

/// More pictures than this are not seen.
const BETWEEN: Duration = Duration::from_millis(25);

impl Player {
    async fn play(mut self) -> Result<(Screen, Ended), Fail> {
        let mut signals =
            [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()].map(signal);
        let taken = Taken::take()?;
        let mut keys = EventStream::new();
        let mut drawn = Instant::now();
        self.draw()?;
        let ended = loop {
            let moment = match self.recording.moment() {
                Ok(Some(moment)) => moment,
                Ok(None) => break Ended::Played,
                Err(error) => break Ended::Damaged(error.to_string()),
            };
            let due = self.pace.show(moment.at);
            if let Some(ended) = self.wait(due, &mut keys, &mut signals, &mut drawn).await? {
                break ended;
            }
            self.at = moment.at;
            let now = std::time::Instant::now();
            if self.screen.sync_deadline().is_some_and(|at| at <= now) {
                drop(self.screen.end_sync(now));
            }
            match moment.what {
                // Its questions are answered by nobody: whoever asked them has had an answer.
                Happened::Output(text) => drop(self.screen.feed(text.as_bytes(), now)),
                Happened::Resized(size) => self.screen.resize(size),
                Happened::Exited(code) => {
                    self.exit = Some(code);
                    break Ended::Played;
                }
                Happened::Input(_) | Happened::Other => {}
            }
        };
        self.draw()?;
        drop(taken);
        Ok((self.screen, ended))
    }

    /// Until it is time for the next moment; how it ends, if it does before.
    async fn wait(
        &mut self,
        due: Duration,
        keys: &mut EventStream,
        signals: &mut [std::io::Result<Signal>; 3],
        drawn: &mut Instant,
    ) -> Result<Option<Ended>, Fail> {
        loop {
            let late = self.clock.paused.is_none() && self.clock.began.elapsed() >= due;
            if !late || drawn.elapsed() >= BETWEEN {
                self.draw()?;
                *drawn = Instant::now();
            }
            let told = tokio::select! {
                biased;
                code = any(signals) => return Ok(Some(Ended::Signalled(code))),
                told = keys.next() => told,
                () = self.clock.until(due) => return Ok(None),
            };
            match told {
                Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => {
                    if self.key(key) {
                        return Ok(Some(Ended::Left));
                    }
                }
                Some(Ok(Event::Resize(..))) => self.shown = None,
                Some(Ok(_)) => {}
                // The terminal is gone.
                Some(Err(_)) | None => return Ok(Some(Ended::Left)),
            }
        }
    }

    /// Whether it is to end.
    fn key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return true,
            KeyCode::Char('q') | KeyCode::Esc => return true,
            KeyCode::Char(' ') => self.clock.pause_or_go_on(),
            _ => {}
        }
        false
    }

    fn draw(&mut self) -> std::io::Result<()> {
        let how = match (self.exit, self.clock.paused) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(_)) => "paused".into(),
            (None, None) => "space pauses, q ends".into(),
        };
        let line = format!(" {} · {} · {how}", self.title, out::span(self.at.as_secs()));
        let sheet = compose(&self.screen.sheet(0).0, size()?, &line);
        let sequences = paint(self.shown.as_ref(), &sheet);
        self.shown = Some(sheet);
        let mut out = std::io::stdout().lock();
        out.write_all(sequences.as_bytes())?;
        out.flush()
    }
}

/// The exit code of whom it ended.
async fn any(signals: &mut [std::io::Result<Signal>; 3]) -> u8 {
    async fn one(signal: &mut std::io::Result<Signal>) {
        match signal {
            Ok(signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    }
    let [terminate, hangup, interrupt] = signals;
    tokio::select! {
        () = one(terminate) => 143,
        () = one(hangup) => 129,
        () = one(interrupt) => 130,
    }
}
