//! `send_keys`: interrupts, menus, and keys nobody has.

use serde_json::json;

use crate::support::{Company, sh};

#[tokio::test]
async fn ctrl_c_interrupts_what_runs() {
    let company = Company::new();
    let root = company.root().await;
    let bash = root.bash().await;
    root.say(&bash, "sh -c 'echo sta''rted; exec sleep 100'").await;
    root.line(&bash, "^started$").await;
    let pressed = root.call("send_keys", json!({"to": bash, "keys": ["C-c"]})).await;
    assert_eq!(pressed["status"], "typed");
    root.wait(json!({"child": bash, "is": "idle"})).await.woke("idle");
    root.say(&bash, "echo code=$?").await;
    root.line(&bash, "^code=130$").await;
}

#[tokio::test]
async fn arrows_follow_the_cursor_mode_the_program_asked_for() {
    let company = Company::new();
    let root = company.root().await;
    for (mode, up) in [("l", "033 133 101"), ("h", "033 117 101")] {
        let script = format!("printf '\\033[?1{mode}'; stty raw -echo; echo ready; od -An -to1 -N3");
        let child = root.spawn(sh(&script)).await;
        root.line(&child, "^ready").await;
        root.call("send_keys", json!({"to": child, "keys": ["Up"]})).await;
        root.line(&child, up).await;
    }
}

#[tokio::test]
async fn keys_are_pressed_in_order() {
    let company = Company::new();
    let root = company.root().await;
    let child = root.spawn(sh("stty raw -echo; echo ready; od -An -to1 -N7")).await;
    root.line(&child, "^ready").await;
    root.call("send_keys", json!({"to": child, "keys": ["Escape", "Tab", "Enter", "C-c", "M-x", "é"]})).await;
    root.line(&child, "033 011 015 003 033 170 303").await;
}

#[tokio::test]
async fn a_key_nobody_has_is_refused_with_a_list_and_nothing_is_pressed() {
    let company = Company::new();
    let root = company.root().await;
    let child = root.spawn(sh("stty raw -echo; echo ready; od -An -to1 -N1")).await;
    root.line(&child, "^ready").await;
    let refused = root.call("send_keys", json!({"to": child, "keys": ["a", "Retrun"]})).await;
    refused
        .says("keys[1] is \"Retrun\", which is no key; there are Enter, Escape, Tab")
        .says("Nothing was typed");
    root.call("send_keys", json!({"to": child, "keys": []})).await.says("there is no key in the list");
    root.call("send_keys", json!({"to": child, "keys": ["z"]})).await;
    root.line(&child, "172").await;
}

#[tokio::test]
async fn keys_wait_for_nothing_when_a_question_is_on_the_screen() {
    let company = Company::new();
    let root = company.root().await;
    let child = root
        .spawn(sh("printf 'Sure? [y/n] '; stty raw -echo; dd bs=1 count=1 2>/dev/null | od -An -c"))
        .await;
    root.line(&child, "Sure").await;
    root.call("send_keys", json!({"to": child, "keys": ["y"]})).await;
    root.exit(&child).await;
    assert!(root.all(&child).await.contains(" y"));
}
