//! Why a child is in its state: all that was looked at, and each rule with whether it holds. For whoever doubts it, or
//! writes a preset; decides nothing.

use serde::Serialize;

use super::{
    prompt::Prompt,
    rules::{Meaning, Sign},
};

/// See the module.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Explained {
    /// The state, as answers write it.
    pub state: String,
    /// Which rule said so, or what else.
    pub why: String,
    /// Since when, in milliseconds.
    pub since_ms: u64,
    /// What is asked, if it needs input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Prompt>,
    /// What was looked at.
    pub signs: Signs,
    /// The preset's rules in their order.
    pub rules: Vec<Tried>,
}

/// What is looked at. What a program does not say is left out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Signs {
    /// The program's own word (OSC 7501).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// What it says there for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msg: Option<String>,
    /// Its window title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its progress (OSC 9;4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// Its newest prompt mark (OSC 133): no rule looks at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_mark: Option<String>,
    /// The last lines of its screen that are not blank.
    pub bottom: Vec<String>,
    /// The line with the cursor, where a composer usually is.
    pub cursor_line: String,
    /// What is in its composer, in a few words, if its preset says where that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub composer: Option<String>,
    /// The screen was put together from part of what was written.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
    /// What the kernel said last of the terminal. It is asked for shells, and before typing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminal: Option<Terminal>,
    /// How long ago it wrote last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_ms: Option<u64>,
    /// How long ago something was typed that it ought to react to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typed_ms: Option<u64>,
    /// Whether it was seen at work, or asking, since then.
    pub worked: bool,
    /// Whether the state can be relied on: not just after an answer, nor while a question is being drawn.
    pub settled: bool,
    /// Messages that wait for their turn.
    pub waiting: usize,
    /// Whether silence is idleness, by its preset.
    pub silence_is_idle: bool,
    /// Whether the shell in the foreground is idleness, by its preset.
    pub foreground_is_idle: bool,
}

/// The terminal, as the kernel has it.
#[derive(Clone, Debug, Serialize)]
pub struct Terminal {
    /// The kernel edits lines: the program reads none itself.
    pub canonical: bool,
    /// The process group in the foreground.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foreground: Option<i32>,
    /// The program's own.
    pub program: i32,
}

/// A rule, as it was tried.
#[derive(Clone, Debug, Serialize)]
pub struct Tried {
    /// Its place in the preset, from 1.
    pub rule: usize,
    /// Where it looks.
    pub on: Sign,
    /// What must match there.
    pub matches: String,
    /// What it means.
    pub state: Meaning,
    /// What is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// Whether it holds now.
    pub holds: bool,
    /// What it found, in a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shows: Option<String>,
    /// Whether it is the first that holds: the others are not asked.
    pub first: bool,
}
