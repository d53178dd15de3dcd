//! What of a terminal the state is judged by, taken from a screen in one look.

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
}

impl Sight {
    /// What is there now.
    pub(super) fn of(screen: &Screen) -> Self {
        let (text, shades) = screen.shaded();
        Sight {
            text,
            shades,
            title: screen.title().map(str::to_owned),
            status: screen.status().map(ToString::to_string),
            msg: screen.status().and_then(|status| status.msg.clone()),
            progress: screen.progress().map(|progress| progress.to_string()),
        }
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
        }
    }
}
