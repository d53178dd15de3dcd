//! A company of compere's in a directory of its own, with limits that do not stand in the way, and its end, after which
//! nothing is left.

#![allow(dead_code, reason = "each bench uses a part of it")]

use std::{
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::{clock, front::Front};

/// See the module.
pub(crate) struct Company {
    dir: tempfile::TempDir,
    compere: PathBuf,
}

impl Company {
    /// Of this program.
    pub(crate) fn new(compere: &Path) -> Company {
        let dir = tempfile::Builder::new().prefix("cmb-").tempdir_in("/tmp").unwrap();
        let config = dir.path().join(".config/compere");
        std::fs::create_dir_all(&config).unwrap();
        std::fs::create_dir(dir.path().join("work")).unwrap();
        let most = 4000;
        let limits = json!({"depth": 3, "children": most, "tree": most, "spawns_per_minute": 1_000_000, "total": most});
        std::fs::write(config.join("config.json"), json!({"limits": limits}).to_string()).unwrap();
        Company { dir, compere: compere.to_owned() }
    }

    /// A preset of its user's.
    pub(crate) fn preset(&self, preset: &serde_json::Value) {
        let dir = self.dir.path().join(".config/compere/presets");
        std::fs::create_dir_all(&dir).unwrap();
        let name = preset["name"].as_str().unwrap();
        std::fs::write(dir.join(format!("{name}.json")), preset.to_string()).unwrap();
    }

    /// `compere`, in it.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.compere);
        command
            .env_clear()
            .envs([("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LANG", "C.UTF-8")])
            .env("HOME", self.dir.path())
            .env("COMPERE_RUNTIME_DIR", self.dir.path().join("run"))
            .current_dir(self.dir.path().join("work"))
            .stderr(Stdio::null());
        command
    }

    /// Its server, as a host starts it.
    pub(crate) fn front(&self) -> Front {
        Front::start(&mut self.command())
    }

    /// Its broker's process.
    pub(crate) fn broker(&self) -> Option<i32> {
        let stream = UnixStream::connect(self.dir.path().join("run/broker.sock")).ok()?;
        let credentials = rustix::net::sockopt::socket_peercred(&stream).ok()?;
        Some(credentials.pid.as_raw_nonzero().get())
    }

    /// Whoever has this directory in its memory map (a keeper has its ring there) or environment.
    fn members(&self) -> Vec<i32> {
        let needle = self.dir.path().as_os_str().as_encoded_bytes();
        let mentions = |pid: &i32, file: &str| {
            let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            bytes.windows(needle.len()).any(|window| window == needle)
        };
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let ours = std::process::id() as i32;
        pids.filter(|pid| *pid != ours && (mentions(pid, "maps") || mentions(pid, "environ"))).collect()
    }
}

impl Drop for Company {
    fn drop(&mut self) {
        // The broker first, so that it takes nobody's end for news; then those who would outlive it.
        for _ in 0..100 {
            let members = self.members();
            if members.is_empty() {
                return;
            }
            for pid in members.into_iter().filter_map(Pid::from_raw) {
                // It may have ended meanwhile.
                let _ = kill_process(pid, Signal::KILL);
            }
            clock::pause(20);
        }
    }
}
