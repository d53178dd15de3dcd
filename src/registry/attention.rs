//! When a child begins to need a person: it asks something, reports to a root or a person that it is blocked or has
//! failed, or is lost. Each occasion is told once, whatever broker saw it first. Knows nobody who hears of it.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use tokio::{sync::mpsc, time::Instant};

use super::{Registry, birth::Birth, inbox::ReportStatus};
use crate::{
    child::{Child, Status, prompt::Prompt, state::State as Doing},
    id::{Caller, ChildId},
    journal::Change,
};

/// Why a child needs a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It asks something.
    NeedsInput,
    /// It reported that it cannot go on without an answer.
    Blocked,
    /// It reported that it gave up.
    Failed,
    /// Its keeper is gone.
    Lost,
}

impl Need {
    /// As listings write it.
    pub fn word(self) -> &'static str {
        match self {
            Need::NeedsInput => "needs_input",
            Need::Blocked => "blocked",
            Need::Failed => "failed",
            Need::Lost => "lost",
        }
    }

    fn of(status: ReportStatus) -> Option<Need> {
        match status {
            ReportStatus::Blocked => Some(Need::Blocked),
            ReportStatus::Failed => Some(Need::Failed),
            ReportStatus::Progress | ReportStatus::Done => None,
        }
    }
}

/// A child begins to need a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occasion {
    /// Which.
    pub child: ChildId,
    /// Its name.
    pub name: String,
    /// Why.
    pub need: Need,
    /// What it asks or reports, or how it was lost.
    pub text: String,
    /// Whose child it is.
    pub parent: Caller,
    /// Its program.
    pub program: String,
    /// Where it was started.
    pub cwd: PathBuf,
}

/// Who hears of occasions, if anybody does.
#[derive(Debug, Default)]
pub(super) struct Told(std::sync::OnceLock<mpsc::Sender<Occasion>>);

/// Occasions that nobody has taken yet; further ones are told to the log alone.
const WAITING: usize = 256;

/// Whether a child asks, and whether that was told. A plain value; it is told the time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Asking {
    told: Option<Question>,
    /// It asks this since then; if it still does at that time, it is told.
    seen: Option<(String, SystemTime, Instant)>,
}

/// A question that was told.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Question {
    asked: String,
    /// Since when the child asks, and when that was told; of what an earlier broker told, neither is known.
    since: Option<(SystemTime, Instant)>,
}

/// What follows from a look at a child.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Next {
    Nothing,
    /// Look again then.
    At(Instant),
    /// It begins to ask.
    Begins(String),
    /// It asks no more.
    Over,
}

impl Asking {
    /// A screen that is being drawn may look like a question, and what an orchestrator answers at once needs nobody.
    const SETTLED: Duration = Duration::from_secs(1);

    /// One question after the other without a pause may as well be one whose text moves.
    const ANOTHER: Duration = Duration::from_secs(10);

    fn look(&mut self, doing: &Doing, question: &str, since: SystemTime, now: Instant) -> Next {
        let asked = match doing {
            Doing::NeedsInput { what } => format!("{what}\n{question}"),
            // Taken up, and not looked at yet.
            Doing::Starting | Doing::Unknown
                if self.told.as_ref().is_some_and(|told| told.since.is_none()) =>
            {
                return Next::Nothing;
            }
            _ => {
                self.seen = None;
                return self.told.take().map_or(Next::Nothing, |_| Next::Over);
            }
        };
        let known = self.told.as_mut().filter(|told| told.asked == asked);
        if let Some(told) = known
            && told.since.is_none_or(|(known, _)| known == since)
        {
            told.since.get_or_insert((since, now));
            self.seen = None;
            return Next::Nothing;
        }
        match &self.seen {
            Some((seen, then, at)) if *seen == asked && *then == since => {
                if now < *at {
                    return Next::At(*at);
                }
                self.seen = None;
                self.told = Some(Question { asked: asked.clone(), since: Some((since, now)) });
                Next::Begins(asked)
            }
            _ => {
                let last = self.told.as_ref().and_then(|told| told.since).filter(|(then, _)| *then == since);
                let settled = now + Self::SETTLED;
                let at = last.map_or(settled, |(_, told)| settled.max(told + Self::ANOTHER));
                self.seen = Some((asked, since, at));
                Next::At(at)
            }
        }
    }
}

impl Registry {
    /// From here on, every occasion comes out here. Call it once, and before [`Registry::recover`].
    pub fn occasions(&self) -> mpsc::Receiver<Occasion> {
        let (sender, occasions) = mpsc::channel(WAITING);
        // The first who asked has them.
        let _ = self.0.told.0.set(sender);
        occasions
    }

    /// From here on, each change of this child is felt in the pulse, and it is told when it begins to ask. `asks` is
    /// what an earlier broker has told.
    pub(super) fn attend(&self, child: &Child, asks: Option<String>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (company, id, mut changes) = (std::sync::Arc::downgrade(&self.0), child.id(), child.changes());
        let told = asks.map(|asked| Question { asked, since: None });
        let mut asking = Asking { told, seen: None };
        self.stir();
        runtime.spawn(async move {
            loop {
                let status = changes.borrow_and_update().clone();
                let Some(registry) = company.upgrade().map(Registry) else { return };
                registry.stir();
                let question = status.prompt.as_ref().map(Prompt::question).unwrap_or_default();
                let next = asking.look(&status.state, &question, status.since, Instant::now());
                let again = match next {
                    Next::At(at) => Some(at),
                    Next::Nothing => None,
                    Next::Begins(asked) => {
                        registry.asks(id, Some(asked)).await;
                        registry.needs_a_person(id, Need::NeedsInput, words(&status));
                        None
                    }
                    Next::Over => {
                        registry.asks(id, None).await;
                        None
                    }
                };
                drop(registry);
                if status.state.ended() {
                    return;
                }
                tokio::select! {
                    changed = changes.changed() => if changed.is_err() { return },
                    () = tokio::time::sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => {}
                }
            }
        });
    }

    /// A child has reported to somebody.
    pub(super) fn reported_to(&self, child: ChildId, to: Caller, status: ReportStatus, message: &str) {
        if let Some(need) = Need::of(status).filter(|_| !matches!(to, Caller::Child(_))) {
            self.needs_a_person(child, need, message.to_owned());
        }
    }

    /// A child begins to need a person.
    pub(super) fn needs_a_person(&self, child: ChildId, need: Need, text: String) {
        let Some(told) = self.0.told.0.get() else { return };
        let occasion = {
            let state = self.state();
            let (Some(node), Some(member)) = (state.tree.get(child), state.members.get(&child)) else {
                return;
            };
            Occasion {
                child,
                name: node.name.clone(),
                need,
                text,
                parent: node.parent,
                program: member.facts.program.clone(),
                cwd: member.facts.cwd.clone(),
            }
        };
        if told.try_send(occasion).is_err() {
            tracing::warn!(%child, need = need.word(), "too many need a person at once: this one is not told of");
        }
    }

    /// What a child asks, remembered for the next broker before it is told; nothing where nobody is told.
    async fn asks(&self, id: ChildId, asked: Option<String>) {
        if self.0.told.0.get().is_none() {
            return;
        }
        let body = {
            let mut state = self.state();
            let birth = state.birth(id);
            let Some((birth, member)) = birth.zip(state.members.get_mut(&id)) else { return };
            let row = serde_json::to_value(Birth { asks: asked, ..birth }).unwrap_or_default();
            member.birth.insert(row).clone()
        };
        if let Err(error) = self.write(vec![Change::Child { id, body }]).await {
            tracing::warn!(child = %id, %error, "the next broker may tell of its question again");
        }
    }
}

/// What it asks, as its screen has it.
fn words(status: &Status) -> String {
    match (&status.prompt, &status.state) {
        (Some(prompt), _) if !prompt.text.trim().is_empty() => prompt.text.clone(),
        (_, Doing::NeedsInput { what }) => what.clone(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A look: at which second, at what state (`what/question`), which that is since, and what follows.
    type Look = (u64, &'static str, u64, &'static str);

    #[track_caller]
    fn check(earlier: Option<&str>, looks: &[Look]) {
        let begin = Instant::now();
        let told = earlier.map(|asked| Question { asked: asked.replace('/', "\n"), since: None });
        let mut asking = Asking { told, seen: None };
        for (second, doing, since, follows) in looks {
            let (doing, question) = match *doing {
                "idle" => (Doing::Idle, ""),
                "starting" => (Doing::Starting, ""),
                "lost" => (Doing::Lost, ""),
                asks => {
                    let (what, question) = asks.split_once('/').unwrap();
                    (Doing::NeedsInput { what: what.into() }, question)
                }
            };
            let since = SystemTime::UNIX_EPOCH + Duration::from_secs(*since);
            let next = asking.look(&doing, question, since, begin + Duration::from_secs(*second));
            let words = match next {
                Next::Nothing => "".into(),
                Next::At(at) => format!("at {}", (at - begin).as_secs()),
                Next::Begins(asked) => format!("begins {}", asked.replace('\n', "/")),
                Next::Over => "over".into(),
            };
            assert_eq!(words, *follows, "{second} {doing:?} of {looks:?}");
        }
    }

    #[test]
    fn a_question_that_stays_is_told_once() {
        check(
            None,
            &[
                (0, "starting", 0, ""),
                (5, "trust/a", 5, "at 6"),
                (6, "trust/a", 5, "begins trust/a"),
                (7, "trust/a", 5, ""),
                (8, "idle", 8, "over"),
                (9, "idle", 8, ""),
                (10, "trust/a", 10, "at 11"),
                (12, "trust/a", 10, "begins trust/a"),
                (13, "login/", 13, "at 14"),
                (14, "login/", 13, "begins login/"),
                (15, "lost", 15, "over"),
            ],
        );
    }

    #[test]
    fn one_that_goes_at_once_is_not_told() {
        check(
            None,
            &[
                (0, "trust/a", 0, "at 1"),
                (0, "idle", 0, ""),
                (2, "trust/a", 2, "at 3"),
                (2, "login/a", 2, "at 3"),
                (2, "login/a", 3, "at 3"),
                (2, "idle", 4, ""),
            ],
        );
    }

    #[test]
    fn another_question_at_once_is_told_and_a_text_that_moves_not_each_time() {
        check(
            None,
            &[
                (0, "permission/a", 0, "at 1"),
                (1, "permission/a", 0, "begins permission/a"),
                (2, "permission/b", 0, "at 11"),
                (3, "permission/c", 0, "at 11"),
                (11, "permission/c", 0, "begins permission/c"),
                (12, "permission/d", 0, "at 21"),
                (13, "permission/c", 0, ""),
                (30, "permission/d", 0, "at 31"),
            ],
        );
    }

    #[test]
    fn what_an_earlier_broker_told_is_not_told_again() {
        let told = Some("trust/a");
        check(
            told,
            &[(0, "starting", 0, ""), (1, "trust/a", 1, ""), (9, "trust/a", 1, ""), (10, "idle", 10, "over")],
        );
        check(told, &[(0, "starting", 0, ""), (1, "idle", 1, "over"), (2, "trust/a", 2, "at 3")]);
        check(told, &[(0, "trust/b", 0, "at 1"), (1, "trust/b", 0, "begins trust/b"), (2, "trust/b", 0, "")]);
    }
}
