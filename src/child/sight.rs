//! What of a terminal the state is judged by, taken from a screen in one look.

use chrono::{DateTime, FixedOffset};

use super::{prompt::Shade, screen::Screen, state::Look};

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Sight {
    /// The visible screen, its lines joined.
    pub(super) text: String,
    shades: Vec<Shade>,
    title: Option<String>,
    status: Option<String>,
    msg: Option<String>,
    progress: Option<String>,
    clock: Option<DateTime<FixedOffset>>,
}

impl Sight {
    /// What is there, when the clock shows this.
    pub(super) fn of(screen: &Screen, clock: Option<DateTime<FixedOffset>>) -> Self {
        let (text, shades) = screen.shaded();
        Sight {
            text,
            shades,
            title: screen.title().map(str::to_owned),
            status: screen.status().map(ToString::to_string),
            msg: screen.status().and_then(|status| status.msg.clone()),
            progress: screen.progress().map(|progress| progress.to_string()),
            clock,
        }
    }

    /// The same when the clock shows this.
    pub(super) fn at(&self, clock: Option<DateTime<FixedOffset>>) -> Self {
        Sight { clock, ..self.clone() }
    }

    /// As the reducer takes it.
    pub(super) fn look(&self) -> Look<'_> {
        Look {
            screen: &self.text,
            shades: &self.shades,
            title: self.title.as_deref(),
            status: self.status.as_deref(),
            msg: self.msg.as_deref(),
            progress: self.progress.as_deref(),
            clock: self.clock,
        }
    }
}
