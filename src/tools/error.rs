//! What went wrong, in words for a model: what happened, and what to do next.

use rmcp::model::{CallToolResult, ContentBlock, IntoContents};

use crate::{
    child::{Gone, NotTyped, typing::TypingError},
    journal::NotWritten,
    preset::PresetError,
    registry::{
        Denied, NotResumed, limits::OverLimit, mail::NotReported, messages::NotSent, spawn::SpawnError,
        timers::NotWaited, wake::NotWoken,
    },
};

/// An answer that says why there is none.
#[derive(Debug)]
pub(super) struct ToolError {
    what: String,
    next: String,
}

/// What a tool answers.
pub(super) type Answer = Result<CallToolResult, ToolError>;

impl ToolError {
    pub(super) fn new(what: impl Into<String>, next: impl Into<String>) -> Self {
        ToolError { what: what.into(), next: next.into() }
    }
}

impl std::fmt::Display for ToolError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}. {}", self.what, self.next)
    }
}

impl IntoContents for ToolError {
    fn into_contents(self) -> Vec<ContentBlock> {
        vec![ContentBlock::text(self.to_string())]
    }
}

impl From<Denied> for ToolError {
    fn from(denied: Denied) -> Self {
        let next = match &denied {
            Denied::Unknown { there_is, .. } if there_is.is_empty() => {
                "You have no children yet; spawn starts one.".into()
            }
            Denied::Unknown { there_is, .. } => {
                const MOST: usize = 20;
                let more = if there_is.len() > MOST { ", …; list_children has all" } else { "" };
                format!("There is {}{more}.", there_is[..there_is.len().min(MOST)].join(", "))
            }
            Denied::Forbidden { .. } => "Report to your parent what you need of it.".into(),
            Denied::Ambiguous { ids, .. } => {
                let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                format!("Say which by its id: {}.", ids.join(", "))
            }
        };
        ToolError::new(denied.to_string(), next)
    }
}

impl From<Gone> for ToolError {
    fn from(gone: Gone) -> Self {
        ToolError::new(gone.to_string(), "This is a defect of compere. Stop this child and spawn another.")
    }
}

impl From<NotTyped> for ToolError {
    fn from(not: NotTyped) -> Self {
        match not {
            NotTyped::Gone(gone) => gone.into(),
            NotTyped::Full(_) => ToolError::new(
                not.to_string(),
                "Wait until it is idle (timer_wait), or see with read_output why it does not read.",
            ),
            NotTyped::Typing(TypingError::Empty) => {
                ToolError::new(not.to_string(), "Say something; send_keys presses Enter alone.")
            }
            NotTyped::Typing(_) => {
                ToolError::new(not.to_string(), "Put what is long into a file, and send the file's path.")
            }
            NotTyped::Keys(_) => ToolError::new(not.to_string(), "Nothing was typed."),
        }
    }
}

impl From<NotWritten> for ToolError {
    fn from(not: NotWritten) -> Self {
        let next = match not {
            NotWritten::Full { .. } => "Nothing was done. Free some space there, and call again.",
            NotWritten::ReadOnly { .. } => "Nothing was done. Make it writable, and call again.",
            NotWritten::Corrupt { .. } | NotWritten::Io { .. } => {
                "Nothing was done. Call again; if it stays so, `compere doctor` on the command line tells more."
            }
        };
        ToolError::new(not.to_string(), next)
    }
}

impl From<NotSent> for ToolError {
    fn from(not: NotSent) -> Self {
        match not {
            NotSent::NotTyped(not) => not.into(),
            NotSent::NotWritten(not) => not.into(),
        }
    }
}

impl From<NotWaited> for ToolError {
    fn from(not: NotWaited) -> Self {
        match not {
            NotWaited::Gone(gone) => gone.into(),
            NotWaited::NotWritten(not) => not.into(),
        }
    }
}

impl From<NotWoken> for ToolError {
    fn from(not: NotWoken) -> Self {
        let next = match not {
            NotWoken::NotWaited(not) => return not.into(),
            NotWoken::NoPane | NotWoken::NeverIdle => {
                "Wait without `wake`; wait_id goes on as often as need be."
            }
        };
        ToolError::new(not.to_string(), next)
    }
}

impl From<NotReported> for ToolError {
    fn from(not: NotReported) -> Self {
        let next = match not {
            NotReported::NotWritten(not) => return not.into(),
            NotReported::NoParent => "Only a child that compere spawned can report; tell your user instead.",
            NotReported::Full(_) => "Nothing was stored. Try again in a while, or write to a file.",
        };
        ToolError::new(not.to_string(), next)
    }
}

impl From<OverLimit> for ToolError {
    fn from(over: OverLimit) -> Self {
        let next = match over {
            OverLimit::Depth { .. } => "Do this yourself, or ask your parent to spawn it.",
            OverLimit::Children { .. } | OverLimit::Tree { .. } => {
                "Stop children you no longer need (list_children, stop), or let one do several tasks."
            }
            OverLimit::Total { .. } => "Stop children you no longer need, yours or the user's other ones.",
            OverLimit::Rate { .. } => "Wait (timer_wait), or let a child you have do several tasks.",
        };
        ToolError::new(
            over.to_string(),
            format!("{next} The user can raise {} in compere's config.json.", over.setting()),
        )
    }
}

impl From<SpawnError> for ToolError {
    fn from(error: SpawnError) -> Self {
        let next = match &error {
            SpawnError::OverLimit(over) => return (*over).into(),
            SpawnError::NotWritten(not) => return not.clone().into(),
            SpawnError::Orphaned { .. } => {
                "Finish what you have and report it; an MCP host in that workspace takes the tree over again."
                    .into()
            }
            SpawnError::Preset(preset) => return preset_error(preset),
            SpawnError::NotResumed(not) => return resume_error(not),
            SpawnError::Nothing { presets } => {
                format!("Give preset (one of {}) or command ([program, arguments…]).", presets.join(", "))
            }
            SpawnError::Name(_) => {
                "Use 1 to 40 letters, digits, '-', '_' or '.', with a letter, and not like an id (c3).".into()
            }
            SpawnError::NameTaken(..) => "Give another name, or none, or use that child.".into(),
            SpawnError::CallerEnded => "Your parent has stopped you; spawn nothing more.".into(),
            SpawnError::Message(_) => {
                "Nothing was spawned. Put what is long into a file, and send the file's path.".into()
            }
            SpawnError::Launch(launch) => {
                let what = format!("failed to {launch}");
                return ToolError::new(what, "Nothing was spawned. Correct that and call again.");
            }
            SpawnError::Io { .. } => {
                "Nothing was spawned. `compere doctor` on the command line tells more.".into()
            }
        };
        ToolError::new(error.to_string(), next)
    }
}

fn resume_error(error: &NotResumed) -> ToolError {
    let next = match error {
        NotResumed::Denied(denied) => return denied.clone().into(),
        NotResumed::With(_) => "Give it alone, or with name, env, rows, cols or message.",
        NotResumed::Alive(_) => "Use it, or stop it first.",
        NotResumed::Taken { .. } => "Use that child, or stop it first.",
        NotResumed::NoSession(_) => {
            "Only a child whose row in list_children has a `session` can be resumed; spawn a new one."
        }
        NotResumed::NoWay(_) => "Spawn a new one, or correct the preset's `session`.",
    };
    ToolError::new(error.to_string(), next)
}

fn preset_error(error: &PresetError) -> ToolError {
    ToolError::new(error.to_string(), "Nothing was spawned. `compere presets` on the command line lists all.")
}
