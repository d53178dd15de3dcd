//! A person at a pane, served: what the child shows and what is known of it goes out when it has changed, as fast as
//! they take it and never faster; what they do goes to the child. Each has a task, so that none holds up another.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{
    io::BufReader,
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::{
    child::{
        Child, Doing, Gone, HeldAct, HeldMessage, Status,
        delivery::DeliveryId,
        owner::{Claim, Owner, ViewerId},
        picture::Sheet,
    },
    id::{Caller, Size},
    ipc::viewer::{self, FromViewer, Known, Look, Message, ToViewer},
    registry::{Found, Registry, board::ms, rights::Act},
};

/// Between two pictures. Faster than anybody reads; a program that draws all the time costs no more than this.
const FRAME: Duration = Duration::from_millis(20);
/// How long a child that is killed at the pane may take to end by itself.
const GRACE: Duration = Duration::from_secs(2);
/// What a person does while we do something else.
const AHEAD: usize = 64;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Until either end is gone.
pub(super) async fn serve(
    registry: &Registry,
    caller: Caller,
    (who, look): (String, Look),
    mut read: BufReader<OwnedReadHalf>,
    mut write: OwnedWriteHalf,
) -> Result<(), Error> {
    let act = if look.take { Act::Write } else { Act::Read };
    let found = match caller {
        Caller::Person => registry.find(caller, &look.child, act).map_err(|denied| denied.to_string()),
        _ => Err("a pane is for a person, outside of every child".into()),
    };
    let found = match found {
        Ok(found) => found,
        Err(why) => return Ok(viewer::write(&mut write, &ToViewer::Refused { why }).await?),
    };
    let (acts, done) = mpsc::channel(AHEAD);
    // A frame is read to its end whatever else happens. It ends with the connection, or with us.
    let reader = tokio::spawn(async move {
        while let Ok(Some(act)) = viewer::read::<FromViewer>(&mut read).await {
            if acts.send(act).await.is_err() {
                return;
            }
        }
    });
    let id = ViewerId(NEXT.fetch_add(1, Ordering::Relaxed));
    let pane = Pane {
        leaving: Leaving { child: found.child.clone(), id },
        registry: registry.clone(),
        size: look.size,
        found,
        who,
        write,
        up: 0,
        above: 0,
        shown: None,
        known: None,
    };
    let served = pane.serve(done, look.take).await;
    reader.abort();
    served
}

static NEXT: AtomicU64 = AtomicU64::new(1);

/// Gives back what was taken, however this ends.
struct Leaving {
    child: Child,
    id: ViewerId,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.child.left(self.id);
    }
}

struct Pane {
    leaving: Leaving,
    registry: Registry,
    found: Found,
    who: String,
    size: Size,
    write: OwnedWriteHalf,
    /// How far up they look,
    up: usize,
    /// and how many rows there were when they did.
    above: usize,
    /// What they have been sent.
    shown: Option<(Sheet, ToViewer)>,
    known: Option<Known>,
}

impl Pane {
    async fn serve(mut self, mut acts: mpsc::Receiver<FromViewer>, take: bool) -> Result<(), Error> {
        let child = self.found.child.clone();
        let (mut drawn, mut changes) = (child.drawn(), child.changes());
        if take {
            self.take().await?;
        }
        let status = changes.borrow_and_update().clone();
        self.tell_known(&status).await?;
        // When the next picture may go out, if there is something to be shown.
        let (mut due, mut last) = (Some(Instant::now()), Instant::now());
        loop {
            let soon = |last: Instant| Some((last + FRAME).max(Instant::now()));
            tokio::select! {
                act = acts.recv() => match act {
                    None => return Ok(()),
                    Some(act) => {
                        if self.act(act).await? {
                            due = due.or(soon(last));
                        }
                    }
                },
                changed = changes.changed() => {
                    changed?;
                    let status = changes.borrow_and_update().clone();
                    self.tell_known(&status).await?;
                }
                changed = drawn.changed(), if due.is_none() => {
                    changed?;
                    due = soon(last);
                }
                () = sleep_until(due.unwrap_or(last)), if due.is_some() => {
                    drawn.borrow_and_update();
                    // While it goes out, however slowly, whatever is drawn is in the next one.
                    self.show().await?;
                    (due, last) = (None, Instant::now());
                }
            }
        }
    }

    async fn take(&self) -> Result<(), Gone> {
        let claim = Claim::Take { viewer: self.leaving.id, who: self.who.clone() };
        self.found.child.person(Doing::Claim { claim, size: self.size }).await
    }

    /// Whether they are to be shown something else than before.
    async fn act(&mut self, act: FromViewer) -> Result<bool, Error> {
        let (child, viewer) = (&self.found.child, self.leaving.id);
        match act {
            FromViewer::Input { bytes } => child.person(Doing::Input { viewer, bytes }).await?,
            FromViewer::Paste { text } => child.person(Doing::Paste { viewer, text }).await?,
            FromViewer::Resize { size } => {
                self.size = size;
                child.person(Doing::Size { viewer, size }).await?;
            }
            FromViewer::Take => self.take().await?,
            FromViewer::GiveBack => {
                let claim = Claim::GiveBack { viewer };
                child.person(Doing::Claim { claim, size: self.size }).await?;
            }
            FromViewer::Scroll { up } => {
                self.up = up;
                return Ok(true);
            }
            FromViewer::Held => return self.held(HeldAct::List).await,
            FromViewer::Deliver { delivery: Some(id) } => {
                return self.held(HeldAct::Deliver(DeliveryId(id))).await;
            }
            FromViewer::Deliver { delivery: None } => {
                for message in child.held(HeldAct::List).await? {
                    child.held(HeldAct::Deliver(message.id)).await?;
                }
                return self.held(HeldAct::List).await;
            }
            FromViewer::Reject { delivery, why } => {
                return self.held(HeldAct::Reject(DeliveryId(delivery), why)).await;
            }
            FromViewer::Edit { delivery, text } => {
                return self.held(HeldAct::Edit(DeliveryId(delivery), text)).await;
            }
            FromViewer::Kill => {
                let (registry, id) = (self.registry.clone(), self.found.node.id);
                tokio::spawn(async move { registry.stop(id, GRACE).await });
            }
            FromViewer::Unknown => {
                let text =
                    "this broker does not know that yet; `compere upgrade` puts a newer one in its place";
                viewer::write(&mut self.write, &ToViewer::Word { text: text.into() }).await?;
            }
        }
        Ok(false)
    }

    async fn held(&mut self, act: HeldAct) -> Result<bool, Error> {
        let message = |HeldMessage { id: DeliveryId(delivery), text }| Message { delivery, text };
        let messages = self.found.child.held(act).await?.into_iter().map(message).collect();
        viewer::write(&mut self.write, &ToViewer::Held { messages }).await?;
        Ok(false)
    }

    async fn show(&mut self) -> Result<(), Error> {
        let mut view = self.found.child.view(self.up).await?;
        // Who looks at something keeps looking at it while more is written.
        if self.up > 0 && view.above > self.above {
            self.up += view.above - self.above;
            view = self.found.child.view(self.up).await?;
        }
        (self.up, self.above) = (view.up, view.above);
        let sheet = view.sheet;
        let before = self.shown.as_ref().map(|(sheet, _)| sheet);
        let frame = ToViewer::Screen {
            size: sheet.size(),
            rows: sheet.changed(before),
            pointer: sheet.pointer,
            up: view.up,
            above: view.above,
            wants: view.wants,
        };
        let same = |old: &ToViewer| match (old, &frame) {
            (
                ToViewer::Screen { size, pointer, up, above, wants, .. },
                ToViewer::Screen { size: s, rows, pointer: p, up: u, above: a, wants: w },
            ) => rows.is_empty() && (size, pointer, up, above, wants) == (s, p, u, a, w),
            _ => false,
        };
        if !self.shown.as_ref().is_some_and(|(_, old)| same(old)) {
            viewer::write(&mut self.write, &frame).await?;
            self.shown = Some((sheet, frame));
        }
        Ok(())
    }

    async fn tell_known(&mut self, status: &Status) -> Result<(), Error> {
        let person = match &status.owner {
            Owner::Person { who, .. } => Some(who.clone()),
            Owner::Orchestrator { .. } => None,
        };
        let known = Known {
            child: self.found.node.id.to_string(),
            name: self.found.node.name.clone(),
            state: status.state.to_string(),
            why: status.why.clone(),
            since_ms: ms(status.since),
            person,
            yours: status.viewer == Some(self.leaving.id),
            owner_since_ms: ms(status.owner.since()),
            held: status.held,
            queued: status.queued,
            title: status.title.clone(),
            ended: status.state.ended(),
        };
        if self.known.as_ref() != Some(&known) {
            viewer::write(&mut self.write, &ToViewer::Child(known.clone())).await?;
            self.known = Some(known);
        }
        Ok(())
    }
}
