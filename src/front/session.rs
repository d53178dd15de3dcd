//! What a host has said that a new broker must hear, and what it still waits for. A plain value: it sees each line
//! that passes, says whether it may, and knows no stream.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::waiting::{Id, Request, Waiting, line, parse};

/// One host's conversation, over however many brokers.
#[derive(Debug, Default)]
pub(super) struct Session {
    initialize: Option<Said>,
    initialized: Option<Vec<u8>>,
    log_level: Option<Said>,
    subscriptions: Vec<(String, Said)>,
    waits: Vec<Waiting>,
    /// Requests of this broker's that the host has not answered.
    asked: Vec<Id>,
    /// Requests that this broker was told again; the host had its answers from an earlier one.
    swallow: Vec<Id>,
}

/// Whether a line goes on to the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    On,
    /// Nobody there waits for it.
    Nowhere,
}

/// A request to be repeated.
#[derive(Debug)]
struct Said {
    id: Id,
    line: Vec<u8>,
}

/// As much of a line as matters here; the rest, which may be megabytes, is passed over.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Subject {
    uri: String,
    #[serde(rename = "requestId")]
    request: Id,
}

impl Session {
    /// More than any host watches; beyond it the oldest subscription is not repeated.
    const MOST_SUBSCRIPTIONS: usize = 256;

    /// A line from the host.
    pub(super) fn host_says(&mut self, line: &[u8]) -> Pass {
        let Some((message, id)) = read(line) else { return Pass::On };
        let Some(id) = id else { return self.notified(&message, line) };
        if message.method.is_empty() {
            if message.result.is_none() && message.error.is_none() {
                return Pass::On;
            }
            // An answer, and only to whoever asked: an earlier broker is no more.
            return take(&mut self.asked, &id, |asked| asked);
        }
        let said = || Said { id: id.clone(), line: line.to_vec() };
        let for_what = match &*message.method {
            "initialize" => {
                (self.initialize, self.initialized) = (Some(said()), None);
                Request::Initialize
            }
            "logging/setLevel" => {
                self.log_level = Some(said());
                Request::Other
            }
            "resources/subscribe" => {
                let uri = parse::<Subject>(message.params).uri;
                self.subscriptions.retain(|(known, _)| *known != uri);
                if self.subscriptions.len() == Self::MOST_SUBSCRIPTIONS {
                    self.subscriptions.remove(0);
                }
                self.subscriptions.push((uri, said()));
                Request::Other
            }
            "resources/unsubscribe" => {
                let uri = parse::<Subject>(message.params).uri;
                self.subscriptions.retain(|(known, _)| *known != uri);
                Request::Other
            }
            "tools/call" => Request::call(message.params),
            _ => Request::Other,
        };
        self.waits.push(Waiting { id, for_what });
        Pass::On
    }

    fn notified(&mut self, message: &Message<'_>, line: &[u8]) -> Pass {
        match &*message.method {
            "notifications/initialized" => self.initialized = Some(line.to_vec()),
            "notifications/cancelled" => {
                // Neither the broker nor the host says another word about it.
                let id = parse::<Subject>(message.params).request;
                return take(&mut self.waits, &id, |waiting| &waiting.id);
            }
            _ => {}
        }
        Pass::On
    }

    /// A line from the broker.
    pub(super) fn broker_says(&mut self, line: &[u8]) -> Pass {
        let Some((message, Some(id))) = read(line) else { return Pass::On };
        if !message.method.is_empty() {
            self.asked.push(id);
            return Pass::On;
        }
        if take(&mut self.swallow, &id, |told| told) == Pass::On {
            return Pass::Nowhere;
        }
        take(&mut self.waits, &id, |waiting| &waiting.id)
    }

    /// The broker has gone: what the host is to be told now. Each request is answered once, and is then forgotten.
    pub(super) fn lost(&mut self) -> Vec<String> {
        self.swallow.clear();
        let given_up = std::mem::take(&mut self.asked).into_iter().map(|id| {
            let params = json!({"requestId": id, "reason": "the broker was replaced"});
            line(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}))
        });
        let (kept, lost): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waits)
            .into_iter()
            .partition(|waiting| waiting.for_what == Request::Initialize && self.repeats(&waiting.id));
        self.waits = kept;
        given_up.chain(lost.iter().map(|waiting| waiting.answer(waiting.for_what.lost()))).collect()
    }

    /// What a new broker must hear before anything else.
    pub(super) fn replay(&mut self) -> Vec<Vec<u8>> {
        let subscriptions = self.subscriptions.iter().map(|(_, said)| said);
        let answered = self.initialize.iter().chain(&self.log_level).chain(subscriptions);
        self.swallow = answered
            .map(|said| said.id.clone())
            .filter(|id| !self.waits.iter().any(|waiting| waiting.id == *id))
            .collect();
        let first = self.initialize.iter().map(|said| &said.line).chain(&self.initialized);
        let rest = self.log_level.iter().chain(self.subscriptions.iter().map(|(_, said)| said));
        first.chain(rest.map(|said| &said.line)).cloned().collect()
    }

    /// There will be no other broker: the answers to all that waits, and to these lines, which no broker has seen.
    pub(super) fn refuse(&mut self, unsent: &[Vec<u8>], why: &str) -> Vec<String> {
        let ran = |waiting: &Waiting| {
            let next = waiting.for_what.next();
            waiting.answer(format!("compere ends: {why}. This was on its way when the broker ended. {next}"))
        };
        let mut answers: Vec<String> = std::mem::take(&mut self.waits).iter().map(ran).collect();
        for line in unsent {
            self.host_says(line);
        }
        let not_begun =
            |waiting: &Waiting| waiting.answer(format!("compere ends: {why}. This was not begun."));
        answers.extend(std::mem::take(&mut self.waits).iter().map(not_begun));
        answers
    }

    /// Whether a new broker is told of this request by [`Session::replay`].
    fn repeats(&self, id: &Id) -> bool {
        self.initialize.as_ref().is_some_and(|said| said.id == *id)
    }
}

/// A message and its id, if it has one that can be answered to. What is no message is the broker's to refuse.
fn read(line: &[u8]) -> Option<(Message<'_>, Option<Id>)> {
    let message: Message<'_> = serde_json::from_slice(line).ok()?;
    let id = match message.id {
        None => None,
        Some(id) => {
            let id = serde_json::from_str(id.get()).ok()?;
            match id {
                Id::Number(_) | Id::String(_) => Some(id),
                _ => return None,
            }
        }
    };
    Some((message, id))
}

/// Takes the first with this id out; what is not there has nobody who waits.
fn take<T>(from: &mut Vec<T>, id: &Id, id_of: impl Fn(&T) -> &Id) -> Pass {
    match from.iter().position(|one| id_of(one) == id) {
        Some(at) => {
            from.remove(at);
            Pass::On
        }
        None => Pass::Nowhere,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn request(id: &str, method: &str, params: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
    }

    fn answer(id: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"id":9,"method":"x"}}}}"#)
    }

    fn session(lines: &[&str]) -> Session {
        let mut session = Session::default();
        for line in lines {
            assert_eq!(session.host_says(line.as_bytes()), Pass::On, "{line}");
        }
        session
    }

    fn lost(session: &mut Session) -> Vec<Value> {
        session.lost().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    const INITIALIZE: &str = r#"{"id":"a\u0062","method":"initialize","params":{}}"#;
    const INITIALIZED: &str = r#"{"method":"notifications/initialized"}"#;

    #[test]
    fn every_request_in_flight_is_answered_once_in_words_that_fit_it() {
        #[track_caller]
        fn check(params: &str, words: &str) {
            let mut session = session(&[&request("7", "tools/call", params)]);
            let told = lost(&mut session);
            let result = &told[0]["result"];
            assert_eq!([&told[0]["id"], &result["isError"]], [&json!(7), &json!(true)], "{told:?}");
            let text = result["content"][0]["text"].as_str().unwrap();
            assert!(
                text.starts_with("The broker was replaced while this call ran") && text.ends_with(words),
                "{text}"
            );
            assert_eq!(lost(&mut session), [] as [Value; 0]);
            assert_eq!(session.broker_says(answer("7").as_bytes()), Pass::Nowhere, "it has its answer");
        }
        let repeat = "before you repeat it.";
        check(
            r#"{"name":"timer_wait","arguments":{"wait_id":"w3"}}"#,
            "Call timer_wait again with wait_id w3.",
        );
        check(
            r#"{"name":"timer_wait","arguments":{"timeout_ms":9}}"#,
            "Nothing is lost: call timer_wait again.",
        );
        check(r#"{"name":"list_children","arguments":null}"#, "Nothing is lost: call list_children again.");
        check(r#"{"name":"read_output"}"#, "Nothing is lost: call read_output again.");
        check(r#"{"name":"read_reports"}"#, "Call read_reports again, with the same after.");
        check(r#"{"name":"report_to_parent"}"#, "say in it that it may be the second time.");
        check(r#"{"name":"send_message_to"}"#, &format!("typed: look with read_output {repeat}"));
        check(r#"{"name":"send_keys"}"#, &format!("typed: look with read_output {repeat}"));
        check(r#"{"name":"spawn"}"#, &format!("done: look with list_children {repeat}"));
        check(r#"{"name":"stop"}"#, &format!("done: look with list_children {repeat}"));
        check(r#"{"name":"of a later version"}"#, &format!("list_children and read_output {repeat}"));
        check("[]", repeat);
        let mut session = session(&[&request("\"x\"", "tools/list", "{}")]);
        let told = lost(&mut session);
        assert_eq!([&told[0]["id"], &told[0]["error"]["code"]], [&json!("x"), &json!(-32000)]);
    }

    #[test]
    fn a_result_of_the_stateless_revisions_says_that_it_is_one() {
        for (meta, kind) in [
            (r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#, json!("complete")),
            (r#"{"progressToken":1}"#, Value::Null),
        ] {
            let params = format!(r#"{{"name":"spawn","_meta":{meta}}}"#);
            let told = lost(&mut session(&[&request("1", "tools/call", &params)]));
            assert_eq!(told[0]["result"]["resultType"], kind);
        }
    }

    #[test]
    fn what_is_answered_cancelled_or_no_request_is_not_in_flight() {
        let cancel =
            |id: &str| format!(r#"{{"method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#);
        let ping = |id: &str| request(id, "ping", "{}");
        let mut session = session(&[
            &ping("1"),
            &ping("\"1\""),
            &ping("2"),
            &ping("3"),
            "[1]",
            "\n",
            r#"{"id":null,"method":"ping"}"#,
            r#"{"method":"notifications/progress","params":{}}"#,
            &cancel("3"),
        ]);
        assert_eq!(session.broker_says(answer("1").as_bytes()), Pass::On);
        assert_eq!(session.broker_says(answer("1").as_bytes()), Pass::Nowhere, "twice");
        assert_eq!(session.broker_says(answer("3").as_bytes()), Pass::Nowhere, "cancelled");
        assert_eq!(session.broker_says(answer("null").as_bytes()), Pass::On, "about no request");
        assert_eq!(session.broker_says(br#"{"method":"notifications/progress"}"#), Pass::On);
        let ids: Vec<Value> = lost(&mut session).iter().map(|told| told["id"].clone()).collect();
        assert_eq!(ids, [json!("1"), json!(2)]);
        assert_eq!(
            session.host_says(cancel("2").as_bytes()),
            Pass::Nowhere,
            "the new broker never heard of it"
        );
    }

    #[test]
    fn a_new_broker_hears_the_last_of_each_and_its_answers_are_swallowed() {
        let level = |id: &str| request(id, "logging/setLevel", r#"{"level":"info"}"#);
        let on = |id: &str, uri: &str| request(id, "resources/subscribe", &format!(r#"{{"uri":"{uri}"}}"#));
        let off = request("8", "resources/unsubscribe", r#"{"uri":"y"}"#);
        let lines = [
            INITIALIZE,
            INITIALIZED,
            &level("2"),
            &level("3"),
            &on("4", "x"),
            &on("5", "y"),
            &on("6", "x"),
            &off,
        ];
        let mut session = session(&lines);
        for id in ["\"ab\"", "2", "3", "4", "5", "6", "8"] {
            assert_eq!(session.broker_says(answer(id).as_bytes()), Pass::On, "{id}");
        }
        for _ in 0..2 {
            assert!(session.lost().is_empty());
            let replay: Vec<String> =
                session.replay().into_iter().map(|line| String::from_utf8(line).unwrap()).collect();
            assert_eq!(replay, [INITIALIZE, INITIALIZED, &level("3"), &on("6", "x")]);
            for id in ["\"ab\"", "3", "6"] {
                assert_eq!(session.broker_says(answer(id).as_bytes()), Pass::Nowhere, "{id}");
            }
        }
    }

    #[test]
    fn an_initialize_that_was_not_answered_is_answered_by_the_next_broker() {
        let mut session = session(&[INITIALIZE]);
        assert!(session.lost().is_empty());
        assert_eq!(session.replay(), [INITIALIZE.as_bytes()]);
        assert_eq!(session.broker_says(answer("\"ab\"").as_bytes()), Pass::On);
        assert_eq!(session.broker_says(answer("\"ab\"").as_bytes()), Pass::Nowhere);
    }

    #[test]
    fn a_host_without_a_handshake_has_nothing_repeated() {
        let mut session = session(&[&request("1", "server/discover", "{}")]);
        assert_eq!(session.lost().len(), 1);
        assert!(session.replay().is_empty());
    }

    #[test]
    fn a_question_of_an_earlier_broker_is_taken_back_and_its_answer_dropped() {
        let mut session = session(&[INITIALIZE]);
        let question = request("0", "elicitation/create", "{}");
        assert_eq!(session.broker_says(question.as_bytes()), Pass::On);
        assert_eq!(session.broker_says(request("1", "ping", "{}").as_bytes()), Pass::On);
        assert_eq!(session.host_says(answer("1").as_bytes()), Pass::On);
        let told = lost(&mut session);
        assert_eq!(
            [&told[0]["method"], &told[0]["params"]["requestId"]],
            [&json!("notifications/cancelled"), &json!(0)]
        );
        assert_eq!(session.host_says(answer("0").as_bytes()), Pass::Nowhere);
    }

    #[test]
    fn where_no_broker_comes_all_that_waits_is_told_why() {
        let mut session = session(&[INITIALIZE]);
        let unsent = [request("1", "ping", "{}"), INITIALIZED.into(), request("2", "tools/call", "{}")];
        let told = session.refuse(&unsent.map(String::into_bytes), "no broker");
        assert_eq!(told.len(), 3);
        assert!(told.iter().all(|told| told.contains("compere ends: no broker")), "{told:?}");
    }

    #[test]
    fn what_may_have_been_done_is_told_from_what_was_not_begun_when_all_ends() {
        let send = |id| request(id, "tools/call", r#"{"name":"send_message_to","arguments":{}}"#);
        let mut session = session(&[&send("1")]);
        let told = session.refuse(&[send("2").into_bytes()], "no broker");
        assert_eq!(told.len(), 2);
        assert!(
            told[0].contains("may or may not have been typed") && told[0].contains("\"id\":1"),
            "{told:?}"
        );
        assert!(told[1].contains("This was not begun.") && told[1].contains("\"id\":2"), "{told:?}");
    }
}
