//! What a child's thread begins with: a new screen for a child that was just spawned, and for one that an earlier
//! broker had, the screen and the messages as that one left them.

use std::{
    io,
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

use super::{Fate, Job, Task, keeper::is_gone};
use crate::{
    child::{
        Kept, Told,
        delivery::{DeliveryId, Outcome},
        screen::Screen,
    },
    id::{Exit, Offset, Size},
    keeper::{
        self, Record, Typed,
        wire::{self, Request},
    },
};

/// See the module.
pub(super) struct Origin {
    pub(super) stream: Option<UnixStream>,
    pub(super) process: Option<std::process::Child>,
    pub(super) child: i32,
    pub(super) screen: Screen,
    /// What the child had written when the screen was so.
    pub(super) at: Offset,
    pub(super) answered: Offset,
    pub(super) stale: bool,
    pub(super) speaks: Option<u32>,
    pub(super) jobs: Vec<Job>,
    pub(super) behind: Option<Behind>,
    pub(super) dead: Option<&'static str>,
    /// How it ended, if its keeper has seen that.
    pub(super) exit: Option<Exit>,
}

/// Who asks of a child that was just taken up gets no answer before all that was written is on the screen; but a keeper
/// that is stopped is not waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Behind {
    /// What the child had written by then.
    pub(super) of: Offset,
    pub(super) until: Instant,
}

/// Where a child comes from, made ready. A keeper that refuses us is gone; one that we cannot reach for want of
/// descriptors is an error.
pub(super) fn origin(kept: Kept, size: Size, socket: &Path) -> io::Result<Origin> {
    let (record, jobs, dead) = match kept {
        Kept::New(launched, stream) => {
            stream.set_nonblocking(true)?;
            return Ok(Origin {
                stream: Some(stream),
                process: Some(launched.process),
                child: launched.child_pid,
                screen: Screen::new(size),
                at: Offset(0),
                answered: Offset(0),
                stale: false,
                speaks: Some(wire::VERSION),
                jobs: Vec::new(),
                behind: None,
                dead: None,
                exit: None,
            });
        }
        Kept::Found { record, jobs, dead } => (record, jobs, dead),
    };
    let stream = match dead {
        Some(_) => None,
        None => match keeper::connect(socket) {
            Ok(stream) => Some(stream),
            Err(error) if is_gone(&error) => None,
            Err(error) => return Err(error),
        },
    };
    if let Some(stream) = &stream {
        stream.set_nonblocking(true)?;
    }
    let (screen, at, exact) = screen(&record, size);
    let behind = stream.as_ref().map(|_| Behind { of: record.end, until: Instant::now() + PATIENCE });
    Ok(Origin {
        exit: record.exit,
        stream,
        behind,
        process: None,
        child: record.child_pid,
        screen,
        at,
        answered: record.answered.unwrap_or(record.end),
        stale: !exact,
        speaks: None,
        jobs,
        dead,
    })
}

/// The newest copy of the screen that the ring still goes on from; else what the ring has is all there is to show, which
/// is exact only if it has everything and the size never changed.
fn screen(record: &Record, size: Size) -> (Screen, Offset, bool) {
    let copy = record.checkpoint().filter(|(at, _)| *at >= record.start && *at <= record.end);
    if let Some((at, bytes)) = copy
        && let Some(screen) = Screen::restore(&bytes)
    {
        return (screen, at, true);
    }
    let whole = record.start == Offset(0) && record.size == size.clamped();
    (Screen::new(record.size), record.start, whole)
}

impl Task {
    /// Whether the keeper is known to be of the kind that knows strokes, copies and answers again.
    pub(super) fn knows_strokes(&self) -> bool {
        self.speaks >= Some(wire::KNOWS_TYPE)
    }

    /// Whether whoever asks has to wait.
    pub(super) fn is_behind(&mut self, now: Instant) -> bool {
        let behind = self.behind.is_some_and(|behind| {
            (self.end < behind.of || !self.unsettled.is_empty())
                && self.keeper.is_some()
                && now < behind.until
        });
        if !behind {
            self.behind = None;
        }
        behind
    }

    /// The keeper tells which strokes of which messages it has taken: what an earlier broker accepted goes on from there.
    pub(super) fn settle(&mut self, typed: &[Typed], forgotten: u64) {
        let knows = self.knows_strokes();
        let now = Instant::now();
        for job in std::mem::take(&mut self.unsettled) {
            let DeliveryId(delivery) = job.id;
            let outcome = match typed.iter().find(|typed| typed.delivery == delivery) {
                Some(typed) if typed.complete && !self.composer.is_described() => {
                    Outcome::Typed { from: self.end }
                }
                Some(typed) => {
                    self.queue.restore(Job { begun: typed.accepted, ..job }, now);
                    continue;
                }
                None if !knows || delivery <= forgotten => Outcome::Unknown(
                    "the broker was replaced, and its keeper cannot tell whether this was typed".into(),
                ),
                None => {
                    self.queue.restore(job, now);
                    continue;
                }
            };
            self.tell(Told::Settled(job.id, Fate::unseen(outcome)));
        }
    }

    /// Makes the program draw its screen anew, by a size that it does not have.
    pub(super) fn nudge(&mut self) {
        let size = self.screen.size();
        let other = Size { rows: if size.rows > 2 { size.rows - 1 } else { size.rows + 1 }, ..size };
        self.send(Request::Resize { size: other });
        self.send(Request::Resize { size });
    }

    /// Gives the keeper a copy of the screen, when one is due.
    pub(super) fn save_if_due(&mut self, now: Instant) {
        if self.copies.is_due(self.end, now) {
            self.save();
        }
    }

    /// Gives the keeper a copy of the screen as it is now, for a broker after us. In the middle of an escape sequence
    /// there is none to give: the next output is another chance.
    pub(super) fn save(&mut self) {
        let began = Instant::now();
        let copy = if self.knows_strokes() { self.screen.checkpoint() } else { None };
        let now = Instant::now();
        self.copies.tried(copy.is_some().then_some(self.end), now - began, now);
        if let Some(bytes) = copy {
            self.send(Request::Save { at: self.end, bytes: &bytes });
        }
    }
}

/// How long a keeper may take to send again what it has: milliseconds, unless it is stopped.
const PATIENCE: Duration = Duration::from_secs(5);
