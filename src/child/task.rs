//! The thread that owns one child: reads its keeper's socket, feeds the emulator inline, types what is queued, and
//! answers the handle's questions. The only place that knows of all the child's parts.

mod ending;
mod hand;
mod keeper;
mod look;
mod person;
mod recovery;
mod repose;

use std::{
    collections::HashMap,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::PathBuf,
    sync::{Arc, mpsc},
    time::{Instant, SystemTime},
};

use rustix::event::{PollFd, PollFlags, Timespec};
use tokio::sync::{oneshot, watch};

pub use self::repose::return_to_system;
use self::{person::Person, recovery::Behind};
use super::{
    Begin, Status, Told, Witness, Written,
    composer::Composer,
    copies::Copies,
    delivery::{DeliveryId, Fate, Job, Queue},
    find::Finder,
    glance::Glance,
    mailbox::{Command, Mailbox, Piece},
    rest::Rest,
    rules::Typing,
    screen::Screen,
    session::Search,
    sight::Sight,
    state::Reducer,
    stop::Stopping,
};
use crate::{
    id::{ChildId, Offset},
    keeper::{Ring, wire::Decoder},
};

/// What an answer of the keeper is for.
enum Pending {
    Read { from: Offset, max: usize, whose: Reader },
    Processes,
    Echo,
}

/// Who wants a piece of output.
enum Reader {
    Finder(u64),
    Caller(oneshot::Sender<Piece>),
}

/// See the module.
pub(super) struct Task {
    id: ChildId,
    keeper: Option<UnixStream>,
    decoder: Decoder,
    /// Requests the keeper's socket has not taken yet.
    out: Vec<u8>,
    /// The keeper's process, if it is a child of ours.
    process: Option<std::process::Child>,
    /// The version of what the keeper speaks, once it has said so.
    speaks: Option<u32>,
    /// What an earlier broker had accepted, until the keeper says how much of it was typed.
    unsettled: Vec<Job>,
    socket: PathBuf,
    ring: PathBuf,
    commands: mpsc::Receiver<Command>,
    wake: Arc<OwnedFd>,
    screen: Screen,
    reducer: Reducer,
    typing: Typing,
    composer: Composer,
    /// The last lines of the screen in one, and of which screen they are.
    bottom: (u64, String),
    queue: Queue,
    waiting: HashMap<DeliveryId, oneshot::Sender<Fate>>,
    finders: HashMap<u64, Finder>,
    pending: HashMap<u64, Pending>,
    stopping: Option<Stopping>,
    tty_asked: bool,
    looked_at: u64,
    last: u64,
    end: Offset,
    /// The terminal's questions in what the child wrote before here were answered by an earlier broker.
    answered: Offset,
    copies: Copies,
    /// What an earlier broker has seen is not seen yet.
    behind: Option<Behind>,
    written: watch::Sender<Written>,
    status: watch::Sender<Status>,
    drawn: watch::Sender<u64>,
    glance: Glance,
    person: Person,
    rest: Rest,
    /// What was to be seen when the screen went to sleep.
    seen: Option<Sight>,
    session: Search,
    /// The child's process.
    pid: i32,
    witness: Witness,
}

impl Task {
    pub(super) fn new(
        begin: Begin,
        written: watch::Sender<Written>,
        glance: Glance,
    ) -> io::Result<(Self, Mailbox, watch::Receiver<Status>, watch::Receiver<u64>)> {
        let (mailbox, commands, wake) = Mailbox::new()?;
        let from = recovery::origin(begin.kept, begin.size, &begin.socket)?;
        let mut reducer = Reducer::new(&begin.rules, from.child, Instant::now());
        // Whoever looks at once must see it: its keeper may take a moment to end, too.
        if let Some(exit) = from.exit {
            reducer.exited(exit);
        }
        let (status, watched) = watch::channel(Status {
            state: reducer.state().clone(),
            why: reducer.why().into(),
            since: SystemTime::now(),
            prompt: None,
            owner: begin.owner.clone(),
            viewer: None,
            queued: from.jobs.len(),
            held: 0,
            title: None,
            emulator_resets: 0,
            stale: from.stale,
        });
        let (drawn, seen) = watch::channel(0);
        let mut task = Task {
            id: begin.id,
            keeper: from.stream,
            decoder: Decoder::default(),
            out: Vec::new(),
            process: from.process,
            speaks: from.speaks,
            unsettled: from.jobs,
            socket: begin.socket,
            ring: begin.ring,
            commands,
            wake,
            person: Person::new(begin.owner, begin.size, from.screen.size()),
            drawn,
            glance,
            screen: from.screen,
            reducer,
            composer: Composer::new(begin.typing.composer.as_ref()),
            bottom: (u64::MAX, String::new()),
            queue: Queue::new(&begin.typing),
            typing: begin.typing,
            waiting: HashMap::new(),
            finders: HashMap::new(),
            pending: HashMap::new(),
            stopping: None,
            tty_asked: false,
            looked_at: u64::MAX,
            last: 0,
            end: from.at,
            answered: from.answered,
            copies: Copies::new(from.at, Instant::now()),
            behind: from.behind,
            written,
            status,
            rest: Rest::new(repose::sleeps_after(), Instant::now()),
            seen: None,
            session: Search::new(&begin.session),
            pid: from.child,
            witness: begin.witness,
        };
        task.written.send_replace(Written { end: task.end, at: SystemTime::now() });
        if task.keeper.is_some() {
            task.greet();
            if from.stale {
                task.nudge();
            }
        } else {
            task.keeper_ended(from.dead);
        }
        Ok((task, mailbox, watched, seen))
    }

    pub(super) fn can_be_idle(&self) -> bool {
        self.reducer.can_be_idle()
    }

    /// Until the last handle is gone.
    pub(super) fn run(mut self) {
        self.look(Instant::now());
        // One that was found dead has nothing to wait for.
        self.publish();
        let state = self.reducer.state();
        if state.ended() {
            self.tell(Told::Ended(state.clone(), self.reducer.why().to_owned()));
        }
        loop {
            self.poll();
            let now = Instant::now();
            while !self.is_behind(now) {
                match self.commands.try_recv() {
                    Ok(command) => {
                        self.rest.stir(now);
                        self.command(command, now);
                    }
                    Err(mpsc::TryRecvError::Empty) => break,
                    Err(mpsc::TryRecvError::Disconnected) => return,
                }
            }
            self.hear(now);
            self.tick(now);
            self.speak();
            self.publish();
            if self.reducer.state().ended() {
                // Nothing more will match: whoever waits is told so by the end of the search.
                self.finders.retain(|_, finder| finder.searched() < self.end);
            }
        }
    }

    /// Sleeps until there is something to do.
    fn poll(&mut self) {
        let deadline = [
            self.behind.map(|behind| behind.until),
            self.screen.sync_deadline(),
            self.reducer.deadline().filter(|_| !self.tty_asked),
            self.composer.deadline(Instant::now()),
            self.queue.deadline(),
            self.person.deadline(),
            self.stopping.as_ref().map(Stopping::deadline),
            self.rest.deadline(),
            self.copies.deadline(self.end),
        ];
        let timeout = deadline.into_iter().flatten().min().map(|at| {
            let left = at.saturating_duration_since(Instant::now());
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() }
        });
        let mut fds = Vec::with_capacity(2);
        fds.push(PollFd::new(&self.wake, PollFlags::IN));
        if let Some(keeper) = &self.keeper {
            let write = if self.out.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
            fds.push(PollFd::from_borrowed_fd(keeper.as_fd(), PollFlags::IN | write));
        }
        if rustix::event::poll(&mut fds, timeout.as_ref()).is_ok() && !fds[0].revents().is_empty() {
            let _ = rustix::io::read(&self.wake, &mut [0u8; 8]);
        }
    }

    fn command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Screen { history, known, reply } => {
                // Whoever asked may have gone; here and below that is no concern of ours.
                let _ = reply.send(self.show(history, known));
            }
            Command::Read { from, max, reply } => self.read(from, max, Reader::Caller(reply)),
            Command::Type { job, done, reply } => {
                let id = job.id;
                let pushed = self.queue.push(job, now);
                if pushed.is_ok() {
                    self.waiting.insert(id, done);
                }
                // Whoever gets the receipt and then looks must find the message counted.
                self.publish();
                let _ = reply.send(pushed);
            }
            Command::Withdraw { id, reply } => {
                let taken = self.queue.withdraw(id);
                if taken {
                    self.waiting.remove(&id);
                    self.publish();
                }
                let _ = reply.send(taken);
            }
            Command::Standing { delivery, reply } => {
                let status = self.status.borrow();
                let _ = reply.send(self.queue.standing(delivery, self.scene(&status.owner, now)));
            }
            Command::Find { pattern, from, reply } => {
                self.finders.retain(|_, finder| !finder.over());
                let (mut finder, finding) = Finder::new(pattern, from, self.end);
                finder.screen(&self.visible());
                let id = self.next();
                let behind = (finder.searched() < self.end).then_some(finder.searched());
                self.finders.insert(id, finder);
                if let Some(from) = behind {
                    self.read(from, Ring::HELD, Reader::Finder(id));
                }
                let _ = reply.send(finding);
            }
            Command::Explain { reply } => {
                let _ = reply.send(self.explain(now));
            }
            Command::Resize(size) => self.ask_size(size),
            Command::Stop { grace, reply } => self.stop(grace, reply, now),
            Command::Pane(asked) => self.pane(asked, now),
        }
    }

    /// Everything that is due by the clock, or became possible by what was just heard.
    fn tick(&mut self, now: Instant) {
        if self.screen.sync_deadline().is_some_and(|at| at <= now) {
            self.glance.clear();
            let fed = self.screen.end_sync(now);
            let changed = fed.changed;
            self.answer(fed);
            if changed {
                self.look(now);
            }
        }
        if self.reducer.deadline().is_some_and(|at| at <= now) || self.drafted(now) {
            if self.reducer.wants_tty() && self.keeper.is_some() {
                self.ask_tty();
            } else {
                self.look(now);
            }
        }
        if let Some(step) = self.stopping.as_mut().and_then(|stopping| stopping.step(now)) {
            self.stop_step(&step);
        }
        self.person_tick(now);
        self.save_if_due(now);
        self.repose(now);
        // Whoever answers a question answers the one that is on the screen now.
        if self.queue.compares() && self.looked_at != self.screen.version() {
            self.look(now);
        }
        self.type_on(now);
    }

    /// Shows the handle what changed, and wakes who waits for it.
    fn publish(&mut self) {
        self.look_for_session();
        let (state, why) = (self.reducer.state(), self.reducer.why());
        let (queue, screen) = (&self.queue, &self.screen);
        let mut ended = false;
        let (version, hold) = (screen.version(), &self.person.hold);
        self.drawn.send_if_modified(|drawn| std::mem::replace(drawn, version) != version);
        self.status.send_if_modified(|status| {
            let held = queue.held(hold.owner());
            let waiting = queue.len() - held + self.unsettled.len();
            let owner = (hold.owner(), hold.viewer());
            let prompt = self.reducer.prompt();
            let new = (state, why, waiting, held, screen.title(), screen.emulator_resets(), prompt, owner);
            let old = (
                &status.state,
                &*status.why,
                status.queued,
                status.held,
                status.title.as_deref(),
                status.emulator_resets,
                status.prompt.as_ref(),
                (&status.owner, status.viewer),
            );
            if new == old {
                return false;
            }
            if status.state != *state {
                status.since = SystemTime::now();
                ended = state.ended();
            }
            *status = Status {
                state: state.clone(),
                why: why.into(),
                since: status.since,
                prompt: self.reducer.prompt().cloned(),
                owner: hold.owner().clone(),
                viewer: hold.viewer(),
                queued: new.2,
                held,
                title: new.4.map(str::to_owned),
                emulator_resets: new.5,
                stale: status.stale,
            };
            true
        });
        if ended {
            self.tell(Told::Ended(state.clone(), why.to_owned()));
        }
    }

    /// At each change of state: a program begins its session with its first turn, or another one when told to.
    fn look_for_session(&mut self) {
        if self.status.borrow().state == *self.reducer.state() {
            return;
        }
        let session = match self.reducer.state().ended() {
            true => self.session.last_words(&self.visible()),
            false => self.session.open_files(self.pid),
        };
        if let Some(session) = session {
            self.tell(Told::Session(session));
        }
    }

    fn tell(&self, told: Told) {
        (self.witness.0)(self.id, told);
    }

    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}
