//! Messages that try to be more than text.

use std::path::Path;

use serde_json::json;

use super::{CANARY, bash, no_canary};
use crate::support::{Client, Company, sh};

/// Each would run `touch canary` if it acted as keys or as a command.
fn corpus() -> Vec<String> {
    let run = format!("touch {CANARY}");
    let mut texts: Vec<String> = [
        // Every way to end a paste early, and what then would be typed.
        "a\u{1b}[201~\r{run}\r",
        "a\u{1b}[201~\n{run}\n",
        "\u{1b}[201~\u{1b}[201~\r{run}\r\u{1b}[200~",
        "a\u{1b}\u{1b}[201~[201~\r{run}\r",
        "a\u{1b}[20\u{1b}[201~1~\r{run}\r",
        "a\u{1b}[2\u{0}01~\r{run}\r",
        "a\u{1b}\r[201~\r{run}\r",
        "a\u{1b}\u{7f}[201~\r{run}\r",
        "a\u{1b}[00201~\r{run}\r",
        "a\u{9b}201~\r{run}\r",
        "a\u{c2}\u{9b}201~\r{run}\r",
        "a\u{1b}]0;\u{1b}\\\u{1b}[201~\u{7}\r{run}\r",
        "a\u{90}\u{9c}\u{9d}\u{9e}\u{85}\u{84}\r{run}\r",
        // Keys.
        "\u{3}{run}\r",
        "\u{4}{run}",
        "\u{1a}{run}\r",
        "x\u{15}{run}\r",
        "x y\u{17}{run}\u{12}\u{16}\u{f}\u{13}\u{11}",
        "x\u{8}\u{8}\u{18}\u{5}\u{19}\u{1c}\u{1f}{run}",
        "a\0b\u{7f}c\u{1b}\u{d}{run}",
        // Line ends.
        "one\r\ntwo\rthree\n\n\r\n{run}\r\n\r\n",
        "\n\n  leading and trailing \t\n\n",
        // The shell's own.
        "!!\n!touch\n!-1 ^a^b",
        "$({run}) `{run}` \"$({run})\" ; {run} & {run} | {run}",
        "ends in a backslash\\",
        "'unterminated\n\"and more ` $( <<X {run}",
        "E_O_F\n{run}\n.\n\\.\n",
        // Completion, were it a key.
        "tou\tca\t\t\n/\t\t~\t",
        // Seen or not, it is text.
        "bidi \u{202e}abc\u{202c} \u{2066}x\u{2069} zero\u{200b}\u{200d}\u{feff}width \u{e0041}tag",
        "emoji 🙂 👩\u{200d}💻 🇩🇪 wide 漢字 ｆｕｌｌ combining e\u{301}\u{308}",
        "200~ [200~ ^[[201~ \\e[201~ \\033[201~",
    ]
    .iter()
    .map(|text| text.replace("{run}", &run))
    .collect();
    texts.push(format!("{}\u{1b}[201~\r{run}\r", "long line ".repeat(500)));
    texts.push(format!("x{}", "\u{1b}[201~\r touch canary\r".repeat(200)));
    texts
}

/// What may arrive of a text: told here without the program's own code.
fn arrives(text: &str) -> String {
    let lines = text.replace("\r\n", "\n").replace('\r', "\n");
    let kept = |c: &char| *c == '\n' || *c == '\t' || !(*c < ' ' || ('\u{7f}'..='\u{9f}').contains(c));
    lines.chars().filter(kept).collect::<String>().trim_end_matches('\n').to_owned()
}

/// Bash at its prompt, with readline and bracketed paste, that writes to `got.N` what stands in its line at Enter, and
/// runs nothing then. What left the paste would meet its other keys: ^J, for one, runs the line.
async fn judge(company: &Company, root: &Client) -> String {
    let rc = company.work().join("judge.sh");
    let script = r#"
n=0
judge() {
    printf %s "$READLINE_LINE" > got.$n; n=$((n + 1)); READLINE_LINE=; READLINE_POINT=0; echo "judged $n"
}
bind -x '"\C-m": judge'
bind 'set enable-bracketed-paste on'
"#;
    std::fs::write(&rc, script).unwrap();
    super::judge(company, json!(["bash", "--noprofile", "--rcfile", rc, "-i"]));
    bash(root).await
}

fn got(work: &Path, n: usize) -> String {
    let bytes = std::fs::read(work.join(format!("got.{n}"))).unwrap();
    String::from_utf8(bytes).unwrap_or_else(|error| panic!("no text arrived: {error}"))
}

#[tokio::test]
async fn what_is_sent_to_bash_arrives_once_and_as_text() {
    let company = Company::new();
    let root = company.root().await;
    let bash = judge(&company, &root).await;
    let corpus = corpus();
    for (n, text) in corpus.iter().enumerate() {
        root.say(&bash, text).await;
        root.line(&bash, &format!("judged {}$", n + 1)).await;
        assert_eq!(got(&company.work(), n), arrives(text), "{text:?}");
    }
    assert!(!company.work().join(format!("got.{}", corpus.len())).exists(), "none arrived twice");
    no_canary(&company.work());
}

#[tokio::test]
async fn a_very_long_line_arrives_whole() {
    let company = Company::new();
    let root = company.root().await;
    let bash = judge(&company, &root).await;
    let text = format!("{}\u{1b}[201~\n touch {CANARY}\n", "0123456789".repeat(10_000));
    root.call("send_message_to", json!({"to": bash, "message": text, "wait_ms": 20_000})).await;
    root.line(&bash, "judged 1$").await;
    assert!(got(&company.work(), 0) == arrives(&text));
    no_canary(&company.work());
}

#[tokio::test]
async fn what_is_sent_to_a_program_that_reads_lines_arrives_once_and_as_text() {
    let company = Company::new();
    let root = company.root().await;
    let cat = root.spawn(sh("stty -echo; echo ready; cat > got; echo ended; read x")).await;
    root.line(&cat, "^ready$").await;
    let mut expected = String::new();
    for text in corpus() {
        let arrives = arrives(&text);
        if arrives.lines().any(|line| line.len() + 1 > 4095) {
            let receipt = root.call("send_message_to", json!({"to": cat, "message": text})).await;
            assert_eq!(receipt["status"], "refused", "{}", receipt.text());
        } else {
            root.say(&cat, &text).await;
            expected += &format!("{arrives}\n");
        }
    }
    let longest = "x".repeat(4094);
    root.say(&cat, &format!("{longest}\n{longest}\u{4}")).await;
    expected += &format!("{longest}\n{longest}\n");
    root.call("send_keys", json!({"to": cat, "keys": ["C-d"]})).await;
    root.line(&cat, "^ended$").await;
    assert_eq!(std::fs::read_to_string(company.work().join("got")).unwrap(), expected);
    no_canary(&company.work());
}
