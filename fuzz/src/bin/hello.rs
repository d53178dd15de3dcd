//! What comes over a broker's socket and a host's pipe before rmcp sees it: the hello line, and MCP's lines, in pieces
//! of any length. Each line is told from a plain reading of all the bytes.
#![no_main]

use compere::{
    id::Token,
    ipc::{
        hello::{Hello, Welcome, read_line},
        lines::{Line, MAX_LINE, first_request, line_within},
    },
};
use compere_fuzz::{Pieces, now};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tokio::io::BufReader;

fuzz_target!(|data: &[u8]| {
    let [cut, most, rest @ ..] = data else { return };
    let reader = || BufReader::with_capacity(1 + usize::from(*cut) * 8, Pieces::new(rest, *cut));
    greeting(rest, reader());
    lines(rest, MAX_LINE, reader());
    lines(rest, 8 + usize::from(*most), reader());
    let wants_an_answer =
        |line: &[u8]| serde_json::from_slice::<Value>(line).is_ok_and(|line| line.get("id").is_some());
    let first = now(first_request(&mut reader())).unwrap();
    let expected = rest.split(|byte| *byte == b'\n').find(|line| wants_an_answer(line));
    assert_eq!(first, expected.map(|line| [line, b"\n"].concat()));
});

/// A hello is the first line, and says the same when it is said again.
fn greeting(bytes: &[u8], mut from: BufReader<Pieces<'_>>) {
    let first = bytes.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    let hello = now(read_line::<Hello>(&mut from)).unwrap();
    assert_eq!(hello.is_some(), serde_json::from_slice::<Hello>(first).is_ok());
    if let Some(hello) = hello {
        let said = serde_json::to_value(&hello).unwrap();
        let again: Hello = serde_json::from_value(said.clone()).unwrap();
        assert_eq!(serde_json::to_value(&again).unwrap(), said);
        if let Some(Ok(token)) = hello.identity.map(|identity| identity.parse::<Token>()) {
            assert_eq!(token.reveal().parse(), Ok(token));
        }
    }
    if let Ok(welcome) = serde_json::from_slice::<Welcome>(first) {
        let said = serde_json::to_vec(&welcome).unwrap();
        assert_eq!(serde_json::from_slice::<Welcome>(&said).unwrap(), welcome);
    }
}

/// Each line is whole, and one that rmcp can read, or else it is answered.
fn lines(bytes: &[u8], most: usize, mut from: BufReader<Pieces<'_>>) {
    let mut next = || now(line_within(&mut from, most)).unwrap();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let json = serde_json::from_slice::<Value>(line);
        match next() {
            Line::Wrong(answer) if line.len() > most => {
                let id = wrong(&answer, -32600);
                // An escape may hide a key.
                if let Ok(json) = json
                    && !line.contains(&b'\\')
                {
                    check_id(&id, json.get("id"));
                }
            }
            Line::Wrong(answer) => {
                wrong(&answer, -32700);
                assert!(json.is_err(), "{}", line.escape_ascii());
            }
            Line::Json(kept) => {
                assert!(line.len() <= most);
                assert!(json.is_ok() || line.trim_ascii().is_empty(), "{}", line.escape_ascii());
                assert!(kept == b"\n" || kept == line || kept == [line, b"\n"].concat());
            }
            Line::End => panic!("a line is missing"),
        }
    }
    assert_eq!(next(), Line::End);
    assert_eq!(next(), Line::End);
}

/// An answer is one line of JSON-RPC; its id.
fn wrong(answer: &str, code: i32) -> Value {
    assert_eq!(answer.find('\n'), Some(answer.len() - 1));
    let answer: Value = serde_json::from_str(answer).unwrap();
    assert_eq!((&answer["jsonrpc"], &answer["error"]["code"]), (&"2.0".into(), &code.into()));
    assert!(answer["error"]["message"].is_string());
    answer["id"].clone()
}

/// The id of a message too long to keep is its own, or null where it is none that JSON-RPC knows.
fn check_id(found: &Value, own: Option<&Value>) {
    match own {
        Some(own @ (Value::String(_) | Value::Number(_))) => assert_eq!(found, own),
        _ => assert!(!found.is_string() && !found.is_number(), "{found}"),
    }
}
