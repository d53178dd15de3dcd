//! A child that was given something, is idle for long and has not reported is reminded once, and its parent is told. When
//! that is due is a plain value.

use std::{
    sync::{Arc, Weak},
    time::{Duration, SystemTime},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{runtime::Handle, time::Instant};

use super::{Registry, Shared, State, birth::Birth, inbox::ReportStatus, mail::Letter, turn::Verdict};
use crate::{
    child::{
        Child, Status,
        delivery::{DeliveryId, Job, Outcome},
        owner::Writer,
        plain::readable,
        state::State as Doing,
    },
    id::{Caller, ChildId},
    journal::Change,
};

/// When a child is reminded to report. Whoever runs compere sets it in `config.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Nudges {
    /// After so many seconds at its prompt; 0: never.
    pub after_s: u64,
}

impl Default for Nudges {
    fn default() -> Self {
        Nudges { after_s: 600 }
    }
}

/// What a child was given and has not reported on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Duty {
    /// The message that gave it; 0 for one on the command line.
    pub(super) message: u64,
    /// It was reminded.
    pub(super) reminded: bool,
}

/// What of a child decides whether it is reminded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scene {
    duty: Option<Duty>,
    /// For how long it has been at its prompt, with nothing left to type and its input free.
    idle: Option<Duration>,
    /// How long ago it reported progress.
    reported: Option<Duration>,
    /// It waits itself: in a call, for a turn, or for children of its own.
    waits: bool,
}

/// Whether a child is reminded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// There is nothing to be reminded of.
    Never,
    /// Once something changes.
    Later,
    /// To be looked at again after this.
    In(Duration),
    Now,
}

fn due(scene: Scene, after: Duration) -> Due {
    if after.is_zero() || scene.duty.is_none_or(|duty| duty.reminded) {
        return Due::Never;
    }
    let Some(idle) = scene.idle else { return Due::Later };
    if scene.waits {
        return Due::In(after);
    }
    let quiet = scene.reported.map_or(idle, |reported| reported.min(idle));
    match after.checked_sub(quiet) {
        None | Some(Duration::ZERO) => Due::Now,
        Some(left) => Due::In(left),
    }
}

impl Registry {
    /// With other nudges than the usual ones. Only before the registry is shared.
    pub fn nudging(mut self, nudges: Nudges) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.0) {
            shared.nudges = nudges;
        }
        self
    }

    /// Looks after a child that was given something, until it has reported or was reminded.
    pub(super) fn watch_duty(&self, id: ChildId) {
        let Ok(runtime) = Handle::try_current() else { return };
        let child = {
            let mut state = self.state();
            let Some(member) = state.members.get_mut(&id).filter(|member| member.duty.is_some()) else {
                return;
            };
            let Some(child) = member.child.clone() else { return };
            if std::mem::replace(&mut member.watched, true) {
                return;
            }
            child
        };
        runtime.spawn(watch(Arc::downgrade(&self.0), child));
    }

    fn due(&self, id: ChildId, idle: Option<Duration>) -> Due {
        let mut state = self.state();
        let after = Duration::from_secs(self.0.nudges.after_s);
        let due = state.duty_scene(id, idle).map_or(Due::Never, |scene| due(scene, after));
        if due == Due::Never
            && let Some(member) = state.members.get_mut(&id)
        {
            member.watched = false;
        }
        due
    }

    /// Reminds a child and tells its parent, in one step. Answers whether that came about.
    async fn nudge(&self, child: &Child) -> bool {
        let (id, after) = (child.id(), Duration::from_secs(self.0.nudges.after_s));
        let screen = child.screen(0, None).await.map(|shown| shown.lines).unwrap_or_default();
        let text = format!(
            "[compere] You have been idle for {} without a report to your parent. If you are done, call \
             report_to_parent with status done; if you cannot go on, with blocked or failed.",
            span(after)
        );
        let Ok(what) = child.text(&text) else { return false };
        let (job, body, row, name) = {
            let mut state = self.state();
            let Some(member) = state.members.get_mut(&id) else { return false };
            match &mut member.duty {
                Some(duty) if !duty.reminded => duty.reminded = true,
                _ => return true,
            }
            state.last.message += 1;
            let job = Job {
                id: DeliveryId(state.last.message),
                writer: Writer::Agent,
                what,
                begun: 0,
                prompt: None,
            };
            let body = serde_json::to_value(&job).unwrap_or_default();
            state.open.insert(job.id.0, (id, body.clone()));
            let name = state.tree.get(id).map(|node| node.name.clone()).unwrap_or_default();
            (job, body, state.duty_row(id), name)
        };
        let delivery = job.id;
        let message = format!(
            "{id} ({name}) has been idle for {} and has not reported on what it was given. It was reminded once. This is \
             compere's word, not the child's, and does not mean that it is done. Its screen ends with:\n{}",
            span(after),
            ending(&screen)
        );
        let letter = Letter { status: ReportStatus::Progress, message, data: None, synthetic: true };
        let mut also = vec![
            Change::Message { id: delivery.0, child: id, body },
            Change::event(id, "nudge", format!("{delivery}: idle for {} without a report", span(after))),
        ];
        also.extend(row);
        if let Err(error) = self.file(id, letter, also).await {
            tracing::warn!(child = %id, %error, "it is not reminded now");
            let mut state = self.state();
            state.open.remove(&delivery.0);
            if let Some(duty) = state.members.get_mut(&id).and_then(|member| member.duty.as_mut()) {
                duty.reminded = false;
            }
            return false;
        }
        if let Err(error) = child.queue(job).await {
            self.settled(id, delivery, &Outcome::Refused(error.to_string()));
        }
        true
    }
}

/// Until it has reported, was reminded, or has ended.
async fn watch(company: Weak<Shared>, child: Child) {
    let mut changes = child.changes();
    let mut idle: Option<(SystemTime, Instant)> = None;
    loop {
        {
            let status = changes.borrow_and_update();
            // It may have been busy between two looks.
            let known = idle.filter(|(since, _)| *since == status.since);
            idle = at_rest(&status).then(|| known.unwrap_or((status.since, Instant::now())));
        }
        let left = {
            let Some(registry) = company.upgrade().map(Registry) else { return };
            match registry.due(child.id(), idle.map(|(_, at)| at.elapsed())) {
                Due::Never => return,
                Due::Later => None,
                Due::In(left) => Some(left),
                Due::Now if registry.nudge(&child).await => continue,
                Due::Now => Some(Duration::from_secs(registry.0.nudges.after_s)),
            }
        };
        let again = async {
            match left {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = again => {}
        }
    }
}

fn at_rest(status: &Status) -> bool {
    let free = status.owner.admits(Writer::Agent) && status.held == 0;
    status.state == Doing::Idle && status.queued == 0 && free
}

impl State {
    /// A child is given something by a message of whoever is above it. Answers its row.
    pub(super) fn charge(&mut self, id: ChildId, message: DeliveryId) -> Option<Change> {
        let member = self.members.get_mut(&id).filter(|member| member.tools)?;
        member.duty = Some(Duty { message: message.0, reminded: false });
        member.reported = None;
        self.duty_row(id)
    }

    /// A message was not typed: nothing was given by it.
    pub(super) fn not_charged(&mut self, id: ChildId, message: DeliveryId) -> Option<Change> {
        let member = self.members.get_mut(&id)?;
        member.duty.take_if(|duty| duty.message == message.0)?;
        self.duty_row(id)
    }

    /// A child has reported. Answers its row, if it owes nothing any more.
    pub(super) fn has_reported(&mut self, id: ChildId, status: ReportStatus) -> Option<Change> {
        let member = self.members.get_mut(&id)?;
        if status == ReportStatus::Progress {
            member.reported = Some(Instant::now());
            return None;
        }
        member.duty.take()?;
        self.duty_row(id)
    }

    fn duty_row(&mut self, id: ChildId) -> Option<Change> {
        let birth = self.birth(id)?;
        let member = self.members.get_mut(&id)?;
        let row = serde_json::to_value(Birth { duty: member.duty, ..birth }).ok()?;
        member.birth = Some(row.clone());
        Some(Change::Child { id, body: row })
    }

    fn duty_scene(&self, id: ChildId, idle: Option<Duration>) -> Option<Scene> {
        let (whom, member) = (Caller::Child(id), self.members.get(&id)?);
        if !self.live(id) || member.stopping {
            return None;
        }
        let listens = self.mail.get(&whom).is_some_and(|mail| mail.turns.listening > 0);
        let children = self.tree.all().any(|node| node.parent == whom && self.live(node.id));
        let told = self.verdict(id) != Verdict::Nothing || self.waits.typed_of(whom).next().is_some();
        let reported = member.reported.map(|at| at.elapsed());
        Some(Scene { duty: member.duty, idle, reported, waits: listens || children || told })
    }
}

/// The last lines of a screen that are not blank.
fn ending(screen: &[String]) -> String {
    const LINES: usize = 10;
    const BYTES: usize = 200;
    let lines: Vec<&String> = screen.iter().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    let indented = |line: &&String| {
        let line = readable(line.trim_end());
        format!("  {}", &line[..line.floor_char_boundary(BYTES)])
    };
    last.iter().map(indented).collect::<Vec<_>>().join("\n")
}

fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds < 120 || seconds % 60 != 0 => format!("{seconds} s"),
        seconds => format!("{} minutes", seconds / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(600);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn who_owes_a_report_is_reminded_once_after_a_long_rest() {
        let owes = Some(Duty { message: 1, reminded: false });
        let resting = Scene { duty: owes, idle: Some(s(600)), reported: None, waits: false };
        for (scene, is) in [
            (resting, Due::Now),
            (Scene { idle: Some(s(10_000)), ..resting }, Due::Now),
            (Scene { idle: Some(s(599)), ..resting }, Due::In(s(1))),
            (Scene { idle: None, ..resting }, Due::Later),
            (Scene { duty: None, ..resting }, Due::Never),
            (Scene { duty: Some(Duty { message: 1, reminded: true }), ..resting }, Due::Never),
            (Scene { waits: true, ..resting }, Due::In(AFTER)),
            (Scene { reported: Some(s(200)), ..resting }, Due::In(s(400))),
            (Scene { reported: Some(s(9_000)), ..resting }, Due::Now),
        ] {
            assert_eq!(due(scene, AFTER), is, "{scene:?}");
        }
        assert_eq!(due(resting, Duration::ZERO), Due::Never);
    }

    #[test]
    fn a_screens_end_is_its_last_lines_and_never_looks_like_ours() {
        let screen: Vec<String> =
            (0..20).map(|n| if n % 2 == 0 { format!("line {n}\u{1b}") } else { " ".into() }).collect();
        let end = ending(&screen);
        assert!(end.starts_with("  line 0") && end.lines().count() == 10, "{end}");
        assert!(!end.contains('\u{1b}'));
        assert_eq!(ending(&["x".repeat(500)]).len(), 202);
    }

    #[test]
    fn a_span_is_in_words() {
        assert_eq!([span(s(1)), span(s(600)), span(s(90))], ["1 s", "10 minutes", "90 s"]);
    }
}
