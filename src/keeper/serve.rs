//! The keeper's loop: one poll over the terminal, the listening socket, the peers, and the ends of processes.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    os::{
        fd::AsFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::PathBuf,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, Signal, kill_process_group},
    termios::{LocalModes, tcgetattr, tcgetpgrp},
};

use super::{
    peer::{Ending, Peer},
    pty::Pty,
    ring::Ring,
    tree,
    wire::{self, Event, Request, Whom},
};
use crate::id::Size;

/// Everything a keeper has.
pub(super) struct Keeper {
    socket: PathBuf,
    listener: UnixListener,
    /// Readable when a process below us has ended.
    ended: UnixStream,
    pty: Pty,
    size: Size,
    ring: Ring,
    peers: Vec<Peer>,
    last_peer: u64,
    input: VecDeque<Input>,
    input_bytes: usize,
    ending: Ending,
    /// Nobody holds the terminal at the moment. That is final only once the child has ended.
    hung_up: bool,
    alone: bool,
}

/// Bytes that wait for the terminal to take them.
struct Input {
    peer: u64,
    id: u64,
    bytes: Vec<u8>,
    written: usize,
}

/// A descriptor that becomes readable at every SIGCHLD.
pub(super) fn child_ended() -> io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    read.set_nonblocking(true)?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGCHLD, write)?;
    Ok(read)
}

impl Keeper {
    /// One broker, another that takes over, and some for people who look.
    const MAX_PEERS: usize = 8;
    /// Read from the terminal at a stretch, before anyone else is served.
    const STRETCH: usize = 256 * 1024;
    /// A follower further behind than this holds the child up, rather than losing output.
    const LAG: u64 = 512 * 1024;
    /// Input that waits for a program that does not read: one large message and its Enter.
    const MAX_INPUT: usize = (1 << 20) + (64 << 10);

    pub(super) fn new(
        socket: PathBuf,
        ring: Ring,
        pty: Pty,
        size: Size,
        listener: UnixListener,
        ended: UnixStream,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Keeper {
            socket,
            listener,
            ended,
            pty,
            size,
            ring,
            peers: Vec::new(),
            last_peer: 0,
            input: VecDeque::new(),
            input_bytes: 0,
            ending: Ending::default(),
            hung_up: false,
            alone: false,
        })
    }

    /// Until the child and all it started have ended, and everyone who listens has heard everything.
    pub(super) fn run(mut self) {
        // It may have ended before we first poll.
        self.reap();
        while !self.over() {
            self.turn();
        }
        // First the door, so that nobody new comes; the ring stays.
        let _ = std::fs::remove_file(&self.socket);
    }

    fn over(&self) -> bool {
        self.ending.eof && self.alone && !self.peers.iter().any(|peer| peer.owes(&self.ring, self.ending))
    }

    fn turn(&mut self) {
        let reads = !self.hung_up && !self.peers.iter().any(|peer| peer.behind(&self.ring) > Self::LAG);
        let mut wanted = if reads { PollFlags::IN } else { PollFlags::empty() };
        if !self.input.is_empty() && !self.hung_up {
            wanted |= PollFlags::OUT;
        }
        let mut fds = Vec::with_capacity(3 + self.peers.len());
        fds.push(PollFd::new(&self.ended, PollFlags::IN));
        fds.push(PollFd::new(&self.listener, PollFlags::IN));
        for peer in &self.peers {
            let owes = peer.owes(&self.ring, self.ending);
            let out = if owes { PollFlags::OUT } else { PollFlags::empty() };
            fds.push(PollFd::from_borrowed_fd(peer.stream.as_fd(), PollFlags::IN | out));
        }
        if !wanted.is_empty() {
            fds.push(PollFd::new(self.pty.fd(), wanted));
        }
        // A terminal that was let go can be opened again by name; the kernel has no event for that.
        let again = Timespec { tv_sec: 1, tv_nsec: 0 };
        let timeout = (self.hung_up && !self.ending.eof).then_some(&again);
        // The rest of the turn does no harm where nothing happened.
        let _ = poll(&mut fds, timeout);
        let happened: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
        drop(fds);

        let peers = self.peers.len();
        if !happened[0].is_empty() {
            self.reap();
        }
        if reads || self.hung_up {
            self.read();
        }
        self.write();
        let heard: Vec<u64> =
            (0..peers).filter(|at| !happened[2 + at].is_empty()).map(|at| self.peers[at].id).collect();
        for id in heard {
            self.hear(id);
        }
        if !happened[1].is_empty() {
            self.accept();
        }
        self.end_output();
        self.send();
    }

    fn reap(&mut self) {
        while matches!(io::Read::read(&mut self.ended, &mut [0; 64]), Ok(1..)) {}
        let reaped = tree::reap(self.pty.child);
        self.alone = reaped.alone;
        if let Some(exit) = reaped.exit {
            // What it wrote before it ended is there to be read by now.
            self.read();
            self.ending.exit = Some((exit, self.ring.end()));
            self.ring.set_exit(exit);
            self.refuse_input();
        }
    }

    /// Takes in what the terminal has, up to a stretch.
    fn read(&mut self) {
        let mut read = 0;
        while read < Self::STRETCH {
            match rustix::io::read(self.pty.fd(), self.ring.room()) {
                Ok(count @ 1..) => {
                    self.ring.commit(count);
                    read += count;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return self.hung_up = false,
                // Linux says EIO once nobody holds the other side.
                Ok(_) | Err(_) => return self.hung_up = true,
            }
        }
    }

    /// The end of output is known once the child has ended and nobody holds its terminal, or nobody is left who could.
    fn end_output(&mut self) {
        if self.ending.eof || self.ending.exit.is_none() {
            return;
        }
        if self.alone && !self.hung_up {
            // Someone not of ours holds the terminal: what is there now is all there will be of this child's.
            self.read();
        }
        if self.hung_up || self.alone {
            self.ending.eof = true;
            self.ring.set_eof();
        }
    }

    /// Gives the terminal what it takes of the input.
    fn write(&mut self) {
        while let Some(input) = self.input.front_mut() {
            match rustix::io::write(self.pty.fd(), &input.bytes[input.written..]) {
                Ok(count) => input.written += count,
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return,
            }
            if input.written == input.bytes.len()
                && let Some(input) = self.input.pop_front()
            {
                self.input_bytes -= input.bytes.len();
                if let Some(peer) = self.peers.iter_mut().find(|peer| peer.id == input.peer) {
                    peer.tell(&Event::Written { id: input.id });
                }
            }
        }
    }

    fn refuse_input(&mut self) {
        self.input_bytes = 0;
        for input in std::mem::take(&mut self.input) {
            if let Some(peer) = self.peers.iter_mut().find(|peer| peer.id == input.peer) {
                peer.tell(&Event::Refused { id: input.id, reason: "the program has ended".into() });
            }
        }
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let ours = rustix::net::sockopt::socket_peercred(&stream)
                .is_ok_and(|peer| peer.uid == rustix::process::getuid());
            if ours && self.peers.len() < Self::MAX_PEERS {
                self.last_peer += 1;
                self.peers.extend(Peer::new(self.last_peer, stream));
            }
        }
    }

    /// Does what a peer asks. One that has gone, or talks nonsense, is let go.
    fn hear(&mut self, id: u64) {
        let Some(at) = self.peers.iter().position(|peer| peer.id == id) else { return };
        let peer = &mut self.peers[at];
        let open = match peer.decoder.read_from(&mut peer.stream) {
            Ok(open) => open,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        };
        let mut decoder = std::mem::take(&mut peer.decoder);
        let sound = loop {
            match decoder.next_request() {
                Ok(Some(request)) => self.obey(at, request),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        if open && sound {
            self.peers[at].decoder = decoder;
        } else {
            self.peers.remove(at);
        }
    }

    fn obey(&mut self, at: usize, request: Request<'_>) {
        let peer = &mut self.peers[at];
        match request {
            Request::Hello { .. } => peer.tell(&Event::Hello {
                version: wire::VERSION,
                keeper_pid: std::process::id() as i32,
                child_pid: self.pty.child,
                start: self.ring.start(),
                end: self.ring.end(),
                size: self.size,
                exit: self.ending.exit.map(|(exit, _)| exit),
            }),
            Request::Follow { from } => peer.follows = Some(from.clamp(self.ring.start(), self.ring.end())),
            Request::Read { req, from, max } => {
                let (from, first, second) = self.ring.read(from, (max as usize).min(wire::MAX_READ));
                let bytes = [first, second].concat();
                peer.tell(&Event::Data { req, from, end: self.ring.end(), bytes: &bytes });
            }
            Request::Input { id, bytes } => {
                let reason = if self.ending.exit.is_some() {
                    "the program has ended"
                } else if self.input_bytes + bytes.len() > Self::MAX_INPUT {
                    "the program does not read, and its input queue is full"
                } else {
                    self.input_bytes += bytes.len();
                    self.input.push_back(Input { peer: peer.id, id, bytes: bytes.into_owned(), written: 0 });
                    return self.write();
                };
                peer.tell(&Event::Refused { id, reason: reason.into() });
            }
            Request::Resize { size } => {
                // It fails only where the terminal is gone, and then the size is of no interest.
                if self.pty.resize(size).is_ok() {
                    self.size = size.clamped();
                    self.ring.set_child(self.pty.child, self.size);
                }
            }
            Request::Signal { signal, whom } => self.signal(signal, whom),
            Request::Tty { req } => {
                let tty = self.pty.fd();
                let modes = tcgetattr(tty).map_or(LocalModes::empty(), |termios| termios.local_modes);
                peer.tell(&Event::Tty {
                    req,
                    canonical: modes.contains(LocalModes::ICANON),
                    echo: modes.contains(LocalModes::ECHO),
                    foreground: tcgetpgrp(tty).ok().map(|group| group.as_raw_nonzero().get()),
                });
            }
            Request::Processes { req } => peer.tell(&Event::Processes { req, pids: tree::descendants() }),
        }
    }

    fn signal(&self, signal: i32, whom: Whom) {
        let Some(signal) = Signal::from_named_raw(signal) else { return };
        match whom {
            Whom::Tree => tree::signal_all(signal),
            Whom::Group => {
                let own = Pid::from_raw(self.pty.child);
                let front = tcgetpgrp(self.pty.fd()).ok().filter(|front| Some(*front) != own);
                for group in own.into_iter().chain(front) {
                    // A group that has ended needs none.
                    let _ = kill_process_group(group, signal);
                }
            }
        }
    }

    fn send(&mut self) {
        let (ring, ending) = (&self.ring, self.ending);
        self.peers.retain_mut(|peer| peer.send(ring, ending).is_ok());
    }
}
