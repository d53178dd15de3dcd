//! How the handle speaks to the thread that owns the child: what it can ask, and the door it asks at.

use std::{
    os::fd::OwnedFd,
    sync::{Arc, mpsc},
    time::Duration,
};

use regex::Regex;
use rustix::event::EventfdFlags;
use tokio::sync::oneshot;

use super::{
    Gone, Shown,
    delivery::{DeliveryId, Fate, Full, Job, Standing},
    explain::Explained,
    find::Finding,
    owner::{Claim, ViewerId},
    picture::Sheet,
    screen::Wants,
    stop::Stopped,
};
use crate::id::{Offset, Size};

/// What the handle asks of the thread.
pub(super) enum Command {
    Screen { history: usize, known: Option<u64>, reply: oneshot::Sender<Shown> },
    Read { from: Offset, max: usize, reply: oneshot::Sender<Piece> },
    Type { job: Job, done: oneshot::Sender<Fate>, reply: oneshot::Sender<Accepted> },
    Standing { delivery: DeliveryId, reply: oneshot::Sender<Option<Standing>> },
    Withdraw { id: DeliveryId, reply: oneshot::Sender<bool> },
    Find { pattern: Regex, from: Option<Offset>, reply: oneshot::Sender<Finding> },
    Explain { reply: oneshot::Sender<Explained> },
    Resize(Size),
    Stop { grace: Duration, reply: oneshot::Sender<Stopped> },
    Pane(Asked),
}

/// What is asked of it for a person at the pane.
pub(super) enum Asked {
    View { up: usize, reply: oneshot::Sender<View> },
    Does { doing: Doing, reply: oneshot::Sender<()> },
    Held { act: HeldAct, reply: oneshot::Sender<Vec<HeldMessage>> },
}

/// What a person at the pane does.
#[derive(Debug)]
pub enum Doing {
    /// Takes the input, at this size of their terminal, or gives it back.
    Claim {
        /// What.
        claim: Claim,
        /// Their size; of no matter to who gives it back.
        size: Size,
    },
    /// Has another size.
    Size {
        /// Who.
        viewer: ViewerId,
        /// Which.
        size: Size,
    },
    /// Types; heeded of whoever holds the input.
    Input {
        /// Who.
        viewer: ViewerId,
        /// As their terminal sent it.
        bytes: Vec<u8>,
    },
    /// Pastes; the same.
    Paste {
        /// Who.
        viewer: ViewerId,
        /// What.
        text: String,
    },
}

/// What a person does with messages that are held.
#[derive(Debug)]
pub enum HeldAct {
    /// Reads them.
    List,
    /// Has one typed now.
    Deliver(DeliveryId),
    /// Sends one back, with a word of why.
    Reject(DeliveryId, String),
    /// Gives one another text.
    Edit(DeliveryId, String),
}

/// A message that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldMessage {
    /// Its name.
    pub id: DeliveryId,
    /// What it says.
    pub text: String,
}

/// What a person sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The cells.
    pub sheet: Sheet,
    /// How many rows up from the newest that is.
    pub up: usize,
    /// How many there are.
    pub above: usize,
    /// What the program wants of the person's terminal.
    pub wants: Wants,
    /// What the child had written when this was so.
    pub end: Offset,
}

/// Where a piece of output begins, what was written so far, and its bytes.
pub(super) type Piece = (Offset, Offset, Vec<u8>);

/// How many are before a job.
pub(super) type Accepted = Result<usize, Full>;

/// The thread's door: a queue, and a descriptor that wakes its poll.
///
/// The queue has no bound of its own: each entry is a call of a tool that waits for its answer, and those are bounded.
#[derive(Clone, Debug)]
pub(super) struct Mailbox(Arc<Door>);

#[derive(Debug)]
struct Door {
    /// There until the last handle is gone.
    commands: Option<mpsc::Sender<Command>>,
    wake: Arc<OwnedFd>,
}

impl Mailbox {
    pub(super) fn send(&self, command: Command) -> Result<(), Gone> {
        let commands = self.0.commands.as_ref().ok_or(Gone)?;
        commands.send(command).map_err(|_| Gone)?;
        self.0.ring();
        Ok(())
    }

    /// A door, what comes through it, and the descriptor to poll.
    pub(super) fn new() -> std::io::Result<(Self, mpsc::Receiver<Command>, Arc<OwnedFd>)> {
        let (commands, received) = mpsc::channel();
        let wake = Arc::new(rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let door = Door { commands: Some(commands), wake: wake.clone() };
        Ok((Mailbox(Arc::new(door)), received, wake))
    }
}

impl Door {
    fn ring(&self) {
        // The counter of an eventfd cannot overflow by ones.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // The last handle's end wakes the thread, which then finds the queue closed, and ends too. A handle is cloned and
        // dropped at each look at a child: that wakes nobody.
        self.commands = None;
        self.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_command_and_the_last_handles_end_wake_the_thread() {
        let woken = |wake: &OwnedFd| rustix::io::read(wake, &mut [0; 8]).is_ok();
        let (mailbox, commands, wake) = Mailbox::new().unwrap();
        drop(mailbox.clone());
        assert!(!woken(&wake));
        mailbox.send(Command::Resize(Size::DEFAULT)).unwrap();
        assert!(woken(&wake) && commands.try_recv().is_ok());
        drop(mailbox);
        assert!(woken(&wake));
        assert!(matches!(commands.try_recv(), Err(mpsc::TryRecvError::Disconnected)));
    }
}
