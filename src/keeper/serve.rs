//! A keeper's loop: waits for whatever comes first, and gives everyone a turn. Sleeps when nothing happens.
//! Knows what each request means; how it is done is known where it is done.

use std::{
    fs, io,
    os::{
        fd::AsFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::PathBuf,
};

use rustix::event::{PollFd, PollFlags, Timespec};

use super::{
    connection::{Connection, Outbox},
    input::{Asked, GONE, Pushed},
    ring::Ring,
    signals::ChildEnded,
    terminal::Terminal,
    tree,
    typed::Stroke,
    wire::{Event, Request},
};
use crate::fault;

/// Everything a keeper has.
pub(super) struct Keeper {
    pub(super) terminal: Terminal,
    pub(super) listener: UnixListener,
    pub(super) socket: PathBuf,
    pub(super) child_ended: ChildEnded,
    pub(super) connections: Vec<Connection>,
    /// How many there were, which gives each its number.
    pub(super) accepted: u64,
    /// There was no room for a connection that waits, and nobody will tell when there is.
    pub(super) cramped: bool,
}

impl Keeper {
    /// Returns when the child and all its descendants are gone and everyone who listens knows.
    pub(super) fn run(mut self) {
        while !self.is_finished() {
            let ready = self.wait();
            if ready.child_ended {
                self.child_ended.clear();
                let unread = self.terminal.reap((Ring::HELD as u64).saturating_sub(self.lag()));
                self.tell(&unread, |id| Event::Refused { id, reason: GONE.to_owned() });
            }
            if ready.terminal.intersects(PollFlags::OUT) {
                let written = self.terminal.write();
                self.tell(&written, |id| Event::Written { id });
            }
            if (ready.terminal.intersects(!PollFlags::OUT) || self.terminal.needs_trying())
                && !self.is_held_back()
            {
                self.terminal.read(READ_PER_TURN);
                fault::point!("keeper.read");
            }
            for (connection, ready) in self.connections.iter_mut().zip(ready.connections) {
                turn(connection, ready, &mut self.terminal);
            }
            self.connections.retain(|connection| !connection.is_over());
            if ready.listener || self.cramped {
                self.accept();
            }
        }
        fault::point!("keeper.leaving");
        // Whoever knocks now finds the ring, whose header says it all.
        let _ = fs::remove_file(&self.socket);
        fault::point!("keeper.left");
    }

    /// Sleeps until something is to be done.
    fn wait(&self) -> Ready {
        let listen = if self.cramped { PollFlags::empty() } else { PollFlags::IN };
        let mut fds =
            vec![PollFd::new(&self.child_ended.0, PollFlags::IN), PollFd::new(&self.listener, listen)];
        fds.extend(self.connections.iter().map(Connection::poll));
        // The terminal last, and only if something is wanted of it: poll tells of a hang-up whether one asks
        // or not.
        let mut wanted = PollFlags::empty();
        if !self.terminal.eof {
            wanted.set(PollFlags::IN, !self.terminal.starved && !self.is_held_back());
            wanted.set(PollFlags::OUT, self.terminal.has_input());
        }
        if !wanted.is_empty() {
            fds.push(PollFd::from_borrowed_fd(self.terminal.fd().as_fd(), wanted));
        }
        let seconds = |tv_sec| Some(Timespec { tv_sec, tv_nsec: 0 });
        let timeout = if self.terminal.starved || self.cramped {
            seconds(RETRY)
        } else if self.terminal.needs_trying() && !self.is_held_back() {
            seconds(0)
        } else {
            None
        };
        // A signal that interrupts has written to its pipe, which the next turn sees.
        if rustix::event::poll(&mut fds, timeout.as_ref()).is_err() {
            return Ready::default();
        }
        let mut revents = fds.iter().map(PollFd::revents);
        Ready {
            child_ended: revents.next().is_some_and(|revents| !revents.is_empty()),
            listener: revents.next().is_some_and(|revents| !revents.is_empty()),
            connections: revents.by_ref().take(self.connections.len()).collect(),
            terminal: revents.next().unwrap_or(PollFlags::empty()),
        }
    }

    /// While someone follows who is far behind, the child waits, as it would at a slow terminal. Else the
    /// ring forgets.
    fn is_held_back(&self) -> bool {
        self.lag() > MOST_LAG
    }

    /// How far behind the slowest follower is.
    fn lag(&self) -> u64 {
        let ring = &self.terminal.ring;
        self.connections.iter().filter_map(|connection| connection.outbox.lag(ring)).max().unwrap_or(0)
    }

    fn is_finished(&self) -> bool {
        let ends = self.terminal.ends();
        self.terminal.is_over()
            && self
                .connections
                .iter()
                .all(|connection| connection.outbox.is_settled(&self.terminal.ring, ends))
    }

    /// Answers whoever asked, if still there.
    fn tell(&mut self, asked: &[Asked], event: impl Fn(u64) -> Event<'static>) {
        for asked in asked {
            if let Some(connection) = self.connections.iter_mut().find(|it| it.id == asked.connection) {
                connection.outbox.put(&event(asked.id));
            }
        }
    }

    fn accept(&mut self) {
        self.cramped = false;
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    if self.connections.len() < MOST_CONNECTIONS
                        && is_ours(&stream)
                        && stream.set_nonblocking(true).is_ok()
                    {
                        self.accepted += 1;
                        self.connections.push(Connection::new(self.accepted, stream, self.terminal.ends()));
                        fault::point!("keeper.met");
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
                    ) => {}
                // No more files: who knocks stays in the queue, and poll would call us without end.
                Err(_) => return self.cramped = true,
            }
        }
    }
}

/// The broker, and perhaps its successor; beyond that something is wrong.
const MOST_CONNECTIONS: usize = 8;
/// The most taken from the terminal before everyone else gets a turn.
const READ_PER_TURN: usize = 256 * 1024;
/// How far behind a follower may be before the child has to wait. With a turn's reading on top it stays within
/// the ring, so nobody who follows loses anything.
const MOST_LAG: u64 = 512 * 1024;
/// In seconds: how often to try again what nobody tells of, a disk with room and a free descriptor.
const RETRY: i64 = 1;

/// What poll said, one per connection as they stand.
#[derive(Debug)]
struct Ready {
    child_ended: bool,
    listener: bool,
    terminal: PollFlags,
    connections: Vec<PollFlags>,
}

impl Default for Ready {
    fn default() -> Self {
        let terminal = PollFlags::empty();
        Ready { child_ended: false, listener: false, terminal, connections: Vec::new() }
    }
}

fn is_ours(stream: &UnixStream) -> bool {
    rustix::net::sockopt::socket_peercred(stream).is_ok_and(|peer| peer.uid == rustix::process::geteuid())
}

/// One connection's turn: its requests, then whatever is there to be sent.
fn turn(connection: &mut Connection, ready: PollFlags, terminal: &mut Terminal) {
    connection.receive(ready);
    loop {
        let Connection { id, decoder, outbox, .. } = connection;
        while !outbox.is_full() {
            match decoder.next() {
                Ok(Some(request)) => {
                    outbox.heard = true;
                    answer(*id, request, outbox, terminal);
                }
                Ok(None) => break,
                Err(_) => return connection.abandon(),
            }
        }
        connection.send(&terminal.ring, terminal.ends());
        if !connection.decoder.has_frame() || !connection.makes_room() {
            return connection.decoder.rest();
        }
    }
}

fn answer(connection: u64, request: Request<'_>, outbox: &mut Outbox, terminal: &mut Terminal) {
    match request {
        Request::Hello { .. } => outbox.put(&terminal.hello()),
        Request::Follow { from } => outbox.follow(from),
        Request::Read { req, from, max } => {
            let ring = &terminal.ring;
            let (from, first, second) = ring.slice(from, max.min(MOST_READ) as usize);
            let bytes = &[first, second].concat();
            outbox.put(&Event::Data { req, from, start: ring.start(), end: ring.end(), bytes });
        }
        Request::Input { id, bytes } => {
            if let Err(reason) = terminal.push(Asked { connection, id }, bytes) {
                outbox.put(&Event::Refused { id, reason: reason.to_owned() });
            }
        }
        Request::Type { id, delivery, stroke, last, bytes } => {
            let stroke = Stroke { delivery, number: stroke, last };
            match terminal.push_stroke(Asked { connection, id }, stroke, bytes) {
                Ok(Pushed::Waits) => fault::point!("keeper.accepted"),
                Ok(Pushed::Written) => outbox.put(&Event::Written { id }),
                Err(reason) => outbox.put(&Event::Refused { id, reason: reason.to_owned() }),
            }
        }
        Request::Answer { at, bytes } => terminal.answer(at, bytes),
        Request::Save { at, bytes } => {
            // A full disk keeps the older one, which is only more work for whoever needs it.
            let _ = terminal.ring.save(at, bytes);
        }
        Request::Resize { size } => terminal.resize(size),
        Request::Signal { signal, whom } => terminal.signal(signal, whom),
        Request::Tty { req } => outbox.put(&terminal.tty(req)),
        Request::Processes { req } => {
            let pids = tree::descendants().into_iter().map(|stat| stat.process.pid).collect();
            outbox.put(&Event::Processes { req, pids });
        }
    }
}

/// The whole ring, which fits a frame.
const MOST_READ: u32 = Ring::HELD as u32;
