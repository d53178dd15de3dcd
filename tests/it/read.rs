//! `read_output`: the screen and the stream.

use serde_json::{Value, json};

use crate::support::{Answer, Client, Company, sh};

async fn stream(client: &Client, child: &str, more: Value) -> Answer {
    let mut arguments = json!({"child": child, "mode": "stream"});
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.call("read_output", arguments).await
}

#[tokio::test]
async fn the_screen_is_text_with_its_figures() {
    let company = Company::new();
    let root = company.root().await;
    let child = root
        .spawn_with(sh("printf 'one\\n\\033[1mtwo\\033[0m  '; read x"), json!({"rows": 5, "cols": 20}))
        .await;
    root.line(&child, "^two").await;
    let screen = root.call("read_output", json!({"child": child})).await;
    assert_eq!(screen.body(), "one\ntwo");
    assert!(screen.text().starts_with("[c1 sh · screen 5x20 · cursor 2,6 · "), "{}", screen.text());
    assert_eq!(screen.meta("cursor"), json!({"row": 1, "col": 5, "visible": true}));
    assert_eq!(
        [screen.meta("rows"), screen.meta("cols"), screen.meta("alternate")],
        [json!(5), json!(20), json!(false)]
    );
}

#[tokio::test]
async fn a_line_the_terminal_wrapped_is_one_line() {
    let company = Company::new();
    let root = company.root().await;
    let script = "printf 'abcdefghijklmnopqrstuvwxyz\\nend'; read x";
    let child = root.spawn_with(sh(script), json!({"rows": 5, "cols": 10})).await;
    root.line(&child, "^end").await;
    let screen = root.call("read_output", json!({"child": child})).await;
    assert_eq!(screen.body(), "abcdefghijklmnopqrstuvwxyz\nend");
}

#[tokio::test]
async fn a_screen_that_did_not_change_is_not_sent_again() {
    let company = Company::new();
    let root = company.root().await;
    let child = root.spawn(sh("stty -echo; echo ready; read x; echo more; read x")).await;
    root.line(&child, "^ready").await;
    let version = root.call("read_output", json!({"child": child})).await.meta("version");
    let same = root.call("read_output", json!({"child": child, "since_screen": version})).await;
    assert_eq!((same.body(), same.meta("unchanged")), ("(unchanged)".into(), json!(true)));
    root.say(&child, "x").await;
    root.line(&child, "^more").await;
    let other = root.call("read_output", json!({"child": child, "since_screen": version})).await;
    assert_eq!((other.body(), other.meta("unchanged")), ("ready\nmore".into(), json!(false)));
}

#[tokio::test]
async fn lines_asks_for_the_scrollback_above() {
    let company = Company::new();
    let root = company.root().await;
    let child = root.spawn_with(sh("seq 30; printf end; read x"), json!({"rows": 5})).await;
    root.line(&child, "^end").await;
    let screen = root.call("read_output", json!({"child": child})).await;
    assert_eq!(screen.body(), "27\n28\n29\n30\nend");
    let more = root.call("read_output", json!({"child": child, "lines": 3})).await;
    assert_eq!((more.body(), more.meta("history")), ("24\n25\n26\n27\n28\n29\n30\nend".into(), json!(3)));
    assert!(more.text().contains("3 lines of scrollback above"));
}

#[tokio::test]
async fn a_screen_that_is_too_long_says_what_was_cut() {
    let company = Company::new();
    let root = company.root().await;
    let child = root.spawn(sh("seq 30; printf end; read x")).await;
    root.line(&child, "^end").await;
    let cut = root.call("read_output", json!({"child": child, "max_bytes": 10})).await;
    assert_eq!(cut.body(), "29\n30\nend");
    assert!(
        cut.text().contains("[the first 75 bytes are cut; max_bytes up to 262144 shows more]"),
        "{}",
        cut.text()
    );
}

#[tokio::test]
async fn a_full_screen_program_is_on_the_alternate_screen() {
    let company = Company::new();
    let root = company.root().await;
    let child = root.spawn(sh("echo before; printf '\\033[?1049h\\033[2;3Hinside'; read x; printf '\\033[?1049l'; echo after; read x")).await;
    root.line(&child, "inside").await;
    let inside = root.call("read_output", json!({"child": child})).await;
    assert_eq!((inside.body(), inside.meta("alternate")), ("\n  inside".into(), json!(true)));
    root.say(&child, "x").await;
    root.line(&child, "after").await;
    let after = root.call("read_output", json!({"child": child})).await;
    assert_eq!(
        (after.meta("alternate"), after.body().starts_with("before\n")),
        (json!(false), true),
        "{}",
        after.text()
    );
}

#[tokio::test]
async fn a_flood_drops_the_oldest_and_says_how_much_and_the_rest_has_no_gap() {
    let company = Company::new();
    let root = company.root().await;
    // 8 bytes a line with the terminal's CR: 3.2 MB.
    let child = root.spawn(sh("seq 100000 499999")).await;
    root.exit(&child).await;
    let mut read = stream(&root, &child, json!({"max_bytes": 200_000})).await;
    let dropped = read.meta("dropped").as_u64().unwrap();
    assert!(dropped > 2_000_000, "{dropped}");
    assert!(read.text().contains("bytes before this were dropped: only the newest 1 MiB is kept"));
    let mut text = String::new();
    loop {
        text += &read.body();
        let next = read.meta("next");
        if next == read.meta("end") {
            break;
        }
        read = stream(&root, &child, json!({"max_bytes": 200_001, "since": next})).await;
        assert_eq!([read.meta("from"), read.meta("dropped")], [next, json!(0)]);
    }
    let numbers: Vec<u64> = text.lines().map(|line| line.parse().unwrap()).collect();
    // The first piece begins with a whole line.
    assert!(
        (dropped / 8..=dropped / 8 + 1).contains(&(numbers[0] - 100_000)),
        "{} after {dropped} bytes",
        numbers[0]
    );
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "a gap or a double");
    assert_eq!(numbers.last(), Some(&499_999));
}

#[tokio::test]
async fn since_may_count_back_and_may_be_beyond_the_end() {
    let company = Company::new();
    let root = company.root().await;
    let child = root.spawn(sh("printf 'one two three'")).await;
    root.exit(&child).await;
    for (since, text, figures) in [
        (json!(-5), "three", [8, 13]),
        (json!(-500), "one two three", [0, 13]),
        (json!(4), "two three", [4, 13]),
        (json!(13), "", [13, 13]),
        (json!(i64::MIN), "one two three", [0, 13]),
        (json!(1_000_000), "", [13, 13]),
        (json!(i64::MAX), "", [13, 13]),
    ] {
        let read = stream(&root, &child, json!({"since": since})).await;
        let got = (read.body(), [read.meta("from"), read.meta("next")]);
        assert_eq!(got, (text.to_owned(), figures.map(Value::from)), "since {since}");
        assert_eq!(
            read.text().contains("since is beyond the end"),
            since.as_i64() > Some(13),
            "since {since}"
        );
    }
}

#[tokio::test]
async fn raw_is_as_it_came_and_text_is_as_it_reads() {
    let company = Company::new();
    let root = company.root().await;
    let child = root.spawn(sh("printf '10%%\\r100%%\\n\\033[31mred\\033[0m\\n'")).await;
    root.exit(&child).await;
    assert_eq!(stream(&root, &child, json!({})).await.body(), "100%\nred\n");
    let raw = stream(&root, &child, json!({"raw": true})).await;
    assert_eq!(raw.body(), "10%\r100%\r\n\u{1b}[31mred\u{1b}[0m\r\n");
}

#[tokio::test]
async fn a_character_is_never_halved() {
    let company = Company::new();
    let root = company.root().await;
    let child = root.spawn(sh("printf 'aé€😀é€😀é€😀é€😀é€😀é€😀\\033[1mb'")).await;
    root.exit(&child).await;
    for raw in [false, true] {
        let (mut text, mut since) = (String::new(), json!(0));
        loop {
            let read = stream(&root, &child, json!({"since": since, "max_bytes": 1, "raw": raw})).await;
            text += &read.body();
            since = read.meta("next");
            if since == read.meta("end") {
                break;
            }
        }
        let bold = if raw { "\u{1b}[1m" } else { "" };
        assert_eq!(text, format!("a{}{bold}b", "é€😀".repeat(6)));
    }
}

#[tokio::test]
async fn parameters_of_the_other_mode_are_refused() {
    let company = Company::new();
    let root = company.root().await;
    let child = root.spawn(sh("read x")).await;
    for (arguments, words) in [
        (json!({"child": child, "since": 0}), "since and raw are for mode stream. Add \"mode\": \"stream\""),
        (json!({"child": child, "mode": "stream", "lines": 1}), "lines and since_screen are for mode screen"),
        (json!({"child": "c9"}), "there is no child c9. There is c1 (sh)."),
    ] {
        root.call("read_output", arguments).await.says(words);
    }
}
