//! What stands between a company and the others on its machine: users, sockets, planted files, and what can be seen of
//! its secrets.

use std::{
    io::{ErrorKind, Read, Write},
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixStream,
    },
    path::Path,
    time::Duration,
};

use compere::keeper::wire::{Request, VERSION};
use rmcp::transport::TokioChildProcess;
use serde_json::json;

use crate::support::{COMPERE, Client, Real, mentioning, sh};

const NOBODY: u32 = 65534;

/// Does this as another user, if we may become one: credentials are each thread's own to the kernel.
#[allow(
    unsafe_code,
    reason = "a thread's user differs from its process's; this one does nothing else and ends"
)]
fn as_nobody<T: Send>(what: impl FnOnce() -> T + Send) -> T {
    use rustix::{
        fs::{Gid, Uid},
        thread::{set_thread_res_gid, set_thread_res_uid},
    };
    let become_nobody = || {
        let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        set_thread_res_gid(gid, gid, gid).unwrap();
        set_thread_res_uid(uid, uid, uid).unwrap();
        what()
    };
    std::thread::scope(|scope| scope.spawn(become_nobody).join().unwrap())
}

/// Whether tests can be another user; says so if not.
fn is_root() -> bool {
    let root = rustix::process::getuid().is_root();
    if !root {
        eprintln!("SKIPPED: only root can try it as another user");
    }
    root
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// What the other end says to these first bytes until it hangs up.
fn answer(socket: &Path, first: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // It may have hung up already.
    let _ = stream.write_all(first);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "it did not hang up"),
    }
    answer
}

#[tokio::test]
async fn another_user_is_kept_out_by_modes_and_turned_away_without_them() {
    if !is_root() {
        return;
    }
    let real = Real::new();
    let host = real.client().await;
    let child = host.spawn(sh("echo ready; read x; echo $x")).await;
    host.line(&child, "^ready$").await;
    let (run, keepers) = (real.run(), real.run().join("k"));
    let (broker, keeper) = (run.join("broker.sock"), keepers.join("c1.sock"));
    for socket in [&broker, &keeper] {
        let error = as_nobody(|| UnixStream::connect(socket).unwrap_err().kind());
        assert_eq!(error, ErrorKind::PermissionDenied, "{}", socket.display());
    }

    let dirs = [run.parent().unwrap(), &run, &keepers];
    dirs.iter().for_each(|dir| chmod(dir, 0o755));
    for socket in [&broker, &keeper] {
        let error = as_nobody(|| UnixStream::connect(socket).unwrap_err().kind());
        assert_eq!(error, ErrorKind::PermissionDenied, "the socket's own mode: {}", socket.display());
        chmod(socket, 0o666);
    }
    let hello = json!({"compere": 1, "version": "0", "role": "person", "workspace": "/", "cwd": "/"});
    let hello = format!("{hello}\n{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}}\n");
    assert_eq!(as_nobody(|| answer(&broker, hello.as_bytes())), b"");
    let mut frames = Vec::new();
    Request::Hello { version: VERSION }.encode(&mut frames);
    Request::Signal { signal: 9, whom: compere::keeper::wire::Whom::Tree }.encode(&mut frames);
    assert_eq!(as_nobody(|| answer(&keeper, &frames)), b"");
    host.say(&child, "still there").await;
    host.line(&child, "^still there$").await;

    let log = std::fs::read_to_string(run.join("broker.log")).unwrap();
    assert!(log.contains(&format!("another user was turned away uid={NOBODY}")), "{log}");
    dirs.iter().for_each(|dir| chmod(dir, 0o700));
}

/// The sockets of a process, by inode.
fn sockets(pid: i32) -> Vec<String> {
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = fds.filter_map(|fd| std::fs::read_link(fd.path()).ok());
    links
        .filter_map(|to| Some(to.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect()
}

/// Those of these sockets that somebody could reach who cannot reach our directory.
fn reachable(sockets: &[String]) -> Vec<String> {
    const NETWORKS: [&str; 9] = ["tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6", "icmp"];
    let mut found = Vec::new();
    for table in NETWORKS {
        let text = std::fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
        // The tenth column is the inode in all of them.
        let ours = |line: &&str| {
            line.split_whitespace().nth(9).is_some_and(|inode| sockets.iter().any(|it| it == inode))
        };
        found.extend(text.lines().filter(ours).map(|line| format!("{table} {line}")));
    }
    let unix = std::fs::read_to_string("/proc/net/unix").unwrap();
    for line in unix.lines() {
        let mut words = line.split_whitespace();
        let (inode, path) = (words.nth(6).unwrap_or_default(), words.next().unwrap_or_default());
        // An abstract name has no directory and no mode.
        if path.starts_with('@') && sockets.iter().any(|it| it == inode) {
            found.push(format!("unix {line}"));
        }
    }
    found
}

#[tokio::test]
async fn nobody_listens_on_any_network() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    assert_eq!(reachable(&sockets(std::process::id() as i32)).len(), 1, "it would be found");
    drop(listener);

    let real = Real::new();
    let host = real.client().await;
    let report = r#"report_to_parent '{"status": "done", "message": "x"}'"#;
    let script = format!(
        "read x; {COMPERE} call {report}; exec {COMPERE} call timer_wait '{{\"timeout_ms\": 20000}}'"
    );
    let child = host.spawn(sh(&script)).await;
    host.say(&child, "go").await;
    host.call("timer_wait", json!({"timeout_ms": 20_000})).await.woke("report");
    let processes = mentioning(real.run().parent().unwrap());
    assert!(processes.contains(&real.broker().unwrap()) && processes.len() >= 4, "{processes:?}");
    let sockets: Vec<String> = processes.into_iter().flat_map(sockets).collect();
    assert!(sockets.len() >= 4, "{sockets:?}");
    assert_eq!(reachable(&sockets), [""; 0]);
}

#[tokio::test]
async fn what_is_planted_where_a_keeper_will_be_is_not_written_through() {
    let real = Real::new();
    let host = real.client().await;
    host.call("list_children", json!({})).await;
    let target = real.run().with_file_name("target");
    std::fs::write(&target, "mine").unwrap();
    for (planted, why) in [("c1.ring", "File exists"), ("c2.sock", "Address already in use")] {
        symlink(&target, real.run().join("k").join(planted)).unwrap();
        host.call("spawn", json!({"command": ["true"]})).await.says(why);
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "mine", "{planted}");
    }
    host.spawn(sh("read x")).await;
}

#[tokio::test]
async fn a_runtime_directory_that_is_not_ours_alone_is_said_so() {
    let real = Real::new();
    let (run, other) = (real.run(), real.run().with_file_name("other"));
    let said = async |why: &str| {
        let said = real.call_with(&[], "list_children", json!({})).await;
        assert!(said.contains(&format!("{} {why}", run.display())), "{said}");
    };
    std::fs::create_dir(&other).unwrap();
    chmod(&other, 0o700);
    symlink(&other, &run).unwrap();
    said("is a symbolic link").await;
    assert_eq!(std::fs::read_dir(&other).unwrap().count(), 0, "nothing was written there");

    std::fs::remove_file(&run).unwrap();
    std::fs::create_dir(&run).unwrap();
    chmod(&run, 0o770);
    said("is open to others: its mode must be 0700").await;
    std::fs::remove_dir(real.run()).unwrap();
}

#[tokio::test]
async fn an_identity_is_in_no_argument_no_log_and_no_answer() {
    let real = Real::new();
    let mut front = real.command(COMPERE);
    front.env("COMPERE_LOG", "trace");
    let host = Client::over(TokioChildProcess::new(front).unwrap()).await;
    let list = format!("{COMPERE} call list_children '{{}}'");
    let report = format!(r#"{COMPERE} call report_to_parent '{{"status": "done", "message": "x"}}'"#);
    let script = format!(
        r#"stty -echo; printf %s "$COMPERE_IDENTITY" > id; {list}; {report}; exec {COMPERE} call timer_wait '{{"timeout_ms": 20000}}'"#
    );
    let work = real.run().with_file_name("work");
    let mut answers = Vec::new();
    // With a preset that hands the identity on in a file.
    for wish in [
        json!({"preset": "claude", "command": ["sh", "-c", script]}),
        json!({"command": ["sh", "-c", "read x"]}),
    ] {
        answers.push(host.call("spawn", wish).await);
    }
    answers.push(host.call("timer_wait", json!({"timeout_ms": 20_000})).await);
    answers.last().unwrap().woke("report");
    let identity = std::fs::read_to_string(work.join("id")).unwrap();
    assert_eq!(identity.len(), 64);
    for (tool, arguments) in [
        ("list_children", json!({})),
        ("read_output", json!({"child": "c1"})),
        ("read_output", json!({"child": "c1", "mode": "stream", "raw": true})),
        ("read_reports", json!({"after": 0})),
        ("send_keys", json!({"to": "nobody", "keys": ["Enter"]})),
        ("spawn", json!({"command": ["true"], "env": {"COMPERE_IDENTITY": "x"}})),
        ("spawn", json!({"command": ["no such program"]})),
        ("spawn", json!({"preset": "claude", "command": ["true"], "cwd": "/nowhere"})),
        ("stop", json!({"child": "c2", "grace_ms": 0})),
    ] {
        answers.push(host.call(tool, arguments).await);
    }
    for answer in &answers {
        assert!(!format!("{answer:?}").contains(&identity), "{answer:?}");
    }

    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    let lines: Vec<String> = lines.map(|line| String::from_utf8_lossy(&line).into_owned()).collect();
    assert!(
        lines
            .iter()
            .any(|line| line.contains("printf %s \"$COMPERE_IDENTITY\"") || line.contains("timer_wait"))
    );
    assert!(!lines.iter().any(|line| line.contains(&identity)));
    let ps = tokio::process::Command::new("ps").args(["axww"]).env_clear().output().await.unwrap();
    assert!(!String::from_utf8_lossy(&ps.stdout).contains(&identity));

    let logs = ["broker.log", "broker.log.1"]
        .map(|log| std::fs::read_to_string(real.run().join(log)).unwrap_or_default());
    assert!(logs.concat().contains("TRACE"), "the log says all it can");
    assert!(!logs.concat().contains(&identity));

    // Where it is written, only we read it.
    let state = real.run().with_file_name(".local").join("state/compere");
    let dirs = std::fs::read_dir(state).unwrap().flatten();
    let file = dirs.map(|dir| dir.path().join("c1.d/mcp.json")).find(|file| file.exists()).unwrap();
    assert!(std::fs::read_to_string(&file).unwrap().contains(&identity));
    for (path, mode) in [(&*file, 0o600), (file.parent().unwrap(), 0o700)] {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, mode, "{}", path.display());
    }
}
