//! One connection to a keeper: what it follows, and what it has still to be sent.

use std::{
    io::{self, IoSlice, Write},
    os::unix::net::UnixStream,
};

use super::{
    ring::Ring,
    wire::{self, Decoder, Event},
};
use crate::id::{Exit, Offset};

/// A broker, or two while one takes over from another.
#[derive(Debug)]
pub(super) struct Peer {
    /// Names it among others.
    pub(super) id: u64,
    pub(super) stream: UnixStream,
    pub(super) decoder: Decoder,
    /// The next byte of output to send, once it asked for any.
    pub(super) follows: Option<Offset>,
    out: Vec<u8>,
    told_exit: bool,
    told_eof: bool,
}

/// What a peer must hear of the end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ending {
    /// How the child ended, and what it had written by then.
    pub(super) exit: Option<(Exit, Offset)>,
    /// There will be no more output.
    pub(super) eof: bool,
}

impl Peer {
    /// Answers that wait for a peer that does not read; beyond, it is let go.
    const MAX_OUT: usize = 4 << 20;
    /// Large enough to cost few calls, small enough for answers to pass between.
    const PIECE: usize = 64 * 1024;

    pub(super) fn new(id: u64, stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let decoder = Decoder::default();
        Ok(Peer { id, stream, decoder, follows: None, out: Vec::new(), told_exit: false, told_eof: false })
    }

    /// Queues an answer.
    pub(super) fn tell(&mut self, event: &Event<'_>) {
        wire::encode_event(event, &mut self.out);
    }

    /// Whether something waits for the socket to take more.
    pub(super) fn owes(&self, ring: &Ring, ending: Ending) -> bool {
        !self.out.is_empty() || self.behind(ring) > 0 || !self.told(ending)
    }

    /// How many bytes of output it has not been sent.
    pub(super) fn behind(&self, ring: &Ring) -> u64 {
        self.follows.map_or(0, |at| ring.end() - at)
    }

    fn told(&self, ending: Ending) -> bool {
        (ending.exit.is_none() || self.told_exit) && (!ending.eof || self.told_eof)
    }

    /// Sends what the socket takes. An error means that the peer is to be let go.
    pub(super) fn send(&mut self, ring: &Ring, ending: Ending) -> io::Result<()> {
        loop {
            self.tell_ending(ring, ending);
            if !self.out.is_empty() {
                if self.out.len() > Self::MAX_OUT {
                    return Err(io::Error::other("the peer does not read"));
                }
                let sent = self.stream.write(&self.out);
                let Some(sent) = taken(sent)? else { return Ok(()) };
                self.out.drain(..sent);
                continue;
            }
            let Some(at) = self.follows.filter(|at| *at < ring.end()) else { return Ok(()) };
            let (from, first, second) = ring.read(at, Self::PIECE);
            let count = first.len() + second.len();
            let head = wire::output_head(from, count);
            let frame = [IoSlice::new(&head), IoSlice::new(first), IoSlice::new(second)];
            let sent = self.stream.write_vectored(&frame);
            let Some(sent) = taken(sent)? else { return Ok(()) };
            self.follows = Some(from + count);
            // The rest of a frame that was cut must go before anything else.
            let rest = [&head[..], first, second].concat();
            self.out.extend_from_slice(&rest[sent..]);
        }
    }

    /// Of the exit once all output before it was sent; of the end of output after all of it.
    fn tell_ending(&mut self, ring: &Ring, ending: Ending) {
        let sent = self.follows.unwrap_or(Offset(u64::MAX));
        if let Some((exit, at)) = ending.exit
            && !self.told_exit
            && sent >= at
        {
            self.told_exit = true;
            self.tell(&Event::Exited { exit });
        }
        if ending.eof && !self.told_eof && sent >= ring.end() {
            self.told_eof = true;
            self.tell(&Event::Eof { end: ring.end() });
        }
    }
}

/// Nothing, if the socket is full.
fn taken(sent: io::Result<usize>) -> io::Result<Option<usize>> {
    match sent {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        Ok(sent) => Ok(Some(sent)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Some(0)),
        Err(error) => Err(error),
    }
}
