//! Disks that are full, read-only or spoilt, for real: small file systems in memory, and files that somebody else wrote.

use std::{
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use super::stage::{Stage, is_vague};
use crate::fault::{Fault, Outcome};

/// A file system of its own, until this ends.
struct Mount(PathBuf);

impl Mount {
    fn at(path: PathBuf, size: &str) -> Result<Mount, String> {
        std::fs::create_dir_all(&path).unwrap();
        let options = format!("size={size},mode=0700");
        mount(&["-t", "tmpfs", "-o", &options, "compere-faults"], &path)?;
        Ok(Mount(path))
    }

    fn fill(&self) -> PathBuf {
        let filler = self.0.join("filler");
        let file = std::fs::File::create(&filler).unwrap();
        let block = vec![b'x'; 4096];
        let mut at = 0;
        while let Ok(n) = file.write_at(&block, at) {
            at += n as u64;
        }
        filler
    }

    fn remount(&self, how: &str) -> Result<(), String> {
        mount(&["-o", &format!("remount,{how}")], &self.0)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: what still has files there ends after us.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

fn mount(arguments: &[&str], path: &Path) -> Result<(), String> {
    let output =
        Command::new("mount").args(arguments).arg(path).output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Whether file systems may be mounted here.
fn unusable() -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    Mount::at(dir.path().join("m"), "64k").err().map(|why| format!("skipped: no mount: {}", why.trim()))
}

pub(super) fn all() -> Vec<Fault> {
    let row = |name: &str, how: &str, expected: &str, run: fn() -> Outcome| {
        Fault::new(format!("disk: {name}"), how, expected, move |trying| {
            trying.tried();
            unusable().map_or_else(run, Ok)
        })
    };
    let go_on = "writes are refused by name, reads and children go on; with room again all works, nothing acknowledged is lost";
    let mut all = vec![
        row("the journal's is full", "tmpfs, filled", go_on, || journal("full")),
        row(
            "the runtime directory's is full",
            "tmpfs, filled",
            "spawns are refused by name; a child waits for room",
            rings,
        ),
        row("a broker starts, the journal's is full", "tmpfs, filled", go_on, || started("full")),
        row("a broker starts, the journal's is read-only", "tmpfs, remounted", go_on, || started("ro")),
    ];
    for (name, spoil) in SPOILT {
        let expected = "named and set aside, or read; children are adopted";
        all.push(Fault::new(
            format!("disk: the journal is {name}"),
            "by hand, no broker runs",
            expected,
            move |run| {
                run.tried();
                spoilt(*spoil, *name != "without its log")
            },
        ));
    }
    all
}

/// This must be refused, with words of what to do.
fn refused(stage: &Stage, tool: &str, arguments: &serde_json::Value, word: &str) -> Result<(), String> {
    match stage.call(tool, arguments) {
        Ok(value) => Err(format!("{tool} was not refused: {value}")),
        Err(words) if is_vague(&words) || !words.contains(word) => Err(format!("{tool} said {words:?}")),
        Err(_) => Ok(()),
    }
}

fn broken(mount: &Mount, how: &str) -> Result<(), String> {
    match how {
        "full" => drop(mount.fill()),
        _ => mount.remount("ro")?,
    }
    Ok(())
}

fn mended(mount: &Mount, how: &str) -> Result<(), String> {
    match how {
        "full" => std::fs::remove_file(mount.0.join("filler")).map_err(|error| error.to_string()),
        _ => mount.remount("rw"),
    }
}

/// What can be done while nothing can be written down, and what is refused.
fn while_broken(stage: &Stage, how: &str) -> Result<(), String> {
    let word = if how == "full" { "full" } else { "read-only" };
    refused(stage, "spawn", &json!({"command": ["sh", "-c", "exit 0"], "name": "not"}), word)?;
    refused(stage, "send_message_to", &json!({"to": "lives", "message": "not"}), word)?;
    let read = stage.call("read_output", &json!({"child": "lives", "mode": "stream"}))?;
    if !read.as_str().unwrap_or_default().contains("got before") {
        return Err(format!("it cannot be read: {read}"));
    }
    Ok(())
}

fn say(stage: &Stage, text: &str) -> Result<(), String> {
    let receipt = stage.call("send_message_to", &json!({"to": "lives", "message": text}))?;
    if receipt["status"] != "typed" {
        return Err(format!("{text} was {receipt}"));
    }
    stage.line("lives", &format!("^got {text}$"), 1).map(drop)
}

/// The state directory is on a disk of its own.
fn on_a_disk() -> Result<(Stage, Mount), String> {
    let stage = Stage::new();
    stage.call("list_children", &json!({}))?;
    stage.kill_broker();
    let mount = Mount::at(stage.run().join("state"), "2m")?;
    Ok((stage, mount))
}

fn journal(how: &str) -> Outcome {
    let (stage, mount) = on_a_disk()?;
    stage.begin("lives", 1)?;
    say(&stage, "before")?;
    // What the journal has written grows over into its file only with this.
    broken(&mount, how)?;
    exhaust(&stage, how)?;
    while_broken(&stage, how)?;
    mended(&mount, how)?;
    say(&stage, "after")?;
    stage.go_on("lives", 1)?;
    stage.kill_broker();
    let text = stage.call("read_output", &json!({"child": "lives", "mode": "stream"}))?.to_string();
    if text.contains("got not") {
        return Err(format!("what was refused was typed: {text}"));
    }
    stage.finish("lives", 1)?;
    stage.is_sound("last").map(|()| String::new())
}

/// Messages until the log that SQLite has room for already is full too.
fn exhaust(stage: &Stage, how: &str) -> Result<(), String> {
    let long = "x".repeat(3000);
    for n in 0..200 {
        // Not the child that is looked at.
        match stage.call("spawn", &json!({"command": ["true", long], "name": format!("fill-{n}")})) {
            Ok(_) if how == "full" => {}
            Ok(value) => return Err(format!("a read-only disk took {value}")),
            Err(_) => return Ok(()),
        }
    }
    Err("200 spawns were written to a full disk".into())
}

fn started(how: &str) -> Outcome {
    let (stage, mount) = on_a_disk()?;
    stage.begin("lives", 1)?;
    say(&stage, "before")?;
    say(&stage, "report-kept")?;
    stage.line("lives", "^reported 0$", 1)?;
    stage.kill_broker();
    broken(&mount, how)?;
    let rows = stage.rows().map_err(|why| format!("no broker starts: {why}"))?;
    if rows.len() != 1 || rows[0]["name"] != "lives" {
        return Err(format!("it was not adopted: {rows:?}"));
    }
    while_broken(&stage, how)?;
    mended(&mount, how)?;
    say(&stage, "after")?;
    let reports = stage.call("read_reports", &json!({}))?;
    if reports["reports"]
        .as_array()
        .is_none_or(|reports| reports.len() != 1 || reports[0]["message"] != "kept")
    {
        return Err(format!("the report is gone: {reports}"));
    }
    stage.go_on("lives", 1)?;
    stage.finish("lives", 1)?;
    stage.is_sound("last").map(|()| String::new())
}

/// The rings' disk is full: what runs waits when its ring must grow.
fn rings() -> Outcome {
    let stage = Stage::new();
    stage.call("list_children", &json!({}))?;
    stage.kill_broker();
    let mount = Mount::at(stage.run().join("k"), "1m")?;
    stage.begin("lives", 1)?;
    let talks =
        "read x; i=0; while [ $i -lt 2000 ]; do i=$((i+1)); printf '%0100d\\n' $i; done; echo all; read x";
    stage.call(
        "spawn",
        &json!({"command": ["sh", "-c", format!("stty -echo; echo ready; {talks}")], "name": "talks"}),
    )?;
    stage.line("talks", "^ready$", 1)?;
    let filler = mount.fill();
    stage.call("send_keys", &json!({"to": "talks", "keys": ["Enter"]}))?;
    let spawned = stage.call("spawn", &json!({"command": ["true"], "name": "not"}));
    match &spawned {
        Ok(value) => return Err(format!("a full disk took {value}")),
        Err(words) if is_vague(words) || !words.contains("No space") => {
            return Err(format!("spawn said {words:?}"));
        }
        Err(_) => {}
    }
    stage.go_on("lives", 1)?;
    std::fs::remove_file(filler).map_err(|error| error.to_string())?;
    stage.line("talks", "^all$", 1)?;
    let text =
        stage.call("read_output", &json!({"child": "talks", "mode": "stream", "max_bytes": 262_144}))?;
    let lines = text.as_str().unwrap_or_default().lines().filter(|line| line.len() == 100).count();
    if lines != 2000 {
        return Err(format!("{lines} of 2000 lines"));
    }
    stage.finish("lives", 1)?;
    stage.finish("talks", 1)?;
    stage.is_sound("last").map(|()| String::new())
}

type Spoil = fn(&Path);

/// What may have become of a journal.
const SPOILT: &[(&str, Spoil)] = &[
    ("overwritten within", |db| {
        let file = std::fs::OpenOptions::new().read(true).write(true).open(db).unwrap();
        let length = file.metadata().unwrap().len();
        for at in (4096 + 50..length).step_by(4096) {
            file.write_at(&[0xa5; 600], at).unwrap();
        }
    }),
    ("cut in two", |db| {
        let file = std::fs::OpenOptions::new().write(true).open(db).unwrap();
        let length = file.metadata().unwrap().len();
        file.set_len(length / 2 + 100).unwrap();
        drop(std::fs::remove_file(db.with_extension("db-wal")));
    }),
    ("without its log", |db| drop(std::fs::remove_file(db.with_extension("db-wal")))),
    ("empty", |db| {
        std::fs::write(db, "").unwrap();
        drop(std::fs::remove_file(db.with_extension("db-wal")));
    }),
    ("a directory", |db| {
        std::fs::remove_file(db).unwrap();
        std::fs::create_dir(db).unwrap();
    }),
];

fn spoilt(spoil: Spoil, into_file: bool) -> Outcome {
    let stage = Stage::new();
    stage.begin("lives", 1)?;
    say(&stage, "before")?;
    stage.kill_broker();
    let state = stage.run().join("state");
    if into_file {
        // With the last connection SQLite takes its log into the file.
        drop(compere::journal::Journal::open(&state).unwrap());
        while state.join("journal.db-wal").exists() {
            std::thread::yield_now();
        }
    }
    spoil(&state.join("journal.db"));
    let rows = stage.rows().map_err(|why| format!("no broker starts: {why}"))?;
    if rows.len() != 1 || rows[0]["name"] != "lives" {
        return Err(format!("it was not adopted: {rows:?}"));
    }
    let log = std::fs::read_to_string(stage.run().join("broker.log")).unwrap_or_default();
    let named = if log.contains("the journal is begun anew") { "set aside" } else { "read as it was" };
    say(&stage, "after").map_err(|why| format!("{named}; {why}"))?;
    stage.go_on("lives", 1)?;
    stage.finish("lives", 1)?;
    stage.is_sound("last").map(|()| named.into())
}
