//! cli-agent-orchestrator, an MCP orchestrator in Python over tmux: installed from PyPI into target/bench/, with its own
//! stand-in for an agent in a terminal, in a directory of its own.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{actor::eventually, front::Front, peers::quiet};

/// The version that is compared to.
pub(crate) const PACKAGE: &str = "cli-agent-orchestrator==2.5.4";

/// One that runs, with an agent in it.
pub(crate) struct Orchestrator {
    /// Its MCP server for those who operate it, as a host starts it.
    pub(crate) front: Front,
    server: Child,
    terminal: String,
    dir: PathBuf,
}

impl Orchestrator {
    /// Installs it where it is not yet, and starts it; or why that cannot be.
    pub(crate) fn start(dir: &Path) -> Result<Orchestrator, String> {
        let bin = install()?;
        let dir = dir.join("orchestrator");
        std::fs::create_dir_all(dir.join("bin")).map_err(|error| error.to_string())?;
        // What its provider for tests starts.
        let agent =
            "#!/bin/sh\nprintf '❯ '\nwhile IFS= read -r line; do printf '> MOCK: %s\\n❯ ' \"$line\"; done\n";
        let path = dir.join("bin/mock_cli");
        std::fs::write(&path, agent).map_err(|error| error.to_string())?;
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .map_err(|error| error.to_string())?;
        // Its terminals run login shells, which set their own PATH.
        let profile = format!("PATH={}:$PATH\nPS1='$ '\n", dir.join("bin").display());
        std::fs::write(dir.join(".profile"), profile).map_err(|error| error.to_string())?;
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .map_err(|error| error.to_string())?
            .port();
        let command = |name: &str| {
            let mut command = Command::new(bin.join(name));
            command
                .env_clear()
                .env("HOME", &dir)
                .env("CAO_HOME_DIR", dir.join("cao"))
                .env("CAO_API_PORT", port.to_string());
            command
                .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()))
                .env("TMUX_TMPDIR", &dir);
            command
                .envs([("SHELL", "/bin/sh"), ("LANG", "C.UTF-8"), ("TERM", "xterm-256color")])
                .current_dir(&dir);
            command.stderr(Stdio::null());
            command
        };
        let server = command("cao-server")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut server = Ended(Some(server));
        eventually("cli-agent-orchestrator's server", || http(port, "GET", "/health").is_ok());
        let query = format!("agent_profile=developer&provider=mock_cli&working_directory={}", dir.display());
        let made = http(port, "POST", &format!("/sessions?{query}"))?;
        let terminal = made["id"].as_str().ok_or_else(|| made.to_string())?.to_owned();
        let front = Front::start(&mut command("cao-ops-mcp-server"));
        let server = server.0.take().ok_or("its server is gone")?;
        Ok(Orchestrator { front, server, terminal, dir })
    }

    /// A read of what its agent wrote, in milliseconds.
    pub(crate) fn read(&mut self) -> f64 {
        let arguments = json!({"terminal_id": self.terminal, "mode": "full"});
        let (took, answer) = self.front.timed("get_terminal_output", arguments);
        assert!(answer.to_string().contains('❯'), "{answer}");
        took
    }

    /// All of it on disk.
    pub(crate) fn installed_mb(&self) -> f64 {
        let output = quiet(Command::new("du").arg("-sk").arg(place()));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(f64::NAN) * 1024.0
            / 1e6
    }

    /// Its server's process.
    pub(crate) fn server_pid(&self) -> i32 {
        self.server.id() as i32
    }
}

impl Drop for Orchestrator {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ =
            quiet(Command::new("tmux").arg("kill-server").env("TMUX_TMPDIR", &self.dir).env_remove("TMUX"));
    }
}

/// A server that is ended if nothing comes of it.
struct Ended(Option<Child>);

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(server) = &mut self.0 {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn place() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/orchestrator")
}

/// Where its programs are.
pub(crate) fn install() -> Result<PathBuf, String> {
    let (place, stamp) = (place(), place().join("installed"));
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == PACKAGE) {
        return Ok(place.join("bin"));
    }
    crate::note(&format!("installing {PACKAGE}"));
    let done = |output: std::process::Output| {
        let why = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
        if output.status.success() { Ok(()) } else { Err(why) }
    };
    done(quiet(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&place)))?;
    done(quiet(Command::new(place.join("bin/pip")).args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        PACKAGE,
    ])))?;
    std::fs::write(stamp, PACKAGE).map_err(|error| error.to_string())?;
    Ok(place.join("bin"))
}

/// One request to its server.
fn http(port: u16, method: &str, path: &str) -> Result<Value, String> {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(40)))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().map_err(|error| error.to_string())?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if !head.starts_with("HTTP/1.1 2") {
        return Err(format!("{} {body}", head.lines().next().unwrap_or_default()));
    }
    serde_json::from_str(body).map_err(|error| error.to_string())
}
