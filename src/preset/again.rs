//! What a preset says of starting its program again: after its end, and with the session it had. Fields only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shape::Place;
use crate::child::session::SessionSigns;

/// How the program's own session is named, and gone on with later.
///
/// Some programs let whoever starts them choose the id, a UUID: claude, gemini, qwen. Others choose it themselves and
/// show it: codex, opencode. Arguments are used when the caller gives none of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// The arguments that begin it: `["--session-id", "${session}"]`. Empty: the program chooses the id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Where the program shows its session's id, also when it begins another one. Needed without `args`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<SessionSigns>,
    /// The arguments that go on with it: `["--resume", "${session}"]`.
    #[schemars(length(min = 1))]
    pub resume: Vec<String>,
    /// Where either go. `first` for a subcommand.
    #[serde(default)]
    pub place: Place,
}

/// When a child is started again after its program has exited by itself: as a new child with another id, the same name,
/// parent, command, directory and environment.
///
/// Never after `stop`, nor when its parent has ended, nor beyond the limits; nor when it was lost, since then nobody
/// knows whether it still runs. A first message is not given again, and a session is a new one. The parent is told each
/// time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OnExit {
    /// After which end.
    pub restart: Restart,
    /// So many times within ten minutes, and then not again.
    #[schemars(range(min = 1, max = 100))]
    pub most: usize,
    /// The wait before the first one, in milliseconds; each further one within ten minutes doubles it, up to a minute.
    #[schemars(range(max = 60_000))]
    pub after_ms: u64,
}

/// After which end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// None.
    #[default]
    Never,
    /// An exit code other than 0, or a signal.
    Failed,
    /// Any.
    Always,
}

impl Default for OnExit {
    fn default() -> Self {
        OnExit { restart: Restart::Never, most: 5, after_ms: 500 }
    }
}
