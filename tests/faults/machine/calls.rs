//! The n-th system call fails, n = 1, 2, 3, … until none does any more: in a broker and a keeper at work, and in both as
//! they start.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use serde_json::json;

use super::{
    stage::{COMPERE, Stage, is_vague},
    strace::{self, Attached, Call},
};
use crate::fault::{Fault, Outcome, Run};

const JOURNAL: &str = "state/journal.db";
const WAL: &str = "state/journal.db-wal";

/// What a broker at work calls.
const BROKER: &[Call] = &[
    Call::new("openat", "EMFILE"),
    Call::new("socket", "EMFILE"),
    Call::new("connect", "EAGAIN"),
    Call::new("accept4", "ECONNABORTED"),
    Call::new("accept4", "EMFILE"),
    Call::new("pipe2", "EMFILE"),
    Call::new("eventfd2", "EMFILE"),
    Call { path: Some(WAL), ..Call::new("pwrite64", "ENOSPC") },
    Call { path: Some(WAL), ..Call::new("pwrite64", "EIO") },
    Call { path: Some(WAL), ..Call::new("pwrite64", "EROFS") },
    Call { path: Some(JOURNAL), ..Call::new("pwrite64", "EIO") },
    Call { path: Some("broker.log"), ..Call::new("write", "ENOSPC") },
    Call::new("fsync,fdatasync", "EIO"),
    Call::new("clone,clone3,vfork", "EAGAIN"),
    Call::new("mmap", "ENOMEM"),
    Call::new("epoll_wait", "EINTR"),
    Call::new("poll,ppoll", "EINTR"),
];

/// What a broker calls until it listens.
const BROKER_STARTS: &[Call] = &[
    Call::new("openat", "EMFILE"),
    Call::new("mkdir", "ENOSPC"),
    Call::new("flock", "EINTR"),
    Call::new("socket", "EMFILE"),
    Call::new("bind", "ENOBUFS"),
    Call::new("listen", "ENOBUFS"),
    Call::new("fsync,fdatasync", "EIO"),
    Call::new("pwrite64", "ENOSPC"),
    Call { path: Some("home.new"), ..Call::new("write", "ENOSPC") },
    Call::new("rename", "EIO"),
    Call::new("clone,clone3,vfork", "EAGAIN"),
    Call::new("mmap", "ENOMEM"),
];

/// What a keeper at work calls.
const KEEPER: &[Call] = &[
    Call::new("accept4", "EMFILE"),
    Call::new("accept4", "ECONNABORTED"),
    Call::new("poll,ppoll", "EINTR"),
    Call::new("poll,ppoll", "ENOMEM"),
    Call::new("read", "EINTR"),
    Call::new("write,writev", "EINTR"),
    Call::new("sendto,sendmsg,recvfrom", "EINTR"),
    Call::new("fallocate", "ENOSPC"),
    Call::new("pwrite64", "ENOSPC"),
];

/// What a keeper calls until its child runs.
const KEEPER_STARTS: &[Call] = &[
    Call::new("openat,open", "EMFILE"),
    Call { path: Some("/dev/ptmx"), ..Call::new("openat", "ENOSPC") },
    Call::new("ioctl", "ENOSPC"),
    Call::new("socket", "EMFILE"),
    Call::new("bind", "ENOSPC"),
    Call::new("listen", "ENOBUFS"),
    Call::new("signalfd4", "EMFILE"),
    Call::new("flock", "EINTR"),
    Call::new("ftruncate", "ENOSPC"),
    Call::new("pwrite64", "ENOSPC"),
    Call::new("fallocate", "ENOSPC"),
    Call::new("mmap", "ENOMEM"),
    Call::new("clone,clone3,vfork,fork", "EAGAIN"),
];

/// Often enough for whoever calls again as he is told to.
const TRIES: usize = 5;

/// One trying of one call.
type Try = fn(&mut Run, Call) -> Outcome;

pub(super) fn all() -> Vec<Fault> {
    let works =
        "a clear error or none; calling again does it, once; afterwards all works and nothing is left";
    let starts = "it starts, or says why not and leaves nothing; the next one works";
    let mut all = Vec::new();
    let families: [(&str, &str, &'static [Call], Try); 4] = [
        ("broker", works, BROKER, at_work_broker),
        ("broker's start", starts, BROKER_STARTS, starting_broker),
        ("keeper", works, KEEPER, at_work_keeper),
        ("keeper's start", starts, KEEPER_STARTS, starting_keeper),
    ];
    for (who, expected, calls, run) in families {
        for call in calls {
            let Call { names, error, path } = call;
            let of = path.map(|path| format!(" of {path}")).unwrap_or_default();
            let name = format!("calls: {who}: {names}{of}: {error}");
            all.push(Fault::new(name, "strace, the n-th call in each thread", expected, move |trying| {
                strace::unusable().map_or_else(|| run(trying, *call), Ok)
            }));
        }
    }
    all
}

/// Tries the n-th call until none fails any more. `attempt` answers how many did, and how much was refused.
fn each(run: &mut Run, mut attempt: impl FnMut(usize) -> Result<(usize, usize), String>) -> Outcome {
    let (mut n, mut injected, mut refused) = (1, 0, 0);
    // A call that is made all the time would never end; by then every place of the walk was met.
    let (most, step) = (run.of(60, 4), run.of(1, 2));
    while n <= most {
        run.tried();
        let (hit, more) = attempt(n).map_err(|why| format!("n = {n}: {why}"))?;
        if hit == 0 {
            break;
        }
        (injected, refused, n) = (injected + hit, refused + more, n + step);
    }
    match injected {
        0 => Ok("no such call is made here".into()),
        _ => Ok(format!("{injected} failures, {refused} refusals")),
    }
}

fn at_work_broker(run: &mut Run, call: Call) -> Outcome {
    let stage = Stage::new();
    stage.is_sound("first")?;
    let before = stage.descriptors();
    let figures = each(run, |n| {
        // It may have ended of the one before: then the next call starts another.
        stage.rows()?;
        let broker = stage.broker().ok_or("there is no broker")?;
        let attached = Attached::to(broker, call, n, stage.dir(), &stage.run())?;
        let walked = stage.walk(&format!("w{n}"), TRIES);
        let hit = attached.detach();
        Ok((hit, walked?))
    })?;
    stage.is_sound("last")?;
    let after = stage.descriptors();
    // The rings of the ended stay open for their readers, one each.
    if after > before + 2 * run.tries() as usize + 4 {
        return Err(format!("the broker had {before} descriptors and has {after}"));
    }
    Ok(figures)
}

fn starting_broker(run: &mut Run, call: Call) -> Outcome {
    each(run, |n| {
        let stage = Stage::new();
        stage.begin("lives", 1)?;
        stage.kill_broker();
        let notes = stage.dir().join("strace.out");
        let mut strace = stage
            .command("strace")
            .args(call.arguments(n, &notes, &stage.run()))
            .args([COMPERE, "broker"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        // One that hangs is ended by the row's own time.
        BufReader::new(strace.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let refused = usize::from(said.trim() != "listening");
        // strace would not let it go.
        stage.kill_broker();
        let ended = strace.wait_with_output().unwrap();
        // Without memory the loader fails before our first instruction.
        if refused == 1 && call.names != "mmap" && is_vague(&said) {
            return Err(format!("it said {said:?}, {}", String::from_utf8_lossy(&ended.stderr)));
        }
        stage.go_on("lives", TRIES)?;
        stage.finish("lives", TRIES)?;
        let hit = strace::injected(&notes);
        stage.is_sound("next")?;
        Ok((hit, refused))
    })
}

fn at_work_keeper(run: &mut Run, call: Call) -> Outcome {
    let stage = Stage::new();
    let figures = each(run, |n| {
        let name = format!("w{n}");
        stage.begin(&name, 1)?;
        let attached = Attached::to(stage.keeper(&name)?, call, n, stage.dir(), &stage.run())?;
        // What a second broker would do, and then so much that the ring grows.
        drop(std::os::unix::net::UnixStream::connect(
            stage.run().join(format!("k/{}.sock", id(&stage, &name)?)),
        ));
        let walked = stage.go_on(&name, TRIES);
        let hit = attached.detach();
        let refused = walked?;
        stage.finish(&name, 1)?;
        Ok((hit, refused))
    })?;
    stage.is_sound("last")?;
    Ok(figures)
}

fn id(stage: &Stage, name: &str) -> Result<String, String> {
    let row = stage.rows()?.into_iter().find(|row| row["name"] == name);
    row.and_then(|row| Some(row["child"].as_str()?.to_owned())).ok_or(format!("no {name}"))
}

/// A keeper by itself: its answer is one line, and what it could not start leaves nothing.
fn starting_keeper(run: &mut Run, call: Call) -> Outcome {
    let stage = Stage::new();
    let mut words = Vec::new();
    let figures = each(run, |n| {
        let (ring, socket) = (stage.dir().join("c1.ring"), stage.dir().join("c1.sock"));
        let spec = json!({
            "child": "c1", "argv": ["sh", "-c", "exit 3"], "cwd": stage.dir(), "env": [["PATH", "/usr/bin:/bin"]],
            "size": {"rows": 24, "cols": 80}, "ring": ring, "socket": socket,
        });
        std::fs::write(stage.dir().join("spec"), format!("{spec}\n")).unwrap();
        let notes = stage.dir().join("strace.out");
        let mut command = stage.command("timeout");
        let spec = std::fs::File::open(stage.dir().join("spec")).unwrap();
        let arguments = call.arguments(n, &notes, std::path::Path::new("/"));
        command.args(["20", "strace"]).args(arguments).args([COMPERE, "keeper"]).stdin(spec);
        let output = command.output().unwrap();
        if output.status.code() == Some(124) {
            return Err("HANG".into());
        }
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let ok = said.contains("keeper_pid");
        if ok {
            let record = compere::keeper::Ring::open(&ring).map_err(|error| error.to_string())?;
            // In its child, after the fork, a failure is the child's end.
            if record.exit.is_none() {
                return Err(format!("it has no exit: {record:?}"));
            }
            let _ = std::fs::remove_file(&ring);
        } else if call.names != "mmap"
            && !said.contains("error")
            && is_vague(&String::from_utf8_lossy(&output.stderr))
        {
            return Err(format!("it said {said:?}, {output:?}"));
        }
        if socket.exists() || ring.exists() {
            return Err(format!("files are left, after {said:?}"));
        }
        words.push(said);
        Ok((strace::injected(&notes), usize::from(!ok)))
    })?;
    Ok(figures)
}
