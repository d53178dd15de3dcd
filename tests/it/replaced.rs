//! A broker that ends under its fronts, and the next one, of this version or another: what the host notices.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixListener,
    process::Stdio,
    sync::mpsc,
    time::Duration,
};

use compere::ipc::door::Door;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{COMPERE, Raw, Real, gone};

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(30);

async fn call(front: &mut Raw, id: u64, tool: &str, arguments: Value) -> Value {
    front.ask(id, "tools/call", json!({"name": tool, "arguments": arguments})).await["result"].clone()
}

fn request(id: impl Into<Value>, method: &str, params: Value) -> String {
    json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params}).to_string()
}

fn wait(id: impl Into<Value>, arguments: Value) -> String {
    request(id, "tools/call", json!({"name": "timer_wait", "arguments": arguments}))
}

/// Kills the broker; answers which it was.
fn kill(real: &Real) -> i32 {
    let broker = real.broker().unwrap();
    kill_process(Pid::from_raw(broker).unwrap(), Signal::KILL).unwrap();
    gone(broker);
    broker
}

/// A broker that answers this much of its connections' hellos, one after the other, reads a line of each, and closes it.
fn impostor(real: &Real, welcomes: Vec<Value>) -> (std::thread::JoinHandle<()>, mpsc::Receiver<String>) {
    let door = Door::at(real.run()).unwrap();
    let listener = UnixListener::bind(door.socket()).unwrap();
    let (heard, lines) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let count = welcomes.len();
        for (at, mut welcome) in welcomes.into_iter().enumerate() {
            let (stream, _) = listener.accept().unwrap();
            let mut read = BufReader::new(stream.try_clone().unwrap());
            read.read_line(&mut String::new()).unwrap();
            welcome["compere"] = 1.into();
            welcome["version"] = env!("CARGO_PKG_VERSION").into();
            welcome["pid"] = std::process::id().into();
            writeln!(&stream, "{welcome}").unwrap();
            let mut line = String::new();
            read.read_line(&mut line).unwrap();
            if at + 1 == count {
                // Nobody finds it any more once this connection ends.
                std::fs::remove_file(door.socket()).unwrap();
            }
            let _ = heard.send(line);
        }
        drop(listener);
    });
    (thread, lines)
}

#[tokio::test]
async fn a_host_goes_on_with_the_next_broker_and_each_request_is_answered_once() {
    let real = Real::new();
    let mut front = real.raw();
    front.initialize().await;
    front.write(wait(5, json!({"timeout_ms": 40_000}))).await;
    front.write(wait("w", json!({"wait_id": "w1"}))).await;
    front.answer("w").await;
    front.write(wait("a\"b", json!({"timeout_ms": 40_000, "until": []}))).await;
    front.write(wait(6, json!({"timeout_ms": 40_000}))).await;
    front.write(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":6}}"#).await;
    front.ask(7, "ping", json!({})).await;
    let first = kill(&real);
    front.write(request(8, "tools/call", json!({"name": "list_children", "arguments": {}}))).await;
    for id in [json!(5), json!("a\"b")] {
        let answer = front.read().await.unwrap();
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert!(
            answer["id"] == id && text.contains("The broker was replaced while this call ran"),
            "{answer}"
        );
    }
    let list = front.read().await.unwrap();
    assert_eq!([&list["id"], &list["result"]["structuredContent"]["you"]["id"]], [&json!(8), &json!("r1")]);
    assert_ne!(real.broker().unwrap(), first);
    // It was told who the host is: else it would not answer a wait that tells of progress.
    let wait = call(&mut front, 9, "timer_wait", json!({"timeout_ms": 1, "until": []})).await;
    assert_eq!(wait["structuredContent"]["woke"], "timer");
    front.end();
    assert!(front.ended().await.2.is_empty());
    assert_eq!(front.complaint().await, "");
}

#[tokio::test]
async fn a_host_without_a_handshake_goes_on_too() {
    let real = Real::new();
    let mut front = real.raw();
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "modern", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let call = |tool, arguments| json!({"name": tool, "arguments": arguments, "_meta": meta});
    front.ask(1, "server/discover", json!({"_meta": meta})).await;
    front.write(request(2, "tools/call", call("timer_wait", json!({"timeout_ms": 40_000})))).await;
    front.ask(3, "tools/list", json!({"_meta": meta})).await;
    kill(&real);
    let lost = front.read().await.unwrap();
    assert_eq!([&lost["id"], &lost["result"]["isError"]], [&json!(2), &json!(true)]);
    assert_eq!(lost["result"]["resultType"], "complete");
    // The new broker never heard of it, and rmcp would end the connection.
    front.ask(3, "ping", json!({})).await;
    front.write(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}"#).await;
    let list = front.ask(4, "tools/call", call("list_children", json!({}))).await;
    assert_eq!(list["result"]["structuredContent"]["you"]["id"], "r1", "{list}");
}

#[tokio::test]
async fn what_is_said_while_there_is_no_broker_waits_for_the_next() {
    let real = Real::new();
    let lock = Door::at(real.run()).unwrap().lock().unwrap();
    let mut front = abandoned(&real).await;
    for id in 100..140 {
        front.write(request(id, "ping", json!({}))).await;
    }
    front.write(b"nonsense").await;
    drop(lock);
    let mut answered = Vec::new();
    for _ in 0..41 {
        answered.push(front.read().await.unwrap()["id"].as_u64());
    }
    answered.retain(Option::is_some);
    assert_eq!(answered, (100..140).map(Some).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_front_without_a_broker_ends_at_the_end_of_its_input_all_the_same() {
    let real = Real::new();
    // While we have the lock no broker starts.
    let _lock = Door::at(real.run()).unwrap().lock().unwrap();
    let mut front = abandoned(&real).await;
    front.write(request(2, "ping", json!({}))).await;
    front.end();
    let (took, success, rest) = front.ended().await;
    assert!(success && rest.is_empty() && took < Duration::from_secs(1), "{took:?} {rest:?}");
}

/// A front whose broker has gone.
async fn abandoned(real: &Real) -> Raw {
    let (impostor, _heard) = impostor(real, vec![json!({"you": "r1"})]);
    let mut front = real.raw();
    front.write(request(1, "ping", json!({}))).await;
    assert_eq!(front.read().await.unwrap()["error"]["code"], -32000);
    impostor.join().unwrap();
    front
}

#[tokio::test]
async fn brokers_that_end_again_and_again_end_the_front_and_say_where_to_look() {
    let real = Real::new();
    let (impostor, heard) = impostor(&real, vec![json!({"you": "r1"}); 3]);
    let mut front = real.raw();
    for id in 1..=3 {
        front.write(request(id, "ping", json!({}))).await;
        assert_eq!(serde_json::from_str::<Value>(&heard.recv_timeout(PATIENCE).unwrap()).unwrap()["id"], id);
        let error = front.read().await.unwrap();
        let words = if id < 3 { "send it again" } else { "3 times within 10 s" };
        assert!(error["id"] == id && error["error"]["message"].as_str().unwrap().contains(words), "{error}");
    }
    impostor.join().unwrap();
    let (_, success, rest) = front.ended().await;
    assert!(!success && rest.is_empty(), "{rest:?}");
    let complaint = front.complaint().await;
    assert!(
        complaint.contains("see `compere doctor`, and") && complaint.contains("broker.log"),
        "{complaint}"
    );
}

#[tokio::test]
async fn a_broker_that_takes_a_host_for_another_or_refuses_it_ends_the_front() {
    for (second, words) in [
        (json!({"you": "r2"}), "the new one takes us for r2 instead of r1"),
        (
            json!({"refused": "nobody has this identity"}),
            "there is no other: the broker refuses this connection",
        ),
    ] {
        let real = Real::new();
        let (impostor, heard) = impostor(&real, vec![json!({"you": "r1"}), second]);
        let mut front = real.raw();
        front.write(request(1, "ping", json!({}))).await;
        heard.recv_timeout(PATIENCE).unwrap();
        assert_eq!(front.read().await.unwrap()["error"]["code"], -32000);
        assert!(!front.ended().await.1);
        impostor.join().unwrap();
        let complaint = front.complaint().await;
        assert!(complaint.contains(words), "{complaint}");
    }
}

#[tokio::test]
async fn a_nested_agent_may_be_the_first_to_speak_after_a_crash() {
    let real = Real::new();
    Door::at(real.run()).unwrap();
    let socket = real.run().join("broker.sock");
    let identity = "f".repeat(64);
    let mut command = real.command(COMPERE);
    command.args(["call", "list_children", "{}"]).env_remove("COMPERE_RUNTIME_DIR").stdin(Stdio::null());
    command
        .env("COMPERE_SOCKET", &socket)
        .env("COMPERE_IDENTITY", &identity)
        .env("COMPERE_LINGER_MS", "5000");
    let said = command.output().await.unwrap();
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("no child has this identity"), "{said}");
    assert!(real.broker().is_some());
    // But a company that was taken away altogether is not put back.
    command.env("COMPERE_SOCKET", real.run().join("gone/broker.sock"));
    let said = String::from_utf8(command.output().await.unwrap().stderr).unwrap();
    assert!(said.contains("No such file") && !real.run().join("gone").exists(), "{said}");
}

#[tokio::test]
async fn an_older_broker_is_replaced_by_whoever_meets_it_and_a_newer_one_is_not() {
    for (version, replaced) in [("0.0.1", true), (env!("CARGO_PKG_VERSION"), false), ("999.0.0", false)] {
        let real = Real::new();
        let (mut old, pid) = other_broker(&real, version).await;
        let mut fronts: Vec<Raw> = (0..3).map(|_| real.raw()).collect();
        if replaced {
            for front in &mut fronts {
                assert_eq!(front.initialize().await["result"]["serverInfo"]["name"], "compere");
            }
            use std::os::unix::process::ExitStatusExt;
            assert_eq!(old.wait().await.unwrap().signal(), Some(Signal::TERM.as_raw()));
            assert_ne!(real.broker(), Some(pid));
        } else {
            for front in &mut fronts {
                assert_eq!(front.ask(1, "ping", json!({})).await["result"], version);
            }
            drop(fronts);
            old.start_kill().unwrap();
            old.wait().await.unwrap();
            std::fs::remove_file(real.run().join("broker.sock")).unwrap();
        }
    }
}

/// A process that listens as a broker of this version would, and its number.
pub(crate) async fn other_broker(real: &Real, version: &str) -> (tokio::process::Child, i32) {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let door = Door::at(real.run()).unwrap();
    let mut command = real.command(std::env::current_exe().unwrap().to_str().unwrap());
    command
        .args(["--exact", "replaced::another_version_of_the_broker", "--ignored", "--nocapture"])
        .env("VERSION", version)
        .env("DOOR", door.socket())
        .stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    while !lines.next_line().await.unwrap().unwrap().contains("listening") {}
    let pid = process.id().unwrap() as i32;
    (process, pid)
}

/// Not a test but the program of the one above: the kernel must find another process listening.
#[test]
#[ignore = "serves until it is ended"]
fn another_version_of_the_broker() {
    let version = std::env::var("VERSION").unwrap();
    let listener = UnixListener::bind(std::env::var_os("DOOR").unwrap()).unwrap();
    #[allow(clippy::print_stdout, reason = "the one that started us reads it")]
    {
        println!("listening");
    }
    for stream in listener.incoming() {
        let version = version.clone();
        std::thread::spawn(move || {
            let stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            lines.next();
            let welcome = json!({"compere": 1, "version": version, "pid": std::process::id(), "you": "r1"});
            // Whoever only looks whether somebody listens is gone, too.
            let _ = writeln!(&stream, "{welcome}");
            for line in lines.map_while(Result::ok) {
                let request: Value = serde_json::from_str(&line).unwrap();
                let answer = json!({"jsonrpc": "2.0", "id": request["id"], "result": version});
                // It may be gone.
                let _ = writeln!(&stream, "{answer}");
            }
        });
    }
}
