//! The person's terminal: taken, and given back exactly as it was found. The only place that sets its modes.

use std::{
    fs::OpenOptions,
    io,
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    fs::OFlags,
    termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr},
};
use tokio::io::unix::AsyncFd;

use crate::{
    child::screen::{Mouse, Wants},
    id::Size,
};

/// The terminal on the way in: its other screen, pastes in brackets, and the wheel.
const ENTER: &str = "\x1b[?1049h\x1b[m\x1b[2J\x1b[H\x1b[?2004h\x1b[?1000h\x1b[?1006h";
/// And on the way out: what any of our sequences may have set, whether it did or not; and the screen from before.
const LEAVE: &str = concat!(
    "\x1b[?2026l\x1b]8;;\x1b\\\x1b[m\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[?1l\x1b>",
    "\x1b[0 q\x1b[?25h\x1b[?1049l"
);
/// A terminal that does not take our last words within this is left alone.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How a terminal was found.
#[derive(Clone, Debug)]
pub(super) struct Before(Termios);

/// What we have made of it.
fn made_raw(before: &Termios) -> Termios {
    let mut raw = before.clone();
    raw.make_raw();
    raw
}

/// A terminal that is ours for a while. Dropping it gives it back.
pub(super) struct Terminal {
    file: AsyncFd<std::fs::File>,
    before: Before,
    wants: Wants,
}

impl Before {
    /// How it is now.
    pub(super) fn of(terminal: &impl AsFd) -> io::Result<Before> {
        Ok(Before(tcgetattr(terminal)?))
    }

    /// Puts it back, screen and all.
    pub(super) fn restore(&self, terminal: &std::fs::File) {
        let until = Instant::now() + LAST_WORDS;
        let mut rest = LEAVE.as_bytes();
        while !rest.is_empty() {
            match rustix::io::write(terminal, rest) {
                Ok(written) => rest = &rest[written..],
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => {
                    let left = until.saturating_duration_since(Instant::now());
                    let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(left.subsec_nanos()) };
                    let mut fds = [PollFd::new(terminal, PollFlags::OUT)];
                    if left.is_zero() || rustix::event::poll(&mut fds, Some(&timeout)) != Ok(1) {
                        break;
                    }
                }
                Err(_) => break,
            }
        }
        // A shell that has the terminal again, since whoever waited for us was killed, has set it for itself. Of one that
        // has gone nothing is left to be put back.
        let raw = made_raw(&self.0);
        let ours = |now: &Termios| (now.local_modes, now.input_modes) == (raw.local_modes, raw.input_modes);
        if tcgetattr(terminal).is_ok_and(|now| ours(&now)) {
            let _ = tcsetattr(terminal, OptionalActions::Now, &self.0);
        }
    }
}

/// The terminal this process was started from, opened anew: what is set of a description that others share, such as not
/// to block, would stay set for them.
pub(super) fn open() -> io::Result<std::fs::File> {
    let flags = (OFlags::NOCTTY | OFlags::NONBLOCK).bits() as i32;
    OpenOptions::new().read(true).write(true).custom_flags(flags).open("/dev/tty")
}

/// The size of the terminal this process was started from.
pub(super) fn size() -> io::Result<Size> {
    Ok(size_of(&open()?))
}

fn size_of(file: &std::fs::File) -> Size {
    match tcgetwinsize(file) {
        // One that was never told its size says 0.
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => {
            Size { rows: size.ws_row, cols: size.ws_col }.clamped()
        }
        _ => Size { rows: 24, cols: 80 },
    }
}

#[allow(unsafe_code, reason = "tokio cannot see that a file keeps its descriptor")]
fn registered(file: std::fs::File) -> io::Result<AsyncFd<std::fs::File>> {
    // SAFETY: a File holds one open descriptor, the same as long as it lives, and nothing takes it out of the AsyncFd.
    Ok(unsafe { AsyncFd::register(file) }?)
}

impl Terminal {
    /// Takes it.
    pub(super) fn take() -> io::Result<Terminal> {
        let file = open()?;
        let before = Before::of(&file)?;
        let raw = made_raw(&before.0);
        let terminal = Terminal { file: registered(file)?, before, wants: Wants::default() };
        tcsetattr(terminal.file.get_ref(), OptionalActions::Now, &raw)?;
        Ok(terminal)
    }

    /// What it is to be sent first.
    pub(super) fn enter() -> &'static str {
        ENTER
    }

    /// Its size.
    pub(super) fn size(&self) -> Size {
        size_of(self.file.get_ref())
    }

    /// What puts it into the modes that a program wants, where those are not what it has.
    pub(super) fn modes(&mut self, wants: Wants) -> String {
        let mut to = String::new();
        let mut mode = |number: &str, old: bool, new: bool| {
            if old != new {
                to += &format!("\x1b[?{number}{}", if new { 'h' } else { 'l' });
            }
        };
        let old = self.wants;
        mode("1", old.app_cursor, wants.app_cursor);
        mode("1004", old.focus, wants.focus);
        // ?1000 is always on, for the wheel.
        mode("1002", old.mouse == Mouse::Drags, wants.mouse == Mouse::Drags);
        mode("1003", old.mouse == Mouse::Motion, wants.mouse == Mouse::Motion);
        if old.mouse > Mouse::Clicks && wants.mouse <= Mouse::Clicks {
            // Some terminals keep one mode of these four.
            to += "\x1b[?1000h";
        }
        if old.app_keypad != wants.app_keypad {
            to += if wants.app_keypad { "\x1b=" } else { "\x1b>" };
        }
        self.wants = wants;
        to
    }

    /// Waits for what it sends. Nothing is the end of it.
    pub(super) async fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.file.readable().await?;
            match ready.try_io(|file| Ok(rustix::io::read(file.get_ref(), &mut *into)?)) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(read) => return read,
                Err(_) => {}
            }
        }
    }

    /// Waits until it takes some of it. Returns how much that was.
    pub(super) async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.file.writable().await?;
            match ready.try_io(|file| Ok(rustix::io::write(file.get_ref(), bytes)?)) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(written) => return written,
                Err(_) => {}
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.before.restore(self.file.get_ref());
    }
}
