//! A recording of a terminal: refused with its line, or replayed in order, whatever it draws and says.

#![no_main]

use std::{sync::LazyLock, time::Duration};

use compere::{
    child::{
        prompt::Prompt,
        recording::Recording,
        replay::{Change, Replay},
        rules::Rules,
    },
    preset::{PresetDirs, Presets},
};
use libfuzzer_sys::fuzz_target;

/// All rules there are: what one program draws may look like another's.
static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let presets = Presets::load(PresetDirs::default());
    let all = ["claude", "codex", "gemini", "opencode", "qwen", "pi"];
    let rules = all.iter().flat_map(|name| presets.get(name).expect("it is ours").state.rules.clone());
    Rules { rules: rules.collect(), silence_is_idle: true, ..Rules::default() }
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut recording) = Recording::new(bytes) else { return };
    let mut replay = Replay::new(&RULES, recording.size(), None);
    let mut at = Duration::ZERO;
    let mut told = |changes: Vec<Change>, now: Duration| {
        for change in changes {
            assert!(at <= change.at && change.at <= now, "out of order");
            at = change.at;
            if let Some(Prompt { text, choices, hash }) = change.prompt {
                assert!(text.chars().count() <= Prompt::MAX && choices.len() <= 20 && hash.len() == 12);
            }
        }
    };
    let mut now = Duration::ZERO;
    while let Ok(Some(moment)) = recording.moment() {
        assert!(now <= moment.at, "time runs backwards");
        now = moment.at;
        told(replay.play(now, &moment.what), now);
    }
    told(replay.end(now), now);
});
