//! What our presets' rules say of screens as the programs drew them, at 120 columns, in the versions that the presets name.
//! Which sign a rule looks at is followed here as `child` does: in order, the first that matches.

use regex::Regex;

use super::{PresetDirs, Presets};
use crate::child::rules::{Meaning, Sign};

/// What a program shows at one moment; the bottom without blank lines.
#[derive(Clone, Copy, Default)]
struct Shown<'a> {
    status: &'a str,
    title: &'a str,
    bottom: &'a str,
}

#[track_caller]
fn check(preset: &str, shown: Shown<'_>, means: Option<(Meaning, &str)>) {
    let presets = Presets::load(PresetDirs::default());
    let rules = &presets.get(preset).unwrap().state.rules;
    let holds = rules.iter().find(|rule| {
        let text = match rule.on {
            Sign::Status => shown.status,
            Sign::Title => shown.title,
            Sign::Screen | Sign::Bottom => shown.bottom,
            Sign::Progress => "",
        };
        Regex::new(&rule.matches).unwrap().is_match(text)
    });
    assert_eq!(
        holds.map(|rule| (rule.state, rule.what.as_deref().unwrap_or_default())),
        means,
        "{preset}: {}",
        shown.bottom
    );
}

const IDLE: Option<(Meaning, &str)> = Some((Meaning::Idle, ""));
const BUSY: Option<(Meaning, &str)> = Some((Meaning::Busy, ""));
const PERMISSION: Option<(Meaning, &str)> = Some((Meaning::NeedsInput, "permission"));
const TRUST: Option<(Meaning, &str)> = Some((Meaning::NeedsInput, "trust"));

fn status(status: &str) -> Shown<'_> {
    Shown { status, ..Shown::default() }
}

fn screen<'a>(title: &'a str, bottom: &'a str) -> Shown<'a> {
    Shown { title, bottom, ..Shown::default() }
}

#[test]
fn claude_and_codex_say_it_themselves() {
    for preset in ["claude", "codex"] {
        check(preset, status("idle"), IDLE);
        check(preset, status("done"), IDLE);
        check(preset, status("working"), BUSY);
        check(preset, status("blocked permission"), PERMISSION);
        check(preset, status("blocked"), Some((Meaning::NeedsInput, "an answer")));
        check(preset, status("error"), IDLE);
        check(preset, status(""), None);
    }
}

#[test]
fn claude_without_a_status() {
    let prompt = "claude: done\nWorked for 5s · done 7:39 AM\nmanual mode on\n$";
    check("claude", screen("✳ Claude Code", prompt), None);
    check("claude", screen("◑ Claude Code", "Cascading…\nmanual mode on  ·  esc to interrupt\n$"), BUSY);
    let trust = "Security guide\ny. Yes, I trust this folder\nn. No, exit\nEnter y/n:\nEnter to confirm · Esc to cancel";
    check("claude", screen("", trust), TRUST);
    let permission = "Do you want to proceed?\n1. Yes\n2. Yes, and always allow access to /x from this project\n4. No\n\
                      Select with numbers [1-4]. Then Enter to submit or Escape to cancel:\nEsc to cancel";
    check("claude", screen("✳ Claude Code", permission), PERMISSION);
    let decorated = "Do you want to proceed?\n ❯ 1. Yes\n   2. Yes, and switch to auto mode\n   3. No\n Esc to cancel · Tab to amend";
    check("claude", screen("✳ Claude Code", decorated), PERMISSION);
    let quoted = "claude: it asks:\n1. Yes\n2. No\nEsc to cancel\nmanual mode on\n$";
    check("claude", screen("✳ Claude Code", quoted), None);
}

#[test]
fn codex_without_a_status() {
    let composer = "› Ask Codex to do anything\n  fake-model default · /x\n  ← for agents · ? for shortcuts";
    check("codex", screen("preset", composer), None);
    check("codex", screen("⠇ preset", composer), BUSY);
    let permission = "  $ touch /etc/zz\n› 1. Yes, proceed (y)\n  3. No, and tell Codex what to do differently (esc)\n\
                      \x20 Press enter to confirm or esc to cancel";
    check("codex", screen("[ ! ] Action Required | preset", permission), PERMISSION);
    check("codex", screen("", permission), PERMISSION);
    let trust = "  decision will be saved.\n› 1. Trust and continue\n  2. Back to Agent Command Center\n  enter continue · esc back";
    check("codex", screen("", trust), TRUST);
}

#[test]
fn gemini() {
    let composer =
        "? for shortcuts\nShift+Tab to accept edits 1 MCP server\n>    Type your message or @path/to/file";
    check("gemini", screen("◇  Ready (gemini)      ", composer), IDLE);
    check("gemini", screen("✦  Working… (gemini)   ", composer), BUSY);
    check("gemini", screen("", "responding Thinking... (esc to cancel, 3s) ? for shortcuts"), BUSY);
    check(
        "gemini",
        screen("✋  Action Required (gemini)", "Allow execution of [Shell]?\n(checked) 1. Allow once"),
        PERMISSION,
    );
    let trust = "Do you trust the files in this folder?\nTrusting a folder allows Gemini CLI to load …\n\
                 (checked) 1. Trust folder (x)\n2. Trust parent folder (ws)\n3. Don't trust";
    check("gemini", screen("◇  Ready (x)", trust), TRUST);
}

#[test]
fn opencode() {
    check(
        "opencode",
        screen("", "█▀▀█  OpenCode\n› run it\n BUILD  ■■■■■■⬝⬝ esc interrupt      ctrl+p cmd"),
        BUSY,
    );
    check(
        "opencode",
        screen("", "▣ Build · Model default · 17.8s\n BUILD      1.0K (1%) · ctrl+p cmd"),
        IDLE,
    );
    let permission = "  △ Permission required\n   # Shell command\n  $ touch zz\n\
                      \x20  Allow once   Allow always   Reject     ⇆ select  enter confirm  esc reject";
    check("opencode", screen("", permission), PERMISSION);
    let rejected =
        "  △ Reject permission\n  Tell OpenCode what to do differently\n  Tell …   enter confirm  esc cancel";
    check("opencode", screen("", rejected), PERMISSION);
}

#[test]
fn qwen() {
    let composer =
        "Auto mode (shift + tab to cycle)\n────────\nAuto mode   Type your message or @path/to/file";
    check("qwen", screen("Qwen - qwen", composer), IDLE);
    let busy = format!(
        "Enter to steer · Ctrl+Q to queue · Auto mode\nresponding Calibrating.  (2s · esc to cancel)\n{composer}"
    );
    check("qwen", screen("◐︎ Qwen - qwen", &busy), BUSY);
    let permission = "Allow execution of: 'touch'?\n(checked) 1. Yes, allow once\n4. No, suggest changes (esc)\n\
                      loading Waiting for user confirmation...";
    check("qwen", screen("✳︎ Qwen - qwen", permission), PERMISSION);
    let trust = "Do you trust this folder?\n(checked) 1. Trust folder (x)\n2. Trust parent folder (ws)\n3. Don't trust (esc)";
    check("qwen", screen("Qwen - qwen", trust), TRUST);
}

#[test]
fn pi() {
    let rule = "─".repeat(120);
    let composer = format!("{rule}\n{rule}\n/x (main)\n↑2.0k ↓40 0.5%/200k (auto)      fake-model");
    check("pi", screen("π - pi", &format!("  SLOWDONE\n{composer}")), IDLE);
    check("pi", screen("π - pi", &format!(" w31 w32\n ⠸ Working...\n{composer}")), BUSY);
    check("pi", screen("π - pi", " pi v0.73.1\n escape interrupt · ctrl+c/ctrl+d clear/exit"), None);
}

#[test]
fn python() {
    check("python", screen("", ">>>"), IDLE);
    check("python", screen("", ">>> 1 + 1\n2\n>>>"), IDLE);
    check("python", screen("", ">>> import time; time.sleep(9)"), None);
    check("python", screen("", ">>> if x:\n..."), None);
}

/// What people and models write about the programs, and what programs show of them.
const TALK: [&str; 16] = [
    "esc to interrupt",
    "• Working (5s • esc to interrupt)",
    "manual mode on  ·  esc to interrupt",
    "responding Thinking... (esc to cancel, 3s) ? for shortcuts",
    "responding Calibrating.  (2s · esc to cancel)",
    "Enter to steer · Ctrl+Q to queue",
    "BUILD  ■■■■■■⬝⬝ esc interrupt",
    "⠸ Working...",
    "1. Yes\n2. No",
    "Do you want to proceed?\n❯ 1. Yes\n  2. No\nEsc to cancel",
    "Permission Required: Bash command\n1. Yes\n2. No\nEsc to cancel",
    "Would you like to run this?\n› 1. Yes, proceed (y)\nPress enter to confirm or esc to cancel",
    "Confirming: Shell ls\nloading Waiting for user confirmation...",
    "Allow execution of [Shell]?\n(checked) 1. Allow once\n2. No",
    "△ Permission required\n   Allow once   Reject    ⇆ select  enter confirm  esc reject",
    "Do you trust the files in this folder?\n1. Trust folder\n3. Don't trust\n↑↓ select  enter submit  esc dismiss",
];

#[test]
fn what_is_said_of_a_program_is_no_sign_of_it() {
    let rule = "─".repeat(120);
    let prompts = [
        ("claude", "\nWorked for 5s · done 7:39 AM\nmanual mode on\neffort: medium · /effort\n$".into(), None),
        ("codex", "\n\n› Ask Codex to do anything\n\n  fake-model default · /x\n  ← for agents".into(), None),
        (
            "gemini",
            "\nworkspace (/directory)\n/x sandbox\nno sandbox /model\nAuto\n? for shortcuts\nShift+Tab to accept \
             edits 1 MCP server\n>    Type your message or @path/to/file"
                .into(),
            IDLE,
        ),
        (
            "opencode",
            "\n\n▣ Build · Model default · 1.8s\n\n\n\n BUILD         1.0K (1%) · ctrl+p cmd".into(),
            IDLE,
        ),
        (
            "qwen",
            format!("\n➜ x · fake-model\nAuto mode (shift + tab to cycle)\n{rule}\n>    Type your message or @path/to/file"),
            IDLE,
        ),
        ("pi", format!("\n\n{rule}\n\n{rule}\n/x\n↑2.0k ↓40 0.5%/200k (auto)    fake-model"), IDLE),
    ];
    for (preset, prompt, means) in &prompts {
        for talk in TALK {
            // pi's own spinner stands as its answers do, right above the composer.
            if (*preset, talk) == ("pi", "⠸ Working...") {
                continue;
            }
            check(preset, screen("", &format!("an answer:\n{talk}\n{prompt}")), *means);
        }
    }
}
