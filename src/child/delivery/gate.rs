//! Whether a job may begin now, in three answers: the program is ready or cannot be told to be anything else, it is
//! waited for, or it asks something that a message must not answer. Decides; does nothing.

use super::{Job, Now, Outcome, Scene, What, WhileBusy};
use crate::child::{
    composer::{Sight, excerpt, last_words},
    state::State,
};

/// See the module. Each with what says so.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// It may.
    Open(String),
    /// It may, once the program has been interrupted.
    Interrupt(String),
    /// Not yet.
    Wait(String),
    /// Never: that is what becomes of it.
    Closed(Outcome),
}

/// Whether this may begin, in a program with such manners.
pub(super) fn gate(
    (while_busy, now, interrupt): (WhileBusy, Now, &[String]),
    job: &Job,
    scene: Scene<'_>,
) -> Gate {
    // Keys are for questions, and for drafts, too.
    if matches!(job.what, What::Keys(_)) {
        return Gate::Open(String::new());
    }
    if !scene.settled {
        return Gate::Wait("its question was answered just now".into());
    }
    if let Some(asks) = asks(scene) {
        return Gate::Closed(match job.begun {
            0 => Outcome::Refused(format!("it {asks}; Enter would answer that")),
            1 => Outcome::Unknown(format!("its text was typed, and Enter was not: it {asks} now")),
            _ => Outcome::Unknown(format!("its text and Enter were typed, and it {asks} now")),
        });
    }
    let why = format!("{}: {}", scene.state, scene.why);
    if *scene.state == State::Starting {
        return Gate::Wait(why);
    }
    // What an earlier broker has begun is in the composer itself, or was.
    if job.begun > 0 {
        return Gate::Open(why);
    }
    match scene.composer.sight() {
        Sight::Holds(text) => return Gate::Wait(format!("a draft is in its composer: {}", excerpt(text))),
        Sight::Away => return Gate::Wait("its composer is not on the screen".into()),
        Sight::Unknown | Sight::Empty => {}
    }
    match scene.state {
        State::NeedsInput { .. } => Gate::Wait(why),
        State::Busy if job.now && now == Now::Interrupt && !interrupt.is_empty() => Gate::Interrupt(why),
        State::Busy if !job.now && while_busy == WhileBusy::Queue => Gate::Wait(why),
        State::Unknown => Gate::Open(format!("not recognised: {}", scene.why)),
        _ => Gate::Open(why),
    }
}

/// Why this must not be typed, if it answers a question that is not the one on the screen.
pub(super) fn contradicts(job: &Job, scene: Scene<'_>) -> Option<String> {
    let meant = job.prompt.as_deref()?;
    match scene.asks {
        Some(asked) if asked == meant => None,
        Some(asked) => Some(format!("it asks something else now: prompt {asked}, and not {meant}")),
        None => Some(format!("it asks nothing now, and not prompt {meant}")),
    }
}

/// What it asks, in words, if it asks something that is not somebody's draft in its own composer.
pub(super) fn asks(scene: Scene<'_>) -> Option<String> {
    let State::NeedsInput { what } = scene.state else { return None };
    if what == State::DRAFT {
        return None;
    }
    let screen = if scene.screen.is_empty() {
        String::new()
    } else {
        format!(" (“{}”)", last_words(scene.screen))
    };
    Some(format!("asks for {what}{screen}"))
}
