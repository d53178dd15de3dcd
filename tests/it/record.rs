//! What a child writes is recorded as it comes, and played again as it was.

use std::os::unix::fs::PermissionsExt;

use compere::{
    child::recording::{Happened, Moment, Recording},
    id::Size,
};
use serde_json::{Value, json};

use crate::support::{COMPERE, Client, Real, gone, sh};

/// Records a child of the first's, in a terminal of another company, until that has ended.
struct Desk {
    at: Client,
    // Before those it looks at.
    _desk: Real,
    terminal: String,
}

impl Desk {
    async fn runs(theirs: &Real, line: &str) -> Desk {
        let desk = Real::new();
        let at = desk.client().await;
        let script = format!(
            "unset COMPERE_IDENTITY COMPERE_SOCKET; export COMPERE_RUNTIME_DIR={} HOME={home}; cd {home}; \
             trap : INT; compere() {{ {COMPERE} \"$@\"; }}; before=$(stty -g); {line}; code=$?; \
             [ \"$before\" = \"$(stty -g)\" ] && echo \"ended $code, as it was\" || echo \"ended $code, changed\"; \
             exec cat",
            theirs.run().display(),
            home = theirs.home().display(),
        );
        let terminal = at.spawn_with(json!(["sh", "-c", script]), json!({"rows": 24, "cols": 80})).await;
        Desk { at, _desk: desk, terminal }
    }

    async fn sees(&self, pattern: &str) {
        let woke = self.at.wait(json!({"child": self.terminal, "matches": pattern})).await;
        let screen = self.at.call("read_output", json!({"child": self.terminal})).await.text();
        assert_eq!(woke["woke"], "match", "{pattern} is not seen:\n{screen}");
    }

    async fn presses(&self, key: &str) {
        self.at.call("send_keys", json!({"to": self.terminal, "keys": [key]})).await;
    }
}

fn recorded(theirs: &Real, file: &str) -> (Value, Size, Vec<Moment>) {
    let path = theirs.home().join(file);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let bytes = std::fs::read(&path).unwrap();
    let header = serde_json::from_slice(bytes.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    let mut recording = Recording::new(&bytes[..]).unwrap();
    let size = recording.size();
    let moments = std::iter::from_fn(|| recording.moment().unwrap()).collect();
    (header, size, moments)
}

fn output(moments: &[Moment]) -> String {
    let text = |moment: &Moment| match &moment.what {
        Happened::Output(text) => Some(text.clone()),
        _ => None,
    };
    moments.iter().filter_map(text).collect()
}

#[tokio::test]
async fn a_child_is_recorded_to_its_end() {
    let theirs = Real::new();
    let root = theirs.client().await;
    let script = "printf before; read a; printf 'one\\033[1mtwo日\\n'; read a; exit 7";
    let child = root.spawn_with(sh(script), json!({"name": "worker", "rows": 20, "cols": 60})).await;
    root.wait(json!({"child": child, "matches": "before"})).await.woke("match");
    let desk = Desk::runs(&theirs, "compere record worker a.cast").await;
    desk.sees(r"^recording c1 worker into a.cast; C-c ends it").await;
    root.say(&child, "go").await;
    root.say(&child, "end").await;
    desk.sees(r"^ended 0, as it was").await;
    let (header, size, moments) = recorded(&theirs, "a.cast");
    assert_eq!(
        [&header["version"], &header["title"], &header["command"]],
        [&json!(3), &json!("worker"), &json!("sh")]
    );
    assert_eq!(size, Size { rows: 20, cols: 60 });
    let (screen, written) = (output(&moments[..1]), output(&moments[1..]));
    assert!(
        screen.contains("before") && screen.starts_with("\x1b[?2026h"),
        "its screen as it was: {screen:?}"
    );
    assert_eq!(written, "go\r\none\x1b[1mtwo日\r\nend\r\n");
    assert_eq!(moments.last().unwrap().what, Happened::Exited(7));
    // With what is kept from before; and nothing is overwritten by mistake.
    let desk = Desk::runs(&theirs, "compere record c1 a.cast; compere record c1 a.cast --kept --force").await;
    desk.sees(r"a.cast: it is there already; --force replaces it").await;
    desk.sees(r"^ended 0, as it was").await;
    let (_, _, moments) = recorded(&theirs, "a.cast");
    assert!(output(&moments).starts_with("beforego\r\n"), "{moments:?}");
}

#[tokio::test]
async fn a_recording_goes_on_with_the_next_broker_and_ends_when_a_person_wants() {
    let theirs = Real::new();
    let root = theirs.client().await;
    let child = root.spawn(sh("stty -echo; printf ready; while read a; do printf \"<$a>\"; done")).await;
    root.wait(json!({"child": child, "matches": "ready"})).await.woke("match");
    let desk = Desk::runs(&theirs, "compere record c1 a.cast").await;
    desk.sees("^recording c1").await;
    root.say(&child, "one").await;
    root.wait(json!({"child": child, "matches": "<one>"})).await.woke("match");
    let broker = theirs.broker().unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(broker).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    gone(broker);
    root.say(&child, "two").await;
    desk.sees("trying again").await;
    // Seen when all of it is in the file.
    let file = theirs.home().join("a.cast");
    let watcher = root.spawn(json!(["tail", "-n", "+1", "-f", file])).await;
    root.line(&watcher, "<two>").await;
    desk.presses("C-c").await;
    desk.sees(r"^ended 0, as it was").await;
    let (_, _, moments) = recorded(&theirs, "a.cast");
    assert_eq!(output(&moments[1..]), "<one><two>");
    assert!(!matches!(moments.last().unwrap().what, Happened::Exited(_)));
}

#[tokio::test]
async fn what_was_dropped_is_told() {
    let theirs = Real::new();
    let root = theirs.client().await;
    let child = root.spawn(sh("head -c 1500000 /dev/zero | tr '\\0' x; echo; echo over; exec cat")).await;
    root.wait(json!({"child": child, "matches": "^over"})).await.woke("match");
    let desk = Desk::runs(&theirs, "compere record c1 a.cast --kept").await;
    desk.sees(r"^\d+ bytes were dropped before they could be recorded").await;
    root.call("stop", json!({"child": child})).await;
    desk.sees(r"^ended 0, as it was").await;
    let (_, _, moments) = recorded(&theirs, "a.cast");
    assert!(output(&moments).len() >= 1 << 20);
    // A marker of theirs.
    assert_eq!(moments.iter().filter(|moment| moment.what == Happened::Other).count(), 1);
}

/// A recording with all that could do harm in a terminal that obeys it.
const HOSTILE: &str = concat!(
    r#"{"version":3,"term":{"cols":60,"rows":10}}"#,
    "\n",
    r#"[0.0, "o", "\u001b]0;owned\u0007\u001b]52;c;b3duZWQ=\u0007\u001bP$q q\u001b\\\u001b[c\u001b[6n\u001b]777;notify;a;b\u0007"]"#,
    "\n",
    r#"[0.1, "o", "\u001b[31mred\u001b[0m \u001b]8;;javascript:x\u001b\\link\u001b]8;;\u001b\\ \u009b5n\u001b[?1000h\u001b[?1049h\u001b[8;5;5t"]"#,
    "\n",
    r#"[0.1, "o", "\u001b[?1049l\r\nthe end\r\n"]"#,
    "\n",
    r#"[0.1, "x", "3"]"#,
    "\n",
);

#[tokio::test]
async fn a_recording_is_played_and_moves_nothing_but_cells() {
    let theirs = Real::new();
    std::fs::write(theirs.home().join("a.cast"), HOSTILE).unwrap();
    let desk = Desk::runs(&theirs, "compere replay a.cast --speed 100").await;
    desk.sees(r"^ended 0, as it was").await;
    desk.sees(r"^the end").await;
    let raw =
        json!({"child": desk.terminal, "mode": "stream", "raw": true, "max_bytes": 262_144, "since": 0});
    let written = desk.at.call("read_output", raw).await.text();
    for harm in [
        "owned",
        "b3duZWQ",
        "\u{1b}]777",
        "\u{1b}P",
        "\u{1b}[c",
        "\u{1b}[6n",
        "javascript",
        "\u{1b}[?1000h",
        "\u{1b}[8;",
    ] {
        assert!(!written.contains(harm), "{harm:?} has passed: {written:?}");
    }
    assert!(written.contains("a.cast · 100x"), "{written:?}");
}

#[tokio::test]
async fn a_playing_is_paused_and_ended() {
    let theirs = Real::new();
    let old = "{\"version\": 2, \"width\": 40, \"height\": 5}\n[0.1, \"o\", \"first\\r\\n\"]\n[600.0, \"o\", \"second\\r\\n\"]\n[1800, \"o\", \"third\"]\n";
    std::fs::write(theirs.home().join("a.cast"), old).unwrap();
    let desk = Desk::runs(&theirs, "compere replay a.cast").await;
    desk.sees("^first").await;
    desk.presses("Space").await;
    desk.sees("paused").await;
    desk.presses("q").await;
    desk.sees("^ended 0, as it was").await;
    let desk = Desk::runs(&theirs, "compere replay a.cast --max-idle 10ms").await;
    desk.sees("^ended 0, as it was").await;
    desk.sees("^third").await;
    let desk = Desk::runs(
        &theirs,
        "compere replay a.cast | cat; compere replay none.cast; compere replay /dev/null",
    )
    .await;
    desk.sees("replay needs a terminal").await;
    desk.sees("none.cast: No such file").await;
    desk.sees("/dev/null: line 1: it is not the header of an asciicast").await;
}
