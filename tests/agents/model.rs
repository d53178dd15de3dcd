//! The model on loopback (`model.py`, whose head says what it can be told): started, followed, and ended.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use serde::Deserialize;

/// One thing that happened at the model.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Event {
    /// In milliseconds after 1970.
    pub(crate) at: i64,
    /// Which program's, by the first part of the path it asked.
    pub(crate) who: String,
    /// `heard`, `begun`, `result`, `tools` or `ended`.
    pub(crate) what: String,
    #[serde(default)]
    pub(crate) id: u64,
    #[serde(default)]
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) how: String,
    #[serde(default)]
    pub(crate) names: Vec<String>,
}

impl Event {
    pub(crate) fn is(&self, who: &str, what: &str) -> bool {
        self.who == who && self.what == what
    }
}

#[derive(Deserialize)]
struct Log {
    next: u64,
    events: Vec<Event>,
}

/// See the module.
pub(crate) struct Model {
    process: Child,
    port: u16,
    seen: Arc<(Mutex<Vec<Event>>, Condvar)>,
}

impl Model {
    /// Starts one, which keeps each request in that directory if there is one given.
    pub(crate) fn start(trace: Option<&Path>) -> Result<Model, String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agents/model.py");
        let mut command = Command::new("python3");
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(dir) = trace {
            command.arg("--trace").arg(dir);
        }
        let mut process = command.spawn().map_err(|error| format!("python3: {error}"))?;
        let mut line = String::new();
        let stdout = process.stdout.take().ok_or("no output")?;
        BufReader::new(stdout).read_line(&mut line).map_err(|error| error.to_string())?;
        let port = line.trim().parse().map_err(|_| "the model has not said its port")?;
        let seen: Arc<(Mutex<Vec<Event>>, Condvar)> = Arc::default();
        let filled = seen.clone();
        std::thread::spawn(move || {
            let mut from = 0;
            while let Ok(text) = get(port, &format!("/log?from={from}&wait=30")) {
                let Ok(log) = serde_json::from_str::<Log>(&text) else { return };
                from = log.next;
                filled.0.lock().unwrap().extend(log.events);
                filled.1.notify_all();
            }
        });
        Ok(Model { process, port, seen })
    }

    /// Where a program that is called so finds it.
    pub(crate) fn url(&self, who: &str) -> String {
        format!("http://127.0.0.1:{}/{who}", self.port)
    }

    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.seen.0.lock().unwrap()
    }

    /// How many events there are: what comes later has at least this number.
    pub(crate) fn now(&self) -> usize {
        self.events().len()
    }

    /// All from that one on that are like this.
    pub(crate) fn all(&self, from: usize, like: impl Fn(&Event) -> bool) -> Vec<Event> {
        self.events()[from..].iter().filter(|event| like(event)).cloned().collect()
    }

    /// The first from that one on that is like this, if it comes within so long; and its number.
    pub(crate) fn first(
        &self,
        from: usize,
        within: Duration,
        like: impl Fn(&Event) -> bool,
    ) -> Option<(usize, Event)> {
        let deadline = Instant::now() + within;
        let mut events = self.events();
        let mut at = from;
        loop {
            while let Some(event) = events.get(at) {
                if like(event) {
                    return Some((at, event.clone()));
                }
                at += 1;
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            events = self.seen.1.wait_timeout(events, left).unwrap().0;
        }
    }

    /// Waits until none of this program's answers is under way.
    pub(crate) fn quiet(&self, who: &str, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let mut events = self.events();
        loop {
            let count = |what| events.iter().filter(|event| event.is(who, what)).count();
            if count("begun") == count("ended") {
                return true;
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            events = self.seen.1.wait_timeout(events, left).unwrap().0;
        }
    }

    /// Lets an answer that holds go on.
    pub(crate) fn release(&self, name: &str) {
        let _ = get(self.port, &format!("/release?name={name}"));
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // It ends with its standard input.
        self.process.stdin = None;
        let _ = self.process.wait();
    }
}

fn get(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    body.ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}
