//! The thread's part in ending its child: it is asked, then killed, then given up.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{Pending, Task};
use crate::{
    child::stop::{Step, Stopped, Stopping},
    keeper::wire::{Request, Whom},
};

impl Task {
    pub(super) fn stop(&mut self, grace: Duration, reply: oneshot::Sender<Stopped>, now: Instant) {
        if self.keeper.is_none() {
            let _ = reply.send(Stopped { exit: self.status.borrow().exit(), left: Vec::new() });
            return;
        }
        let mut stopping = self.stopping.take().unwrap_or_else(|| Stopping::new(grace, now));
        stopping.join(grace, reply, now);
        self.stopping = Some(stopping);
        // An interactive shell ignores TERM and obeys a hang-up; a stopped process hears neither before CONT.
        for signal in
            [rustix::process::Signal::HUP, rustix::process::Signal::TERM, rustix::process::Signal::CONT]
        {
            self.send(Request::Signal { signal: signal.as_raw(), whom: Whom::Tree });
        }
    }

    pub(super) fn stop_step(&mut self, step: &Step) {
        match step {
            Step::Kill => {
                self.send(Request::Signal {
                    signal: rustix::process::Signal::KILL.as_raw(),
                    whom: Whom::Tree,
                });
                let req = self.next();
                self.pending.insert(req, Pending::Processes);
                self.send(Request::Processes { req });
            }
            Step::GiveUp => {
                if let Some(stopping) = self.stopping.take() {
                    stopping.over(self.status.borrow().exit(), false);
                }
            }
        }
    }
}
