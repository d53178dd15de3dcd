//! `compere top`: everyone at a glance, live. Decides nothing itself: events go into a model, which is drawn, and what
//! it wishes is done.

mod draw;
mod edit;
mod feed;
mod keys;
mod layout;
mod model;
mod plain;
mod row;
mod terminal;
mod usage;

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
    time::{Duration, SystemTime},
};

use clap::CommandFactory;
use crossterm::event::{Event as Told, EventStream};
use futures::StreamExt;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::MissedTickBehavior,
};

pub(super) use self::terminal::{Taken, size};
use self::{
    draw::{Palette, View},
    feed::Feed,
    keys::Key,
    model::{Event, Model, Wish},
    plain::Teller,
    terminal::Screen,
};
use super::{client::Client, fail::Fail, out};
use crate::{
    attach,
    registry::board::ms,
    tools::{BOARD, Board, BoardWish},
};

#[derive(Debug, Default, clap::Args)]
#[command(
    after_help = "Who needs you comes first. ? shows the keys. `compere` alone, in a terminal, is the same."
)]
pub(super) struct Args {
    /// Print lines instead: who there is, then each change. For screen readers, pipes and logs.
    #[arg(long)]
    plain: bool,
    /// Print one table and end.
    #[arg(long)]
    once: bool,
    /// Ring, and send the terminal a notification (OSC 9), when a child begins to need you.
    #[arg(long, conflicts_with_all = ["plain", "once"])]
    notify: bool,
    /// One process uses the terminal and one puts it back: this is the first.
    #[arg(long, hide = true)]
    guarded: bool,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Fail> {
    if args.once {
        return once().await;
    }
    if args.plain {
        return lines().await;
    }
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        let why = "top needs a terminal; `compere top --plain` prints lines, `compere top --once` a table";
        return Err(Fail::Usage(why.into()));
    }
    if !args.guarded {
        let notify = args.notify.then_some("--notify");
        let arguments: Vec<&str> = ["top", "--guarded"].into_iter().chain(notify).collect();
        return Ok(attach::watch_over(&arguments).await?);
    }
    attach::end_with_guard();
    Live::begin(args.notify)?.run().await
}

fn now_ms() -> u64 {
    ms(SystemTime::now())
}

async fn once() -> Result<ExitCode, Fail> {
    let client = Client::connect().await?;
    let board = client.special::<Board>(BOARD, &BoardWish { wait_ms: 0 }).await;
    client.close().await;
    out::line(&plain::table(board?, now_ms(), out::columns()).join("\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Until whoever reads them has gone.
async fn lines() -> Result<ExitCode, Fail> {
    let (events, mut told) = mpsc::channel(16);
    let _feed = Feed::start(events);
    let mut teller = Teller::default();
    while let Some(event) = told.recv().await {
        let lines = match event {
            Event::Board(board) => teller.tell(board),
            Event::Lost(why) => vec![format!("no broker, trying again: {}", model::one_line(&why))],
            _ => Vec::new(),
        };
        for line in lines {
            out::line(&line)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What ends it from outside.
struct Signals([(Signal, u8); 3]);

impl Signals {
    fn new() -> io::Result<Signals> {
        let one = |kind: SignalKind| Ok::<_, io::Error>((signal(kind)?, 128 + kind.as_raw_value() as u8));
        Ok(Signals([
            one(SignalKind::terminate())?,
            one(SignalKind::hangup())?,
            one(SignalKind::interrupt())?,
        ]))
    }

    /// The exit code of whom it ended.
    async fn any(&mut self) -> u8 {
        let [(terminate, ended), (hangup, hung), (interrupt, interrupted)] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => *ended,
            _ = hangup.recv() => *hung,
            _ = interrupt.recv() => *interrupted,
        }
    }
}

/// The terminal, the model, and what feeds it.
struct Live {
    screen: Option<Screen>,
    palette: Palette,
    notify: bool,
    model: Model,
    feed: Feed,
    told: mpsc::Receiver<Event>,
    signals: Signals,
}

/// What follows a wish.
enum Next {
    On,
    Leave(&'static str, String),
    End(ExitCode),
}

impl Live {
    fn begin(notify: bool) -> Result<Live, Fail> {
        let signals = Signals::new()?;
        let palette = if out::colours() { Palette::Colours } else { Palette::Plain };
        let (events, told) = mpsc::channel(64);
        let can_attach = super::args::Cli::command().find_subcommand("attach").is_some();
        let model = Model { now_ms: now_ms(), can_attach, ..Model::default() };
        let screen = Some(Screen::take()?);
        Ok(Live { screen, palette, notify, model, feed: Feed::start(events), told, signals })
    }

    async fn run(mut self) -> Result<ExitCode, Fail> {
        let mut keys = EventStream::new();
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.resized()?;
        loop {
            if Screen::panicked() {
                return Err(Fail::Said("top has ended by a defect of compere; the children go on".into()));
            }
            self.draw()?;
            let mut events = tokio::select! {
                biased;
                code = self.signals.any() => return Ok(ExitCode::from(code)),
                key = keys.next() => match key {
                    Some(Ok(told)) => vec![told_by_terminal(told)].into_iter().flatten().collect(),
                    // The terminal is gone.
                    Some(Err(_)) | None => return Ok(ExitCode::SUCCESS),
                },
                Some(event) = self.told.recv() => vec![event],
                _ = second.tick() => vec![Event::Time(now_ms())],
            };
            // What has come meanwhile is drawn with it.
            while let Ok(event) = self.told.try_recv() {
                events.push(event);
            }
            let mut wishes = Vec::new();
            for event in events {
                wishes.extend(self.model.reduce(event));
            }
            self.count();
            for wish in wishes {
                match self.grant(wish)? {
                    Next::On => {}
                    Next::End(code) => return Ok(code),
                    Next::Leave(command, child) => {
                        drop(keys);
                        if let Some(code) = self.leave_for(command, &child).await? {
                            return Ok(code);
                        }
                        keys = EventStream::new();
                    }
                }
            }
        }
    }

    fn resized(&mut self) -> io::Result<()> {
        if let Some(screen) = &self.screen {
            let (cols, rows) = screen.size()?;
            self.model.reduce(Event::Size(cols, rows));
        }
        Ok(())
    }

    fn draw(&mut self) -> io::Result<()> {
        let view = View { model: &self.model, palette: self.palette };
        self.screen.as_mut().map_or(Ok(()), |screen| screen.draw(view))
    }

    /// Whose processes are counted: of those that live.
    fn count(&self) {
        let live = self.model.rows.iter().filter(|(_, row)| !matches!(row.state.as_str(), "exited" | "lost"));
        self.feed.count(live.map(|(id, row)| (*id, row.keeper)).collect());
    }

    fn grant(&mut self, wish: Wish) -> io::Result<Next> {
        match wish {
            Wish::Quit => return Ok(Next::End(ExitCode::SUCCESS)),
            Wish::Attach(child) => return Ok(Next::Leave("attach", child)),
            Wish::Watch(child) => return Ok(Next::Leave("watch", child)),
            Wish::Look(child) => self.feed.look_at(child),
            Wish::Send { to, text } => self.feed.send(to, text),
            Wish::Stop(child) => self.feed.stop(&child),
            Wish::ListPresets => self.feed.presets(),
            Wish::Spawn { preset, name } => self.feed.spawn(&preset, name),
            Wish::ReadInbox => self.feed.inbox(),
            Wish::Alert(words) => {
                if let Some(screen) = self.screen.as_mut().filter(|_| self.notify) {
                    screen.ring(&words)?;
                }
            }
        }
        Ok(Next::On)
    }

    /// Gives the terminal to another command of ours and takes it back after; answers with what to end, if that is
    /// asked for meanwhile.
    async fn leave_for(&mut self, command: &str, child: &str) -> Result<Option<ExitCode>, Fail> {
        self.screen = None;
        let mut process = tokio::process::Command::new(std::env::current_exe()?);
        let mut process = process.args([command, child]).spawn()?;
        let ended = tokio::select! {
            ended = process.wait() => ended?,
            code = self.signals.any() => {
                // It gives the terminal back by itself.
                if let Some(pid) = process.id().and_then(|pid| rustix::process::Pid::from_raw(pid as i32)) {
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
                }
                process.wait().await?;
                return Ok(Some(ExitCode::from(code)));
            }
        };
        self.screen = Some(Screen::take()?);
        self.resized()?;
        if !ended.success() {
            self.model.reduce(Event::Said(Err(format!("compere {command} {child}: {ended}"))));
        }
        Ok(None)
    }
}

fn told_by_terminal(told: Told) -> Option<Event> {
    match told {
        Told::Key(key) => Key::of(key).map(Event::Key),
        Told::Paste(text) => Some(Event::Paste(text)),
        Told::Resize(cols, rows) => Some(Event::Size(cols, rows)),
        _ => None,
    }
}
