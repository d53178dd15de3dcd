//! One child at its terminal: what it writes goes to the ring, what is queued is typed, how it ended is
//! recorded. Knows no connection; never blocks.

use std::os::fd::OwnedFd;

use portable_pty::SlavePty;
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    io::Errno,
    process::{Pid, Signal},
    termios::{LocalModes, Winsize},
};

use super::{
    connection::Ends,
    input::{Asked, FULL, GONE, InputQueue, Pushed},
    pty::Opened,
    ring::Ring,
    tree::{self, Reaped},
    typed::{Known, Stroke},
    wire::{Event, Whom},
};
use crate::{
    fault,
    id::{Exit, Offset, Size},
};

/// A child and everything that is known of it.
pub(super) struct Terminal {
    pub(super) ring: Ring,
    pub(super) child: Pid,
    /// How it ended, and what it had written by then.
    pub(super) exit: Option<(Exit, Offset)>,
    pub(super) eof: bool,
    /// The disk is full: nothing can be read until that changes, and nobody will tell.
    pub(super) starved: bool,
    master: OwnedFd,
    slave: Option<Box<dyn SlavePty + Send>>,
    size: Size,
    input: InputQueue,
    /// No descendant is left.
    alone: bool,
    /// The tree is to be killed, and whoever is born into it.
    doomed: bool,
}

impl Terminal {
    pub(super) fn new(opened: Opened, ring: Ring, size: Size) -> Terminal {
        let size = size.clamped();
        ring.record_child(opened.child.as_raw_nonzero().get());
        ring.record_size(size);
        Terminal {
            ring,
            child: opened.child,
            exit: None,
            eof: false,
            starved: false,
            master: opened.master,
            slave: Some(opened.slave),
            size,
            input: InputQueue::default(),
            alone: false,
            doomed: false,
        }
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.master
    }

    pub(super) fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    /// The child has ended, nobody descends from it, and all they wrote is in the ring.
    pub(super) fn is_over(&self) -> bool {
        self.is_ending() && self.eof
    }

    /// Whether reading may bring what no poll would tell of: the end, or room on the disk.
    pub(super) fn needs_trying(&self) -> bool {
        !self.eof && (self.starved || self.is_ending())
    }

    /// What everyone is to be told at the end, as far as it has come.
    pub(super) fn ends(&self) -> Ends {
        Ends { exit: self.exit, eof: self.eof }
    }

    /// Takes what the child wrote, at most `max` bytes and a page, so that others get their turn.
    pub(super) fn read(&mut self, max: usize) {
        let mut taken = 0;
        while taken < max && !self.eof {
            let free = match self.ring.free() {
                Ok(free) => free,
                Err(_) => {
                    self.starved = true;
                    // Where there is nothing to be read, no room is needed.
                    if self.is_ending() && !self.is_readable() {
                        self.end();
                    }
                    return;
                }
            };
            self.starved = false;
            match rustix::io::read(&self.master, free) {
                // The end of a PTY is EIO on Linux. It may also be that someone who is no descendant holds it
                // open; when all descendants are gone, there is nobody left whose output this would be.
                Ok(0) | Err(Errno::IO) => self.end(),
                Err(Errno::AGAIN) if self.is_ending() => self.end(),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Err(_) => self.end(),
                Ok(n) => {
                    self.ring.commit(n);
                    taken += n;
                }
            }
        }
    }

    /// Types what is queued, as far as the kernel takes it. Tells whose input was accepted to the end.
    pub(super) fn write(&mut self) -> Vec<Asked> {
        let mut done = Vec::new();
        while let Some(bytes) = self.input.front() {
            match if bytes.is_empty() { Ok(0) } else { rustix::io::write(&self.master, bytes) } {
                Ok(n) => {
                    let Some(settled) = self.input.accepted(n) else { continue };
                    fault::point!("keeper.typed");
                    settled.stroke.inspect(|stroke| self.ring.typed().write(*stroke));
                    fault::point!("keeper.noted");
                    done.push(settled.asked);
                }
                Err(Errno::INTR) => {}
                // EIO: nobody holds the terminal any more; the exit, which refuses the rest, is on its way.
                Err(_) => break,
            }
        }
        done
    }

    /// Queues an input.
    pub(super) fn push(&mut self, asked: Asked, bytes: &[u8]) -> Result<(), &'static str> {
        if self.is_gone() {
            Err(GONE)
        } else if !self.input.push(asked, None, bytes) {
            Err(FULL)
        } else {
            Ok(())
        }
    }

    /// Queues a stroke, if it was not accepted before.
    pub(super) fn push_stroke(
        &mut self,
        asked: Asked,
        stroke: Stroke,
        bytes: &[u8],
    ) -> Result<Pushed, &'static str> {
        let table = self.ring.typed();
        if self.is_gone() && table.of(stroke) != Known::Written {
            return Err(GONE);
        }
        self.input.push_stroke(table, asked, stroke, bytes)
    }

    /// Queues the terminal's own answer, once. Nobody waits for it, and a queue that is full needs none.
    pub(super) fn answer(&mut self, at: Offset, bytes: &[u8]) {
        if self.ring.answer(at) {
            let _ = self.push(Asked { connection: 0, id: 0 }, bytes);
        }
    }

    /// Looks who has ended. Tells whose input the child will never read. There is room for so many bytes before a
    /// follower loses some.
    pub(super) fn reap(&mut self, room: u64) -> Vec<Asked> {
        let Reaped { exit, alone } = tree::reap(self.child);
        self.alone = alone;
        if self.doomed && !alone {
            tree::signal_all(Signal::KILL);
        }
        let Some(exit) = exit else { return Vec::new() };
        // The last bytes first, so that who sees the exit in the ring's header has them. What the child wrote
        // is readable now; who still holds the terminal could go on for ever, hence the bound.
        self.slave = None;
        self.read(LAST_BYTES.min((room as usize).saturating_sub(Ring::MOST_FREE)));
        fault::point!("keeper.reaped");
        self.ring.record_exit(exit);
        fault::point!("keeper.exited");
        self.exit = Some((exit, self.ring.end()));
        self.input.drain().collect()
    }

    pub(super) fn resize(&mut self, size: Size) {
        let size = size.clamped();
        let winsize = Winsize { ws_row: size.rows, ws_col: size.cols, ws_xpixel: 0, ws_ypixel: 0 };
        if rustix::termios::tcsetwinsize(&self.master, winsize).is_ok() {
            self.size = size;
            self.ring.record_size(size);
        }
    }

    pub(super) fn signal(&mut self, signal: i32, whom: Whom) {
        let Some(signal) = Signal::from_named_raw(signal) else { return };
        match whom {
            Whom::Group => {
                let foreground = rustix::termios::tcgetpgrp(&self.master).ok();
                tree::signal_groups(foreground.into_iter().chain([self.child]), signal);
            }
            Whom::Tree => {
                self.doomed |= signal == Signal::KILL;
                tree::signal_all(signal);
            }
        }
    }

    pub(super) fn tty(&self, req: u64) -> Event<'static> {
        // The master tells of its slave. It fails only when the terminal is gone: then it does nothing any
        // more.
        let modes = rustix::termios::tcgetattr(&self.master)
            .map_or(LocalModes::empty(), |settings| settings.local_modes);
        Event::Tty {
            req,
            canonical: modes.contains(LocalModes::ICANON),
            echo: modes.contains(LocalModes::ECHO),
            foreground: rustix::termios::tcgetpgrp(&self.master).ok().map(|pid| pid.as_raw_nonzero().get()),
        }
    }

    pub(super) fn hello(&self) -> Event<'static> {
        let (typed, forgotten) = self.ring.typed().all();
        Event::Hello {
            version: super::wire::VERSION,
            keeper_pid: rustix::process::getpid().as_raw_nonzero().get(),
            child_pid: self.child.as_raw_nonzero().get(),
            start: self.ring.start(),
            end: self.ring.end(),
            size: self.size,
            exit: self.exit.map(|(exit, _)| exit),
            typed,
            forgotten,
        }
    }

    /// Nobody will read what is typed.
    fn is_gone(&self) -> bool {
        self.exit.is_some() || self.eof
    }

    /// Nobody is left who could write; only what they wrote is still to be read.
    fn is_ending(&self) -> bool {
        self.exit.is_some() && self.alone
    }

    fn is_readable(&self) -> bool {
        let mut fds = [PollFd::new(&self.master, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut fds, Some(&now)).is_err() || fds[0].revents().contains(PollFlags::IN)
    }

    fn end(&mut self) {
        self.eof = true;
        self.starved = false;
        self.ring.record_eof();
    }
}

/// More than a PTY buffers, which is 12 to 20 KB.
const LAST_BYTES: usize = 64 * 1024;
