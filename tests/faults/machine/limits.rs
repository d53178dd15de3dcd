//! What a machine has too few of: descriptors, terminals, processes, memory.

use std::{os::unix::net::UnixStream, process::Command};

use serde_json::json;

use super::stage::{Stage, is_vague};
use crate::fault::{Fault, Outcome};

pub(super) fn all() -> Vec<Fault> {
    let row = |name: &str, how: &str, expected: &str, run: fn() -> Outcome| {
        Fault::new(format!("limits: {name}"), how, expected, move |trying| {
            trying.tried();
            run()
        })
    };
    let named = "spawns are refused by name, children go on; with room again all works";
    vec![
        row("spawns until there is no descriptor", "ulimit -n 40", named, spawns),
        row(
            "connections until there is no descriptor",
            "ulimit -n 40, 40 connections that say nothing",
            "those who are served go on, who comes is served once they go",
            connections,
        ),
        row("no terminals", "a devpts of 3 in a mount namespace", named, terminals),
        row("no processes", "setpriv to another uid, ulimit -u", named, processes),
        row("a child's memory", "ulimit -v in the child", "that child ends, others go on", memory),
    ]
}

/// Spawns until it is refused, by words with this in them; then what lives goes on.
fn until_refused(stage: &Stage, word: &str) -> Result<usize, String> {
    stage.begin("lives", 1)?;
    for n in 1..60 {
        // By thread or by keeper, whichever is first to find nothing.
        match stage.call("spawn", &json!({"command": ["sh", "-c", "read x"], "name": format!("more-{n}")})) {
            Ok(_) => {}
            Err(words) if is_vague(&words) || !words.contains(word) => {
                return Err(format!("spawn said {words:?}"));
            }
            Err(_) => return Ok(n - 1),
        }
        // Limits of ours are not what is looked for.
        if n == 14 {
            return Err("14 were spawned".into());
        }
    }
    Err("nothing was refused".into())
}

fn stop_all(stage: &Stage) -> Result<(), String> {
    for row in stage.rows()? {
        stage.call("stop", &json!({"child": row["child"], "grace_ms": 0}))?;
    }
    Ok(())
}

fn spawns() -> Outcome {
    let stage = Stage::new();
    stage.start("export COMPERE_OPEN_FILES=40; ulimit -Sn 40; exec $COMPERE broker --detach")?;
    let spawned = until_refused(&stage, "Too many open files")?;
    stage.go_on("lives", 1)?;
    stop_all(&stage)?;
    stage.is_sound("last").map(|()| format!("{spawned} spawned"))
}

fn connections() -> Outcome {
    let stage = Stage::new();
    stage.start("export COMPERE_OPEN_FILES=40; ulimit -Sn 40; exec $COMPERE broker --detach")?;
    stage.begin("lives", 1)?;
    let silent: Vec<_> =
        (0..40).filter_map(|_| UnixStream::connect(stage.run().join("broker.sock")).ok()).collect();
    let began = std::time::Instant::now();
    // They are let go after a while, and others come in.
    stage.go_on("lives", 5)?;
    let took = began.elapsed().as_secs();
    drop(silent);
    stage.finish("lives", 1)?;
    stage.is_sound("last").map(|()| format!("served after {took} s"))
}

fn terminals() -> Outcome {
    let ours = "unshare --mount sh -c 'mount -t devpts -o newinstance,max=3,ptmxmode=666 devpts /dev/pts && \
                mount --bind /dev/pts/ptmx /dev/ptmx && exec $COMPERE broker --detach'";
    let stage = Stage::new();
    if let Err(why) = stage.start(ours) {
        return Ok(format!("skipped: {why}"));
    }
    let spawned = until_refused(&stage, "/proc/sys/kernel/pty/max")?;
    stage.go_on("lives", 1)?;
    stop_all(&stage)?;
    stage.is_sound("last").map(|()| format!("{spawned} spawned"))
}

/// Of a user who has no process besides.
const OTHER: u32 = 61_234;

fn processes() -> Outcome {
    if !rustix::process::getuid().is_root() {
        return Ok("skipped: only root can be another user".into());
    }
    // Theirs is a program they may run, in a place they may use.
    let stage = Stage::new();
    std::os::unix::fs::chown(stage.dir(), Some(OTHER), Some(OTHER)).unwrap();
    let program = stage.dir().join("compere");
    // By another process: one that we had open for writing could be so still in a process we started meanwhile.
    assert!(Command::new("cp").arg(super::stage::COMPERE).arg(&program).status().unwrap().success());
    let tool = |tool: &str, arguments: serde_json::Value| {
        let run = format!("exec timeout 25 ./compere call {tool} '{arguments}'");
        let output = as_other(&stage).args(["sh", "-c", &run]).output().unwrap();
        let words = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if output.status.success() { Ok(words) } else { Err(words) }
    };
    tool(
        "spawn",
        json!({"command": ["sh", "-c", "echo ready; read x; echo later; read x"], "name": "lives"}),
    )?;
    let broker = std::fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        let environ = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        let ours = stage.dir().as_os_str().as_encoded_bytes();
        (line.ends_with("broker\0") && environ.windows(ours.len()).any(|at| at == ours)).then_some(pid)
    });
    let broker = broker.ok_or("no broker")?;
    let limit = |most: &str| {
        let mut prlimit = as_other(&stage);
        prlimit.args(["prlimit", "--pid", &broker.to_string(), &format!("--nproc={most}:")]);
        prlimit.output().is_ok_and(|output| output.status.success())
    };
    if !limit("1") {
        return Ok("skipped: no prlimit here".into());
    }
    let refused = tool("spawn", json!({"command": ["true"], "name": "not"}));
    let words = match refused {
        Err(words) if !is_vague(&words) && words.contains("temporarily unavailable") => words,
        other => return Err(format!("spawn said {other:?}")),
    };
    tool("send_keys", json!({"to": "lives", "keys": ["Enter"]}))?;
    tool(
        "timer_wait",
        json!({"timeout_ms": 9000, "until": [{"child": "lives", "matches": "later", "since": 0}]}),
    )?;
    if !limit("4000") {
        return Err("the limit cannot be lifted".into());
    }
    tool("spawn", json!({"command": ["true"], "name": "yes"}))?;
    Ok(words.trim().to_owned())
}

fn as_other(stage: &Stage) -> Command {
    let mut command = stage.command("setpriv");
    command.args([&format!("--reuid={OTHER}"), &format!("--regid={OTHER}"), "--clear-groups"]);
    command
}

fn memory() -> Outcome {
    let stage = Stage::new();
    stage.begin("lives", 1)?;
    let hungry = "ulimit -v 100000; head -c 1000000000 /dev/zero | tail -n 1; exit 9";
    stage.call("spawn", &json!({"command": ["sh", "-c", hungry], "name": "hungry"}))?;
    let until = json!([{"child": "hungry", "is": "exited"}]);
    let woke = stage.call("timer_wait", &json!({"timeout_ms": 20_000, "until": until}))?;
    if woke["woke"] != "exited" {
        return Err(format!("{woke}"));
    }
    stage.go_on("lives", 1)?;
    stage.finish("lives", 1)?;
    stage.is_sound("last").map(|()| String::new())
}
