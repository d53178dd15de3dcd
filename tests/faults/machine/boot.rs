//! The machine is started anew, its runtime directory goes, its clock jumps.

use std::process::Command;

use serde_json::json;

use super::stage::{Stage, kill};
use crate::fault::{Fault, Outcome};

pub(super) fn all() -> Vec<Fault> {
    let once = "the parent is told why, once";
    let clock = "children, waits and spawns go on as if nothing were";
    let row = |name: &str, how: &str, expected: &str, run: fn() -> Outcome| {
        Fault::new(format!("boot: {name}"), how, expected, move |trying| {
            trying.tried();
            run()
        })
    };
    let mut all = vec![
        row(
            "another boot",
            "all killed; unshare --mount, another boot_id bound over the kernel's",
            once,
            reboot,
        ),
        row("the runtime directory is gone", "rm -rf, broker killed", once, vanished),
        row("the clock since boot is a day ahead", "unshare --time, for the broker", clock, || {
            clock_of("unshare --time --monotonic 86400 --boottime 86400 $COMPERE broker --detach")
        }),
    ];
    for by in ["+1d", "-1d"] {
        all.push(Fault::new(
            format!("boot: the clock is {by}"),
            "libfaketime, for the broker",
            clock,
            move |run| {
                run.tried();
                if Command::new("faketime").arg("--help").output().is_err() {
                    return Ok("skipped: no faketime".into());
                }
                let script = format!("DONT_FAKE_MONOTONIC=1 faketime -f {by} $COMPERE broker --detach");
                clock_of(&script)
            },
        ));
    }
    all
}

/// The parent has been told that, and is not told again by another broker.
fn told_once(stage: &Stage, words: &str) -> Outcome {
    // It is filed while the broker begins to serve.
    let woke = stage.call("timer_wait", &json!({"timeout_ms": 15_000}))?;
    let reports = woke["reports"].as_array().cloned().unwrap_or_default();
    match &reports[..] {
        [report] if report["message"].as_str().unwrap_or_default().contains(words) => {}
        _ => return Err(format!("not once {words:?}: {woke}")),
    }
    stage.call("read_reports", &json!({}))?;
    stage.kill_broker();
    let again = stage.call("read_reports", &json!({}))?;
    match again["reports"].as_array().is_none_or(Vec::is_empty) {
        true => Ok(String::new()),
        false => Err(format!("told again: {again}")),
    }
}

fn reboot() -> Outcome {
    if !Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|status| status.success()) {
        return Ok("skipped: no unshare --mount".into());
    }
    let stage = Stage::new();
    stage.begin("lives", 1)?;
    let keeper = stage.keeper("lives")?;
    stage.kill_broker();
    kill(keeper);
    std::fs::write(stage.dir().join("boot"), "01234567-89ab-cdef-0123-456789abcdef\n").unwrap();
    stage.start(
        "exec unshare --mount sh -c 'mount --bind boot /proc/sys/kernel/random/boot_id && exec $COMPERE broker --detach'",
    )?;
    told_once(&stage, "the machine was restarted")?;
    stage.is_sound("last").map(|()| String::new())
}

fn vanished() -> Outcome {
    let stage = Stage::apart();
    stage.begin("lives", 1)?;
    let keeper = stage.keeper("lives")?;
    stage.kill_broker();
    std::fs::remove_dir_all(stage.run()).unwrap();
    told_once(&stage, "its runtime directory was removed")?;
    let lives = std::path::Path::new(&format!("/proc/{keeper}/exe")).exists();
    kill(keeper);
    stage.is_sound("last")?;
    Ok(if lives {
        "the child itself ran on, unreachable, until it was killed by hand".into()
    } else {
        String::new()
    })
}

/// A broker whose clock is wrong takes a child up, waits, spawns, and gives it back to one whose clock is right.
fn clock_of(script: &str) -> Outcome {
    let stage = Stage::new();
    stage.begin("lives", 1)?;
    stage.kill_broker();
    match stage.start(script) {
        Ok(_) => {}
        Err(why) if why.contains("unshare failed") => return Ok(format!("skipped: {why}")),
        Err(why) => return Err(why),
    }
    stage.go_on("lives", 1)?;
    stage.walk("other", 1)?;
    let began = std::time::Instant::now();
    let woke = stage
        .call("timer_wait", &json!({"timeout_ms": 1500, "until": [{"child": "lives", "is": "exited"}]}))?;
    let took = began.elapsed().as_millis();
    if woke["woke"] != "timer" || !(1400..6000).contains(&took) {
        return Err(format!("a wait of 1500 ms took {took} ms: {woke}"));
    }
    stage.kill_broker();
    stage.line("lives", "^ready$", 1)?;
    stage.finish("lives", 1)?;
    stage.is_sound("last").map(|()| String::new())
}
