//! An MCP host that does as the error texts say: it calls again, and starts its server again when that has ended.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Stdio},
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    company::{Company, PATIENCE},
    history::{Again, History, Told},
    leftovers::gone,
};

/// See the module.
pub(crate) struct Host<'a> {
    company: &'a Company,
    front: Option<Front>,
    id: u64,
    /// How many fronts it has started.
    pub(crate) fronts: u64,
    /// What was said of messages that were refused.
    pub(crate) refusals: Vec<String>,
}

/// Why a call has no result.
pub(crate) enum Failed {
    /// It may or may not have been done.
    Unknown(String),
    /// The tool said no.
    Refused(String),
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failed::Unknown(why) => write!(f, "lost: {why}"),
            Failed::Refused(why) => write!(f, "refused: {why}"),
        }
    }
}

struct Front {
    process: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Value>,
}

impl<'a> Host<'a> {
    pub(crate) fn new(company: &'a Company) -> Self {
        Host { company, front: None, id: 0, fronts: 0, refusals: Vec::new() }
    }

    pub(crate) fn company(&self) -> &'a Company {
        self.company
    }

    /// The front's process, while there is one.
    pub(crate) fn front(&self) -> Option<i32> {
        self.front.as_ref().map(|front| front.process.id() as i32)
    }

    /// Calls a tool once; answers its structured result, or its text.
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> Result<Value, Failed> {
        let id = self.ask(tool, arguments).map_err(|()| Failed::Unknown("the front has ended".into()))?;
        let Some(answer) = self.answer(id) else {
            return Err(Failed::Unknown("the front has ended".into()));
        };
        let result = &answer["result"];
        let text = result["content"][0]["text"].as_str().unwrap_or_default().to_owned();
        if let Some(error) = answer["error"]["message"].as_str() {
            return Err(Failed::Unknown(error.to_owned()));
        }
        if result["isError"] == true {
            let words = ["The broker was replaced", "This was on its way when the broker ended"];
            let lost = words.iter().any(|words| text.contains(words));
            return Err(if lost { Failed::Unknown(text) } else { Failed::Refused(text) });
        }
        let mut record = result["structuredContent"].clone();
        if record.is_null() {
            record = json!({"text": text, "meta": result["_meta"]});
        }
        Ok(record)
    }

    /// Sends a call and does not wait for its answer.
    pub(crate) fn ask(&mut self, tool: &str, arguments: &Value) -> Result<u64, ()> {
        if self.front.is_none() {
            self.front = Some(self.start()?);
        }
        self.id += 1;
        let params = json!({"name": tool, "arguments": arguments});
        let line = json!({"jsonrpc": "2.0", "id": self.id, "method": "tools/call", "params": params});
        self.say(&line)?;
        Ok(self.id)
    }

    /// Writes a line; a front that does not take it has ended.
    pub(crate) fn say(&mut self, line: &Value) -> Result<(), ()> {
        let stdin = self.front.as_mut().and_then(|front| front.stdin.as_mut());
        let said = stdin.ok_or(()).and_then(|stdin| writeln!(stdin, "{line}").map_err(|_| ()));
        if said.is_err() {
            self.lose();
        }
        said
    }

    /// The answer to this request, once it comes; nothing if the front ends before.
    pub(crate) fn answer(&mut self, id: u64) -> Option<Value> {
        let deadline = Instant::now() + PATIENCE + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.front.as_ref()?.lines.recv_timeout(left) {
                Ok(line) if line["id"] == id && line.get("method").is_none() => return Some(line),
                Ok(_) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    self.lose();
                    return None;
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    panic!("no answer to request {id} within {:?}", PATIENCE * 2)
                }
            }
        }
    }

    /// The answers to all of these requests, each of which must come once, in whatever order.
    pub(crate) fn answers(&mut self, ids: &[u64]) -> Result<Vec<Value>, String> {
        let mut open: std::collections::BTreeSet<u64> = ids.iter().copied().collect();
        let mut answers = Vec::new();
        while !open.is_empty() {
            let front = self.front.as_ref().ok_or("there is no front")?;
            let line = front
                .lines
                .recv_timeout(PATIENCE)
                .map_err(|error| format!("{} open: {error}", open.len()))?;
            let Some(id) = line["id"].as_u64().filter(|id| ids.contains(id)) else { continue };
            if !open.remove(&id) {
                return Err(format!("{id} is answered twice"));
            }
            answers.push(line);
        }
        Ok(answers)
    }

    /// Calls until there is a result: only for what may be done twice.
    pub(crate) fn insist(&mut self, tool: &str, arguments: &Value) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.call(tool, arguments) {
                Ok(result) => return result,
                Err(failed) if Instant::now() > deadline => panic!("{tool} {arguments}: {failed}"),
                Err(_) => {}
            }
        }
    }

    /// The rows of the listing.
    pub(crate) fn children(&mut self) -> Vec<Value> {
        self.insist("list_children", &json!({}))["children"].as_array().cloned().unwrap_or_default()
    }

    /// The row of the child of that name or id.
    pub(crate) fn row(&mut self, who: &str) -> Option<Value> {
        self.children().into_iter().rfind(|row| row["name"] == who || row["child"] == who)
    }

    /// Spawns a child of that name, looking whether it is there before it tries again. Answers its id and process.
    pub(crate) fn spawn(&mut self, name: &str, script: &str) -> (String, i32) {
        let command = json!({"command": ["sh", "-c", script], "name": name});
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let known = match self.call("spawn", &command) {
                Ok(row) => Some(row),
                Err(_) => self.row(name).filter(|row| {
                    let state = row["state"].as_str().unwrap_or_default();
                    !state.starts_with("exited") && !state.starts_with("lost")
                }),
            };
            if let Some(row) = known {
                return (row["child"].as_str().unwrap().to_owned(), row["pid"].as_i64().unwrap() as i32);
            }
            // One that is still being spawned has its name and is in no listing.
            pass(Duration::from_millis(20));
        }
        let why = self.call("spawn", &command).map_or_else(|why| why.to_string(), |row| row.to_string());
        panic!("{name} cannot be spawned: {why}");
    }

    /// Sends a message until it is taken, each time in other words; answers the words. Nothing if the child is over.
    pub(crate) fn message(&mut self, history: &mut History, to: &str, text: &str) -> Option<String> {
        for attempt in 1..=20 {
            let words = format!("{text}.{attempt}");
            let sent = self.call("send_message_to", &json!({"to": to, "message": words, "wait_ms": 3000}));
            let told = match &sent {
                Ok(receipt) => match receipt["status"].as_str().unwrap_or_default() {
                    "submitted" | "typed" | "queued" | "held" => Told::Taken,
                    "refused" => Told::Refused,
                    _ => Told::Unknown,
                },
                Err(Failed::Refused(_)) => Told::Refused,
                Err(Failed::Unknown(_)) => Told::Unknown,
            };
            if told == Told::Refused {
                let said = sent.map_or_else(|why| why.to_string(), |receipt| receipt.to_string());
                self.refusals.push(format!("{words}: {said}"));
            }
            history.sent(to, &words, told);
            if told == Told::Taken {
                return Some(words);
            }
            let over = self.row(to).is_none_or(|row| {
                let state = row["state"].as_str().unwrap_or_default();
                state.starts_with("exited") || state.starts_with("lost")
            });
            if over {
                return None;
            }
        }
        panic!("{text} was never taken");
    }

    /// Reads what has been reported, and says so in the history; answers the synthetic ones.
    pub(crate) fn reports(&mut self, history: &mut History) -> Vec<Value> {
        let read = self.insist("read_reports", &json!({"max_bytes": 200_000}));
        note(history, &read["reports"])
    }

    /// Starts a front and shakes hands.
    fn start(&mut self) -> Result<Front, ()> {
        self.fronts += 1;
        let mut command = self.company.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let (to, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or_else(|_| json!({"not JSON": line}));
                if to.send(line).is_err() {
                    return;
                }
            }
        });
        let stdin = process.stdin.take();
        self.front = Some(Front { process, stdin, lines });
        self.id += 1;
        let params = json!({
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "faults", "version": "0"},
        });
        let id = self.id;
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": "initialize", "params": params}))?;
        self.answer(id).ok_or(())?;
        self.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        self.front.take().ok_or(())
    }

    /// The front has ended.
    fn lose(&mut self) {
        if let Some(mut front) = self.front.take() {
            front.stdin = None;
            gone(front.process.id() as i32);
            let _ = front.process.wait();
        }
    }
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        if let Some(front) = &mut self.front {
            let _ = front.process.kill();
        }
        self.lose();
    }
}

/// Takes reports into the history; answers the synthetic ones that are new.
pub(crate) fn note(history: &mut History, reports: &Value) -> Vec<Value> {
    let mut synthetic = Vec::new();
    for row in reports.as_array().into_iter().flatten() {
        if row["synthetic"] == true {
            synthetic.push(row.clone());
            continue;
        }
        let again = if row["again"] == true { Again::Repeated } else { Again::New };
        history.arrived("parent", row["message"].as_str().unwrap_or_default(), again);
    }
    synthetic
}

/// Some time in which nothing of ours happens.
pub(crate) fn pass(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}
