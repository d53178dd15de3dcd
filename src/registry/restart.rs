//! Starting a child again that has exited by itself, as its preset wishes. What is to be done is decided here and
//! remembered with the child's end, so that it is done once, by whichever broker.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::runtime::Handle;

use super::{
    Registry, State,
    again::{Asked, Like, Restarted},
    birth::Birth,
    clock::Deadline,
    inbox::ReportStatus,
    mail::Letter,
    spawn::{Session, SpawnError, Wish},
};
use crate::{
    child::state::State as Doing,
    id::{Caller, ChildId, Exit},
    journal::Change,
    preset::{OnExit, Restart},
};

/// The time within which restarts are counted.
const WINDOW: Duration = Duration::from_secs(600);
/// No wait is longer.
const LONGEST: Duration = Duration::from_secs(60);

/// What follows an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Nothing,
    Again {
        after: Duration,
    },
    /// It was started again so often that it is not any more.
    Enough {
        times: usize,
    },
}

fn next(wish: &OnExit, exit: Exit, past: &[SystemTime], now: SystemTime) -> Next {
    let wanted = match wish.restart {
        Restart::Never => false,
        Restart::Failed => exit != Exit::Code(0),
        Restart::Always => true,
    };
    if !wanted {
        return Next::Nothing;
    }
    match recent(past, now).count() {
        times if times >= wish.most => Next::Enough { times },
        times => {
            let doubled = wish.after_ms.saturating_mul(1 << times.min(30));
            Next::Again { after: Duration::from_millis(doubled).min(LONGEST) }
        }
    }
}

/// A clock that was set back makes nothing recent.
fn recent(past: &[SystemTime], now: SystemTime) -> impl Iterator<Item = SystemTime> {
    past.iter().copied().filter(move |at| now.duration_since(*at).is_ok_and(|ago| ago < WINDOW))
}

/// The field of a child's end that says when it is due.
const DUE: &str = "restart";

impl State {
    /// What follows the end of a child that was not told to end. Notes in that end what is due.
    pub(super) fn follow(&mut self, id: ChildId, doing: &Doing) -> Next {
        let Doing::Exited(exit) = doing else { return Next::Nothing };
        let ours = |birth: Birth| {
            let past = birth.restarted.map(|restarted| restarted.at).unwrap_or_default();
            Some(next(&birth.on_exit?, *exit, &past, SystemTime::now()))
        };
        let next = self.birth(id).and_then(ours).unwrap_or(Next::Nothing);
        let Some(member) = self.members.get_mut(&id).filter(|member| member.armed && !member.stopping) else {
            return Next::Nothing;
        };
        if let (Next::Again { after }, Some(end)) = (next, &mut member.end) {
            end[DUE] = serde_json::to_value(Deadline::after(after)).unwrap_or_default();
        }
        next
    }

    fn due(&self, id: ChildId) -> Option<Deadline> {
        serde_json::from_value(self.members.get(&id)?.end.as_ref()?.get(DUE)?.clone()).ok()
    }

    /// How many are about to be started again.
    pub(super) fn awaited(&self) -> usize {
        self.members.values().filter(|member| member.awaited()).count()
    }

    /// Nothing is due any more; answers its end.
    pub(super) fn settled(&mut self, id: ChildId) -> Option<Change> {
        let end = self.members.get_mut(&id)?.end.as_mut()?;
        end.as_object_mut()?.remove(DUE)?;
        Some(Change::Ended { id, end: end.clone() })
    }
}

impl super::Member {
    /// It is about to be started again.
    pub(super) fn awaited(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.get(DUE).is_some())
    }
}

/// What is known of a child that shall be started again.
struct Plan {
    birth: Birth,
    parent: Caller,
    env: Arc<Vec<(String, String)>>,
    exit: String,
}

impl Registry {
    /// Its spawn has been answered, or it was taken up: from here on its exit is its own.
    pub(super) fn arm(&self, id: ChildId) {
        let (doing, next) = {
            let mut state = self.state();
            let Some(member) = state.members.get_mut(&id) else { return };
            member.armed = true;
            let ended = member.end.as_ref().and(member.child.as_ref()).map(|child| child.status().state);
            let Some(doing) = ended else { return };
            let next = state.follow(id, &doing);
            if let Some(end) = state.members.get(&id).and_then(|member| member.end.clone()) {
                self.0.journal.note(Change::Ended { id, end });
            }
            (doing, next)
        };
        if let Ok(runtime) = Handle::try_current() {
            self.follow_up(id, &doing, next, &runtime);
        }
    }

    /// A child has ended: does, in its time, what follows.
    pub(super) fn follow_up(&self, id: ChildId, doing: &Doing, next: Next, runtime: &Handle) {
        let registry = self.clone();
        match next {
            Next::Nothing => {}
            Next::Again { .. } => self.restart_in_time(id, runtime),
            Next::Enough { times } => {
                let exit = words(doing);
                runtime.spawn(async move {
                    let _turn = registry.0.restarts.lock().await;
                    let why = format!("it was restarted {times} times within ten minutes, and is not again");
                    registry.tell(id, ReportStatus::Failed, &exit, &why, None).await;
                });
            }
        }
    }

    /// Restarts that an earlier broker had decided on and not done.
    pub(super) fn resume_restarts(&self, runtime: &Handle) {
        let due: Vec<ChildId> = {
            let mut state = self.state();
            let done: Vec<ChildId> =
                state.members.keys().filter_map(|id| Some(state.birth(*id)?.restarted?.of)).collect();
            for change in done.into_iter().filter_map(|id| state.settled(id)).collect::<Vec<_>>() {
                self.0.journal.note(change);
            }
            state.members.iter().filter(|(_, member)| member.awaited()).map(|(id, _)| *id).collect()
        };
        for id in due {
            self.restart_in_time(id, runtime);
        }
    }

    fn restart_in_time(&self, id: ChildId, runtime: &Handle) {
        let Some(due) = self.state().due(id) else { return };
        // The company may end before: then the next one has it to do.
        let registry = Arc::downgrade(&self.0);
        runtime.spawn(async move {
            tokio::time::sleep(due.left()).await;
            let Some(registry) = registry.upgrade().map(Registry) else { return };
            registry.restart(id).await;
        });
    }

    async fn restart(&self, id: ChildId) {
        // The parent hears of it before it hears of what became of the new one, which may end at once.
        let _turn = self.0.restarts.lock().await;
        let plan = {
            let mut state = self.state();
            let plan = state.plan(id);
            if plan.is_none()
                && let Some(change) = state.settled(id)
            {
                self.0.journal.note(change);
            }
            plan
        };
        let Some(plan) = plan else { return };
        let (exit, parent) = (plan.exit.clone(), plan.parent);
        let done = match self.wish(plan) {
            Ok((session, wish, like)) => self.start(parent, &session, wish, like).await,
            Err(why) => {
                return self
                    .tell(id, ReportStatus::Failed, &exit, &format!("not restarted: {why}"), None)
                    .await;
            }
        };
        match done {
            Ok(spawned) => {
                let as_what = format!("restarted as {}", spawned.child.id());
                let event = Change::event(id, "restart", format!("as {}", spawned.child.id()));
                self.tell(id, ReportStatus::Progress, &exit, &as_what, Some(event)).await;
            }
            // Nobody is left to be told.
            Err(SpawnError::CallerEnded) => {
                if let Some(change) = self.state().settled(id) {
                    self.0.journal.note(change);
                }
            }
            Err(why) => {
                self.tell(id, ReportStatus::Failed, &exit, &format!("not restarted: {why}"), None).await;
            }
        }
    }

    /// What is asked for, and in whose name. The error is for its parent.
    fn wish(&self, plan: Plan) -> Result<(Session, Wish, Like), &'static str> {
        let Plan { birth, parent, env, .. } = plan;
        let Asked { preset, command, variables, workspace, user } =
            birth.asked.ok_or("its command is too long to be remembered")?;
        let known: BTreeMap<&str, &str> =
            env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let set = variables.iter().map(|name| Some((name.clone(), (*known.get(name.as_str())?).to_owned())));
        let set = set.collect::<Option<BTreeMap<_, _>>>();
        let set =
            set.ok_or("it ended while no broker ran, so the variables it was given are not known any more")?;
        let env = if env.is_empty() { self.environment_of(parent) } else { env };
        let mut at: Vec<SystemTime> = birth.restarted.map(|restarted| restarted.at).unwrap_or_default();
        let now = SystemTime::now();
        at = recent(&at, now).collect();
        at.push(now);
        let restarted = Some(Restarted { of: birth.id, at });
        let cwd = birth.facts.cwd;
        Ok((
            Session { cwd: cwd.clone(), workspace, env, user },
            Wish { preset, command, cwd: Some(cwd), env: set, size: Some(birth.size), ..Wish::default() },
            Like { name: Some(birth.name), resume: None, restarted },
        ))
    }

    /// What a child would inherit now, for one whose own environment nobody knows any more.
    fn environment_of(&self, parent: Caller) -> Arc<Vec<(String, String)>> {
        let host = {
            let state = self.state();
            if let Caller::Child(id) = parent
                && let Some(member) = state.members.get(&id)
            {
                return member.env.clone();
            }
            state.seat(parent).map(|seat| seat.host)
        };
        let own = || std::env::vars().collect();
        let host = host.filter(|host| host.alive()).map(|host| super::recover::environment(host.pid));
        Arc::new(host.filter(|env| !env.is_empty()).unwrap_or_else(own))
    }

    /// Tells the parent, in one step with remembering that nothing is due any more.
    async fn tell(&self, id: ChildId, status: ReportStatus, exit: &str, what: &str, also: Option<Change>) {
        let (name, settled) = {
            let mut state = self.state();
            let name = state.tree.get(id).map(|node| node.name.clone()).unwrap_or_default();
            (name, state.settled(id))
        };
        let message = format!("{id} ({name}) {exit}; {what}");
        let also: Vec<Change> = settled.into_iter().chain(also).collect();
        let letter = Letter { status, message: message.clone(), data: None, synthetic: true };
        match self.file(id, letter, also.clone()).await {
            Ok((_, to)) => self.reported_to(id, to, status, &message),
            Err(error) => {
                tracing::warn!(child = %id, %error, "its parent could not be told");
                also.into_iter().for_each(|change| self.0.journal.note(change));
            }
        }
    }
}

impl State {
    /// How a child is started again that is to be; nothing if it is not any more.
    fn plan(&self, id: ChildId) -> Option<Plan> {
        let member = self.members.get(&id).filter(|member| member.awaited() && !member.stopping)?;
        let (birth, parent) = (self.birth(id)?, self.tree.get(id)?.parent);
        // Another has its place in the tree: its own parent is gone, and wants nothing any more.
        if birth.above.first() != Some(&parent) || self.stopped(parent) {
            return None;
        }
        let exit = words(&member.child.as_ref()?.status().state);
        Some(Plan { birth, parent, env: member.env.clone(), exit })
    }
}

fn words(doing: &Doing) -> String {
    match doing {
        Doing::Exited(Exit::Code(code)) => format!("exited with code {code}"),
        Doing::Exited(Exit::Signal(signal)) => format!("was ended by signal {signal}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wish: OnExit, exit: Exit, ago: &[u64], is: Next) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let past: Vec<SystemTime> = ago.iter().map(|s| now - Duration::from_secs(*s)).collect();
        assert_eq!(next(&wish, exit, &past, now), is, "{wish:?} {exit:?} {ago:?}");
    }

    #[test]
    fn a_program_is_started_again_as_its_preset_wishes() {
        let wish = |restart| OnExit { restart, most: 3, after_ms: 500 };
        let again = |ms| Next::Again { after: Duration::from_millis(ms) };
        let (good, bad, killed) = (Exit::Code(0), Exit::Code(1), Exit::Signal(9));
        for (restart, exit, is) in [
            (Restart::Never, bad, Next::Nothing),
            (Restart::Failed, good, Next::Nothing),
            (Restart::Failed, bad, again(500)),
            (Restart::Failed, killed, again(500)),
            (Restart::Always, good, again(500)),
        ] {
            check(wish(restart), exit, &[], is);
        }
    }

    #[test]
    fn each_time_it_waits_twice_as_long_and_at_last_gives_up() {
        let wish = OnExit { restart: Restart::Failed, most: 3, after_ms: 500 };
        let again = |ms| Next::Again { after: Duration::from_millis(ms) };
        check(wish, Exit::Code(1), &[1], again(1_000));
        check(wish, Exit::Code(1), &[500, 1], again(2_000));
        check(wish, Exit::Code(1), &[500, 5, 1], Next::Enough { times: 3 });
        // What is longer ago than ten minutes does not count.
        check(wish, Exit::Code(1), &[700, 600, 599], again(1_000));
        let often = OnExit { most: 100, ..wish };
        check(often, Exit::Code(1), &[1; 7], again(60_000));
        check(often, Exit::Code(1), &[1; 99], again(60_000));
        check(OnExit { after_ms: 0, ..often }, Exit::Code(1), &[1; 50], again(0));
    }

    #[test]
    fn a_clock_that_was_set_back_counts_nothing() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(10);
        assert_eq!(recent(&[now + Duration::from_secs(1), now], now).count(), 1);
    }
}
