//! Ending a child with everything it started: the steps and their times. A plain value, told the time.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::id::Exit;

/// How stopping ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// How the child ended, if it did.
    pub exit: Option<Exit>,
    /// What still runs, in spite of SIGKILL.
    pub left: Vec<Left>,
}

/// A process that would not end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its process id.
    pub pid: i32,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Send SIGKILL to every descendant, and ask which there still are.
    Kill,
    /// Give up: what runs now cannot be killed.
    GiveUp,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Stopping {
    kill_at: Instant,
    give_up_at: Instant,
    replies: Vec<oneshot::Sender<Stopped>>,
    left: Vec<Left>,
}

impl Stopping {
    /// A process in the kernel's uninterruptible sleep outlives SIGKILL; nobody should wait for it longer than this.
    const PATIENCE: Duration = Duration::from_secs(5);
    /// New processes may appear between the listing and the kill.
    const AGAIN: Duration = Duration::from_millis(50);

    /// TERM was just sent.
    pub(super) fn new(grace: Duration, now: Instant) -> Self {
        let kill_at = now + grace;
        Stopping { kill_at, give_up_at: kill_at + Self::PATIENCE, replies: Vec::new(), left: Vec::new() }
    }

    /// One more waits for the end; the shortest grace counts.
    pub(super) fn join(&mut self, grace: Duration, reply: oneshot::Sender<Stopped>, now: Instant) {
        self.kill_at = self.kill_at.min(now + grace);
        self.give_up_at = self.give_up_at.min(self.kill_at + Self::PATIENCE);
        self.replies.push(reply);
    }

    /// When the next step is due.
    pub(super) fn deadline(&self) -> Instant {
        self.kill_at.min(self.give_up_at)
    }

    /// The step that is due.
    pub(super) fn step(&mut self, now: Instant) -> Option<Step> {
        if now >= self.give_up_at {
            return Some(Step::GiveUp);
        }
        if now >= self.kill_at {
            self.kill_at = now + Self::AGAIN;
            return Some(Step::Kill);
        }
        None
    }

    /// These still run.
    pub(super) fn running(&mut self, pids: Vec<i32>) {
        self.left = pids.into_iter().map(|pid| Left { pid }).collect();
    }

    /// Tells everyone who waits. With the keeper gone, nothing is left.
    pub(super) fn over(self, exit: Option<Exit>, keeper_gone: bool) {
        let left = if keeper_gone { Vec::new() } else { self.left };
        for reply in self.replies {
            // Whoever stopped waiting does not want to know.
            let _ = reply.send(Stopped { exit, left: left.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kill_comes_after_the_grace_again_and_again_and_then_it_is_said_what_is_left() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut stopping = Stopping::new(Duration::from_millis(1000), start);
        let (reply, mut stopped) = oneshot::channel();
        stopping.join(Duration::from_millis(100), reply, start);
        assert_eq!(stopping.deadline(), at(100));
        assert_eq!(stopping.step(at(99)), None);
        assert_eq!(stopping.step(at(100)), Some(Step::Kill));
        assert_eq!(stopping.step(at(120)), None);
        assert_eq!(stopping.step(at(150)), Some(Step::Kill));
        stopping.running(vec![7]);
        assert_eq!(stopping.step(at(5100)), Some(Step::GiveUp));
        stopping.over(Some(Exit::Signal(9)), false);
        let left = vec![Left { pid: 7 }];
        assert_eq!(stopped.try_recv().unwrap(), Stopped { exit: Some(Exit::Signal(9)), left });
    }
}
