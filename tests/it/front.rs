//! `compere` as a host sees it: lines on its standard streams, and its end.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{COMPERE, Raw, Real, alive, gone};

/// A front ends within 0.2 s on a machine that does nothing else; a busy one gets this long.
const SOON: Duration = Duration::from_secs(1);

async fn call(front: &mut Raw, id: u64, tool: &str, arguments: Value) -> Value {
    front.ask(id, "tools/call", json!({"name": tool, "arguments": arguments})).await["result"].clone()
}

/// A child that runs until it is stopped; its process.
async fn sleeper(front: &mut Raw) -> i32 {
    let spawned = call(front, 90, "spawn", json!({"command": ["sleep", "1000"]})).await;
    spawned["structuredContent"]["pid"].as_i64().unwrap() as i32
}

#[track_caller]
fn soon(what: &str, took: Duration) {
    eprintln!("{what}: the front ended after {took:?}");
    assert!(took < SOON, "{what}: {took:?}");
}

#[tokio::test]
async fn at_the_end_of_its_input_it_ends_and_the_children_do_not() {
    let real = Real::new();
    let mut front = real.raw();
    front.initialize().await;
    let child = sleeper(&mut front).await;
    front.end();
    let (took, success, rest) = front.ended().await;
    soon("end of input", took);
    assert!(success && rest.is_empty(), "{rest:?}");
    assert!(alive(child));
}

#[tokio::test]
async fn a_pending_wait_does_not_hold_it_up() {
    let real = Real::new();
    let mut front = real.raw();
    front.initialize().await;
    let wait = json!({"name": "timer_wait", "arguments": {"timeout_ms": 40_000}});
    front.write(json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": wait}).to_string()).await;
    front.ask(6, "ping", json!({})).await;
    front.end();
    soon("end of input in a wait", front.ended().await.0);
}

#[tokio::test]
async fn a_signal_ends_it_and_the_children_do_not_end() {
    let real = Real::new();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut front = real.raw();
        front.initialize().await;
        let child = sleeper(&mut front).await;
        kill_process(Pid::from_raw(front.process.id().unwrap() as i32).unwrap(), signal).unwrap();
        let (took, success, rest) = front.ended().await;
        soon(&format!("{signal:?}"), took);
        assert!(success && rest.is_empty(), "{signal:?} {rest:?}");
        assert!(alive(child));
    }
}

#[tokio::test]
async fn it_ends_with_the_process_that_started_it_though_its_input_stays_open() {
    let real = Real::new();
    let mut command = real.command("sh");
    // A job in the background would have no input of its own.
    command.arg("-c").arg(format!("exec 3<&0; {COMPERE} <&3 & wait"));
    let mut front = Raw::new(command);
    front.initialize().await;
    let child = sleeper(&mut front).await;
    let shell = front.process.id().unwrap();
    let fronts = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
    let pid: i32 = fronts.trim().parse().unwrap();
    let began = Instant::now();
    front.process.start_kill().unwrap();
    gone(pid);
    soon("its parent was killed", began.elapsed());
    assert!(front.ended().await.2.is_empty());
    assert!(alive(child));
}

#[tokio::test]
async fn the_same_host_finds_its_children_again() {
    let real = Real::new();
    for turn in 0..3 {
        let mut front = real.raw();
        front.initialize().await;
        let list = call(&mut front, 1, "list_children", json!({})).await["structuredContent"].clone();
        assert_eq!(
            [&list["you"]["id"], &json!(list["children"].as_array().unwrap().len())],
            [&json!("r1"), &json!(turn)]
        );
        sleeper(&mut front).await;
        front.end();
        front.ended().await;
    }
}

#[tokio::test]
async fn what_is_no_json_is_answered_with_an_error_and_the_next_request_works() {
    let real = Real::new();
    let mut front = real.raw();
    front.initialize().await;
    for nonsense in [&b"not json"[..], b"{\"jsonrpc\":", b"{\"a\":\"\xff\xfe\"}", b"\x00\x01"] {
        front.write(nonsense).await;
        let error = front.read().await.unwrap();
        assert_eq!([&error["id"], &error["error"]["code"]], [&Value::Null, &json!(-32700)], "{error}");
    }
    assert_eq!(front.ask(2, "ping", json!({})).await["result"], json!({}));
}

#[tokio::test]
async fn a_line_too_long_is_refused_by_its_id_and_the_next_request_works() {
    let real = Real::new();
    let mut front = real.raw();
    front.initialize().await;
    let arguments = json!({"to": "c1", "message": "x".repeat(17 << 20)});
    let error = front.ask(41, "tools/call", json!({"name": "send_message_to", "arguments": arguments})).await;
    assert_eq!(error["error"]["code"], -32600);
    assert!(error["error"]["message"].as_str().unwrap().contains("more than 16 MiB"), "{error}");
    assert_eq!(front.ask(42, "ping", json!({})).await["result"], json!({}));
}

#[tokio::test]
async fn requests_of_a_megabyte_pass() {
    let real = Real::new();
    let mut front = real.raw();
    front.initialize().await;
    let arguments = json!({"to": "c1", "message": "x".repeat(10 << 20)});
    let answer = call(&mut front, 3, "send_message_to", arguments).await;
    assert!(answer["content"][0]["text"].as_str().unwrap().contains("there is no child c1"), "{answer}");
}

#[tokio::test]
async fn a_notification_may_come_first() {
    let real = Real::new();
    let mut front = real.raw();
    front.write(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#).await;
    assert_eq!(front.initialize().await["result"]["serverInfo"]["name"], "compere");
}

#[tokio::test]
async fn a_ping_may_come_first() {
    let real = Real::new();
    let mut front = real.raw();
    front.write("").await;
    assert_eq!(front.ask(7, "ping", json!({})).await["result"], json!({}));
    assert_eq!(front.initialize().await["result"]["serverInfo"]["name"], "compere");
    assert_eq!(front.ask(8, "tools/list", json!({})).await["result"]["tools"].as_array().unwrap().len(), 9);
}

#[tokio::test]
async fn an_end_before_any_request_is_an_end_in_order() {
    let real = Real::new();
    let mut front = real.raw();
    front.end();
    let (took, success, rest) = front.ended().await;
    assert!(success && rest.is_empty(), "{rest:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(front.complaint().await, "");
}

#[tokio::test]
async fn an_unknown_tool_and_an_unknown_method_are_errors_and_nothing_breaks() {
    let real = Real::new();
    let mut front = real.raw();
    front.initialize().await;
    let unknown = front.ask(1, "tools/call", json!({"name": "teleport", "arguments": {}})).await;
    assert!(unknown["error"]["code"].is_number() || unknown["result"]["isError"] == true, "{unknown}");
    assert_eq!(front.ask(2, "compere/unknown", json!({})).await["error"]["code"], -32601);
    assert_eq!(front.ask(3, "ping", json!({})).await["result"], json!({}));
}

#[tokio::test]
async fn the_legacy_era_is_spoken() {
    let real = Real::new();
    let mut front = real.raw();
    let hello = front.initialize().await;
    assert_eq!(hello["result"]["protocolVersion"], "2025-06-18");
    assert!(hello["result"]["instructions"].as_str().unwrap().contains("timer_wait"));
    let list = call(&mut front, 1, "list_children", json!({})).await;
    assert_eq!(list["structuredContent"]["children"], json!([]));
    assert_eq!(
        serde_json::from_str::<Value>(list["content"][0]["text"].as_str().unwrap()).unwrap(),
        list["structuredContent"]
    );
}

#[tokio::test]
async fn the_modern_era_is_spoken() {
    let real = Real::new();
    let mut front = real.raw();
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "modern", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let found = front.ask(1, "server/discover", json!({"_meta": meta})).await;
    let versions = found["result"]["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!("2026-07-28")) && versions.contains(&json!("2025-06-18")), "{found}");
    let params = json!({"name": "list_children", "arguments": {}, "_meta": meta});
    let list = front.ask(2, "tools/call", params).await;
    assert_eq!(list["result"]["structuredContent"]["you"]["id"], "r1", "{list}");
    assert_eq!(list["result"]["resultType"], "complete");
}

#[tokio::test]
async fn both_eras_are_spoken_on_one_stream() {
    let real = Real::new();
    let mut front = real.raw();
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "modern", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    front.ask(1, "server/discover", json!({"_meta": meta})).await;
    assert_eq!(front.initialize().await["result"]["protocolVersion"], "2025-06-18");
    let list = call(&mut front, 2, "list_children", json!({})).await;
    assert_eq!(list["structuredContent"]["children"], json!([]));
}

#[tokio::test]
async fn two_hosts_at_once_start_one_broker() {
    let real = Real::new();
    let mut fronts: Vec<Raw> = (0..6).map(|_| real.raw()).collect();
    for front in &mut fronts {
        assert_eq!(front.initialize().await["result"]["serverInfo"]["name"], "compere");
    }
    let broker = real.broker().unwrap();
    drop(fronts);
    assert_eq!(real.broker(), Some(broker));
}

#[tokio::test]
async fn a_broker_with_nothing_to_keep_ends_by_itself() {
    let real = Real::new();
    let mut front = real.raw();
    front.initialize().await;
    let broker = real.broker().unwrap();
    front.end();
    front.ended().await;
    gone(broker);
    assert!(!real.run().join("broker.sock").exists());
}

#[tokio::test]
async fn no_two_requests_hold_each_other_up() {
    let real = Real::new();
    let mut front = real.raw();
    front.initialize().await;
    let wait = json!({"name": "timer_wait", "arguments": {"timeout_ms": 300, "until": []}});
    front.write(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": wait}).to_string()).await;
    front.write(json!({"jsonrpc": "2.0", "id": 2, "method": "ping"}).to_string()).await;
    assert_eq!(front.read().await.unwrap()["id"], 2);
    assert_eq!(front.answer(1).await["result"]["structuredContent"]["woke"], "timer");
}
