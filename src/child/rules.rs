//! What a preset says about a program's terminal: when it is ready, idle, busy or asking, and how it wants its
//! text. Data only; [`super::state`] and [`super::delivery`] act on it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a program shows what it is doing. Rules are tried in order, and the first that holds decides: put the most telling
/// sign first. Without one that holds, the terminal and the time since the last output tell; silence alone is `unknown`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// What the program's own words mean, most telling first.
    pub rules: Vec<Rule>,
    /// The program is at its prompt when the terminal's foreground process group is its own: true of shells.
    pub foreground_is_idle: bool,
    /// Without a rule that holds: is a program that has been silent for `quiet_ms` idle? Else it is `unknown`.
    pub silence_is_idle: bool,
    /// How long without output counts as silence, in milliseconds (10 to 60,000).
    #[schemars(range(min = 10, max = 60000))]
    pub quiet_ms: Option<u32>,
}

impl Rules {
    /// Silence, when a preset names none: the longest gap seen in a busy program that redraws (opencode, 1.1 s), and some.
    pub const QUIET_MS: u32 = 1500;

    /// Whether anything could ever show that the program is idle.
    pub fn can_show_idle(&self) -> bool {
        self.foreground_is_idle
            || self.silence_is_idle
            || self.rules.iter().any(|rule| rule.state == Meaning::Idle)
    }
}

/// One sign of one state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Where to look.
    pub on: Sign,
    /// A regular expression (Rust's `regex` syntax) that must match there. What people and models write is on the screen
    /// too, so tie it to where only the program writes: to the end (`\\z`), to what frames its prompt, to several of its
    /// lines at once.
    ///
    /// Named groups say more. In a rule for `needs_input`, `(?<prompt>…)` is the question with its choices (else, on
    /// `screen`, the lines that match, and else the bottom), and `(?<choices>…)` is a row of choices side by side. Where
    /// the rule that decides looks at none of the screen, the first `needs_input` rule with a `prompt` that holds says
    /// where the question is, and what is asked. In a rule for `limited`, `(?<until>…)` is when that ends: `3pm`, `20 seconds`, an epoch.
    pub matches: String,
    /// What it means.
    pub state: Meaning,
    /// For `needs_input`: what is asked, in a word or two ("permission", "trust", "login").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// It decides once it has been the first that holds for so long, in milliseconds (at most 10,000): for what a program
    /// shows in passing, too. Until then the program counts as busy.
    #[schemars(range(max = 10000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u32>,
}

/// Where a rule looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// The visible screen, soft wraps joined.
    Screen,
    /// The last twelve lines of the screen that are not blank.
    Bottom,
    /// The window title the program set.
    Title,
    /// The program's own word for its root record, by OSC 7501: `state` (idle, working, done, blocked, error) and, after
    /// a space, its `kind` if it has one.
    Status,
    /// How far the program says it is, by OSC 9;4: `running`, `failed`, `indeterminate` or `paused` and, after a space,
    /// the percentage if it has one. Nothing while it says nothing.
    Progress,
}

/// What a rule can conclude.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// Not yet at its prompt.
    Starting,
    /// At its prompt; a message can be typed.
    Idle,
    /// Working.
    Busy,
    /// Asking something that a message must not answer.
    NeedsInput,
    /// Out of quota or rate, for now.
    Limited,
}

/// How a program wants its text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Typing {
    /// Milliseconds between the text and Enter (0 to 10,000); 1 ms per 100 bytes is added. Default 300, or 0 in canonical mode.
    #[schemars(range(max = 10000))]
    pub enter_after_ms: Option<u32>,
    /// A leading `!` or `/` is a command to this program: put a space before it.
    pub shield_commands: bool,
    /// A trailing backslash swallows Enter in this program: put a space after it.
    pub shield_backslash: bool,
}
