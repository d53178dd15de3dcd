//! Opening a terminal and starting a program in it: everything that can be wrong is looked for first, so that the
//! error names it and nothing was spawned. Knows nothing of what happens afterwards.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::{BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::fs::{Access, access};
use serde::{Deserialize, Serialize};

use crate::id::Size;

/// What to run, as a broker tells its new keeper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The child's id.
    pub child: String,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Where to start it.
    pub cwd: PathBuf,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
    /// The terminal's size.
    pub size: Size,
    /// Where the ring shall be.
    pub ring: PathBuf,
    /// Where the keeper shall listen.
    pub socket: PathBuf,
}

/// Why nothing was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum StartError {
    /// No program.
    #[error("the command is empty")]
    EmptyCommand,
    /// A NUL byte, which no program could be given.
    #[error("{0} has a NUL byte in it")]
    Nul(String),
    /// The kernel takes no more.
    #[error("{what} is {bytes} bytes long; the kernel takes {limit}")]
    TooLong {
        /// What.
        what: String,
        /// How long.
        bytes: u64,
        /// How long it may be.
        limit: u64,
    },
    /// The working directory.
    #[error("the working directory {path} {why}")]
    Cwd {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// No such program.
    #[error("there is no program {program} in {searched}")]
    NoProgram {
        /// What was asked for.
        program: String,
        /// Where it was looked for.
        searched: String,
    },
    /// It is there and cannot be run.
    #[error("{path} {why}")]
    NotRunnable {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A script whose first line names a program that cannot be run.
    #[error("{script} wants the interpreter {interpreter}, which {why}")]
    Interpreter {
        /// The script.
        script: PathBuf,
        /// What its first line names.
        interpreter: String,
        /// What is wrong with that.
        why: String,
    },
    /// The kernel gave no terminal.
    #[error("no terminal could be opened: {0}")]
    Pty(String),
    /// The kernel started no process.
    #[error("the program could not be started: {0}")]
    Spawn(String),
    /// The keeper's own files.
    #[error("{what}: {why}")]
    Keeper {
        /// What was done.
        what: String,
        /// How it failed.
        why: String,
    },
}

/// A terminal with a program in it.
pub struct Pty {
    /// Keeps the terminal open, and resizes it.
    master: Box<dyn MasterPty + Send>,
    /// The same, for reading and writing without waiting.
    fd: OwnedFd,
    /// The program's process.
    pub child: i32,
}

/// The longest single argument or variable the kernel takes (MAX_ARG_STRLEN, execve(2)).
const MAX_STRING: u64 = 128 * 1024;

impl Pty {
    /// Checks everything, opens a terminal and starts the program in it, with this umask.
    pub fn start(spec: &Spec, umask: rustix::fs::Mode) -> Result<Self, StartError> {
        let program = check(spec)?;
        let pair = native_pty_system().openpty(pty_size(spec.size)).map_err(|error| {
            StartError::Pty(format!(
                "{error:#}; close some children, or raise the limit on open files or PTYs"
            ))
        })?;
        let mut command = CommandBuilder::new(&spec.argv[0]);
        command.args(&spec.argv[1..]);
        command.env_clear();
        for (name, value) in &spec.env {
            command.env(name, value);
        }
        command.cwd(&spec.cwd);
        command.umask(Some(umask.bits()));
        let spawned = pair.slave.spawn_command(command);
        let child =
            spawned.map_err(|error| StartError::Spawn(format!("{}: {error:#}", program.display())))?;
        let child =
            child.process_id().ok_or_else(|| StartError::Spawn("it has no process id".into()))? as i32;
        let fd = borrow(&*pair.master).and_then(|fd| fd.try_clone_to_owned());
        let fd = fd.map_err(|error| StartError::Pty(error.to_string()))?;
        rustix::io::ioctl_fionbio(&fd, true).map_err(|error| StartError::Pty(error.to_string()))?;
        Ok(Pty { master: pair.master, fd, child })
    }

    /// For reading, writing, polling and asking; never waits.
    pub fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Gives the terminal another size.
    pub fn resize(&self, size: Size) -> Result<(), String> {
        self.master.resize(pty_size(size)).map_err(|error| format!("{error:#}"))
    }
}

#[allow(unsafe_code, reason = "portable-pty lends its descriptor as a number")]
fn borrow(master: &dyn MasterPty) -> io::Result<BorrowedFd<'_>> {
    let fd = master.as_raw_fd().ok_or_else(|| io::Error::other("the terminal has no descriptor"))?;
    // SAFETY: the descriptor is the master's own, open for as long as the master is, which is lent for as long as this.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Programs that draw pictures divide by the cell's size in pixels: eight by sixteen is a usual one.
fn pty_size(size: Size) -> PtySize {
    let size = size.clamped();
    PtySize { rows: size.rows, cols: size.cols, pixel_width: size.cols * 8, pixel_height: size.rows * 16 }
}

/// Everything that would go wrong later without a word. Answers the program's file.
fn check(spec: &Spec) -> Result<PathBuf, StartError> {
    let program = spec.argv.first().filter(|program| !program.is_empty()).ok_or(StartError::EmptyCommand)?;
    let mut total = 0;
    let arguments = spec
        .argv
        .iter()
        .enumerate()
        .map(|(at, arg)| (format!("argument {at}"), arg.len(), arg.contains('\0')));
    let variables = spec.env.iter().map(|(name, value)| {
        (
            format!("variable {name}"),
            name.len() + 1 + value.len(),
            name.contains('\0') || value.contains('\0'),
        )
    });
    for (what, bytes, nul) in arguments.chain(variables) {
        if nul {
            return Err(StartError::Nul(what.replace('\0', "")));
        }
        let bytes = bytes as u64 + 1;
        if bytes > MAX_STRING {
            return Err(StartError::TooLong { what, bytes, limit: MAX_STRING });
        }
        // The pointer counts too.
        total += bytes + 8;
    }
    let limit = argument_limit();
    if total > limit {
        let what = "the command with its environment".into();
        return Err(StartError::TooLong { what, bytes: total, limit });
    }
    check_cwd(&spec.cwd)?;
    let path = find(program, spec)?;
    check_interpreter(&path)?;
    Ok(path)
}

/// A quarter of the stack, and at most three quarters of 8 MiB (execve(2), "Limits on size of arguments and environment").
fn argument_limit() -> u64 {
    let stack = rustix::process::getrlimit(rustix::process::Resource::Stack).current.unwrap_or(u64::MAX);
    (stack / 4).min(6 << 20)
}

fn check_cwd(cwd: &Path) -> Result<(), StartError> {
    let wrong = |why: String| StartError::Cwd { path: cwd.to_owned(), why };
    if cwd.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(StartError::Nul("the working directory".into()));
    }
    match std::fs::metadata(cwd) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(wrong("does not exist".into())),
        Err(error) => Err(wrong(format!("cannot be reached: {error}"))),
        Ok(there) if !there.is_dir() => Err(wrong("is not a directory".into())),
        Ok(_) => access(cwd, Access::EXEC_OK).map_err(|error| wrong(format!("cannot be entered: {error}"))),
    }
}

/// The program's file, looked for as a shell would within the child's own PATH.
fn find(program: &str, spec: &Spec) -> Result<PathBuf, StartError> {
    if program.contains('/') {
        let path = spec.cwd.join(program);
        if !path.exists() {
            let searched = path.parent().unwrap_or(&spec.cwd).display().to_string();
            return Err(StartError::NoProgram { program: program.to_owned(), searched });
        }
        return runnable(&path).map(|()| path);
    }
    let search =
        spec.env.iter().rev().find(|(name, _)| name == "PATH").map_or("", |(_, value)| value.as_str());
    let mut there = None;
    for dir in std::env::split_paths(search) {
        let path = spec.cwd.join(dir).join(program);
        match runnable(&path) {
            Ok(()) => return Ok(path),
            Err(error) if path.exists() => there = there.or(Some(error)),
            Err(_) => {}
        }
    }
    let searched = if search.is_empty() { "an empty PATH".into() } else { format!("PATH ({search})") };
    Err(there.unwrap_or(StartError::NoProgram { program: program.to_owned(), searched }))
}

fn runnable(path: &Path) -> Result<(), StartError> {
    let wrong = |why: &str| Err(StartError::NotRunnable { path: path.to_owned(), why: why.into() });
    if path.is_dir() {
        return wrong("is a directory");
    }
    match access(path, Access::EXEC_OK) {
        Ok(()) => Ok(()),
        Err(_) => wrong("is not executable"),
    }
}

/// A script's own interpreter: without it the program would start and end with a riddle.
fn check_interpreter(path: &Path) -> Result<(), StartError> {
    let mut head = Vec::new();
    // A program that may be run but not read has no first line we could check.
    let Ok(file) = File::open(path) else { return Ok(()) };
    if file.take(256).read_to_end(&mut head).is_err() || !head.starts_with(b"#!") {
        return Ok(());
    }
    let line = head[2..].split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    // To the kernel a CR is a part of the name.
    let Some(interpreter) = line.split([' ', '\t']).find(|word| !word.is_empty()) else { return Ok(()) };
    let wrong = |why: &str| {
        Err(StartError::Interpreter {
            script: path.to_owned(),
            interpreter: interpreter.into(),
            why: why.into(),
        })
    };
    let file = Path::new(interpreter);
    if !file.exists() {
        return wrong(if interpreter.ends_with('\r') {
            "does not exist (the line ends in CR)"
        } else {
            "does not exist"
        });
    }
    if runnable(file).is_err() {
        return wrong("cannot be run");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Dir(tempfile::TempDir);

    impl Dir {
        fn new() -> Self {
            Dir(tempfile::tempdir().unwrap())
        }

        fn file(&self, name: &str, text: &str, mode: u32) -> &Self {
            let path = self.0.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            self
        }

        fn spec(&self, argv: &[&str]) -> Spec {
            Spec {
                child: "c1".into(),
                argv: argv.iter().map(|arg| (*arg).to_owned()).collect(),
                cwd: self.0.path().to_owned(),
                env: vec![("PATH".into(), "bin:/usr/bin:/bin".into())],
                size: Size::DEFAULT,
                ring: PathBuf::new(),
                socket: PathBuf::new(),
            }
        }

        #[track_caller]
        fn refuses(&self, spec: &Spec, words: &str) {
            let error = check(spec).unwrap_err().to_string();
            assert!(error.replace(&*self.0.path().to_string_lossy(), "DIR").contains(words), "{error}");
        }
    }

    #[test]
    fn what_cannot_run_is_named_before_anything_is_spawned() {
        let dir = Dir::new();
        std::fs::create_dir(dir.0.path().join("bin")).unwrap();
        dir.file("plain", "echo", 0o644)
            .file("bin/hidden", "echo", 0o600)
            .file("lost.sh", "#!/no/such/shell -e\n", 0o755)
            .file("dos.sh", "#!/bin/sh\r\n", 0o755)
            .file("odd.sh", "#! /etc/passwd\n", 0o755);
        for (argv, words) in [
            (&[][..], "the command is empty"),
            (&[""], "the command is empty"),
            (&["no-such-program"], "there is no program no-such-program in PATH (bin:/usr/bin:/bin)"),
            (&["./none"], "there is no program ./none in DIR"),
            (&["./plain"], "DIR/./plain is not executable"),
            (&["hidden"], "DIR/bin/hidden is not executable"),
            (&["./bin"], "DIR/./bin is a directory"),
            (&["./lost.sh"], "DIR/./lost.sh wants the interpreter /no/such/shell, which does not exist"),
            (&["./dos.sh"], "which does not exist (the line ends in CR)"),
            (&["./odd.sh"], "wants the interpreter /etc/passwd, which cannot be run"),
            (&["sh", "a\0b"], "argument 1 has a NUL byte"),
            (&["sh", &"x".repeat(131_072)], "argument 1 is 131073 bytes long; the kernel takes 131072"),
        ] {
            dir.refuses(&dir.spec(argv), words);
        }
        assert!(check(&dir.spec(&["sh", "-c", "true"])).is_ok());
    }

    #[test]
    fn so_is_a_directory_that_cannot_be_entered() {
        let dir = Dir::new();
        dir.file("file", "", 0o644);
        for (cwd, words) in [("none", "DIR/none does not exist"), ("file", "DIR/file is not a directory")] {
            let mut spec = dir.spec(&["sh"]);
            spec.cwd = dir.0.path().join(cwd);
            dir.refuses(&spec, words);
        }
    }

    #[test]
    fn an_environment_has_its_bounds() {
        let dir = Dir::new();
        let mut spec = dir.spec(&["sh"]);
        spec.env.push(("BIG".into(), "x".repeat(200_000)));
        dir.refuses(&spec, "variable BIG is 200005 bytes long");
        spec.env.pop();
        spec.env.extend((0..80).map(|n| (format!("V{n}"), "x".repeat(100_000))));
        dir.refuses(&spec, "the command with its environment is");
        spec.env.truncate(1);
        spec.env[0].1 = String::new();
        dir.refuses(&spec, "in an empty PATH");
    }
}
