//! A place of its own for one program or a company of them: a home, a directory to work in, a runtime directory and the
//! program under test; and what is left of it at its end.

use std::{
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    COMPERE,
    host::Host,
    leftovers,
    model::Model,
    programs::{self, Program, Setting},
};

/// A program takes no longer to start, or it never will.
pub(crate) const START: Duration = Duration::from_secs(60);

/// What stages have, to be taken away by whoever is told to end.
static OPEN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Ends with all that is on any stage when somebody ends this process.
pub(crate) fn watch_signals() -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            // Nobody begins anything any more.
            let open = OPEN.lock().unwrap();
            for dir in open.iter() {
                leftovers::sweep(dir);
                let _ = std::fs::remove_dir_all(dir);
            }
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

/// See the module.
pub(crate) struct Stage<'a> {
    /// Homes are below target/, since gemini refuses files below a directory that is open to others.
    home: tempfile::TempDir,
    /// Sockets need a short path.
    run: tempfile::TempDir,
    /// Its number among all stages: programs are heard by that, too.
    number: usize,
    variables: Vec<(String, String)>,
    host: OnceLock<Host>,
    pub(crate) model: &'a Model,
}

impl<'a> Stage<'a> {
    /// With the settings of these programs.
    pub(crate) fn new(model: &'a Model, programs: &[Program]) -> Result<Self, String> {
        Stage::build(model, programs).map_err(|error| format!("no stage: {error}"))
    }

    fn build(model: &'a Model, programs: &[Program]) -> std::io::Result<Self> {
        let homes = programs::place().join("homes");
        std::fs::create_dir_all(&homes)?;
        let home = tempfile::Builder::new().prefix("h").tempdir_in(homes)?;
        let run = tempfile::Builder::new().prefix("cmp-").tempdir()?;
        OPEN.lock().unwrap().extend([home.path().to_owned(), run.path().to_owned()]);
        static STAGES: AtomicUsize = AtomicUsize::new(0);
        let number = STAGES.fetch_add(1, Ordering::Relaxed);
        let mut stage = Stage { home, run, number, variables: Vec::new(), host: OnceLock::new(), model };
        for dir in [stage.work(), stage.bin(), stage.run.path().join("tmp")] {
            std::fs::create_dir_all(dir)?;
        }
        // A workspace's top.
        std::fs::create_dir(stage.work().join(".git"))?;
        for program in programs {
            let url = model.url(&stage.who(program.name));
            let setting = Setting { url: &url, home: stage.home(), work: &stage.work() };
            let variables = program.settle(&setting)?;
            stage.variables.extend(variables.into_iter().map(|(name, value)| (name.to_owned(), value)));
        }
        stage.wrap()?;
        // Nobody is to be reminded in the middle of a try.
        let config = stage.home().join(".config/compere");
        std::fs::create_dir_all(&config)?;
        // A fast program is started more than thirty times a minute here.
        let text = json!({"nudges": {"after_s": 0}, "limits": {"spawns_per_minute": 600}}).to_string();
        std::fs::write(config.join("config.json"), text)?;
        Ok(stage)
    }

    /// `compere` as hosts find it on their PATH: with the stage's environment, whatever of that they leave out.
    fn wrap(&self) -> std::io::Result<()> {
        let path = self.bin().join("compere");
        let exports: String =
            self.environment().iter().map(|(name, value)| format!("export {name}='{value}'\n")).collect();
        std::fs::write(&path, format!("#!/bin/sh\n{exports}exec '{COMPERE}' \"$@\"\n"))?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755))
    }

    /// What a program of this stage is called at the model.
    pub(crate) fn who(&self, program: &str) -> String {
        format!("{program}{}", self.number)
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where programs work.
    pub(crate) fn work(&self) -> PathBuf {
        self.home().join("work")
    }

    fn bin(&self) -> PathBuf {
        self.home().join("bin")
    }

    fn runtime(&self) -> PathBuf {
        self.run.path().join("run")
    }

    /// All that a program is given: nothing of the machine's own settings.
    fn environment(&self) -> Vec<(String, String)> {
        let tmp = self.run.path().join("tmp");
        let own = [
            ("HOME", self.home().display().to_string()),
            ("PATH", format!("{}:{}", self.bin().display(), programs::path())),
            ("LANG", "C.UTF-8".to_owned()),
            ("TMPDIR", tmp.display().to_string()),
            // Whoever asks for anything but our model is told at once that there is nobody.
            ("HTTPS_PROXY", "http://127.0.0.1:9".to_owned()),
            ("HTTP_PROXY", "http://127.0.0.1:9".to_owned()),
            ("NO_PROXY", "127.0.0.1,localhost".to_owned()),
            ("COMPERE_RUNTIME_DIR", self.runtime().display().to_string()),
            ("COMPERE_LINGER_MS", "100".to_owned()),
        ];
        own.map(|(name, value)| (name.to_owned(), value)).into_iter().chain(self.variables.clone()).collect()
    }

    /// A command of this stage.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.environment()).current_dir(self.work());
        command
    }

    /// Another server, of the same root.
    pub(crate) fn another_host(&self) -> Result<Host, String> {
        drop(OPEN.lock());
        Host::start(self.command(COMPERE))
    }

    fn host(&self) -> Result<&Host, String> {
        if let Some(host) = self.host.get() {
            return Ok(host);
        }
        let host = self.another_host()?;
        Ok(self.host.get_or_init(|| host))
    }

    pub(crate) fn call(&self, tool: &str, arguments: &Value) -> Result<Value, String> {
        drop(OPEN.lock());
        self.host()?.call(tool, arguments).map_err(|why| format!("{tool}: {why}"))
    }

    /// Spawns a child with these arguments; answers its id.
    pub(crate) fn spawn(&self, arguments: &Value) -> Result<String, String> {
        let row = self.call("spawn", arguments)?;
        Ok(row["child"].as_str().unwrap_or_default().to_owned())
    }

    /// The child's row in the listing.
    pub(crate) fn row(&self, child: &str) -> Result<Value, String> {
        let row = self.rows()?.into_iter().rfind(|row| row["child"] == child || row["name"] == child);
        row.ok_or_else(|| format!("{child} is in no listing"))
    }

    /// All pages of the listing.
    fn rows(&self) -> Result<Vec<Value>, String> {
        let (mut rows, mut after) = (Vec::new(), json!({}));
        loop {
            let list = self.call("list_children", &after)?;
            let page = list["children"].as_array().cloned().unwrap_or_default();
            let Some(last) = page.last() else { return Ok(rows) };
            after = json!({"after": last["child"]});
            rows.extend(page);
        }
    }

    /// What the child is doing.
    pub(crate) fn state(&self, child: &str) -> Result<String, String> {
        Ok(self.row(child)?["state"].as_str().unwrap_or_default().to_owned())
    }

    /// Waits for one thing; answers what woke it.
    pub(crate) fn wait(&self, condition: &Value, within: Duration) -> Result<Value, String> {
        let mut ask = json!({"timeout_ms": within.as_millis() as u64, "until": [condition]});
        loop {
            let woke = self.call("timer_wait", &ask)?;
            if woke["woke"] != "still_waiting" {
                return Ok(woke);
            }
            ask = json!({"wait_id": woke["wait_id"]});
        }
    }

    /// Waits until the child is in this state, or says in which it is instead.
    pub(crate) fn becomes(&self, child: &str, is: &str, within: Duration) -> Result<(), String> {
        let woke = self.wait(&json!({"child": child, "is": is}), within)?;
        if woke["woke"] == is {
            return Ok(());
        }
        let row = self.row(child)?;
        Err(format!("not {is} within {within:?} but {} ({})", row["state"], row["why"]))
    }

    /// The child's screen, or why there is none.
    pub(crate) fn screen(&self, child: &str) -> String {
        let ask = json!({"child": child, "mode": "screen", "lines": 80, "max_bytes": 30_000});
        match self.call("read_output", &ask) {
            Ok(answer) => answer["text"].as_str().unwrap_or_default().to_owned(),
            Err(why) => why,
        }
    }

    /// Stops the child, which must leave nothing.
    pub(crate) fn stop(&self, child: &str) -> Result<(), String> {
        let stopped = self.call("stop", &json!({"child": child}))?;
        if stopped["left"] == json!([]) { Ok(()) } else { Err(format!("stop left something: {stopped}")) }
    }

    /// What `compere` says to a person: standard output of a command line.
    pub(crate) fn person(&self, arguments: &[&str]) -> Result<String, String> {
        let output =
            self.command(COMPERE).args(arguments).output().map_err(|error| format!("compere: {error}"))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Ends everything; answers what was left, which must be nothing.
    pub(crate) fn end(mut self) -> Result<(), String> {
        for row in self.rows()? {
            self.stop(row["child"].as_str().unwrap_or_default())?;
        }
        drop(self.host.take());
        self.broker_gone();
        let deadline = Instant::now() + Duration::from_secs(10);
        // What a program's host has started ends a moment after it.
        while !self.users().is_empty() && Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(50));
        }
        let mut left = leftovers::sweep(self.run.path());
        left.extend(leftovers::sweep(self.home()));
        if !left.is_empty() {
            return Err(format!("processes are left: {left:?}"));
        }
        let mut files = leftovers::files(&self.runtime().join("k"));
        // The records of how children ended.
        files.retain(|file| !file.ends_with(".ring"));
        files.extend(leftovers::files(&self.runtime()).into_iter().filter(|file| file.ends_with(".sock")));
        if files.is_empty() { Ok(()) } else { Err(format!("files are left: {files:?}")) }
    }

    fn users(&self) -> Vec<i32> {
        let mut users = leftovers::mentioning(self.run.path());
        users.extend(leftovers::mentioning(self.home()));
        users
    }

    /// Asks the broker to end, as a machine that is shut down does.
    fn broker_gone(&self) {
        let Ok(stream) = UnixStream::connect(self.runtime().join("broker.sock")) else { return };
        let Ok(peer) = rustix::net::sockopt::socket_peercred(&stream) else { return };
        drop(stream);
        let _ = kill_process(peer.pid, Signal::TERM);
        leftovers::gone(Pid::as_raw(Some(peer.pid)));
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        drop(self.host.take());
        leftovers::sweep(self.run.path());
        leftovers::sweep(self.home());
        OPEN.lock().unwrap().retain(|dir| dir != self.run.path() && dir != self.home());
    }
}
