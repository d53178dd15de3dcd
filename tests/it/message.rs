//! `send_message_to`: what is typed, when, and what a receipt says.

use compere::{
    child::delivery::{Outcome, Reached},
    id::{Caller, RootId},
    registry::messages::When,
};
use serde_json::json;
use std::time::{Duration, Instant};

use crate::support::{Company, sh};

#[tokio::test]
async fn a_message_is_typed_exactly_once() {
    let company = Company::new();
    let root = company.root().await;
    let reader =
        root.spawn(sh("stty -echo; echo ready; while read line; do echo \"got <$line>\"; done")).await;
    root.line(&reader, "^ready$").await;
    root.say(&reader, "one two").await;
    root.say(&reader, "last").await;
    root.line(&reader, "^got <last>$").await;
    assert_eq!(root.all(&reader).await, "ready\ngot <one two>\ngot <last>\n");
}

#[tokio::test]
async fn the_receipts_offset_is_where_its_effect_begins() {
    let company = Company::new();
    let root = company.root().await;
    let bash = root.bash().await;
    let offset = root.say(&bash, "echo fir''st").await;
    let found = json!({"child": bash, "matches": "^first$", "since": offset});
    root.wait(found).await.woke("match");
    let offset = root.say(&bash, "echo sec''ond").await;
    let old = json!({"child": bash, "matches": "^(first|second)$", "since": offset});
    assert_eq!(root.wait(old).await["line"], "second");
}

#[tokio::test]
async fn several_lines_reach_bash_as_one_paste() {
    let company = Company::new();
    let root = company.root().await;
    let bash = root.bash().await;
    root.say(&bash, "for n in 1 2 3; do\n\techo \"n=$n\"\ndone; echo al''l").await;
    root.line(&bash, "^all$").await;
    let all = root.all(&bash).await;
    assert!(all.contains("n=1\nn=2\nn=3\nall\n"), "{all}");
    assert_eq!(
        all.matches("\n$ ").count() + all.matches("\n> ").count(),
        1,
        "one prompt after one paste: {all}"
    );
}

#[tokio::test]
async fn a_line_the_kernel_would_cut_is_refused_and_nothing_is_typed() {
    let company = Company::new();
    let root = company.root().await;
    let reader =
        root.spawn(sh("stty -echo; echo ready; while read line; do echo \"got ${#line}\"; done")).await;
    root.line(&reader, "^ready$").await;
    let long = root.call("send_message_to", json!({"to": reader, "message": "x".repeat(4095)})).await;
    assert_eq!(long["status"], "refused");
    assert!(
        long["reason"]
            .as_str()
            .unwrap()
            .contains("line 1 has 4096 bytes; this program reads whole lines of at most 4095")
    );
    root.say(&reader, &"y".repeat(4094)).await;
    root.line(&reader, "^got 4094$").await;
    assert_eq!(root.all(&reader).await, "ready\ngot 4094\n");
}

#[tokio::test]
async fn what_cannot_be_typed_is_refused_in_words() {
    let company = Company::new();
    let root = company.root().await;
    let cat = root.spawn(sh("stty -echo; echo ready; cat")).await;
    root.line(&cat, "^ready$").await;
    for (message, words) in [
        (
            "x".repeat(10 << 20),
            "the message has 10485760 bytes; at most 262144 can be typed. Put what is long into a file",
        ),
        (String::new(), "the message is empty"),
        ("\u{1b}\0 \n".to_owned(), "the message is empty"),
    ] {
        root.call("send_message_to", json!({"to": cat, "message": message})).await.says(words);
    }
    root.say(&cat, "end").await;
    root.line(&cat, "^end$").await;
    assert_eq!(root.all(&cat).await, "ready\nend\n");
}

#[tokio::test]
async fn nothing_in_a_message_acts_as_a_key() {
    let company = Company::new();
    let root = company.root().await;
    let expected = "\u{1b}[200~ab[201~\rc201~\u{1b}[201~\r";
    let script = format!(
        "printf '\\033[?2004h'; stty raw -echo; echo ready; od -An -to1 -v -N{}; echo over; read x",
        expected.len()
    );
    let dump = root.spawn(sh(&script)).await;
    root.line(&dump, "^ready").await;
    root.say(&dump, "a\0b\u{1b}[201~\u{3}\r\nc\u{9b}201~").await;
    root.line(&dump, "over").await;
    let all = root.all(&dump).await;
    let words = all.split_whitespace().skip(1).take(expected.len());
    let typed: Vec<u8> = words.map(|octal| u8::from_str_radix(octal, 8).unwrap()).collect();
    assert_eq!(String::from_utf8(typed).unwrap(), expected);
}

#[tokio::test]
async fn a_message_before_the_prompt_waits_for_it() {
    let company = Company::new();
    let root = company.root().await;
    let fifo = company.work().join("go");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
    let rc = company.work().join("rc");
    std::fs::write(&rc, "stty -echo; read go < go; stty echo; PS1='$ '").unwrap();
    let slow = root.spawn(json!(["bash", "--noprofile", "--rcfile", rc, "-i"])).await;
    let early =
        root.call("send_message_to", json!({"to": slow, "message": "echo do''ne", "wait_ms": 0})).await;
    assert_eq!([&early["status"], &early["state"]], ["queued", "starting"]);
    assert_eq!(root.row(&slow).await["queued"], 1);
    std::fs::write(&fifo, "go\n").unwrap();
    root.line(&slow, "^done$").await;
    assert_eq!(root.all(&slow).await.matches("do''ne").count(), 1);
}

#[tokio::test]
async fn the_first_message_is_delivered_when_the_shell_is_ready() {
    let company = Company::new();
    let root = company.root().await;
    let arguments =
        json!({"preset": "shell", "env": {"SHELL": "/bin/sh", "PS1": "$ "}, "message": "echo fi''rst"});
    let shell = root.call("spawn", arguments).await;
    assert!(shell["delivery"].is_string(), "{}", shell.text());
    root.line(shell["child"].as_str().unwrap(), "^first$").await;
}

#[tokio::test]
async fn a_message_to_one_that_ended_is_refused() {
    let company = Company::new();
    let root = company.root().await;
    let child = root.spawn(sh("exit 3")).await;
    root.exit(&child).await;
    let late = root.call("send_message_to", json!({"to": child, "message": "hello"})).await;
    assert_eq!(late["status"], "refused");
    assert_eq!(late["reason"], "it has exited (exit code 3)");
}

#[tokio::test]
async fn a_message_that_ends_the_program_was_typed() {
    let company = Company::new();
    let root = company.root().await;
    for _ in 0..10 {
        let child = root.spawn(sh("stty -echo; echo ready; read x")).await;
        root.line(&child, "^ready$").await;
        root.say(&child, "the end").await;
        root.exit(&child).await;
    }
}

#[tokio::test]
async fn two_senders_at_once_do_not_mix() {
    let company = Company::new();
    let (root, person) = (company.root().await, company.person().await);
    let reader =
        root.spawn(sh("stty -echo; echo ready; while read line; do echo \"got <$line>\"; done")).await;
    root.line(&reader, "^ready$").await;
    let text = |who: &str, n: usize| format!("{who}{n} {}", who.repeat(200));
    let send = async |client: &crate::support::Client, who: &str| {
        let sends = (0..10).map(|n| async move { client.say("c1", &text(who, n)).await });
        futures::future::join_all(sends).await;
    };
    tokio::join!(send(&root, "a"), send(&person, "b"));
    root.say(&reader, "last").await;
    root.line(&reader, "^got <last>$").await;
    let all = root.all(&reader).await;
    let mut lines: Vec<&str> = all.lines().skip(1).filter(|line| *line != "got <last>").collect();
    lines.sort_unstable();
    let mut expected: Vec<String> =
        ["a", "b"].iter().flat_map(|who| (0..10).map(move |n| format!("got <{}>", text(who, n)))).collect();
    expected.sort();
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn a_child_that_never_reads_holds_nobody_else_up() {
    let company = Company::new();
    let root = company.root().await;
    let deaf = root.spawn(sh("stty raw -echo; echo ready; exec sleep 1000")).await;
    root.line(&deaf, "^ready").await;
    let big = root
        .call("send_message_to", json!({"to": deaf, "message": "x".repeat(200_000), "wait_ms": 50}))
        .await;
    assert_eq!(big["status"], "queued", "{}", big.text());
    let next = root.call("send_message_to", json!({"to": deaf, "message": "y", "wait_ms": 0})).await;
    assert_eq!([&next["status"], &next["before"]], [&json!("queued"), &json!(1)]);
    let began = Instant::now();
    root.call("read_output", json!({"child": deaf})).await;
    root.row(&deaf).await;
    let other = root.spawn(sh("echo hi")).await;
    root.exit(&other).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn no_more_than_a_hundred_messages_wait() {
    let company = Company::new();
    let root = company.root().await;
    let deaf = root.spawn(sh("stty raw -echo; echo ready; exec sleep 1000")).await;
    root.line(&deaf, "^ready").await;
    root.call("send_message_to", json!({"to": deaf, "message": "x".repeat(200_000), "wait_ms": 0})).await;
    for _ in 1..100 {
        root.call("send_message_to", json!({"to": deaf, "message": "y", "wait_ms": 0})).await;
    }
    let more = root.call("send_message_to", json!({"to": deaf, "message": "y", "wait_ms": 0})).await;
    more.says("100 messages are already waiting. Wait until it is idle");
}

#[tokio::test]
async fn a_person_keeps_agents_out_and_is_not_kept_out() {
    let company = Company::new();
    let person = company.person().await;
    let child =
        person.spawn(sh("stty -echo; echo ready; while read line; do echo \"got <$line>\"; done")).await;
    person.line(&child, "^ready$").await;
    assert_eq!(person.row(&child).await["owner_who"], "ada");
    // No agent has a person's child below it; so the agent's message does not go by the tools.
    let registry = company.registry();
    let found = registry.family(Caller::Person).pop().unwrap();
    let (agent, wait) = (Caller::Root(RootId(1)), Duration::from_secs(20));
    let held = registry.message(agent, &found, "from the agent", When::InTurn, wait).await.unwrap();
    assert_eq!(held.fate, None, "held at once, however long one would wait");
    assert_eq!(held.standing.unwrap().reached, Reached::Held);
    assert_eq!(person.row(&child).await["held"], 1);
    let typed =
        registry.message(Caller::Person, &found, "from the person", When::InTurn, wait).await.unwrap();
    assert!(matches!(typed.fate.unwrap().outcome, Outcome::Typed { .. }));
    person.line(&child, "^got <from the person>$").await;
    assert_eq!(person.all(&child).await, "ready\ngot <from the person>\n");
}
