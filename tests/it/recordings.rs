//! What the real programs drew, and the states that our presets make of it: a turn with a question and 15 s of silence in
//! its midst, errors, and questions at the start. The recordings are of the versions that the presets name, against a
//! model that answers by script; most pictures of a spinner are left out, and nothing else.

use std::time::Duration;

use compere::{
    child::{
        recording::{Happened, Recording},
        replay::{Change, Replay},
    },
    preset::{PresetDirs, Presets},
};

/// The changes of state in a recording under a preset, `NAME-what.cast` under `NAME`.
fn replayed(name: &str) -> Vec<Change> {
    let path = format!("{}/tests/it/recordings/{name}.cast", env!("CARGO_MANIFEST_DIR"));
    let file = std::fs::read(path).unwrap();
    let presets = Presets::load(PresetDirs::default());
    let preset = presets.get(name.split('-').next().unwrap()).unwrap();
    let mut recording = Recording::new(&file[..]).unwrap();
    let mut replay = Replay::new(&preset.state, recording.size());
    let (mut changes, mut end) = (Vec::new(), Duration::ZERO);
    while let Some(moment) = recording.moment().unwrap() {
        changes.extend(replay.play(moment.at, &moment.what));
        end = moment.at;
    }
    // A state that a program holds at the end is seen, if it takes a moment to be sure of it.
    changes.extend(replay.play(end + Duration::from_millis(500), &Happened::Other));
    changes
}

fn states(changes: &[Change]) -> Vec<String> {
    changes.iter().map(|change| change.state.to_string()).collect()
}

#[track_caller]
fn check(name: &str, expected: &[&str]) {
    let changes = replayed(name);
    assert_eq!(states(&changes), expected, "{name}: {changes:#?}");
}

const TURN: [&str; 6] = ["starting", "idle", "busy", "needs_input (permission)", "busy", "idle"];

#[test]
fn a_turn_is_idle_before_and_after_and_never_between() {
    for program in ["claude", "codex", "gemini", "opencode", "qwen"] {
        let name = format!("{program}-turn");
        check(&name, &TURN);
        let changes = replayed(&name);
        let silent = changes[5].at - changes[4].at;
        assert!(silent > Duration::from_secs(15), "{name} was at work for {silent:?}");
    }
    // It asks for nothing.
    check("pi-turn", &["starting", "idle", "busy", "idle"]);
}

#[test]
fn an_error_leaves_a_program_at_its_prompt_and_a_retry_does_not() {
    check("claude-error", &["starting", "idle", "busy", "idle"]);
    check("codex-error", &["starting", "idle", "busy", "idle"]);
    check("pi-retry", &["starting", "idle", "busy"]);
}

#[test]
fn questions_that_are_no_permissions_are_told_from_them() {
    check("claude-trust", &["starting", "needs_input (trust)"]);
    check("gemini-trust", &["starting", "needs_input (trust)"]);
    check("opencode-question", &["starting", "idle", "busy", "needs_input (an answer)", "busy", "idle"]);
}

/// Each state with its reason, and each question with its choices.
#[test]
fn what_is_told_of_them() {
    let mut told = String::new();
    for name in [
        "claude-turn",
        "claude-trust",
        "claude-error",
        "codex-turn",
        "gemini-turn",
        "gemini-trust",
        "opencode-turn",
        "opencode-question",
        "qwen-turn",
        "pi-turn",
    ] {
        told += &format!("\n== {name}\n");
        for Change { at, state, why, prompt } in replayed(name) {
            told += &format!("{:6.2} {state}: {why}\n", at.as_secs_f64());
            let Some(prompt) = prompt else { continue };
            prompt.text.lines().for_each(|line| told += &format!("       | {line}\n"));
            for choice in prompt.choices {
                let (key, mark) = (choice.key.unwrap_or_default(), if choice.selected { ">" } else { " " });
                told += &format!("      {mark}[{key}] {}\n", choice.text);
            }
        }
    }
    insta::assert_snapshot!(told);
}
