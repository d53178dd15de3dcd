//! The runtime directory: one per user, ours alone, never through a link. In it the broker's lock, socket and log, and
//! the keepers' files.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::{
        fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags},
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType},
};

use super::home::is_open;

/// The variable that puts the directory elsewhere: for tests, demonstrations, and a second company.
pub const VARIABLE: &str = "COMPERE_RUNTIME_DIR";

/// A runtime directory that was checked.
#[derive(Clone, Debug)]
pub struct Door {
    dir: PathBuf,
}

/// Why the directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The file system's answer.
    #[error("{path}: {error}")]
    Io {
        /// Of what.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// Somebody else could put things there.
    #[error("{path} {why}")]
    Unsafe {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A socket's whole path must fit 107 bytes.
    #[error("{path} is too long for a socket by {over} bytes")]
    TooLong {
        /// Which.
        path: PathBuf,
        /// By how much.
        over: usize,
    },
}

/// The lock that makes a broker the only one.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Door {
    /// What `sun_path` holds besides its final NUL (unix(7)).
    const MAX_SOCKET: usize = 107;

    /// The user's directory, made if it was not there.
    pub fn open() -> Result<Self, DoorError> {
        Self::at(place(variable(VARIABLE), variable("XDG_RUNTIME_DIR"), std::env::temp_dir()))
    }

    /// This directory, made if it was not there.
    pub fn at(dir: PathBuf) -> Result<Self, DoorError> {
        let door = Door { dir };
        let longest = door.keepers().join("c4294967295.sock");
        if let Some(over) = longest.as_os_str().len().checked_sub(Self::MAX_SOCKET).filter(|over| *over > 0) {
            return Err(DoorError::TooLong { path: longest, over });
        }
        own(&door.dir)?;
        own(&door.keepers())?;
        Ok(door)
    }

    /// The directory itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the broker listens.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("broker.sock")
    }

    /// Where the keepers' files are.
    pub fn keepers(&self) -> PathBuf {
        self.dir.join("k")
    }

    /// Where [`Home`](super::home::Home) is written down.
    pub fn home(&self) -> PathBuf {
        self.dir.join("home.json")
    }

    /// Whether it is elsewhere than where it would be if nobody had named one: a second company. A front names the first
    /// one's too when it starts its broker.
    pub(super) fn is_second(&self) -> bool {
        self.dir != place(None, variable("XDG_RUNTIME_DIR"), std::env::temp_dir())
    }

    /// Whether somebody else may change a directory above.
    pub(super) fn is_below_open(&self) -> bool {
        self.dir.ancestors().any(is_open)
    }

    /// Where the broker logs.
    pub fn log(&self) -> PathBuf {
        self.dir.join("broker.log")
    }

    /// The broker's lock, unless another broker has it. Whoever gets it finds nothing where the log goes but a file.
    pub fn lock(&self) -> Result<Option<Lock>, DoorError> {
        let path = self.dir.join("broker.lock");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            // A pipe must not hold us up.
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32)
            .open(&path)
            .map_err(|error| match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
                Some(rustix::io::Errno::LOOP) => {
                    DoorError::Unsafe { path: path.clone(), why: "is a symbolic link" }
                }
                _ => io_error(&path)(error),
            })?;
        if !file.metadata().map_err(io_error(&path))?.is_file() {
            return Err(DoorError::Unsafe { path, why: "is not a regular file" });
        }
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(io_error(&path)(error.into())),
        }
        plain_or_none(&self.log())?;
        Ok(Some(Lock { _file: file }))
    }

    /// Listens on the socket, in place of one an earlier broker left. Only whoever holds the lock may.
    pub fn listen(&self, _lock: &Lock) -> Result<UnixListener, DoorError> {
        let path = self.socket();
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(&path)(error)),
            _ => {}
        }
        private_socket(&path).map_err(|errno| io_error(&path)(errno.into()))
    }
}

/// A socket of mode 0600 from its first moment on. By its descriptor, whose mode the kernel gives to the file it binds
/// (`unix_bind_bsd`), and not by the umask, which is the whole process's: what other threads make at that moment would
/// get odd modes.
fn private_socket(path: &Path) -> rustix::io::Result<UnixListener> {
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// What std asks for; the kernel takes no more than `net.core.somaxconn`.
const BACKLOG: i32 = 128;

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn place(ours: Option<PathBuf>, runtime: Option<PathBuf>, temporary: PathBuf) -> PathBuf {
    ours.unwrap_or_else(|| match runtime {
        Some(runtime) if runtime.is_absolute() => runtime.join("compere"),
        _ => temporary.join(format!("compere-{}", rustix::process::getuid().as_raw())),
    })
}

/// Makes a directory of mode 0700 or finds that it is one, and ours.
pub(super) fn own(dir: &Path) -> Result<(), DoorError> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io_error(dir)(error)),
        _ => {}
    }
    let there = std::fs::symlink_metadata(dir).map_err(io_error(dir))?;
    let wrong = |why| Err(DoorError::Unsafe { path: dir.to_owned(), why });
    if there.is_symlink() {
        return wrong("is a symbolic link");
    }
    if !there.is_dir() {
        return wrong("is not a directory");
    }
    if there.uid() != rustix::process::getuid().as_raw() {
        return wrong("belongs to somebody else");
    }
    if there.mode() & 0o077 != 0 {
        return wrong("is open to others: its mode must be 0700");
    }
    Ok(())
}

/// Removes a link, a pipe or the like that stands where a file shall be: opening a pipe would wait for its reader.
fn plain_or_none(path: &Path) -> Result<(), DoorError> {
    match std::fs::symlink_metadata(path) {
        Ok(there) if there.is_file() => Ok(()),
        Ok(there) if there.is_dir() => {
            Err(DoorError::Unsafe { path: path.to_owned(), why: "is a directory" })
        }
        Ok(_) => std::fs::remove_file(path).map_err(io_error(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error(path)(error)),
    }
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> DoorError {
    move |error| DoorError::Io { path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn where_the_directory_is() {
        let path = |text: &str| Some(PathBuf::from(text));
        let uid = rustix::process::getuid().as_raw();
        for (ours, runtime, dir) in [
            (path("/x"), path("/run/user/1"), "/x".to_owned()),
            (None, path("/run/user/1"), "/run/user/1/compere".to_owned()),
            (None, path("relative"), format!("/tmp/compere-{uid}")),
            (None, None, format!("/tmp/compere-{uid}")),
        ] {
            assert_eq!(place(ours, runtime, "/tmp".into()), PathBuf::from(dir));
        }
    }

    #[test]
    fn a_directory_that_is_not_ours_alone_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let dir = |name: &str| base.path().join(name);
        std::fs::create_dir(dir("open")).unwrap();
        std::fs::set_permissions(dir("open"), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(dir("file"), "").unwrap();
        DirBuilder::new().mode(0o700).create(dir("target")).unwrap();
        symlink(dir("target"), dir("link")).unwrap();
        for (name, why) in [
            ("open", "is open to others"),
            ("file", "is not a directory"),
            ("link", "is a symbolic link"),
            ("none/below", "No such file"),
            (&*"x".repeat(120), "is too long for a socket"),
        ] {
            let error = Door::at(dir(name)).unwrap_err().to_string();
            assert!(error.contains(why), "{name}: {error}");
        }
        let door = Door::at(dir("new")).unwrap();
        assert_eq!(std::fs::metadata(door.dir()).unwrap().mode() & 0o777, 0o700);
        assert!(Door::at(dir("new")).is_ok(), "twice is as good as once");
    }

    #[test]
    fn a_directory_for_keepers_that_is_not_ours_alone_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let dir = |name: &str| base.path().join(name);
        for name in ["target", "linked", "opened"] {
            DirBuilder::new().mode(0o700).create(dir(name)).unwrap();
        }
        symlink(dir("target"), dir("linked/k")).unwrap();
        DirBuilder::new().mode(0o700).create(dir("opened/k")).unwrap();
        std::fs::set_permissions(dir("opened/k"), std::fs::Permissions::from_mode(0o710)).unwrap();
        for (name, why) in
            [("linked", "linked/k is a symbolic link"), ("opened", "opened/k is open to others")]
        {
            let error = Door::at(dir(name)).unwrap_err().to_string();
            assert!(error.contains(why), "{name}: {error}");
        }
    }

    #[test]
    fn a_directory_of_somebody_elses_is_refused() {
        if !rustix::process::getuid().is_root() {
            eprintln!("skipped: only root can give a directory away");
            return;
        }
        let base = tempfile::tempdir().unwrap();
        for theirs in ["d", "d/k"] {
            drop(Door::at(base.path().join("d")).unwrap());
            std::os::unix::fs::chown(base.path().join(theirs), Some(65534), None).unwrap();
            let error = Door::at(base.path().join("d")).unwrap_err().to_string();
            assert!(error.ends_with(&format!("{theirs} belongs to somebody else")), "{error}");
            std::os::unix::fs::chown(base.path().join(theirs), Some(0), None).unwrap();
        }
    }

    /// Puts a link to a file of somebody's, a pipe, and a file, in turn, where ours shall be.
    fn planted(at: &str, check: impl Fn(&Door, &str)) {
        for what in ["link", "pipe", "file"] {
            let base = tempfile::tempdir().unwrap();
            let (door, target) = (Door::at(base.path().join("d")).unwrap(), base.path().join("target"));
            std::fs::write(&target, "mine").unwrap();
            let path = door.dir().join(at);
            match what {
                "link" => symlink(&target, &path).unwrap(),
                "pipe" => rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap(),
                _ => std::fs::write(&path, "").unwrap(),
            }
            check(&door, what);
            assert_eq!(std::fs::read_to_string(&target).unwrap(), "mine", "{at}, {what}");
        }
    }

    #[test]
    fn what_is_planted_for_the_lock_is_refused() {
        planted("broker.lock", |door, what| {
            let lock = door.lock().map(|lock| lock.is_some()).map_err(|error| error.to_string());
            let path = door.dir().join("broker.lock").display().to_string();
            let expected = match what {
                "link" => Err(format!("{path} is a symbolic link")),
                "pipe" => Err(format!("{path} is not a regular file")),
                _ => Ok(true),
            };
            assert_eq!(lock, expected);
        });
    }

    #[test]
    fn what_is_planted_for_the_socket_makes_way_for_it() {
        planted("broker.sock", |door, what| {
            let _listener = door.listen(&door.lock().unwrap().unwrap()).unwrap();
            let there = std::fs::symlink_metadata(door.socket()).unwrap();
            assert_eq!(there.mode() & 0o777, 0o600, "{what}");
            assert!(std::os::unix::net::UnixStream::connect(door.socket()).is_ok(), "{what}");
        });
        let base = tempfile::tempdir().unwrap();
        let door = Door::at(base.path().join("d")).unwrap();
        std::fs::create_dir(door.socket()).unwrap();
        let error = door.listen(&door.lock().unwrap().unwrap()).unwrap_err().to_string();
        assert!(error.ends_with("broker.sock: Is a directory (os error 21)"), "{error}");
    }

    #[test]
    fn what_is_planted_for_the_log_is_gone_before_anything_is_logged() {
        planted("broker.log", |door, what| {
            door.lock().unwrap().unwrap();
            assert_eq!(door.log().symlink_metadata().is_ok(), what == "file", "{what}");
        });
    }

    #[test]
    fn one_lock_and_a_socket_of_mode_0600() {
        let base = tempfile::tempdir().unwrap();
        let door = Door::at(base.path().join("d")).unwrap();
        let lock = door.lock().unwrap().unwrap();
        assert!(door.lock().unwrap().is_none());
        drop(door.listen(&lock).unwrap());
        let _again = door.listen(&lock).unwrap();
        assert_eq!(std::fs::metadata(door.socket()).unwrap().mode() & 0o777, 0o600);
        drop(lock);
        assert!(door.lock().unwrap().is_some());
    }
}
