//! An MCP host that speaks to the real binary over its standard streams, from several threads at once.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc::{Sender, channel},
    },
    time::Duration,
};

use serde_json::{Value, json};

/// No answer takes longer, or it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// See the module.
pub(crate) struct Host {
    process: Child,
    stdin: Mutex<Option<ChildStdin>>,
    waiting: Arc<Mutex<HashMap<u64, Sender<Value>>>>,
    next: AtomicU64,
}

impl Host {
    /// Starts a server with this command and shakes hands.
    pub(crate) fn start(mut command: Command) -> Result<Host, String> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().map_err(|error| error.to_string())?;
        let stdout = process.stdout.take().ok_or("no output")?;
        let stdin = Mutex::new(process.stdin.take());
        let waiting: Arc<Mutex<HashMap<u64, Sender<Value>>>> = Arc::default();
        let open = waiting.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let Ok(line) = serde_json::from_str::<Value>(&line) else { continue };
                let asker = line["id"].as_u64().and_then(|id| open.lock().unwrap().remove(&id));
                if let Some(asker) = asker {
                    let _ = asker.send(line);
                }
            }
            // Nobody else will be answered.
            open.lock().unwrap().clear();
        });
        let host = Host { process, stdin, waiting, next: AtomicU64::new(1) };
        let params = json!({
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "agents", "version": "0"},
        });
        host.ask("initialize", &params)?;
        host.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        Ok(host)
    }

    fn say(&self, line: &Value) -> Result<(), String> {
        let mut stdin = self.stdin.lock().unwrap();
        let stdin = stdin.as_mut().ok_or("the server was ended")?;
        writeln!(stdin, "{line}").map_err(|error| error.to_string())
    }

    fn ask(&self, method: &str, params: &Value) -> Result<Value, String> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (to, answer) = channel();
        self.waiting.lock().unwrap().insert(id, to);
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        answer.recv_timeout(PATIENCE).map_err(|error| format!("no answer to {method} {params}: {error}"))
    }

    /// Calls a tool; answers its structured result, or `{"text"}`; its words where it is an error.
    pub(crate) fn call(&self, tool: &str, arguments: &Value) -> Result<Value, String> {
        let answer = self.ask("tools/call", &json!({"name": tool, "arguments": arguments}))?;
        if let Some(error) = answer["error"]["message"].as_str() {
            return Err(error.to_owned());
        }
        let result = &answer["result"];
        let texts = result["content"].as_array().into_iter().flatten();
        let text: Vec<&str> = texts.filter_map(|block| block["text"].as_str()).collect();
        let text = text.join("\n");
        if result["isError"] == true {
            return Err(text);
        }
        let record = &result["structuredContent"];
        Ok(if record.is_null() { json!({"text": text, "meta": result["_meta"]}) } else { record.clone() })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // As a host ends its server.
        *self.stdin.lock().unwrap() = None;
        let _ = self.process.wait();
    }
}
