//! What our presets say of the programs' input boxes, as the programs drew them at 120 columns in the versions that the
//! presets name, with what is dim left blank and the cursor marked.

use std::time::Instant;

use super::{PresetDirs, Presets};
use crate::child::composer::{Composer, Seen, Sight, Words};

fn looked(preset: &str, screen: &str) -> Composer {
    let presets = Presets::load(PresetDirs::default());
    let mut composer = Composer::new(presets.get(preset).unwrap().typing.composer.as_ref());
    assert!(composer.is_described(), "{preset}");
    composer.look(screen, Instant::now());
    composer
}

#[track_caller]
fn check(preset: &str, screen: &str, holds: Sight<'_>) {
    let composer = looked(preset, screen);
    let sight = match composer.sight() {
        Sight::Holds(text) => Sight::Holds(text.trim_end_matches(['▮', '\u{200b}'])),
        other => other,
    };
    assert_eq!(sight, holds, "{preset}: {screen}");
}

/// What stands for a long paste is known.
#[track_caller]
fn pasted(preset: &str, screen: &str) {
    let seen = looked(preset, screen).shows(&Words::of("words of which nothing is on the screen"));
    assert_eq!(seen, Some(Seen::Placeholder), "{preset}: {screen}");
}

#[test]
fn claude() {
    let mode = "auto mode on (shift+tab to cycle)";
    check("claude", &format!("you: ls\n$ npm run x\nclaude: done\n{mode}\n$ ▮"), Sight::Empty);
    check("claude", &format!("{mode}\n$  two\nlines here▮"), Sight::Holds("two\nlines here"));
    check(
        "claude",
        "Queued  ·  ctrl+x ctrl+s to send now\nauto mode on  ·  esc to interrupt\n$ ▮",
        Sight::Empty,
    );
    check(
        "claude",
        "Do you want to proceed?\n1. Yes\n4. No\nSelect with numbers [1-4].\nEsc to cancel",
        Sight::Unknown,
    );
    pasted("claude", &format!("{mode}\n$  [Pasted text #1 +4 lines]▮"));
    pasted("claude", "paste again to expand\n$  [Pasted text #4]▮");
}

#[test]
fn codex() {
    let foot =
        "  fake-model default · /x\n  ← for agents · ? for shortcuts             ⚠ 1 warning · f2 to view";
    check("codex", &format!("› an old one\n\n• ECHO: it\n\n› ▮\n\n{foot}"), Sight::Empty);
    check("codex", &format!("› mine\n  and more▮\n\n{foot}"), Sight::Holds("mine\n  and more"));
    check("codex", &format!("› a\n\n  b▮\n\n{foot}"), Sight::Holds("a\n\n  b"));
    pasted("codex", &format!("› [Pasted Content 5003 chars]▮\n\n{foot}"));
}

#[test]
fn gemini() {
    let head = "no sandbox /model\nAuto\n? for shortcuts\nShift+Tab to accept edits 1 MCP server";
    check("gemini", &format!("{head}\n>  ▮  Type your message or @path/to/file"), Sight::Empty);
    check("gemini", &format!("User:  > quoted\n{head}\n>  mine\n> quoted▮"), Sight::Holds("quoted"));
    check(
        "gemini",
        "Allow execution of [Shell]?\n(checked) 1. Allow once\n3. No, suggest changes (esc)",
        Sight::Unknown,
    );
    pasted("gemini", &format!("{head}\n>  [Pasted Text: 2300 lines]▮"));
    pasted("gemini", &format!("{head}\n>  [Pasted Text: 5003 chars]▮"));
}

#[test]
fn opencode() {
    let foot = " BUILD                              1.0K (1%) · ctrl+p cmd";
    let head = "\n█▀▀█  OpenCode\n█  █  /x\n▀▀▀▀";
    check(
        "opencode",
        &format!("{head}\n\n▮Ask anything... \"Fix a TODO in the codebase\"\n\n{foot}"),
        Sight::Empty,
    );
    check("opencode", &format!("ECHO: it\n\n▣ Build · Model default · 4.6s\n\n▮\n\n{foot}"), Sight::Empty);
    check("opencode", &format!("› it\n\nmine\nand more▮\n\n{foot}"), Sight::Holds("mine\nand more"));
    check("opencode", &format!("▣ Build · 4.6s\n{foot}"), Sight::Unknown);
    check(
        "opencode",
        "  △ Permission required\n\n  $ touch zz\n\n  Allow once   Reject     ⇆ select  enter confirm",
        Sight::Unknown,
    );
}

#[test]
fn qwen() {
    let line = "─".repeat(120);
    let auto = format!("Auto mode (shift + tab to cycle)\n{line}\nAuto mode ");
    check("qwen", &format!("{auto}▮  Type your message or @path/to/file"), Sight::Empty);
    check("qwen", &format!("{auto}▮run the tests"), Sight::Empty);
    check("qwen", &format!("{auto}mine\nand more▮ \u{200b}"), Sight::Holds("mine\nand more▮ "));
    check(
        "qwen",
        &format!(
            "⏸ Ask permissions (shift + tab to cycle)\n{line}\n>  ▮  Type your message or @path/to/file"
        ),
        Sight::Empty,
    );
    check(
        "qwen",
        "Allow execution of: 'touch'?\n(checked) 1. Yes\nloading Waiting for user confirmation...",
        Sight::Unknown,
    );
    pasted("qwen", &format!("{auto}[Pasted Content 5003 chars]▮ \u{200b}"));
}

#[test]
fn pi() {
    let (line, foot) = ("─".repeat(120), "/x\n0.0%/200k (auto)                    fake-model");
    check("pi", &format!("ECHO: it\n{line}\n▮\n{line}\n{foot}"), Sight::Empty);
    check(
        "pi",
        &format!("{line}\n $ echo hi\n\n hi\n{line}\n\n{line}\nmine\nand more▮\n{line}\n{foot}"),
        Sight::Holds("mine\nand more"),
    );
    // A character that pi takes for narrower than the terminal does makes one line of the text and the border.
    check("pi", &format!("{line}\nmine 🙂▮  {line}\n{foot}"), Sight::Holds("mine 🙂"));
    pasted("pi", &format!("{line}\n[paste #1 +2300 lines]▮\n{line}\n{foot}"));
    pasted("pi", &format!("{line}\n[paste #1 5003 chars]▮\n{line}\n{foot}"));
}

#[test]
fn the_stand_in() {
    check("fake-agent", "> said\n● said\n> ▮", Sight::Empty);
    check("fake-agent", "> mine\n  and more▮\n◐ working… esc to interrupt", Sight::Holds("mine\n  and more"));
    check(
        "fake-agent",
        "> said\nAllow this? said\n❯ 1. Yes\n  2. No\n  enter answers, esc says no▮",
        Sight::Unknown,
    );
    pasted("fake-agent", "> [Pasted text #1 +3 lines]▮");
}
