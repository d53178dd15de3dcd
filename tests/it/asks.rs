//! What a child asks: shown with its choices wherever its state is, and answered only while it is still asked.

use serde_json::{Value, json};

use crate::support::{Client, Company};

/// A program that asks twice and then is at its prompt. Its answer to a model could be taken for a question.
const PROGRAM: &str = r"
    stty raw -echo
    ask() { printf '\033[2J\033[HModel: I can 1. add 2. remove\r\nRun %s?\r\n> 1. Yes\r\n  2. No\r\nEsc cancels\r\n' $1; }
    ask build; first=$(dd bs=1 count=1 2>/dev/null)
    ask clean; second=$(dd bs=1 count=1 2>/dev/null)
    printf '\033[2J\033[Htook %s and %s\r\nready> ' $first $second
    exec cat
";

async fn asker(company: &Company, root: &Client) -> String {
    let preset = json!({
        "name": "asker",
        "about": "asks",
        "command": ["sh", "-c", PROGRAM],
        "state": {"rules": [
            {
                "on": "bottom", "matches": r"(?<prompt>Run [^\n]*(?:\n[^\n]*){3}Esc cancels)\s*\z",
                "state": "needs_input", "what": "permission"
            },
            {"on": "bottom", "matches": r"ready>\s*\z", "state": "idle"},
        ]},
    });
    company.preset("asker", preset);
    root.call("spawn", json!({"preset": "asker"})).await["child"].as_str().unwrap().to_owned()
}

async fn asked(root: &Client, child: &str) -> Value {
    root.wait(json!({"child": child, "is": "needs_input"})).await.woke("needs_input")["prompt"].clone()
}

#[tokio::test]
async fn a_question_is_told_with_its_choices_wherever_the_state_is() {
    let company = Company::new();
    let root = company.root().await;
    let child = asker(&company, &root).await;
    let prompt = asked(&root, &child).await;
    assert_eq!(prompt["text"], "Run build?\n> 1. Yes\n  2. No\nEsc cancels");
    let choices = json!([{"key": "1", "text": "Yes", "selected": true}, {"key": "2", "text": "No"}]);
    assert_eq!(prompt["choices"], choices);
    let hash = prompt["hash"].as_str().unwrap();
    assert_eq!((hash.len(), hash.trim_matches(|c: char| c.is_ascii_hexdigit())), (12, ""));
    let listed = root.call("list_children", json!({})).await;
    assert_eq!(listed["children"][0]["prompt"], prompt);
    let read = root.call("read_output", json!({"child": child})).await;
    assert!(read.text().contains(&format!("(rule 1) · prompt {hash} ·")), "{}", read.text());
    assert_eq!(read.meta("prompt"), prompt);
    let refused = root.call("send_message_to", json!({"to": child, "message": "hello"})).await;
    assert_eq!([&refused["status"], &refused["prompt"]], [&json!("refused"), &prompt]);
}

#[tokio::test]
async fn an_answer_is_never_given_to_another_question() {
    let company = Company::new();
    let root = company.root().await;
    let child = asker(&company, &root).await;
    let first = asked(&root, &child).await;
    let press = |key: &str, prompt: &Value| {
        root.call("send_keys", json!({"to": child, "keys": [key], "prompt": prompt["hash"]}))
    };
    let wrong = press("9", &json!({"hash": "0123456789ab"})).await;
    assert_eq!(wrong["status"], "refused");
    let hash = first["hash"].as_str().unwrap();
    assert_eq!(wrong["reason"], format!("it asks something else now: prompt {hash}, and not 0123456789ab"));
    assert_eq!(wrong["prompt"], first, "and the one that it asks is told");
    assert_eq!(press("1", &first).await["status"], "typed");
    let second = asked(&root, &child).await;
    assert_eq!(second["text"], "Run clean?\n> 1. Yes\n  2. No\nEsc cancels");
    assert_eq!(press("1", &first).await["status"], "refused");
    assert_eq!(press("2", &second).await["status"], "typed");
    root.line(&child, "^took 1 and 2$").await;
    root.wait(json!({"child": child, "is": "idle"})).await.woke("idle");
    let late = press("1", &second).await;
    assert_eq!(late["status"], "refused");
    assert!(late["reason"].as_str().unwrap().starts_with("it asks nothing now"), "{late:?}");
    assert_eq!(late["prompt"], Value::Null);
}
