//! The thread's side of the line to its keeper: what is heard, what is asked, and what is left when the line ends.

use std::{
    io::{self, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant, SystemTime},
};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{Pending, Reader, Task};
use crate::{
    child::{
        Written, record,
        screen::Fed,
        state::{State, Tty},
    },
    fault,
    id::{Exit, Offset},
    keeper::{
        Ring,
        wire::{self, Decoder, Event, Request},
    },
    proc,
};

impl Task {
    /// Takes in what the keeper sent.
    pub(super) fn hear(&mut self, now: Instant) {
        let Some(keeper) = &mut self.keeper else { return };
        let open = match self.decoder.read_from(keeper) {
            Ok(read) => read > 0,
            Err(error) => matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        };
        let mut decoder = std::mem::take(&mut self.decoder);
        let sound = loop {
            match decoder.next() {
                Ok(Some(event)) => self.event(event, now),
                Ok(None) => break true,
                Err(error) => {
                    tracing::warn!(child = %self.id, %error, "the keeper's words make no sense");
                    break false;
                }
            }
        };
        self.decoder = decoder;
        if !(open && sound) {
            self.lost_line();
        }
    }

    fn event(&mut self, event: Event<'_>, now: Instant) {
        match event {
            Event::Hello { version, start, typed, forgotten, .. } => {
                self.glance.clear();
                self.end = self.end.max(start);
                self.speaks = Some(version);
                self.settle(&typed, forgotten);
            }
            Event::Output { from, bytes } => self.output(from, bytes, now),
            Event::Data { req, from, end, bytes, .. } => self.data(req, from, end, bytes),
            Event::Written { id } => {
                if id != 0 {
                    fault::point!("send.written");
                    self.queue.written(now);
                }
            }
            Event::Refused { id, reason } => {
                if id != 0 {
                    let over = self.queue.unwritten(&reason);
                    self.act(over, now);
                }
            }
            Event::Tty { req, canonical, echo, .. }
                if matches!(self.pending.get(&req), Some(Pending::Echo)) =>
            {
                self.pending.remove(&req);
                self.heard_echo(canonical, echo);
            }
            Event::Tty { canonical, foreground, .. } => {
                self.tty_asked = false;
                let tty = Tty { canonical, foreground };
                self.reducer.tty(tty);
                let plan = self.queue.tty(tty);
                self.act(plan, now);
                self.look(now);
            }
            Event::Processes { req, pids } => {
                if let (Some(Pending::Processes), Some(stopping)) =
                    (self.pending.remove(&req), &mut self.stopping)
                {
                    stopping.running(pids);
                }
            }
            Event::Exited { exit } => self.exited(exit, now),
            Event::Eof { .. } => {}
        }
    }

    fn output(&mut self, from: Offset, bytes: &[u8], now: Instant) {
        if from > self.end {
            // Only a keeper that outran us by a whole ring skips: then the screen is no longer what it was.
            tracing::warn!(child = %self.id, dropped = from - self.end, "output left the ring before it was read");
        }
        self.glance.clear();
        // What an earlier broker has answered must not be answered twice.
        let old = bytes.len().min((self.answered - from) as usize);
        for (piece, new) in [(&bytes[..old], false), (&bytes[old..], true)] {
            if piece.is_empty() {
                continue;
            }
            self.end = if new { from + bytes.len() } else { from + old };
            let fed = self.screen.feed(piece, now);
            if new {
                self.answer(fed);
            }
        }
        self.written.send_replace(Written { end: self.end, at: SystemTime::now() });
        self.rest.stir(now);
        self.reducer.output(now);
        for finder in self.finders.values_mut() {
            finder.output(from, bytes);
        }
        self.finders.retain(|_, finder| !finder.over());
    }

    /// What the emulator says goes to the program like typed input, but nobody waits for it to be taken.
    pub(super) fn answer(&mut self, fed: Fed) {
        if fed.answers.is_empty() {
            return;
        }
        if self.knows_strokes() {
            self.send(Request::Answer { at: self.end, bytes: &fed.answers });
        } else {
            self.send(Request::Input { id: 0, bytes: &fed.answers });
        }
    }

    fn data(&mut self, req: u64, from: Offset, end: Offset, bytes: &[u8]) {
        let Some(Pending::Read { whose, .. }) = self.pending.remove(&req) else { return };
        let id = match whose {
            Reader::Caller(reply) => return drop(reply.send((from, end, bytes.to_vec()))),
            Reader::Finder(id) => id,
        };
        let Some(finder) = self.finders.get_mut(&id) else { return };
        // The ring is ahead of us: whoever hears of a line and then looks must find it on the screen.
        let seen = bytes.len().min((self.end - from) as usize);
        let bytes = &bytes[..seen];
        finder.skip_to(from);
        finder.output(from, bytes);
        let next = finder.searched();
        if finder.over() {
            self.finders.remove(&id);
        } else if next < self.end && !bytes.is_empty() {
            self.read(next, Ring::HELD, Reader::Finder(id));
        }
    }

    pub(super) fn read(&mut self, from: Offset, max: usize, whose: Reader) {
        let req = self.next();
        self.pending.insert(req, Pending::Read { from, max, whose });
        if self.keeper.is_some() {
            self.send(Request::Read { req, from, max: max.min(Ring::HELD) as u32 });
            return;
        }
        let (start, end, bytes) = match record(&self.ring) {
            Some(record) => {
                let (start, bytes) = record.read(from, max).unwrap_or_else(|_| (record.end, Vec::new()));
                (start, record.end, bytes)
            }
            None => (self.end, self.end, Vec::new()),
        };
        self.data(req, start, end, &bytes);
    }

    pub(super) fn ask_tty(&mut self) {
        if !self.tty_asked {
            self.tty_asked = true;
            let req = self.next();
            self.send(Request::Tty { req });
        }
    }

    fn exited(&mut self, exit: Exit, now: Instant) {
        self.reducer.exited(exit);
        self.look(now);
    }

    /// The connection is closed: the keeper has ended, or else it still serves and takes a new one.
    fn lost_line(&mut self) {
        self.keeper = None;
        if let Some(stream) = self.another_line() {
            self.keeper = Some(stream);
            self.greet();
            self.ask_again();
            let now = Instant::now();
            let over = self.queue.interrupted(now);
            self.act(over, now);
            return;
        }
        if !self.reap() {
            tracing::error!(child = %self.id, "its keeper lives and does not take a connection");
        }
        self.keeper_ended(None);
    }

    /// A new connection, if the keeper still serves. While we cannot know, for want of descriptors, its child waits with
    /// us: what is taken for lost is lost.
    fn another_line(&mut self) -> Option<UnixStream> {
        const PAUSE: Duration = Duration::from_millis(100);
        let mut told = false;
        loop {
            let line = UnixStream::connect(&self.socket);
            match line.and_then(|stream| stream.set_nonblocking(true).map(|()| stream)) {
                Ok(stream) => return Some(stream),
                Err(error) if is_gone(&error) || self.is_unkept() => return None,
                Err(error) if !told => {
                    tracing::error!(child = %self.id, %error, "its keeper cannot be reached; it is tried again");
                    told = true;
                }
                Err(_) => {}
            }
            std::thread::park_timeout(PAUSE);
        }
    }

    /// Waits for the keeper's end, which nobody else may. It closes its connections last, so this is short.
    fn reap(&mut self) -> bool {
        const WITHIN: Duration = Duration::from_secs(5);
        let until = Instant::now() + WITHIN;
        // Without a descriptor for it there is still the lock to be looked at.
        if let Some(process) = &self.process
            && let Ok(process) = pidfd_open(Pid::from_child(process), PidfdFlags::empty())
        {
            let _ = proc::ended(process, WITHIN);
        }
        while !self.is_unkept() {
            if Instant::now() >= until {
                return false;
            }
            // One that an earlier broker has started is no child of ours, and only its lock says that it has gone.
            std::thread::park_timeout(Duration::from_millis(1));
        }
        true
    }

    /// Whether the keeper is known to have ended.
    fn is_unkept(&mut self) -> bool {
        match &mut self.process {
            Some(process) => !matches!(process.try_wait(), Ok(None)),
            None => Ring::is_kept(&self.ring).is_ok_and(|kept| !kept),
        }
    }

    /// What the keeper was asked for and did not answer.
    fn ask_again(&mut self) {
        for (_, pending) in std::mem::take(&mut self.pending) {
            if let Pending::Read { from, max, whose } = pending {
                self.read(from, max, whose);
            }
        }
    }

    /// The ring is all there is now: the last bytes and the exit are in it.
    pub(super) fn keeper_ended(&mut self, dead: Option<&str>) {
        let now = Instant::now();
        let record = record(&self.ring);
        // A keeper that was killed could not take its socket away.
        let _ = std::fs::remove_file(&self.socket);
        if let Some(record) = &record {
            self.speaks = Some(if record.about.is_some() { wire::VERSION } else { 1 });
            self.settle(&record.typed, record.forgotten);
            while self.end < record.end {
                let Ok((from, bytes)) = record.read(self.end, Ring::HELD) else { break };
                if bytes.is_empty() {
                    break;
                }
                self.output(from, &bytes, now);
            }
        }
        match record.and_then(|record| record.exit) {
            Some(exit) => self.reducer.exited(exit),
            None => self.reducer.lost(dead.unwrap_or("its keeper died")),
        }
        self.look(now);
        self.unsettled.clear();
        self.ask_again();
        self.finders.clear();
        if let Some(stopping) = self.stopping.take() {
            // Whoever hears that it was stopped and then looks must find it ended.
            self.publish();
            let exit = if let State::Exited(exit) = self.reducer.state() { Some(*exit) } else { None };
            stopping.over(exit, true);
        }
    }

    pub(super) fn greet(&mut self) {
        let from = self.end;
        self.tty_asked = false;
        self.decoder = Decoder::default();
        self.out.clear();
        self.send(Request::Hello { version: wire::VERSION });
        self.send(Request::Follow { from });
    }

    /// For the keeper, if there still is one.
    pub(super) fn send(&mut self, request: Request<'_>) {
        if self.keeper.is_some() {
            request.encode(&mut self.out);
        }
    }

    /// Sends what is queued for the keeper, as far as it goes. A broken connection shows when it is read.
    pub(super) fn speak(&mut self) {
        let Some(keeper) = &mut self.keeper else { return };
        while !self.out.is_empty() {
            match keeper.write(&self.out) {
                Ok(0) => return,
                Ok(sent) => drop(self.out.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }
}

/// Whether that is how a socket answers whose keeper has ended, and not a want of ours.
pub(super) fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, NotFound};
    matches!(error.kind(), NotFound | ConnectionRefused)
}
