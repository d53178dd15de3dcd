//! `compere explain`: why a child is in its state, and which states a recording goes through.

use serde_json::{Value, json};

use crate::support::{COMPERE, Real};

/// What a command of the command line said, and how it exited.
async fn run(real: &Real, args: &[&str]) -> (String, String, Option<i32>) {
    let output = real.command(COMPERE).args(args).stdin(std::process::Stdio::null()).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

#[tokio::test]
async fn a_childs_state_is_told_with_all_that_led_there() {
    let real = Real::new();
    let presets = real.home().join(".config/compere/presets");
    std::fs::create_dir_all(&presets).unwrap();
    let preset = json!({
        "name": "asker", "about": "asks", "command": ["sh", "-c", r"stty -echo; printf 'Model: 1. a\nSure?\n> 1. Yes\n  2. No\n'; read x"],
        "state": {"rules": [
            {"on": "title", "matches": "busy", "state": "busy"},
            {"on": "bottom", "matches": r"(?s)(?<prompt>Sure\?.*No)\s*\z", "state": "needs_input", "what": "permission"},
        ]},
    });
    std::fs::write(presets.join("asker.json"), preset.to_string()).unwrap();
    let host = real.client().await;
    let child = host.call("spawn", json!({"preset": "asker", "name": "asker"})).await["child"].clone();
    let child = child.as_str().unwrap();
    host.wait(json!({"child": child, "is": "needs_input"})).await.woke("needs_input");
    let (out, err, code) = run(&real, &["explain", "asker"]).await;
    assert_eq!((&*err, code), ("", Some(0)));
    for line in [
        "c1 asker (sh, preset asker)\nneeds_input (permission) for 0s: its screen shows \"Sure?…\" (rule 2)",
        "Enter takes \"Yes\"):\n  | Sure?\n  | > 1. Yes\n  |   2. No\n",
        "\n  title       -\n",
        "\n  typed       never",
        "\n  bottom      | Model: 1. a\n",
        "\n   1 -        title    busy                      busy\n",
        "\n   2 decides  bottom   needs_input (permission)  (?s)(?<prompt>Sure\\?.*No)\\s*\\z\n              found \"Sure?…\"",
    ] {
        assert!(out.contains(line), "{line:?} is not in\n{out}");
    }
    let (out, ..) = run(&real, &["explain", child, "--json"]).await;
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        [&told["child"], &told["preset"], &told["state"]],
        ["c1", "asker", "needs_input (permission)"]
    );
    assert_eq!(told["prompt"]["choices"][0], json!({"key": "1", "text": "Yes", "selected": true}));
    assert_eq!([&told["rules"][0]["holds"], &told["rules"][1]["first"]], [&json!(false), &json!(true)]);
    assert!(told["signs"]["output_ms"].is_u64() && told["since_ms"].is_u64(), "{told:#}");
    let (_, err, code) = run(&real, &["explain", "nobody"]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("nobody") && err.contains("There is c1"), "{err}");
}

#[tokio::test]
async fn a_recording_is_replayed_without_a_broker_and_without_waiting() {
    let real = Real::new();
    let path = format!("{}/tests/it/recordings/claude-turn.cast", env!("CARGO_MANIFEST_DIR"));
    let began = std::time::Instant::now();
    let (out, err, code) = run(&real, &["explain", "--file", &path, "--preset", "claude"]).await;
    assert_eq!((&*err, code), ("", Some(0)));
    assert!(began.elapsed().as_secs() < 15, "it took as long as the turn did");
    let states: Vec<&str> = out.lines().filter(|line| !line.starts_with("           ")).collect();
    let words: Vec<&str> = states.iter().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(words, ["starting", "idle", "busy", "needs_input", "busy", "idle", "the"], "{out}");
    assert!(out.contains("| approve Bash: touch /tmp/zz\n"), "{out}");
    let (out, ..) = run(&real, &["explain", "--file", &path, "--preset", "claude", "--json"]).await;
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told[3]["prompt"]["choices"].as_array().unwrap().len(), 4);
    assert!(real.broker().is_none(), "no broker was started for it");
}

#[tokio::test]
async fn a_damaged_recording_is_told_by_its_line_after_what_came_before_it() {
    let real = Real::new();
    let file = real.home().join("work/x.cast");
    let text = "{\"version\": 2, \"width\": 80, \"height\": 24}\n[1, \"o\", \"x\"]\n[5, \"o\", \"y\"]\n[4, \"o\", \"\"]\n";
    std::fs::write(&file, text).unwrap();
    let (out, err, code) = run(&real, &["explain", "--file", "x.cast"]).await;
    assert_eq!(code, Some(1));
    assert!(out.contains("unknown") && err.contains("x.cast: line 4: it goes back in time"), "{out}{err}");
    for (args, code, why) in [
        (["--file", "none.cast"].as_slice(), 1, "none.cast: No such file"),
        (&["--file", "x.cast", "--preset", "nobody"], 1, "no preset is named \"nobody\""),
        (&[], 2, "required"),
        (&["c1", "--file", "x.cast"], 2, "cannot be used with"),
    ] {
        let args: Vec<&str> = ["explain"].iter().chain(args).copied().collect();
        let (_, err, exit) = run(&real, &args).await;
        assert!(exit == Some(code) && err.contains(why), "{args:?}: {exit:?} {err}");
    }
}
