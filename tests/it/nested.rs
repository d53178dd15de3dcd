//! Agents within agents: who a process is, what it may do, and where its reports go.

use compere::registry::limits::Limits;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{COMPERE, Client, Company, Real, sh};

/// A child that is an agent of its own, from the moment on that it is told to: see
/// `a_child_is_itself_from_its_first_moment_on`.
async fn agent(host: &Client, script: &str, arguments: Value) -> String {
    let child =
        host.spawn_with(sh(&format!("stty -echo; echo ready; read x; {script}; read x")), arguments).await;
    host.line(&child, "^ready$").await;
    host.say(&child, "go").await;
    child
}

/// `compere call TOOL JSON`, for a shell.
fn call(tool: &str, arguments: &Value) -> String {
    format!("{COMPERE} call {tool} '{arguments}'")
}

#[tokio::test]
async fn a_program_in_a_child_reports_and_ends_its_parents_wait() {
    let real = Real::new();
    let host = real.client().await;
    let report =
        call("report_to_parent", &json!({"status": "blocked", "message": "which one?", "data": {"n": 1}}));
    let child = agent(&host, &report, json!({"name": "worker"})).await;
    let woke = host.call("timer_wait", json!({"timeout_ms": 20_000})).await;
    let report = &woke.woke("report")["reports"][0];
    assert_eq!([&report["from"], &report["name"], &report["status"]], [&child, "worker", "blocked"]);
    assert_eq!([&report["message"], &report["data"]], [&json!("which one?"), &json!({"n": 1})]);
    assert_eq!(host.line(&child, "report\":1").await, r#"{"report":1,"to":"r1"}"#);
}

#[tokio::test]
async fn an_identity_is_good_only_within_its_child_and_while_it_lives() {
    let real = Real::new();
    let host = real.client().await;
    let child = host.spawn(sh("echo id=$COMPERE_IDENTITY. at=$COMPERE_SOCKET.; read x")).await;
    let line = host.line(&child, r"id=[0-9a-f]{64}\. at=.*broker.sock\.").await;
    let token = &line[3..67];
    let socket = real.run().join("broker.sock");
    let from_outside = async |token: &str| {
        let env = [("COMPERE_IDENTITY", token), ("COMPERE_SOCKET", socket.to_str().unwrap())];
        real.call_with(&env, "list_children", json!({})).await
    };
    let refused = from_outside(token).await;
    assert!(
        refused.contains("this identity belongs to a child that this process does not run in"),
        "{refused}"
    );
    for wrong in ["f".repeat(64), "x".into(), String::new()] {
        let refused = from_outside(&wrong).await;
        assert!(refused.contains("no child has this identity"), "{wrong}: {refused}");
    }
    host.call("stop", json!({"child": child, "grace_ms": 0})).await;
    let refused = from_outside(token).await;
    assert!(refused.contains("no child has this identity"), "{refused}");
}

#[tokio::test]
async fn a_siblings_identity_is_of_no_use() {
    let real = Real::new();
    let host = real.client().await;
    let first = host.spawn(sh("echo id=$COMPERE_IDENTITY.; read x")).await;
    let line = host.line(&first, r"id=[0-9a-f]{64}\.").await;
    let thief = format!("COMPERE_IDENTITY={} {}", &line[3..67], call("list_children", &json!({})));
    let second = agent(&host, &format!("{thief} 2>&1"), json!({})).await;
    host.line(&second, "a child that this process does not run in").await;
}

#[tokio::test]
async fn a_process_in_a_child_that_shows_no_identity_is_that_child_all_the_same() {
    let real = Real::new();
    let host = real.client().await;
    let list = call("list_children", &json!({}));
    let script =
        format!("env -u COMPERE_IDENTITY -u COMPERE_SOCKET {list}; setsid -f env -u COMPERE_IDENTITY {list}");
    let child = agent(&host, &script, json!({"cols": 1000})).await;
    for _ in 0..2 {
        host.line(&child, r#""you":\{"id":"c1","name":"sh","parent":"r1""#).await;
    }
    assert!(!host.all(&child).await.contains("\"id\":\"person\""));
}

#[tokio::test]
async fn a_child_is_itself_from_its_first_moment_on() {
    let real = Real::new();
    let host = real.client().await;
    let list = call("list_children", &json!({}));
    for _ in 0..20 {
        let script = format!("{list} 2>&1; env -u COMPERE_IDENTITY {list} 2>&1; echo o''ver; read x");
        let child = host.spawn_with(sh(&script), json!({"cols": 1000})).await;
        host.line(&child, "^over$").await;
        let all = host.all(&child).await;
        assert_eq!(all.matches(&format!("\"you\":{{\"id\":\"{child}\"")).count(), 2, "{all}");
        host.call("stop", json!({"child": child, "grace_ms": 0})).await;
    }
}

#[tokio::test]
async fn a_child_of_a_child_inherits_and_answers_to_it() {
    let real = Real::new();
    let host = real.client().await;
    let script = company_script();
    let child =
        agent(&host, &script, json!({"env": {"GIVEN": "heirloom", "COMPERE": COMPERE}, "cols": 1000})).await;
    host.line(&child, "from-below").await;
    let all = host.call("list_children", json!({})).await;
    let rows = all["children"].as_array().unwrap();
    assert_eq!([&rows[1]["child"], &rows[1]["parent"]], ["c2", "c1"]);
    host.line("c2", "^heirloom$").await;
}

/// A child that spawns another, which reports; and waits for that.
fn company_script() -> String {
    [
        "cat > inner.sh <<'END'",
        "read x; echo $GIVEN",
        "$COMPERE call report_to_parent '{\"status\":\"done\",\"message\":\"from-below\"}'",
        "read x",
        "END",
        "$COMPERE call spawn '{\"command\":[\"sh\",\"inner.sh\"]}'",
        "$COMPERE call send_message_to '{\"to\":\"c2\",\"message\":\"go\"}'",
        "$COMPERE call timer_wait '{\"timeout_ms\":20000}'",
    ]
    .join("\n")
}

#[tokio::test]
async fn a_child_sees_those_around_it_and_rules_only_those_below() {
    let company = Company::new();
    let root = company.root().await;
    root.spawn_with(sh("read x"), json!({"name": "me"})).await;
    root.spawn_with(sh("read x"), json!({"name": "other"})).await;
    let me = company.child("c1").await;
    me.spawn_with(sh("read x"), json!({"name": "mine"})).await;
    let mine = company.child("c3").await;
    company.child("c2").await.spawn_with(sh("read x"), json!({"name": "theirs"})).await;

    let list = me.call("list_children", json!({})).await;
    let children: Vec<&Value> =
        list["children"].as_array().unwrap().iter().map(|row| &row["child"]).collect();
    assert_eq!(children, ["c3"]);
    assert_eq!(
        list["around_you"],
        json!([{"child": "c2", "name": "other", "is_your": "sibling", "state": list["around_you"][0]["state"]}])
    );
    assert_eq!([&list["you"]["id"], &list["you"]["name"], &list["you"]["parent"]], ["c1", "me", "r1"]);
    assert!(!me.call("read_output", json!({"child": "c1"})).await.is_error(), "it may read itself");
    assert!(!me.call("read_output", json!({"child": "mine"})).await.is_error());
    for (client, who, words) in [
        (&me, "c2", "c2 is your sibling, whom you may see and not write to. Report to your parent"),
        (&me, "other", "other is your sibling"),
        (&me, "c1", "c1 is your own self, whom you may see and not write to"),
        (&me, "c4", "there is no child c4. There is c1 (me), c2 (other), c3 (mine)."),
        (&mine, "c1", "c1 is your parent, whom you may see and not write to"),
        (&mine, "c2", "there is no child c2"),
        (&me, "nobody", "there is no child nobody"),
    ] {
        client.call("stop", json!({"child": who})).await.says(words);
        client.call("send_keys", json!({"to": who, "keys": ["Enter"]})).await.says(words);
    }
    me.call("read_output", json!({"child": "c2"})).await.says("not read");
    assert_eq!(company.registry().load().live, 4);
}

#[tokio::test]
async fn who_has_no_parent_cannot_report() {
    let company = Company::new();
    for client in [company.root().await, company.person().await] {
        let report = client.call("report_to_parent", json!({"status": "done", "message": "x"})).await;
        report.says("you have no parent. Only a child that compere spawned can report");
    }
}

#[tokio::test]
async fn a_report_has_its_bounds() {
    let company = Company::new();
    let root = company.root().await;
    root.spawn(sh("read x")).await;
    let child = company.child("c1").await;
    for (arguments, words) in [
        (json!({"status": "done", "message": " \n"}), "the message is empty"),
        (
            json!({"status": "done", "message": "x".repeat(70_000)}),
            "the message is 70000 bytes long, and 65536 are the most. Write it to a file",
        ),
        (
            json!({"status": "done", "message": "x", "data": {"y": "y".repeat(70_000)}}),
            "the data is 70008 bytes long",
        ),
    ] {
        child.call("report_to_parent", arguments).await.says(words);
    }
    assert!(
        child
            .refused("report_to_parent", json!({"status": "fine", "message": "x"}))
            .await
            .contains("unknown variant `fine`")
    );
    assert_eq!(root.call("read_reports", json!({})).await["reports"], json!([]));
}

#[tokio::test]
async fn a_report_to_a_parent_that_ended_goes_to_the_one_above() {
    let company = Company::new();
    let root = company.root().await;
    let parent = root.spawn(sh("stty -echo; echo ready; read x; exit 0")).await;
    root.line(&parent, "^ready$").await;
    company.child("c1").await.spawn(sh("read x")).await;
    root.say(&parent, "go").await;
    root.exit(&parent).await;
    let reported =
        company.child("c2").await.call("report_to_parent", json!({"status": "done", "message": "x"})).await;
    assert_eq!(reported["to"], "r1");
    let reports = root.call("read_reports", json!({})).await;
    assert_eq!([&reports["reports"][0]["from"], &reports["reports"][0]["meant_for"]], ["c2", "c1"]);
}

#[tokio::test]
async fn there_is_a_last_generation() {
    let company = Company::with(Limits { depth: 2, ..Limits::default() });
    company.root().await.spawn(sh("read x")).await;
    company.child("c1").await.spawn(sh("read x")).await;
    let third = company.child("c2").await.call("spawn", json!({"command": ["true"]})).await;
    third
        .says("a child here would be generation 3, and the limit is 2. Do this yourself")
        .says("config.json");
}

#[tokio::test]
async fn however_many_are_spawned_at_once_no_limit_is_passed() {
    let company = Company::with(Limits { children: 5, ..Limits::default() });
    let root = company.root().await;
    let spawned = join_all((0..20).map(|_| root.call("spawn", json!({"command": ["sleep", "1000"]})))).await;
    let (refused, alive): (Vec<_>, Vec<_>) = spawned.iter().partition(|answer| answer.is_error());
    assert_eq!((alive.len(), refused.len(), company.registry().load().live), (5, 15, 5));
    refused.iter().for_each(|answer| {
        answer.says("you have 5 live children, which is the limit. Stop children you no longer need");
    });
    root.call("stop", json!({"child": "sleep", "grace_ms": 0})).await;
    root.spawn(json!(["sleep", "1000"])).await;
}

#[tokio::test]
async fn a_tree_and_a_minute_have_their_limits_too() {
    let company = Company::with(Limits { tree: 2, ..Limits::default() });
    let root = company.root().await;
    root.spawn(sh("read x")).await;
    let child = company.child("c1").await;
    child.spawn(sh("read x")).await;
    for client in [&root, &child] {
        client
            .call("spawn", json!({"command": ["true"]}))
            .await
            .says("your tree has 2 live children, which is the limit");
    }
    let company = Company::with(Limits { spawns_per_minute: 2, ..Limits::default() });
    let root = company.root().await;
    for _ in 0..2 {
        let child = root.spawn(sh("exit 0")).await;
        root.exit(&child).await;
    }
    root.call("spawn", json!({"command": ["true"]}))
        .await
        .says("your tree spawned 2 children within a minute");
}
