//! The real program, with a broker of its own.

use std::{path::PathBuf, process::Stdio, time::Duration};

use rmcp::transport::TokioChildProcess;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{COMPERE, Client, PATH, leftovers, short_dir};

/// A runtime directory of its own. Its end stops all children and the broker, and sees that nothing is left.
pub(crate) struct Real {
    dir: tempfile::TempDir,
}

impl Real {
    pub(crate) fn new() -> Self {
        let dir = short_dir();
        std::fs::create_dir(dir.path().join("work")).unwrap();
        Real { dir }
    }

    /// The user's home; hosts work in `work` below it.
    pub(crate) fn home(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Where the broker and the keepers have their files.
    pub(crate) fn run(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// `compere` as a host starts it, with nothing of the machine's environment.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs([("PATH", PATH), ("LANG", "C.UTF-8"), ("COMPERE_LINGER_MS", "100")])
            .env("HOME", self.dir.path())
            .env("COMPERE_RUNTIME_DIR", self.run())
            .current_dir(self.dir.path().join("work"))
            .kill_on_drop(true);
        command
    }

    /// An MCP host with a client of rmcp's.
    pub(crate) async fn client(&self) -> Client {
        Client::over(TokioChildProcess::new(self.command(COMPERE)).unwrap()).await
    }

    /// `compere call TOOL JSON` from outside any child, with more in its environment.
    pub(crate) async fn call_with(&self, env: &[(&str, &str)], tool: &str, arguments: Value) -> String {
        let mut command = self.command(COMPERE);
        command.args(["call", tool, &arguments.to_string()]).envs(env.iter().copied()).stdin(Stdio::null());
        let output = command.output().await.unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    /// `compere` with its standard streams in our hands.
    pub(crate) fn raw(&self) -> Raw {
        Raw::new(self.command(COMPERE))
    }

    /// The broker's process: whoever listens. Others that were started with it are about to end.
    pub(crate) fn broker(&self) -> Option<i32> {
        let stream = std::os::unix::net::UnixStream::connect(self.run().join("broker.sock")).ok()?;
        Some(rustix::net::sockopt::socket_peercred(&stream).unwrap().pid.as_raw_nonzero().get())
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        // By the command line, as a user would.
        let call = |tool: &str, arguments: Value| {
            let output = std::process::Command::new(COMPERE)
                .args(["call", tool, &arguments.to_string()])
                .env_clear()
                .env("COMPERE_RUNTIME_DIR", self.run())
                .stdin(Stdio::null())
                .output()
                .unwrap();
            serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default()
        };
        let mut unstopped = Vec::new();
        if self.broker().is_some() {
            let list = call("list_children", json!({}));
            for row in list["children"].as_array().into_iter().flatten() {
                let stopped = call("stop", json!({"child": row["child"], "grace_ms": 0}));
                if stopped["left"] != json!([]) {
                    unstopped.push(stopped);
                }
            }
        }
        // They would start another broker.
        leftovers::end_fronts(self.dir.path());
        if let Some(broker) = self.broker() {
            let _ = kill_process(Pid::from_raw(broker).unwrap(), Signal::TERM);
            leftovers::gone(broker);
        }
        leftovers::brokers_gone(self.dir.path());
        let swept = leftovers::sweep(self.dir.path());
        let mut files = leftovers::files(&self.run().join("k"));
        if !std::thread::panicking() {
            assert!(unstopped.is_empty(), "{unstopped:?}");
            assert!(swept.is_empty(), "processes are left: {swept:?}");
            // What ended children wrote is for a broker that comes after.
            files.retain(|file| !file.ends_with(".ring"));
            assert!(files.is_empty(), "files are left: {files:?}");
            assert!(!self.run().join("broker.sock").exists(), "the broker's socket is left");
        }
    }
}

/// A front whose lines we write and read ourselves.
pub(crate) struct Raw {
    pub(crate) process: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Raw {
    /// This command, piped.
    pub(crate) fn new(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap()).lines();
        Raw { stdin: process.stdin.take(), stdout, process }
    }

    /// Writes a line.
    pub(crate) async fn write(&mut self, line: impl AsRef<[u8]>) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(line.as_ref()).await.unwrap();
        stdin.write_all(b"\n").await.unwrap();
        stdin.flush().await.unwrap();
    }

    /// Reads a line, which must be JSON; nothing at the end.
    pub(crate) async fn read(&mut self) -> Option<Value> {
        let line = tokio::time::timeout(super::mcp::PATIENCE, self.stdout.next_line()).await;
        let line = line.expect("no line came").unwrap()?;
        Some(serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}")))
    }

    /// Reads on to the answer of this request.
    pub(crate) async fn answer(&mut self, id: impl Into<Value>) -> Value {
        let id = id.into();
        loop {
            let line = self.read().await.unwrap_or_else(|| panic!("no answer to {id}"));
            if line["id"] == id && line.get("method").is_none() {
                return line;
            }
        }
    }

    /// A request and its answer.
    pub(crate) async fn ask(&mut self, id: u64, method: &str, params: Value) -> Value {
        self.write(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()).await;
        self.answer(id).await
    }

    /// The legacy handshake.
    pub(crate) async fn initialize(&mut self) -> Value {
        let client = json!({"name": "raw", "version": "0"});
        let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
        let answer = self.ask(0, "initialize", params).await;
        self.write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
        answer
    }

    /// Its standard input ends.
    pub(crate) fn end(&mut self) {
        self.stdin = None;
    }

    /// Waits for its end; answers how long that took, whether it succeeded, and what was left on standard output.
    pub(crate) async fn ended(&mut self) -> (Duration, bool, Vec<Value>) {
        let began = std::time::Instant::now();
        let status = tokio::time::timeout(super::mcp::PATIENCE, self.process.wait()).await;
        let status = status.expect("it has not ended").unwrap();
        let took = began.elapsed();
        let mut rest = Vec::new();
        while let Some(line) = self.read().await {
            rest.push(line);
        }
        (took, status.success(), rest)
    }

    /// What it wrote to standard error, once it has ended.
    pub(crate) async fn complaint(&mut self) -> String {
        let mut text = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut text).await.unwrap();
        text
    }
}
