//! The thread that owns one child: reads its keeper's socket, feeds the emulator inline, types what is queued, and
//! answers the handle's questions. The only place that knows of all the child's parts.

use std::{
    collections::HashMap,
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant, SystemTime},
};

use regex::Regex;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};
use tokio::sync::{oneshot, watch};

use super::{
    Begin, Gone, Shown, Status,
    delivery::{DeliveryId, Do, Full, Job, Outcome, Queue, Scene, Stroke, What},
    find::{Finder, Finding},
    owner::Writer,
    record,
    rules::Typing,
    screen::{Fed, Screen},
    state::{Look, Reducer, State, Tty},
    stop::{Step, Stopped, Stopping},
    typing,
};
use crate::{
    id::{ChildId, Exit, Offset, Size},
    keeper::wire::{self, Decoder, Event, Request, Whom},
};

/// What the handle asks of the thread.
pub(super) enum Command {
    Screen { history: usize, known: Option<u64>, reply: oneshot::Sender<Shown> },
    Read { from: Offset, max: usize, reply: oneshot::Sender<Piece> },
    Type { what: What, writer: Writer, done: oneshot::Sender<Outcome>, reply: oneshot::Sender<Accepted> },
    Find { pattern: Regex, from: Option<Offset>, reply: oneshot::Sender<Finding> },
    Resize(Size),
    Stop { grace: Duration, reply: oneshot::Sender<Stopped> },
}

/// Where a piece of output begins, what was written so far, and its bytes.
pub(super) type Piece = (Offset, Offset, Vec<u8>);

/// A job's name and how many are before it.
pub(super) type Accepted = Result<(DeliveryId, usize), Full>;

/// The thread's door: a queue, and a descriptor that wakes its poll.
///
/// The queue has no bound of its own: each entry is a call of a tool that waits for its answer, and those are bounded.
#[derive(Clone, Debug)]
pub(super) struct Mailbox {
    commands: mpsc::Sender<Command>,
    wake: Arc<OwnedFd>,
}

impl Mailbox {
    pub(super) fn send(&self, command: Command) -> Result<(), Gone> {
        self.commands.send(command).map_err(|_| Gone)?;
        self.ring();
        Ok(())
    }

    fn ring(&self) {
        // The counter of an eventfd cannot overflow by ones.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        // The last handle's end must wake the thread, so that it ends too.
        self.ring();
    }
}

/// What an answer of the keeper is for.
enum Pending {
    Read { finder: Option<u64>, reply: Option<oneshot::Sender<Piece>> },
    Processes,
}

/// See the module.
pub(super) struct Task {
    id: ChildId,
    keeper: Option<UnixStream>,
    decoder: Decoder,
    /// Requests the keeper's socket has not taken yet.
    out: Vec<u8>,
    process: std::process::Child,
    socket: PathBuf,
    ring: PathBuf,
    commands: mpsc::Receiver<Command>,
    wake: Arc<OwnedFd>,
    screen: Screen,
    reducer: Reducer,
    typing: Typing,
    queue: Queue,
    waiting: HashMap<DeliveryId, oneshot::Sender<Outcome>>,
    finders: HashMap<u64, Finder>,
    pending: HashMap<u64, Pending>,
    stopping: Option<Stopping>,
    tty_asked: bool,
    looked_at: u64,
    last: u64,
    end: Offset,
    shared_end: Arc<AtomicU64>,
    status: watch::Sender<Status>,
}

impl Task {
    pub(super) fn new(
        begin: Begin,
        shared_end: Arc<AtomicU64>,
    ) -> io::Result<(Self, Mailbox, watch::Receiver<Status>)> {
        let (sender, commands) = mpsc::channel();
        let wake = Arc::new(rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let reducer = Reducer::new(&begin.rules, begin.keeper.child_pid, Instant::now());
        let (status, watched) = watch::channel(Status {
            state: reducer.state().clone(),
            why: reducer.why().into(),
            since: SystemTime::now(),
            owner: begin.owner,
            queued: 0,
            held: 0,
            title: None,
            emulator_resets: 0,
        });
        begin.stream.set_nonblocking(true)?;
        let mut task = Task {
            id: begin.id,
            keeper: Some(begin.stream),
            decoder: Decoder::default(),
            out: Vec::new(),
            process: begin.keeper.process,
            socket: begin.socket,
            ring: begin.ring,
            commands,
            wake: wake.clone(),
            screen: Screen::new(begin.size),
            reducer,
            typing: begin.typing,
            queue: Queue::default(),
            waiting: HashMap::new(),
            finders: HashMap::new(),
            pending: HashMap::new(),
            stopping: None,
            tty_asked: false,
            looked_at: u64::MAX,
            last: 0,
            end: Offset(0),
            shared_end,
            status,
        };
        task.greet();
        Ok((task, Mailbox { commands: sender, wake }, watched))
    }

    pub(super) fn can_be_idle(&self) -> bool {
        self.reducer.can_be_idle()
    }

    /// Until the last handle is gone.
    pub(super) fn run(mut self) {
        self.look(Instant::now());
        loop {
            self.poll();
            let now = Instant::now();
            loop {
                match self.commands.try_recv() {
                    Ok(command) => self.command(command, now),
                    Err(mpsc::TryRecvError::Empty) => break,
                    Err(mpsc::TryRecvError::Disconnected) => return,
                }
            }
            self.hear(now);
            self.tick(now);
            self.speak();
            self.publish();
        }
    }

    /// Sleeps until there is something to do.
    fn poll(&mut self) {
        let deadline = [
            self.screen.sync_deadline(),
            self.reducer.deadline().filter(|_| !self.tty_asked),
            self.queue.deadline(),
            self.stopping.as_ref().map(Stopping::deadline),
        ];
        let timeout = deadline.into_iter().flatten().min().map(|at| {
            // Rounded up: a wake-up before the deadline would only be repeated.
            let left = at.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
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
            Command::Read { from, max, reply } => {
                self.read(from, max, Pending::Read { finder: None, reply: Some(reply) })
            }
            Command::Type { what, writer, done, reply } => {
                let id = DeliveryId(self.next());
                let pushed = self.queue.push(Job { id, writer, what });
                if pushed.is_ok() {
                    self.waiting.insert(id, done);
                }
                let _ = reply.send(pushed.map(|before| (id, before)));
            }
            Command::Find { pattern, from, reply } => {
                let (mut finder, finding) = Finder::new(pattern, from, self.end);
                finder.screen(&self.visible());
                let id = self.next();
                let behind = (finder.searched() < self.end).then_some(finder.searched());
                self.finders.insert(id, finder);
                if let Some(from) = behind {
                    self.read(from, wire::MAX_READ, Pending::Read { finder: Some(id), reply: None });
                }
                let _ = reply.send(finding);
            }
            Command::Resize(size) => {
                self.screen.resize(size);
                self.send(Request::Resize { size });
            }
            Command::Stop { grace, reply } => self.stop(grace, reply, now),
        }
    }

    /// Takes in what the keeper sent.
    fn hear(&mut self, now: Instant) {
        let Some(keeper) = &mut self.keeper else { return };
        let open = match self.decoder.read_from(keeper) {
            Ok(open) => open,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        let mut decoder = std::mem::take(&mut self.decoder);
        let sound = loop {
            match decoder.next_event() {
                Ok(Some(event)) => self.event(event, now),
                Ok(None) => break true,
                Err(error) => {
                    tracing::warn!(child = %self.id, %error, "the keeper's words make no sense");
                    break false;
                }
            }
        };
        self.decoder = decoder;
        if !(open && sound) {
            self.lost_line();
        }
    }

    fn event(&mut self, event: Event<'_>, now: Instant) {
        match event {
            Event::Hello { start, .. } => self.end = self.end.max(start),
            Event::Output { from, bytes } => self.output(from, bytes, now),
            Event::Data { req, from, end, bytes, .. } => self.data(req, from, end, bytes),
            Event::Written { id } => {
                if id != 0 {
                    self.queue.written(now);
                }
            }
            Event::Refused { id, reason } => {
                if id != 0 {
                    let over = self.queue.unwritten(&reason);
                    self.act(over, now);
                }
            }
            Event::Tty { canonical, foreground, .. } => {
                self.tty_asked = false;
                let tty = Tty { canonical, foreground };
                self.reducer.tty(tty);
                let plan = self.queue.tty(tty);
                self.act(plan, now);
                self.look(now);
            }
            Event::Processes { req, pids } => {
                if let (Some(Pending::Processes), Some(stopping)) =
                    (self.pending.remove(&req), &mut self.stopping)
                {
                    stopping.running(pids);
                }
            }
            Event::Exited { exit } => self.exited(exit, now),
            Event::Eof { .. } => {}
        }
    }

    fn output(&mut self, from: Offset, bytes: &[u8], now: Instant) {
        if from > self.end {
            // Only a keeper that outran us by a whole ring skips: then the screen is no longer what it was.
            tracing::warn!(child = %self.id, dropped = from - self.end, "output left the ring before it was read");
        }
        self.end = from + bytes.len();
        self.shared_end.store(self.end.0, Ordering::Release);
        let fed = self.screen.feed(bytes, now);
        self.answer(fed);
        self.reducer.output(now);
        for finder in self.finders.values_mut() {
            finder.output(from, bytes);
        }
        self.finders.retain(|_, finder| !finder.over());
    }

    /// What the emulator says goes to the program like typed input, but nobody waits for it to be taken.
    fn answer(&mut self, fed: Fed) {
        if !fed.answers.is_empty() {
            self.send(Request::Input { id: 0, bytes: fed.answers.into() });
        }
    }

    fn data(&mut self, req: u64, from: Offset, end: Offset, bytes: &[u8]) {
        let Some(Pending::Read { finder, reply }) = self.pending.remove(&req) else { return };
        if let Some(reply) = reply {
            let _ = reply.send((from, end, bytes.to_vec()));
        }
        let Some(id) = finder else { return };
        let Some(finder) = self.finders.get_mut(&id) else { return };
        finder.skip_to(from);
        finder.output(from, bytes);
        let next = finder.searched();
        if finder.over() {
            self.finders.remove(&id);
        } else if next < self.end && !bytes.is_empty() {
            self.read(next, wire::MAX_READ, Pending::Read { finder: Some(id), reply: None });
        }
    }

    /// Everything that is due by the clock, or became possible by what was just heard.
    fn tick(&mut self, now: Instant) {
        if self.screen.sync_deadline().is_some_and(|at| at <= now) {
            let fed = self.screen.end_sync(now);
            self.answer(fed);
        }
        if self.reducer.deadline().is_some_and(|at| at <= now) {
            if self.reducer.wants_tty() && self.keeper.is_some() {
                self.ask_tty();
            } else {
                self.look(now);
            }
        }
        if let Some(step) = self.stopping.as_mut().and_then(|stopping| stopping.step(now)) {
            self.stop_step(&step);
        }
        loop {
            let status = self.status.borrow();
            let scene = Scene { owner: &status.owner, state: self.reducer.state(), end: self.end };
            let next = self.queue.advance(scene, now);
            drop(status);
            if next.is_none() {
                break;
            }
            self.act(next, now);
        }
    }

    fn act(&mut self, what: Option<Do>, now: Instant) {
        match what {
            None => {}
            Some(Do::AskTty) => self.ask_tty(),
            Some(Do::Plan(what, tty)) => {
                let strokes = self.plan(&what, tty);
                let over = self.queue.strokes(strokes);
                self.act(over, now);
            }
            Some(Do::Write { bytes, last }) => {
                if last {
                    self.reducer.typed(now);
                }
                let id = self.next();
                self.send(Request::Input { id, bytes: bytes.into() });
            }
            Some(Do::Finish(id, outcome)) => {
                if let Some(done) = self.waiting.remove(&id) {
                    let _ = done.send(outcome);
                }
            }
        }
    }

    fn plan(&self, what: &What, tty: Tty) -> Result<Vec<Stroke>, String> {
        match what {
            What::Message(text) => {
                let mode =
                    typing::Mode { bracketed: self.screen.bracketed_paste(), canonical: tty.canonical };
                let body = typing::paste(text, mode).map_err(|error| error.to_string())?;
                let pause = typing::enter_delay(body.len(), &self.typing, tty.canonical);
                Ok(vec![Stroke { bytes: body, pause }, Stroke { bytes: b"\r".into(), pause: Duration::ZERO }])
            }
            What::Keys(names) => {
                let keys =
                    typing::keys(names, self.screen.app_cursor()).map_err(|error| error.to_string())?;
                // A program takes ESC and the next byte for one key if they come together.
                let pause = |bytes: &[u8]| Duration::from_millis(if bytes == b"\x1b" { 100 } else { 10 });
                Ok(keys.into_iter().map(|bytes| Stroke { pause: pause(&bytes), bytes }).collect())
            }
        }
    }

    /// Decides anew what the child is doing, and whether someone's pattern is on the screen.
    fn look(&mut self, now: Instant) {
        let screen = self.visible();
        let status = self.screen.status().map(ToString::to_string);
        self.reducer
            .look(Look { screen: &screen, title: self.screen.title(), status: status.as_deref() }, now);
        if self.looked_at != self.screen.version() {
            self.looked_at = self.screen.version();
            self.finders.values_mut().for_each(|finder| finder.screen(&screen));
            self.finders.retain(|_, finder| !finder.over());
        }
    }

    fn visible(&self) -> String {
        self.screen.text(0).lines.join("\n")
    }

    fn show(&self, history: usize, known: Option<u64>) -> Shown {
        let unchanged = known == Some(self.screen.version());
        let text = if unchanged { Default::default() } else { self.screen.text(history) };
        Shown {
            lines: text.lines,
            history: text.history,
            unchanged,
            version: self.screen.version(),
            cursor: self.screen.cursor(),
            size: self.screen.size(),
            alternate: self.screen.alternate(),
            end: self.end,
        }
    }

    fn read(&mut self, from: Offset, max: usize, what: Pending) {
        let req = self.next();
        self.pending.insert(req, what);
        if self.keeper.is_some() {
            self.send(Request::Read { req, from, max: max.min(wire::MAX_READ) as u32 });
            return;
        }
        let (start, end, bytes) = match record(&self.ring) {
            Some(record) => {
                let (start, bytes) = record.read(from, max);
                (start, record.end(), bytes)
            }
            None => (self.end, self.end, Vec::new()),
        };
        self.data(req, start, end, &bytes);
    }

    fn ask_tty(&mut self) {
        if !self.tty_asked {
            self.tty_asked = true;
            let req = self.next();
            self.send(Request::Tty { req });
        }
    }

    fn stop(&mut self, grace: Duration, reply: oneshot::Sender<Stopped>, now: Instant) {
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

    fn stop_step(&mut self, step: &Step) {
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

    fn exited(&mut self, exit: Exit, now: Instant) {
        self.reducer.exited(exit);
        self.look(now);
    }

    /// The connection is closed: the keeper has ended, or else it still serves and takes a new one.
    fn lost_line(&mut self) {
        self.keeper = None;
        if let Ok(stream) = UnixStream::connect(&self.socket)
            && stream.set_nonblocking(true).is_ok()
        {
            self.keeper = Some(stream);
            self.greet();
            return;
        }
        // It closes its connections last, so this is short; and nobody else may reap it.
        if let Err(error) = self.process.wait() {
            tracing::warn!(child = %self.id, %error, "waiting for the keeper");
        }
        self.keeper_ended();
    }

    /// The ring is all there is now: the last bytes and the exit are in it.
    fn keeper_ended(&mut self) {
        let now = Instant::now();
        let record = record(&self.ring);
        if let Some(record) = &record {
            while self.end < record.end() {
                let (from, bytes) = record.read(self.end, wire::MAX_READ);
                if bytes.is_empty() {
                    break;
                }
                self.output(from, &bytes, now);
            }
        }
        match record.and_then(|record| record.exit()) {
            Some(exit) => self.reducer.exited(exit),
            None => self.reducer.lost("its keeper has ended without telling how it went"),
        }
        self.look(now);
        for (_, pending) in std::mem::take(&mut self.pending) {
            if let Pending::Read { reply: Some(reply), .. } = pending {
                let _ = reply.send((self.end, self.end, Vec::new()));
            }
        }
        self.finders.clear();
        if let Some(stopping) = self.stopping.take() {
            let exit = if let State::Exited(exit) = self.reducer.state() { Some(*exit) } else { None };
            stopping.over(exit, true);
        }
    }

    fn greet(&mut self) {
        let from = self.end;
        self.tty_asked = false;
        self.decoder = Decoder::default();
        self.out.clear();
        self.send(Request::Hello { version: wire::VERSION });
        self.send(Request::Follow { from });
    }

    /// For the keeper, if there still is one.
    fn send(&mut self, request: Request<'_>) {
        if self.keeper.is_some() {
            wire::encode_request(&request, &mut self.out);
        }
    }

    /// Sends what is queued for the keeper, as far as it goes. A broken connection shows when it is read.
    fn speak(&mut self) {
        let Some(keeper) = &mut self.keeper else { return };
        while !self.out.is_empty() {
            match keeper.write(&self.out) {
                Ok(0) => return,
                Ok(sent) => drop(self.out.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    /// Shows the handle what changed, and wakes who waits for it.
    fn publish(&mut self) {
        let (state, why) = (self.reducer.state(), self.reducer.why());
        let (queue, screen) = (&self.queue, &self.screen);
        self.status.send_if_modified(|status| {
            let held = queue.held(&status.owner);
            let new = (state, why, queue.len() - held, held, screen.title(), screen.emulator_resets());
            let old = (
                &status.state,
                &*status.why,
                status.queued,
                status.held,
                status.title.as_deref(),
                status.emulator_resets,
            );
            if new == old {
                return false;
            }
            if status.state != *state {
                status.since = SystemTime::now();
            }
            *status = Status {
                state: state.clone(),
                why: why.into(),
                since: status.since,
                owner: status.owner.clone(),
                queued: new.2,
                held,
                title: new.4.map(str::to_owned),
                emulator_resets: new.5,
            };
            true
        });
    }

    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}
