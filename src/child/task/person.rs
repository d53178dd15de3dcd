//! The thread's side of a person at the pane: who holds the input, what they type and how large their terminal is.

use std::time::{Duration, Instant, SystemTime};

use super::{Pending, Task};
use crate::{
    child::{
        Told,
        delivery::{DeliveryId, Fate, Outcome, What},
        mailbox::{Asked, Doing, HeldAct, HeldMessage, View},
        owner::{Claim, Hold, Owner, Turn, ViewerId},
        stint::{Echo, Stint},
        typing,
    },
    id::Size,
    keeper::wire::Request,
};

/// See the module.
pub(super) struct Person {
    pub(super) hold: Hold,
    stint: Option<Stint>,
    /// Typed, and not sent on: a message is between its text and its Enter.
    waiting: Vec<u8>,
    since: Option<Instant>,
    /// The size that was asked for when the child was spawned.
    asked: Size,
    restore: Option<Instant>,
}

impl Person {
    pub(super) fn new(owner: Owner, asked: Size, now: Size) -> Person {
        // An earlier broker's viewer has made it another size.
        let restore = (asked.clamped() != now).then(|| Instant::now() + RESTORE);
        Person {
            hold: Hold::new(owner),
            stint: None,
            waiting: Vec::new(),
            since: None,
            asked: asked.clamped(),
            restore,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let waiting = self.since.map(|since| since + PATIENCE);
        [self.restore, waiting].into_iter().flatten().min()
    }
}

/// A size that was taken only for a moment is not worth drawing for.
const RESTORE: Duration = Duration::from_millis(200);
/// A message is seen in its composer within this, or its program hangs: then a person's Ctrl-C must come through.
const PATIENCE: Duration = Duration::from_secs(5);
/// The smallest terminal that programs are drawn for.
const SMALLEST: Size = Size { rows: 5, cols: 20 };
/// Bytes a person may be ahead of the program.
const AHEAD: usize = 1 << 20;

impl Task {
    /// Somebody at the pane asks for something.
    pub(super) fn pane(&mut self, asked: Asked, now: Instant) {
        // Whoever asked may have gone.
        match asked {
            Asked::View { up, reply } => {
                let (sheet, up) = self.screen.sheet(up);
                let (above, wants) = (self.screen.rows_above(), self.screen.wants());
                let _ = reply.send(View { sheet, up, above, wants, end: self.end });
            }
            Asked::Does { doing, reply } => {
                self.person(doing, now);
                let _ = reply.send(());
            }
            Asked::Held { act, reply } => {
                let held = self.held(act);
                // Whoever is answered and then looks must find it counted.
                self.publish();
                let _ = reply.send(held);
            }
        }
    }

    fn person(&mut self, doing: Doing, now: Instant) {
        match doing {
            Doing::Claim { claim, size } => self.claim(claim, size, now),
            Doing::Size { viewer, size } => {
                if self.person.hold.viewer() == Some(viewer) {
                    self.take_size(size);
                }
            }
            Doing::Input { viewer, bytes } => self.person_types(viewer, &bytes, now),
            Doing::Paste { viewer, text } => {
                let mode = typing::Mode { bracketed: self.screen.bracketed_paste(), canonical: false };
                // A paste cannot end its own brackets, nor press keys.
                let text = text.replace("\r\n", "\n").replace('\r', "\n");
                let text: String =
                    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
                if let Ok(bytes) = typing::paste(&text, mode) {
                    self.person_types(viewer, &bytes, now);
                }
            }
        }
    }

    fn claim(&mut self, claim: Claim, size: Size, now: Instant) {
        let (at, by) = (SystemTime::now(), claim.clone());
        let turn = self.person.hold.claim(claim, at);
        if let Claim::Take { who, .. } = &by {
            self.person.restore = None;
            self.take_size(size);
            self.person.stint.get_or_insert_with(|| Stint::new(who.clone(), at)).passed(who);
        }
        let Some(turn) = turn else { return };
        if turn == Turn::GivenBack {
            self.person.restore = Some(now + RESTORE);
            // Before a message may be typed.
            self.flush_person();
            if let Some(stint) = self.person.stint.take() {
                self.tell(Told::Stint(Box::new(stint.over(at))));
            }
        }
        let attached = self.person.hold.viewer().is_some();
        self.tell(Told::Owner(self.person.hold.owner().clone(), attached));
        // Whoever is answered and then looks must find it so.
        self.publish();
    }

    /// Somebody asks for another size. A person's own goes before it, while they have the input.
    pub(super) fn ask_size(&mut self, size: Size) {
        self.person.asked = size;
        if self.person.hold.viewer().is_none() {
            self.give_size(size);
        }
    }

    fn take_size(&mut self, size: Size) {
        let size = Size { rows: size.rows.max(SMALLEST.rows), cols: size.cols.max(SMALLEST.cols) };
        self.give_size(size.clamped());
    }

    fn give_size(&mut self, size: Size) {
        if size != self.screen.size() {
            self.glance.clear();
            self.screen.resize(size);
            self.send(Request::Resize { size });
            // What is written again from the ring would be laid out for one size only.
            self.save();
        }
    }

    fn person_types(&mut self, viewer: ViewerId, bytes: &[u8], now: Instant) {
        if self.person.hold.viewer() != Some(viewer) || self.keeper.is_none() {
            return;
        }
        if self.person.waiting.len() + bytes.len() > AHEAD {
            tracing::warn!(child = %self.id, "a person types faster than anything is taken; some of it is dropped");
            return;
        }
        let ended = match &mut self.person.stint {
            Some(stint) => stint.typed(bytes, || self.screen.text(0).lines.join("\n")),
            None => false,
        };
        self.person.waiting.extend(bytes);
        if ended {
            // Asked before the line is sent: the program may turn its echo on or off for the next one.
            let req = self.next();
            self.pending.insert(req, Pending::Echo);
            self.send(Request::Tty { req });
        }
        self.person.since.get_or_insert(now);
        self.person_tick(now);
    }

    /// Everything that is due by the clock, or became possible.
    pub(super) fn person_tick(&mut self, now: Instant) {
        let late = self.person.since.is_some_and(|since| since + PATIENCE <= now);
        if late || !self.queue.is_typing() {
            self.flush_person();
        }
        if self.person.restore.is_some_and(|at| at <= now) {
            self.person.restore = None;
            self.give_size(self.person.asked);
        }
    }

    fn flush_person(&mut self) {
        self.person.since = None;
        let bytes = std::mem::take(&mut self.person.waiting);
        for piece in bytes.chunks(AHEAD / 2) {
            self.send(Request::Input { id: 0, bytes: piece });
        }
    }

    /// The kernel's word on the terminal as it was when a line ended.
    pub(super) fn heard_echo(&mut self, canonical: bool, echo: bool) {
        let screen = self.visible();
        if let Some(stint) = &mut self.person.stint {
            stint.echo(Echo::of(canonical, echo), &screen);
        }
    }

    pub(super) fn person_looks(&mut self, screen: &str) {
        if let Some(stint) = &mut self.person.stint {
            stint.look(screen);
        }
    }

    /// Sees to what is held, and tells what is left.
    pub(super) fn held(&mut self, act: HeldAct) -> Vec<HeldMessage> {
        let owner = self.person.hold.owner().clone();
        match act {
            HeldAct::List => {}
            HeldAct::Deliver(id) => self.queue.deliver(id),
            HeldAct::Reject(id, why) => {
                if self.queue.send_back(id, &owner) {
                    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
                    let why = format!("a person rejected it{why}");
                    // While it is known whose it was.
                    self.tell(Told::SentBack(id, why.clone()));
                    let fate = Fate::unseen(Outcome::Refused(why));
                    self.tell(Told::Settled(id, fate.clone()));
                    if let Some(done) = self.waiting.remove(&id) {
                        let _ = done.send(fate);
                    }
                }
            }
            HeldAct::Edit(id, text) => {
                if let Ok(clean) = typing::clean(&text, &self.typing)
                    && let Some(job) = self.queue.reword(id, &owner, &clean.text)
                {
                    self.tell(Told::Reworded(Box::new(job)));
                }
            }
        }
        let message = |(id, what): (DeliveryId, &What)| match what {
            What::Message(text) => HeldMessage { id, text: text.clone() },
            What::Keys(keys) => HeldMessage { id, text: keys.join(" ") },
        };
        self.queue.kept_out(&owner).map(message).collect()
    }
}
