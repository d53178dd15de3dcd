//! A person at a pane: the real program in a real terminal, which is tmux's. Their keys go in by `send-keys`, what they
//! see comes out by `capture-pane`.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{
    COMPERE, Client, Real, alive, gone, sh, signal,
    terminal::{PATIENCE, Terminal, row_is},
};

/// Waits until its terminal has this size. A size is no event for an agent: this asks again and again.
async fn size_is(client: &Client, child: &str, size: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        let screen = client.call("read_output", json!({"child": child})).await.text();
        if screen.contains(&format!("screen {size} ")) {
            return;
        }
        assert!(Instant::now() < until, "not {size}: {screen}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A root with a shell, and a person's terminal of this size. The company is first, so that it ends last.
async fn scene(cols: u16, rows: u16) -> (Real, Client, String, Terminal) {
    let real = Real::new();
    let root = real.client().await;
    let child = root.bash().await;
    let terminal = Terminal::new(&real, cols, rows).await;
    (real, root, child, terminal)
}

#[tokio::test]
async fn a_person_sees_the_same_cells_types_and_leaves_everything_as_it_was() {
    let real = Real::new();
    let root = real.client().await;
    let child = root.bash().await;
    root.say(&child, "printf '\\033[1;31mred \\033[44mblue\\033[m 漢字 e\\314\\201\\n'; seq 30").await;
    root.line(&child, "^30$").await;
    let terminal = Terminal::new(&real, 90, 25).await;
    let (stty, state) = (terminal.stty().await, terminal.state());
    terminal.enters("clear");
    terminal.shows(|shown| shown == ">").await;

    terminal.attach(&child).await;
    let row = row_is(&root, &child, |row| row["owner"] == "person").await;
    assert_eq!(row["owner_who"], "ada");
    terminal.enters("echo typed by hand");
    terminal.shows(|shown| shown.matches("typed by hand").count() == 2).await;
    let screen = root.call("read_output", json!({"child": child})).await;
    let shown = terminal.shown();
    let (cells, line) = shown.rsplit_once('\n').unwrap();
    assert_eq!(cells.trim_end(), screen.body().trim_end(), "the same cells");
    assert!(screen.text().contains("screen 24x90"), "{}", screen.text());
    assert!(line.contains(&format!("{child} bash |")), "{line}");
    assert!(screen.text().contains("owner person"), "{}", screen.text());

    terminal.keys("C-]");
    terminal.has("d detach").await;
    terminal.keys("d");
    terminal.has("left c1; it goes on").await;
    assert_eq!(terminal.state(), state);
    assert_eq!(terminal.stty().await, stty);
    // Given back, and the size it was spawned with.
    row_is(&root, &child, |row| row["owner"] == "orchestrator").await;
    root.wait(json!({"child": child, "is": "idle"})).await.woke("idle");
    root.say(&child, "stty size").await;
    root.line(&child, "^40 120$").await;
    let read = root.call("read_reports", json!({})).await;
    let report = &read["reports"][0];
    assert_eq!(
        (&report["status"], &report["synthetic"]),
        (&json!("progress"), &json!(true)),
        "{}",
        read.text()
    );
    assert_eq!(report["data"]["lines"], json!(["echo typed by hand"]), "{report}");
    root.close().await;
}

#[tokio::test]
async fn a_message_meanwhile_is_held_counted_and_delivered_once_when_the_input_is_given_back() {
    let (_real, root, child, terminal) = scene(100, 25).await;
    terminal.attach(&child).await;
    let send = async |text: &str| root.call("send_message_to", json!({"to": child, "message": text})).await;
    let held = send("echo from the orchestrator").await;
    assert_eq!((&held["status"], &held["owner"]), (&json!("held"), &json!("person")), "{}", held.text());
    let unwanted = send("echo unwanted").await;
    assert_eq!(unwanted["status"], "held");
    send("echo changed").await;
    terminal.has("3 held").await;
    assert_eq!(root.row(&child).await["held"], 3);

    // Sent back, with a word of why.
    terminal.order("h");
    terminal.has("echo unwanted").await;
    terminal.keys("j");
    terminal.keys("r");
    terminal.has("why is it sent back").await;
    terminal.enters("not today");
    terminal.has("held until the input is given back: 2").await;
    let report = root.wait(json!({"report": true})).await;
    assert!(report.text().contains("a person rejected it: not today"), "{}", report.text());
    // Changed.
    terminal.keys("j");
    terminal.keys("e");
    terminal.has("it shall say: echo changed").await;
    terminal.enters(" by hand");
    let report = root.wait(json!({"report": true})).await;
    assert!(report.text().contains("> echo changed by hand"), "{}", report.text());
    terminal.keys("Escape");
    terminal.has("you have the input").await;
    assert!(
        !root.all(&child).await.contains("orchestrator"),
        "nothing is typed while a person has the input"
    );

    terminal.order("b");
    terminal.has("the orchestrator has the input").await;
    root.line(&child, "^from the orchestrator$").await;
    root.line(&child, "^changed by hand$").await;
    row_is(&root, &child, |row| row["held"] == 0).await;
    root.wait(json!({"child": child, "is": "idle"})).await.woke("idle");
    let all = root.all(&child).await;
    assert_eq!(all.matches("\nfrom the orchestrator").count(), 1, "{all}");
    assert!(!all.contains("unwanted"), "{all}");
    // Who looks on types nothing.
    terminal.keys("x");
    terminal.has("t takes it").await;
    terminal.order("t");
    terminal.has("you have the input").await;
    row_is(&root, &child, |row| row["owner"] == "person").await;
    root.close().await;
}

#[tokio::test]
async fn a_watcher_takes_nothing_and_changes_no_size() {
    let (real, root, child, terminal) = scene(75, 15).await;
    terminal.run(&format!("watch {child}"));
    terminal.has("the orchestrator has the input").await;
    root.say(&child, "stty size; echo seen by all").await;
    root.line(&child, "^40 120$").await;
    terminal.has("seen by all").await;
    terminal.keys("rm -rf");
    terminal.has("t takes it").await;
    assert_eq!(root.row(&child).await["owner"], "orchestrator");
    assert!(!root.all(&child).await.contains("rm -rf"));
    // What has scrolled away.
    root.say(&child, "clear; seq 200").await;
    terminal.shows(|shown| shown.lines().any(|line| line == "200")).await;
    terminal.keys("PPage");
    terminal.has("rows up").await;
    terminal.keys("q");
    terminal.has("the orchestrator has the input").await;

    // Of two who attach, the newest has the input, and the other is told.
    let second = Terminal::second(&real);
    terminal.order("t");
    terminal.has("you have the input").await;
    second.attach(&child).await;
    terminal.has("has taken the input; you look on").await;
    root.close().await;
}

#[tokio::test]
async fn a_watcher_that_takes_nothing_in_holds_up_nobody_and_then_sees_the_newest() {
    use rustix::process::Signal;
    let (_real, root, child, terminal) = scene(75, 15).await;
    terminal.run(&format!("watch {child}"));
    terminal.has("the orchestrator has the input").await;
    let (_, draws) = terminal.processes();
    signal(draws, Signal::STOP);
    // Megabytes more than all that is between them holds.
    root.say(&child, "seq 1 500000; echo all written").await;
    root.line(&child, "^all written$").await;
    root.say(&child, "echo and more").await;
    root.line(&child, "^and more$").await;
    assert!(!terminal.shown().contains("and more"));
    signal(draws, Signal::CONT);
    terminal.shows(|shown| shown.lines().any(|line| line == "and more")).await;
    root.close().await;
}

#[tokio::test]
async fn the_terminal_is_as_it_was_whoever_is_killed() {
    use rustix::process::Signal;
    let real = Real::new();
    let root = real.client().await;
    let child = root
        .spawn(sh("stty raw -echo; printf '\\033[?1003h\\033[?1006h\\033[?1h\\033=\\033[6 qready'; cat"))
        .await;
    root.line(&child, "ready").await;
    let terminal = Terminal::new(&real, 90, 25).await;
    let (stty, state) = (terminal.stty().await, terminal.state());
    for (kind, first) in [
        (Signal::KILL, true),
        (Signal::TERM, true),
        (Signal::HUP, true),
        (Signal::KILL, false),
        (Signal::TERM, false),
    ] {
        terminal.enters("clear");
        terminal.shows(|shown| shown == ">").await;
        terminal.attach(&child).await;
        terminal.has("ready").await;
        assert_ne!(terminal.state(), state);
        let (waits, draws) = terminal.processes();
        signal(if first { draws } else { waits }, kind);
        gone(draws);
        gone(waits);
        if !first && kind == Signal::KILL {
            // The shell has written its prompt before the one that draws was told, onto the screen that is left then.
            terminal.keys("Enter");
        }
        terminal.shows(|shown| shown.lines().any(|line| line == ">")).await;
        assert_eq!(terminal.stty().await, stty, "{kind:?} {first}");
        assert_eq!(terminal.state(), state, "{kind:?} {first}");
        row_is(&root, &child, |row| row["owner"] == "orchestrator").await;
    }
    root.close().await;
}

#[tokio::test]
async fn a_terminal_that_is_gone_gives_the_input_back() {
    let (_real, root, child, terminal) = scene(90, 25).await;
    terminal.attach(&child).await;
    let held = root.call("send_message_to", json!({"to": child, "message": "echo at last"})).await;
    assert_eq!(held["status"], "held");
    let (waits, draws) = terminal.processes();
    terminal.tmux(&["kill-pane"]);
    root.line(&child, "^at last$").await;
    row_is(&root, &child, |row| row["owner"] == "orchestrator").await;
    gone(draws);
    gone(waits);
    root.close().await;
}

#[tokio::test]
async fn a_broker_that_is_killed_is_followed_by_another() {
    let (real, root, child, terminal) = scene(90, 25).await;
    terminal.attach(&child).await;
    terminal.enters("echo before");
    terminal.shows(|shown| shown.lines().any(|line| line == "before")).await;
    let broker = real.broker().unwrap();
    signal(broker, rustix::process::Signal::KILL);
    gone(broker);
    // The same pane, its input taken again; what was there is there.
    terminal.shows(|_| real.broker().is_some_and(|now| now != broker)).await;
    row_is(&root, &child, |row| row["owner"] == "person").await;
    terminal.shows(|shown| shown.contains("you have the input") && shown.contains("echo before")).await;
    terminal.enters("echo after");
    terminal.shows(|shown| shown.lines().any(|line| line == "after")).await;
    assert!(alive(terminal.processes().1));
    terminal.order("d");
    terminal.has("left c1").await;
    row_is(&root, &child, |row| row["owner"] == "orchestrator").await;
    root.close().await;
}

#[tokio::test]
async fn a_program_gets_the_mouse_the_focus_and_pastes_only_if_it_asked() {
    let real = Real::new();
    let root = real.client().await;
    // Shows every byte it reads.
    let script = "stty raw -echo; printf \"$0\"; echo ready; exec cat -v";
    let quiet = root.spawn(json!(["bash", "-c", script, ""])).await;
    let asks = "\\033[?1000h\\033[?1006h\\033[?2004h\\033[?1004h";
    let asking = root.spawn(json!(["bash", "-c", script, asks])).await;
    for child in [&quiet, &asking] {
        root.line(child, "ready").await;
    }
    let terminal = Terminal::new(&real, 90, 25).await;
    terminal.tmux(&["set-buffer", "one\ntwo"]);
    let paste = || terminal.tmux(&["paste-buffer", "-p"]);

    terminal.attach(&quiet).await;
    terminal.keys("C-x");
    paste();
    terminal.shows(|shown| shown.contains("^Xone^Mtwo")).await;
    terminal.order("C-]");
    terminal.has("^]").await;
    terminal.order("d");
    terminal.has("left").await;

    terminal.attach(&asking).await;
    paste();
    terminal.has("^[[200~one^Mtwo^[[201~").await;
    root.close().await;
}

#[tokio::test]
async fn a_resize_goes_to_the_program_and_an_end_is_told() {
    let (_real, root, child, terminal) = scene(90, 25).await;
    terminal.attach(&child).await;
    for (cols, rows) in [(70, 20), (100, 30), (50, 12), (71, 21)] {
        terminal.tmux(&["resize-window", "-x", &cols.to_string(), "-y", &rows.to_string()]);
    }
    size_is(&root, &child, "20x71").await;
    terminal.enters("clear; stty size");
    terminal.shows(|shown| shown.lines().any(|line| line == "20 71")).await;
    terminal.tmux(&["resize-window", "-x", "10", "-y", "3"]);
    size_is(&root, &child, "5x20").await;
    // A storm: what counts is the last.
    for step in 0..60 {
        let (x, y) = ((40 + step).to_string(), (10 + step % 20).to_string());
        terminal.tmux(&["resize-window", "-x", &x, "-y", &y]);
    }
    terminal.tmux(&["resize-window", "-x", "80", "-y", "24"]);
    size_is(&root, &child, "23x80").await;
    terminal.enters("clear; stty size");
    terminal.shows(|shown| shown.lines().any(|line| line == "23 80")).await;
    terminal.enters("exit 7");
    terminal.has("it has ended: exited (exit code 7). Enter leaves").await;
    terminal.keys("Enter");
    terminal.has("has ended: exited (exit code 7)").await;
    root.close().await;
}

#[tokio::test]
async fn a_person_starts_a_program_and_is_there() {
    let real = Real::new();
    let root = real.client().await;
    let terminal = Terminal::new(&real, 90, 25).await;
    terminal.run("run --name mine -- sh -c 'stty size; echo \"here $0\"; cat' --guarded");
    let shown = terminal.has("you have the input").await;
    assert!(shown.contains("c1 mine |"), "{shown}");
    let shown = terminal.has("here --guarded").await;
    assert!(shown.starts_with("24 90\n"), "{shown}");
    terminal.order("k");
    terminal.has("y/n").await;
    terminal.keys("y");
    terminal.has("it has ended").await;
    terminal.keys("q");
    terminal.has("c1 has ended: ").await;
    root.close().await;
}

#[tokio::test]
async fn from_top_one_goes_to_a_pane_and_comes_back() {
    let (_real, root, child, terminal) = scene(100, 25).await;
    let (stty, state) = (terminal.stty().await, terminal.state());
    terminal.enters(COMPERE);
    terminal.has("enter attach").await;
    terminal.has(&format!("{child}      bash")).await;
    terminal.keys("Enter");
    terminal.has("you have the input").await;
    row_is(&root, &child, |row| row["owner"] == "person").await;
    terminal.enters("echo from $((1+1)) places");
    terminal.shows(|shown| shown.lines().any(|line| line == "from 2 places")).await;
    terminal.order("d");
    terminal.has("enter attach").await;
    row_is(&root, &child, |row| row["owner"] == "orchestrator").await;
    terminal.keys("w");
    terminal.has("watching; the orchestrator has the input").await;
    terminal.order("d");
    terminal.has("enter attach").await;
    terminal.keys("q");
    terminal.shows(|shown| !shown.contains("enter attach")).await;
    assert_eq!((terminal.stty().await, terminal.state()), (stty, state));
    root.close().await;
}

#[tokio::test]
async fn who_may_not_is_told_so_and_the_terminal_is_not_touched() {
    let (real, root, child, terminal) = scene(90, 25).await;
    terminal.run("attach c9");
    terminal.has("there is no child c9").await;
    terminal.run(&format!("attach {child} --prefix C-c"));
    terminal.has("is no key for this").await;
    // Inside a child one is that child, and no person.
    root.say(&child, &format!("{COMPERE} attach {child}")).await;
    root.line(&child, "a pane is for a person").await;
    let none = real.command(COMPERE).args(["watch", &child]).output().await.unwrap();
    assert_eq!(none.status.code(), Some(2), "{none:?}");
    root.close().await;
}
