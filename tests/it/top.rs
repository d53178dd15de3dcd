//! `compere top`, in a real terminal: that of a child of another company, whose screen is what a person would see.

use rustix::process::Signal;
use serde_json::json;

use crate::support::{COMPERE, Client, Real, gone, sh, signal};

/// A person at a terminal, and the company they look at.
struct Person {
    at: Client,
    // Before those they look at: what runs at the desk has the others' directory in its environment.
    _desk: Real,
    theirs: Real,
    terminal: String,
}

impl Person {
    /// Who runs this command line at a terminal of this size; `compere` in it is the program under test, and what it
    /// did is told after it with its exit code and whether the terminal is as it was.
    async fn runs(theirs: Real, line: &str, size: (u16, u16)) -> Person {
        let desk = Real::new();
        let at = desk.client().await;
        let run = theirs.run();
        let script = format!(
            "unset COMPERE_IDENTITY COMPERE_SOCKET; export COMPERE_RUNTIME_DIR={} HOME={} COMPERE_LINGER_MS=100; \
             compere() {{ {COMPERE} \"$@\"; }}; before=$(stty -g); {line}; code=$?; \
             [ \"$before\" = \"$(stty -g)\" ] && echo \"ended $code, as it was\" || echo \"ended $code, changed\"; \
             exec cat",
            run.display(),
            theirs.home().display(),
        );
        let command = json!(["sh", "-c", script]);
        let terminal = at.spawn_with(command, json!({"rows": size.0, "cols": size.1})).await;
        Person { at, _desk: desk, theirs, terminal }
    }

    async fn sees(&self, pattern: &str) {
        let woke = self.at.wait(json!({"child": self.terminal, "matches": pattern})).await;
        assert_eq!(woke["woke"], "match", "{pattern} is not seen:\n{}", self.screen().await);
    }

    async fn screen(&self) -> String {
        self.at.call("read_output", json!({"child": self.terminal})).await.text()
    }

    async fn presses(&self, keys: &[&str]) {
        let pressed = self.at.call("send_keys", json!({"to": self.terminal, "keys": keys})).await;
        assert_eq!(pressed["status"], "typed", "{}", pressed.text());
    }

    /// Types it as it is.
    async fn types(&self, text: &str) {
        let keys: Vec<String> =
            text.chars().map(|c| if c == ' ' { "Space".to_owned() } else { c.to_string() }).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        self.presses(&keys).await;
    }

    /// The processes of `compere`: the only child of the terminal's shell, which waits, and that one's, which draws.
    async fn processes(&self) -> [i32; 2] {
        let list = self.at.call("list_children", json!({})).await;
        let shell = list["children"][0]["pid"].as_i64().unwrap() as i32;
        let child = |pid: i32| -> i32 {
            let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
            children.trim().parse().unwrap()
        };
        [child(shell), child(child(shell))]
    }

    async fn stats(&self) -> bool {
        let text = self.at.call("read_output", json!({"child": self.terminal, "max_bytes": 65536})).await;
        text.text().contains("alternate screen")
    }
}

/// Somebody to look at: an agent's shell that asks, and one that has reported.
async fn company() -> (Real, Client) {
    let theirs = Real::new();
    let root = theirs.client().await;
    (theirs, root)
}

#[tokio::test]
async fn a_person_sees_everyone_and_what_changes() {
    let (theirs, root) = company().await;
    let child = root.spawn_with(sh("echo hello; exec cat"), json!({"name": "talker"})).await;
    let person = Person::runs(theirs, "compere top", (24, 100)).await;
    person.sees(&format!(r"{child} +talker")).await;
    // Its screen.
    person.sees("^hello").await;
    root.say(&child, "more to see").await;
    person.sees("^more to see").await;
    let other = root.spawn_with(sh("exec sleep 600"), json!({"name": "sleeper"})).await;
    person.sees(&format!(r"{other} +sleeper")).await;
    root.call("stop", json!({"child": other})).await;
    person.sees(r"sleeper +exited").await;
    assert!(person.stats().await);
    person.presses(&["q"]).await;
    person.sees("^ended 0, as it was").await;
    assert!(!person.stats().await);
}

#[tokio::test]
async fn a_blocked_child_comes_first_and_is_answered() {
    let (theirs, root) = company().await;
    root.bash().await;
    let asks =
        format!("{COMPERE} report blocked 'which branch?'; read answer; echo \"got $answer\"; exec cat");
    let child = root.spawn_with(sh(&asks), json!({"name": "asker"})).await;
    let person = Person::runs(theirs, "compere top", (24, 130)).await;
    person.sees(r"!c2 +asker +blocked: which branch\?").await;
    person.sees("1 need you").await;
    person.presses(&["i"]).await;
    person.sees(r"c2 asker blocked to r1: which branch\?").await;
    person.presses(&["Enter"]).await;
    person.types("the main one").await;
    person.sees("to c2 asker> the main one").await;
    person.presses(&["Enter"]).await;
    assert_eq!(root.line(&child, "^got").await, "got the main one");
    person.sees("typed: ").await;
    // Nothing is open any more.
    person.sees(r"^> c2 +asker +(unknown|busy|starting)").await;
    person.presses(&["q"]).await;
    person.sees("^ended 0, as it was").await;
}

#[tokio::test]
async fn a_person_starts_and_stops() {
    let (theirs, _root) = company().await;
    let person = Person::runs(theirs, "compere", (24, 100)).await;
    person.sees("no children yet").await;
    person.presses(&["n"]).await;
    person.sees("start which").await;
    // The last of them is the last by its name; the shell is looked for by going down to it.
    let presets = person.screen().await;
    let list: Vec<&str> = presets.lines().filter_map(|line| line.split('│').nth(1)).map(str::trim).collect();
    let shell = list.iter().position(|name| *name == "shell").unwrap_or_else(|| panic!("{presets}"));
    person.presses(&vec!["Down"; shell]).await;
    person.presses(&["Enter"]).await;
    person.sees("a name for shell").await;
    person.types("mine").await;
    person.presses(&["Enter"]).await;
    person.sees(r"started c1 mine").await;
    person.sees(r"c1 +mine +idle").await;
    person.presses(&["s"]).await;
    person.sees(r"stop c1 mine and all it started\? y/n").await;
    person.presses(&["y"]).await;
    person.sees(r"c1 +mine +exited").await;
    person.presses(&["C-c"]).await;
    person.sees("^ended 0, as it was").await;
}

#[tokio::test]
async fn the_terminal_is_given_back_whatever_ends_it() {
    // The first waits and puts it back; the second draws.
    let ends = [
        (0, Signal::TERM, 143),
        (0, Signal::HUP, 143),
        (0, Signal::INT, 143),
        (1, Signal::TERM, 143),
        (1, Signal::HUP, 129),
        (1, Signal::INT, 130),
        (1, Signal::KILL, 1),
    ];
    let tried = ends.map(|(which, kind, code)| {
        tokio::spawn(async move {
            let (theirs, _root) = company().await;
            let person = Person::runs(theirs, "compere top", (24, 80)).await;
            person.sees("no children yet").await;
            signal(person.processes().await[which], kind);
            person.sees(&format!("^ended {code}, as it was")).await;
            assert!(!person.stats().await);
        })
    });
    for tried in tried {
        tried.await.unwrap();
    }
}

#[tokio::test]
async fn another_broker_is_found() {
    let (theirs, root) = company().await;
    root.spawn_with(sh("exec sleep 600"), json!({"name": "sleeper"})).await;
    let person = Person::runs(theirs, "compere top", (24, 100)).await;
    person.sees("sleeper").await;
    let broker = person.theirs.broker().unwrap();
    signal(broker, Signal::KILL);
    gone(broker);
    person.sees("no broker, trying again").await;
    person.sees(r"^compere  1 child .*|^compere  1 child$").await;
    assert_ne!(person.theirs.broker(), Some(broker));
    person.presses(&["q"]).await;
    person.sees("^ended 0, as it was").await;
}

#[tokio::test]
async fn what_is_plain_comes_in_lines() {
    let (theirs, root) = company().await;
    let child = root.spawn_with(sh("exec sleep 600"), json!({"name": "sleeper"})).await;
    let person = Person::runs(theirs, "compere top --plain | cat", (24, 100)).await;
    person.sees("^c1 sleeper: ").await;
    root.call("stop", json!({"child": child})).await;
    person.sees(r"^c1 sleeper: exited").await;
    assert!(!person.stats().await);
}

#[tokio::test]
async fn one_table_is_printed_and_no_more() {
    let (theirs, root) = company().await;
    root.spawn_with(sh("exec sleep 600"), json!({"name": "sleeper"})).await;
    let person = Person::runs(
        theirs,
        "compere top --once | cat; compere top | cat; compere </dev/tty | cat",
        (24, 200),
    )
    .await;
    person.sees(r"^  CHILD +NAME").await;
    person.sees(r"^  c1 +sleeper").await;
    person.sees(r"top needs a terminal; `compere top --plain` prints lines").await;
    person.sees(r"without a command, compere is an MCP server").await;
    person.sees("^ended ").await;
}

#[tokio::test]
async fn a_person_who_asked_for_it_is_rung_for() {
    let (theirs, root) = company().await;
    root.bash().await;
    let person = Person::runs(theirs, "compere top --notify", (24, 100)).await;
    person.sees(r"c1 +bash").await;
    let asks = format!("{COMPERE} report blocked 'which?'; exec cat");
    root.spawn_with(sh(&asks), json!({"name": "asker"})).await;
    person.sees(r"asker +blocked").await;
    let raw = json!({"child": person.terminal, "mode": "stream", "raw": true, "max_bytes": 262_144});
    let written = person.at.call("read_output", raw).await.text();
    assert_eq!(written.matches("\u{1b}]9;compere: c2 asker: blocked: which?\u{7}\u{7}").count(), 1);
    person.presses(&["q"]).await;
    person.sees("^ended 0, as it was").await;
}
