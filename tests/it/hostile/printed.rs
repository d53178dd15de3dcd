//! Output that tries to be more than text.

use std::{io::Write, path::Path};

use base64::Engine;
use compere::registry::limits::Limits;
use futures::future::join_all;
use serde_json::json;

use super::{bash, judge, no_canary};
use crate::support::{Answer, Client, Company, sh};

/// What a program prints, and all that may come back to it for that. Nothing of it is the program's own text, and
/// nothing of it ends a line.
const CORPUS: &[(&[u8], &str)] = &[
    // Answers that would repeat a title.
    (b"\x1b]0;\ntouch canary\n\x07\x1b[21t", "\x1b]l\x1b\\"),
    (b"\x1b]2;;touch canary;\x1b\\\x1b[20t", "\x1b]L\x1b\\"),
    (b"\x1b]0;\xe2\x80\xaeyranac hcuot\xf3\xa0\x81\x81\xe2\x80\xa8x\x07\x1b[22t\x1b[23t", ""),
    (b"\x1b]0;a\x1b]0;b\x07\x1b[21;21t", "\x1b]l\x1b\\"),
    // Settings, and what is none.
    (b"\x1bP$q\ntouch canary\n\x1b\\", "\x1bP0$r\x1b\\"),
    (b"\x1bP$qtouch canary\x1b\\", "\x1bP0$r\x1b\\"),
    (b"\x1b[1;31m\x1bP$qm\x1b\\\x1b[m", "\x1bP1$r0;1;31m\x1b\\"),
    (b"\x1bP$qr\x1b\\", "\x1bP1$r1;40r\x1b\\"),
    (b"\x1bP+q0a746f7563682063616e6172790a\x1b\\", "\x1bP0+r\x1b\\"),
    (b"\x1bP+q\ntouch canary\n\x1b\\", "\x1bP0+r\x1b\\"),
    (b"\x1b[?\ntouch canary\n$p", ""),
    (b"\x1b[?2004$p\x1b[4$p", "\x1b[?2004;2$y\x1b[4;2$y"),
    // The answerback of a real terminal holds what somebody set.
    (b"\x05\x05\x05", ""),
    // The clipboard.
    (b"\x1b]52;c;CnRvdWNoIGNhbmFyeQo=\x07\x1b]52;c;?\x07\x1b]52;p;?\x1b\\", ""),
    // What is said of the program itself.
    (b"\x1b]7501;?\x1b\\", "\x1b]7501;?\x1b\\"),
    (b"\x1b]7501;?;\ntouch canary\n\x07", ""),
    (b"\x1b]9;\ntouch canary\x1b[31m\n\x07\x1b]777;notify;a\nb;\xe2\x80\xaec\x07", ""),
    (b"\x1b]7;file://h/\n/tmp/\xe2\x80\xaex\x07\x1b]133;A\ntouch canary\x07", ""),
    (b"\x1b]9;4;1;\n50\x07\x1b]1337;ReportCellSize\x07\x1b]50;?\x07", ""),
    // Links.
    (b"\x1b]8;;http://x/\x01\n\x1b[31m\x07text\x1b]8;;\x07 \x1b]8;id=\ntouch canary\n;file:///\x1b\\more\x1b]8;;\x1b\\", ""),
    // Strings that nobody reads.
    (b"\x1bPtouch canary\n\x1b\\\x1b_touch canary\n\x1b\\\x1b^touch canary\n\x1b\\\x1bXtouch canary\n\x1b\\", ""),
    (b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1bPq#0;2;0;0;0~\x1b\\", ""),
    (b"\x1b]0;never ended touch canary\n", ""),
    (b"\x1bPnever ended\n\x18", ""),
    // Whole screens.
    (b"text\x1bc", ""),
    (b"\x1b[?1049htouch canary\r\n\x1b[?1049l\x1b[?47h\x1b[?47l", ""),
    (b"x\x1b[65535b\x1b[65535b\x1b[65535b\x1b[65535b\x1b#8\x1b[65535b", ""),
    (b"\x1b[?1000h\x1b[?1003h\x1b[?1004h\x1b[?1006h\x1b[?9h", ""),
    (b"\x1b[>4097u\x1b[=31u\x1b[>4;2m\x1b[?2026htouch canary\r\n", ""),
    // The same in one byte: no text as we take it, which is UTF-8.
    (b"\x9b21t\x9d0;touch canary\n\x9c\x90$qm\x9c\x9bc", ""),
    (b"\xc2\x9b21t\xc2\x9d0;touch canary\n\xc2\x9c\xc2\x90$qm\xc2\x9c\xc2\x85", ""),
    // Printed, checksummed, tabled.
    (b"\x1b[5i\ntouch canary\n\x1b[4i\x1b[1;1;1;1;1;40*y\x1b[1$w\x1b[2$w\x1b[1$u\x1b[?26n", ""),
    // What is answered as anywhere.
    (b"\x1b[c\x1b[>c\x1b[=c\x1b[>q", concat!("\x1b[?6c\x1b[>0;2600;1c\x1bP!|00000000\x1b\\\x1bP>|compere ", env!("CARGO_PKG_VERSION"), "\x1b\\")),
    (b"\x1b[H\x1b[6n\x1b[?6n\x1b[?996n\x1b[18t\x1b[?u", "\x1b[1;1R\x1b[?1;1R\x1b[?997;1n\x1b[8;40;120t\x1b[?0u"),
    (b"\x1b]4;1;?\x07\x1b]10;?\ntouch canary\x07", "\x1b]4;1;rgb:cdcd/0000/0000\x07"),
    // Text that is obeyed where it is seen, or not seen at all.
    (b"hit \xe2\x80\xaeabc\xe2\x80\xac \xe2\x81\xa6x\xe2\x81\xa9 \xf3\xa0\x81\x81\xf3\xa0\x81\x82 \xe2\x80\xa8 \xc2\x85 \x1b[8mhidden\x1b[m\x07\x0b\x0c end\r\n", ""),
    (b"a\x08b\x7f\x00\x01\x02\x0e\x0f\x10\x11\x13\x14\x1a\x1c\x1d\x1e\x1f\r\n", ""),
];

/// Answers what bash reads of its terminal while a row is printed, one row for each name it is told through `go`. The
/// last answer is one that was not in the row, so that there is an end to wait for.
const JUDGE: &str = r#"
stty raw -echo; mkfifo go; exec 3<>go; printf 'ready\r\n'
while IFS= read -r row <&3; do
    printf '\ec'; cat row.$row
    # Whatever string is still open ends here.
    printf '\x18\e\\\e[?2026l\e[5n'
    got=
    until [[ $got == *$'\e[0n' ]]; do IFS= read -r -N1 c; got+=$c; done
    printf %s "${got%$'\e[0n'}" > back.$row
    printf '\x0f\e(B\r\nover %s\r\n' $row
done
"#;

fn rows() -> Vec<(Vec<u8>, String)> {
    let mut rows: Vec<_> = CORPUS.iter().map(|(row, back)| (row.to_vec(), (*back).to_owned())).collect();
    let message = base64::engine::general_purpose::STANDARD
        .encode("a\x1b]0;x\x07\ntouch canary\n\u{202e}\u{e0041}\u{9b}b");
    rows.push((
        format!("\x1b]7501;state=blocked:app=\nx:kind=permission:msg={message}\x1b\\").into_bytes(),
        String::new(),
    ));
    rows.push((
        [b"\x1b]0;".as_slice(), &[b'x'; 200_000], b"\x07\x1b[21t"].concat(),
        "\x1b]l\x1b\\".to_owned(),
    ));
    rows.push((b"\x1b[22t\x1b]0;\ntouch canary\n\x07".repeat(5000), String::new()));
    rows
}

/// Nothing in what a model is given but text that is what it looks like.
#[track_caller]
fn harmless(answer: &Answer, row: &str) {
    let shown = format!("{}\n{}", answer.text(), strings(&answer.record()));
    let hidden = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || ('\u{202a}'..='\u{202e}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c)
            || ('\u{e0000}'..='\u{e007f}').contains(&c)
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}')
    };
    let found: Vec<char> = shown.chars().filter(|c| hidden(*c)).collect();
    assert!(found.is_empty(), "{row}: {found:?} in {shown:?}");
}

/// All strings in a value, however deep.
fn strings(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => format!("{text}\n"),
        serde_json::Value::Array(values) => values.iter().map(strings).collect(),
        serde_json::Value::Object(fields) => {
            fields.iter().map(|(name, value)| format!("{name}\n{}", strings(value))).collect()
        }
        _ => String::new(),
    }
}

fn write_rows(work: &Path) -> Vec<(Vec<u8>, String)> {
    let rows = rows();
    for (n, (row, _)) in rows.iter().enumerate() {
        std::fs::write(work.join(format!("row.{n}")), row).unwrap();
    }
    rows
}

#[tokio::test]
async fn what_is_printed_brings_nothing_back_but_plain_answers_and_reaches_no_reader() {
    let company = Company::new();
    let root = company.root().await;
    let work = company.work();
    let rows = write_rows(&work);
    std::fs::write(work.join("judge.sh"), JUDGE).unwrap();
    let child = root.spawn(json!(["bash", "judge.sh"])).await;
    root.line(&child, "^ready$").await;
    let mut go = std::fs::File::options().write(true).open(work.join("go")).unwrap();
    for (n, (row, back)) in rows.iter().enumerate() {
        let row = String::from_utf8_lossy(&row[..row.len().min(200)]).escape_debug().to_string();
        writeln!(go, "{n}").unwrap();
        let over = json!({"child": child, "matches": format!("^over {n}$"), "since": 0});
        harmless(root.wait(over).await.woke("match"), &row);
        let got = std::fs::read(work.join(format!("back.{n}"))).unwrap();
        assert_eq!(String::from_utf8_lossy(&got), *back, "{row}");
        assert!(!got.iter().any(|byte| matches!(byte, b'\n' | b'\r')), "{row}");
        for (tool, arguments) in [
            ("read_output", json!({"child": child})),
            ("read_output", json!({"child": child, "lines": 500})),
            ("read_output", json!({"child": child, "mode": "stream"})),
            ("list_children", json!({})),
        ] {
            harmless(&root.call(tool, arguments).await, &row);
        }
    }
    let hit = root.wait(json!({"child": child, "matches": "hit.*", "since": 0})).await;
    harmless(hit.woke("match"), "hit");
    no_canary(&work);
}

#[tokio::test]
async fn what_is_printed_at_a_shells_prompt_runs_nothing() {
    let company = Company::with(Limits { spawns_per_minute: 500, ..Limits::default() });
    let root = company.root().await;
    let rows = write_rows(&company.work());
    // Says when it has run a line, or wants more of it.
    let rc = company.work().join("prompts.sh");
    std::fs::write(&rc, "PROMPT_COMMAND='echo \"prompt $((n++))\"'; PS2='prompt more\n'\n").unwrap();
    judge(&company, json!(["bash", "--noprofile", "--rcfile", rc, "-i"]));
    let (root, numbers) = (&root, (0..rows.len()).collect::<Vec<_>>());
    for some in numbers.chunks(8) {
        join_all(some.iter().map(|n| at_a_prompt(root, *n))).await;
        no_canary(&company.work());
    }
}

/// Prints a row at the prompt of a bash of its own, and runs what then stands in its line.
async fn at_a_prompt(root: &Client, n: usize) {
    let bash = bash(root).await;
    root.say(&bash, &format!("cat row.{n}; printf '\\x18\\e\\\\\\ec\\nover %s\\n' {n}")).await;
    // The kernel echoes what comes back, before or behind this.
    root.line(&bash, &format!("over {n}")).await;
    // Nothing of that is what the output has chosen. The first Enter may be taken for the end of an escape sequence.
    root.call("send_keys", json!({"to": bash, "keys": ["Enter", "Enter"]})).await;
    root.line(&bash, "prompt (2|more)$").await;
    root.call("stop", json!({"child": bash, "grace_ms": 0})).await;
}

#[tokio::test]
async fn escapes_are_there_for_whoever_asks_for_them() {
    let company = Company::new();
    let root = company.root().await;
    let child = root.spawn(sh("printf '\\033[31mred\\033[m\\r\\n'; read x")).await;
    root.line(&child, "^red$").await;
    let raw = root.call("read_output", json!({"child": child, "mode": "stream", "raw": true})).await;
    assert!(raw.text().contains("\u{1b}[31mred"), "{:?}", raw.text());
}

#[tokio::test]
async fn what_a_nested_agent_reports_is_read_as_text() {
    let company = Company::new();
    let root = company.root().await;
    let child = root.spawn(sh("read x")).await;
    let hostile = "all \u{1b}]0;done\u{7} \u{202e}well\u{e0041}\tand\ngood\u{9b}2J";
    let report = json!({"status": "done", "message": hostile});
    assert!(!company.child(&child).await.call("report_to_parent", report).await.is_error());
    let read = root.call("read_reports", json!({})).await;
    assert_eq!(read["reports"][0]["message"], "all ]0;done well\tand\ngood2J");
}
