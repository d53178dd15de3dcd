//! One broker's connection: requests in, answers and the output it follows out, neither ever waited for.
//! Knows nothing of what a request means.

use std::{
    collections::VecDeque,
    io::{self, IoSlice, Write},
    os::unix::net::UnixStream,
};

use rustix::event::{PollFd, PollFlags};

use super::{
    ring::Ring,
    wire::{self, Decoder, Event, OUTPUT_HEADER},
};
use crate::id::{Exit, Offset};

/// What everyone is told once, when they have the output before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) exit: Option<(Exit, Offset)>,
    pub(super) eof: bool,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: u64,
    pub(super) stream: UnixStream,
    pub(super) decoder: Decoder,
    pub(super) outbox: Outbox,
    /// Nothing more will be read.
    ended: bool,
}

impl Connection {
    pub(super) fn new(id: u64, stream: UnixStream, ends: Ends) -> Connection {
        let outbox = Outbox { told_exit: ends.exit.is_some(), told_eof: ends.eof, ..Outbox::default() };
        Connection { id, stream, decoder: Decoder::default(), outbox, ended: false }
    }

    /// What to wait for.
    pub(super) fn poll(&self) -> PollFd<'_> {
        let mut events = PollFlags::empty();
        events.set(PollFlags::IN, !self.outbox.is_full());
        events.set(PollFlags::OUT, self.outbox.blocked);
        PollFd::new(&self.stream, events)
    }

    /// Takes what has arrived, at most some, so that others get their turn.
    pub(super) fn receive(&mut self, ready: PollFlags) {
        if ready.contains(PollFlags::OUT) {
            self.outbox.blocked = false;
        }
        if ready.intersects(PollFlags::HUP | PollFlags::ERR) {
            // Gone; but what it sent before is still to be read, and done.
            self.outbox.close();
        }
        if !ready.intersects(!PollFlags::OUT) {
            return;
        }
        for _ in 0..READS_PER_TURN {
            match self.decoder.read_from(&mut self.stream) {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(0) | Err(_) => return self.ended = true,
            }
        }
    }

    /// Sends what can be sent.
    pub(super) fn send(&mut self, ring: &Ring, ends: Ends) {
        self.outbox.send(&self.stream, ring, ends);
    }

    /// Whether more requests may be answered now. For one that is gone and left some behind, its answers make
    /// room.
    pub(super) fn makes_room(&mut self) -> bool {
        if self.outbox.is_full() && self.ended {
            self.outbox.close();
        }
        !self.outbox.is_full()
    }

    /// It talks nonsense: nothing of it counts any more.
    pub(super) fn abandon(&mut self) {
        self.outbox.close();
        self.ended = true;
    }

    /// Whether to hang up.
    pub(super) fn is_over(&self) -> bool {
        self.ended || self.outbox.overrun
    }
}

/// What is on its way to one connection.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Encoded answers, whole frames but for the first, of which `sent` bytes have left.
    answers: VecDeque<Vec<u8>>,
    waiting: usize,
    sent: usize,
    follow: Option<Offset>,
    /// The output frame of which something has left.
    frame: Option<Frame>,
    /// It has said what it wants. Before, the end could be told ahead of output that it is about to ask for.
    pub(super) heard: bool,
    told_exit: bool,
    told_eof: bool,
    /// The socket is full: wait until it is writable.
    blocked: bool,
    /// Nobody reads at the other end; what is put here vanishes.
    closed: bool,
    /// Too much was put here.
    overrun: bool,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    from: Offset,
    len: usize,
    /// Of the header and the bytes together.
    sent: usize,
}

impl Outbox {
    /// An answer, which leaves before any more output.
    pub(super) fn put(&mut self, event: &Event<'_>) {
        if self.closed {
            return;
        }
        let mut frame = Vec::new();
        event.encode(&mut frame);
        self.waiting += frame.len();
        self.answers.push_back(frame);
        if self.waiting - self.sent > MOST_WAITING {
            self.close();
            self.overrun = true;
        }
    }

    /// All output from here on, and then again how it all ended.
    pub(super) fn follow(&mut self, from: Offset) {
        if !self.closed {
            self.follow = Some(from);
            (self.told_exit, self.told_eof) = (false, false);
        }
    }

    /// How far behind it is, if it follows.
    pub(super) fn lag(&self, ring: &Ring) -> Option<u64> {
        let cursor = self.follow?.max(ring.start());
        let oldest = self.frame.map_or(cursor, |frame| frame.from.min(cursor));
        Some(ring.end() - oldest)
    }

    /// Whether more requests would only pile up answers.
    pub(super) fn is_full(&self) -> bool {
        self.waiting - self.sent > FULL
    }

    /// The other end is gone, or as good as gone.
    fn close(&mut self) {
        *self = Outbox { closed: true, ..Outbox::default() };
    }

    /// Whether nothing is left to be said.
    pub(super) fn is_settled(&self, ring: &Ring, ends: Ends) -> bool {
        self.closed
            || !self.heard
            || (self.answers.is_empty()
                && self.frame.is_none()
                && self.follow.is_none_or(|cursor| cursor >= ring.end())
                && (self.told_exit || ends.exit.is_none())
                && (self.told_eof || !ends.eof))
    }

    fn send(&mut self, stream: &UnixStream, ring: &Ring, ends: Ends) {
        while !self.blocked && !self.closed {
            match self.send_next(stream, ring, ends) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.blocked = true,
                Err(_) => self.close(),
            }
        }
    }

    /// One write. `false` if there was nothing to send.
    fn send_next(&mut self, mut stream: &UnixStream, ring: &Ring, ends: Ends) -> io::Result<bool> {
        if let Some(frame) = self.frame {
            return self.send_output(frame, stream, ring);
        }
        if let Some(answer) = self.answers.front() {
            self.sent += stream.write(&answer[self.sent..])?;
            if self.sent == answer.len() {
                self.waiting -= self.sent;
                self.sent = 0;
                self.answers.pop_front();
            }
            return Ok(true);
        }
        if !self.heard {
            return Ok(false);
        }
        // With the last output comes the exit, and then maybe more output, of others at that terminal.
        let cursor = self.follow.map(|from| from.clamp(ring.start(), ring.end()));
        if let (Some((exit, at)), false) = (ends.exit, self.told_exit)
            && cursor.is_none_or(|cursor| cursor >= at)
        {
            self.told_exit = true;
            self.put(&Event::Exited { exit });
            return Ok(true);
        }
        if let Some(cursor) = cursor
            && cursor < ring.end()
        {
            let len = ((ring.end() - cursor) as usize).min(MOST_OUTPUT);
            return self.send_output(Frame { from: cursor, len, sent: 0 }, stream, ring);
        }
        if ends.eof && !self.told_eof {
            self.told_eof = true;
            self.put(&Event::Eof { end: ring.end() });
            return Ok(true);
        }
        Ok(false)
    }

    /// Straight from the ring's memory. A frame of which nothing has left yet is not begun before it can be.
    fn send_output(&mut self, frame: Frame, mut stream: &UnixStream, ring: &Ring) -> io::Result<bool> {
        let header = wire::output_header(frame.from, frame.len);
        let header_left = &header[frame.sent.min(OUTPUT_HEADER)..];
        let skip = frame.sent.saturating_sub(OUTPUT_HEADER);
        let (from, first, second) = ring.slice(frame.from + skip, frame.len - skip);
        debug_assert_eq!(from, frame.from + skip, "a follower's bytes stay in the ring until it has them");
        let sent = frame.sent
            + stream.write_vectored(&[
                IoSlice::new(header_left),
                IoSlice::new(first),
                IoSlice::new(second),
            ])?;
        let done = sent == OUTPUT_HEADER + frame.len;
        if frame.sent == 0 {
            self.follow = Some(frame.from + frame.len);
        }
        self.frame = (!done).then_some(Frame { sent, ..frame });
        Ok(true)
    }
}

/// 256 KiB at most.
const READS_PER_TURN: usize = 4;
/// As much as the brokers' child tasks take in one go.
const MOST_OUTPUT: usize = 64 * 1024;
/// Answers beyond this make us read no more requests: a few `Read`s may be under way.
const FULL: usize = 1 << 20;
/// And beyond this we hang up: nobody has read for long, and answers that nobody asks for pile up, of inputs
/// accepted.
const MOST_WAITING: usize = 4 << 20;
