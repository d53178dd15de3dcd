//! A host's side of an MCP server over stdio, by the line: so that no client's own time is in the figures.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use super::clock;

/// A server that was started, and the lines to it and from it.
pub(crate) struct Front {
    pub(crate) process: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    last: u64,
    /// What it said of itself.
    pub(crate) welcome: Value,
    /// From its start to that, in milliseconds.
    pub(crate) ready_ms: f64,
}

impl Front {
    /// Starts it, and greets as hosts do.
    pub(crate) fn start(command: &mut Command) -> Front {
        let began = clock::now();
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdin = process.stdin.take();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let mut front = Front { process, stdin, stdout, last: 0, welcome: Value::Null, ready_ms: 0.0 };
        let client = json!({"name": "bench", "version": "0"});
        let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
        front.welcome = front.ask("initialize", &hello);
        front.ready_ms = (clock::now() - began) as f64 / 1e6;
        front.write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        front
    }

    /// A request and its result.
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Value {
        let id = self.send(method, params);
        self.answer(id).1
    }

    /// A request. Answers its id.
    pub(crate) fn send(&mut self, method: &str, params: &Value) -> u64 {
        self.last += 1;
        let message = json!({"jsonrpc": "2.0", "id": self.last, "method": method, "params": params});
        self.write(&message.to_string());
        self.last
    }

    /// Waits for a result. Answers when its line was there, and the result.
    pub(crate) fn answer(&mut self, id: u64) -> (u64, Value) {
        loop {
            let mut line = String::new();
            assert!(self.stdout.read_line(&mut line).unwrap() > 0, "the server ended");
            let at = clock::now();
            let mut message: Value = serde_json::from_str(&line).unwrap();
            if message["id"] == id && message.get("method").is_none() {
                assert!(message.get("error").is_none(), "{message}");
                return (at, message["result"].take());
            }
        }
    }

    /// A tool's result, which must not be an error.
    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.timed(tool, arguments).1
    }

    /// The same, with the milliseconds that it took.
    pub(crate) fn timed(&mut self, tool: &str, arguments: Value) -> (f64, Value) {
        let began = clock::now();
        let id = self.send("tools/call", &json!({"name": tool, "arguments": arguments}));
        let (at, result) = self.answer(id);
        assert_ne!(result["isError"], true, "{tool}: {result}");
        ((at - began) as f64 / 1e6, result)
    }

    fn write(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
        stdin.flush().unwrap();
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        // Its host's end of the pipe, and with it the server, which need not know how.
        self.stdin = None;
        let _ = self.process.wait();
    }
}
