//! Which presets of workspaces a person has trusted: by a file's place and the SHA-256 of its bytes, kept in
//! `trusted.json`. Reads and writes that list. Who is a person, and what a preset does, is not known here.

use std::{
    fs::{DirBuilder, File},
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::fs::DirBuilderExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, Stat},
    io::Errno,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    error::Fault,
    file::{parse, read_itself},
    shape::Preset,
};

/// The list of trusted files, in compere's state directory.
#[derive(Clone, Debug)]
pub struct Trust {
    dir: PathBuf,
}

/// One file that is trusted while its bytes are these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trusted {
    /// Where it is: absolute, through no link.
    pub path: PathBuf,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// A file that may be trusted. It was read once: what is shown of it is what its hash is of.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// What the list will say of it.
    pub file: Trusted,
    /// What it would run.
    pub preset: Preset,
}

/// Why a file cannot be trusted, or the list of those that are not be had.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The list, or the directory it is in.
    #[error("{}: {problem}", path.display())]
    List {
        /// Which of them.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The file.
    #[error("{}: {fault}", path.display())]
    File {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        fault: Fault,
    },
    /// Nobody would look for it there.
    #[error("{} is no preset of a workspace: those are *.json in .compere/presets/", path.display())]
    Elsewhere {
        /// Where it is.
        path: PathBuf,
    },
}

impl Trust {
    /// The most files that are trusted; the one trusted longest ago makes room.
    pub const MOST: usize = 1000;

    /// The list in this directory, which need not be there yet.
    pub fn at(dir: PathBuf) -> Self {
        Trust { dir }
    }

    /// All trusted files, the newest last.
    pub fn list(&self) -> Result<Vec<Trusted>, TrustError> {
        match self.open() {
            Ok(dir) => self.read(&dir),
            Err(Errno::NOENT) => Ok(Vec::new()),
            Err(errno) => Err(self.not_opened(errno)),
        }
    }

    /// Trusts a file as it was read.
    pub fn add(&self, file: &Trusted) -> Result<(), TrustError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)
            .map_err(|error| problem(&self.dir, error))?;
        let dir = self.open().map_err(|errno| self.not_opened(errno))?;
        let _turn = self.turn(&dir)?;
        let mut list = self.read(&dir)?;
        list.retain(|trusted| trusted.path != file.path);
        list.push(file.clone());
        list.drain(..list.len().saturating_sub(Self::MOST));
        self.write(&dir, list)
    }

    /// Trusts this file no longer; false if it was not trusted.
    pub fn remove(&self, path: &Path) -> Result<bool, TrustError> {
        let dir = match self.open() {
            Ok(dir) => dir,
            Err(Errno::NOENT) => return Ok(false),
            Err(errno) => return Err(self.not_opened(errno)),
        };
        let _turn = self.turn(&dir)?;
        let mut list = self.read(&dir)?;
        let before = list.len();
        list.retain(|trusted| trusted.path != path);
        let removed = list.len() < before;
        if removed {
            self.write(&dir, list)?;
        }
        Ok(removed)
    }

    fn file(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    fn open(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::open(&self.dir, flags, Mode::empty())
    }

    fn not_opened(&self, errno: Errno) -> TrustError {
        match errno {
            // What the kernel says of a link where a directory is wanted (open(2)).
            Errno::NOTDIR | Errno::LOOP => problem(&self.dir, "is a symbolic link, or no directory"),
            errno => problem(&self.dir, io::Error::from(errno)),
        }
    }

    /// One at a time reads, changes and writes the list.
    fn turn(&self, dir: &OwnedFd) -> Result<OwnedFd, TrustError> {
        // Of its own, so that it is given back with the value.
        let turn = self.open().map_err(|errno| self.not_opened(errno))?;
        let failed = |errno: Errno| problem(&self.dir, io::Error::from(errno));
        rustix::fs::flock(&turn, FlockOperation::LockExclusive).map_err(failed)?;
        self.private(&rustix::fs::fstat(dir).map_err(failed)?, &self.dir, "0700")?;
        Ok(turn)
    }

    fn read(&self, dir: &OwnedFd) -> Result<Vec<Trusted>, TrustError> {
        let path = self.file();
        let failed = |errno: Errno| problem(&path, io::Error::from(errno));
        self.private(&rustix::fs::fstat(dir).map_err(failed)?, &self.dir, "0700")?;
        // NONBLOCK: a FIFO must not hold us up.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(dir, FILE, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(Vec::new()),
            Err(Errno::LOOP) => return Err(problem(&path, "is a symbolic link")),
            Err(errno) => return Err(failed(errno)),
        };
        let there = rustix::fs::fstat(&file).map_err(failed)?;
        if FileType::from_raw_mode(there.st_mode) != FileType::RegularFile {
            return Err(problem(&path, "is not a regular file"));
        }
        self.private(&there, &path, "0600")?;
        let mut bytes = Vec::new();
        File::from(file)
            .take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| problem(&path, error))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(problem(&path, format!("is longer than {MAX_BYTES} bytes")));
        }
        let list: List = serde_json::from_slice(&bytes).map_err(|error| problem(&path, error))?;
        Ok(list.trusted)
    }

    /// Whole or not at all: a new file takes the old one's name.
    fn write(&self, dir: &OwnedFd, trusted: Vec<Trusted>) -> Result<(), TrustError> {
        let path = self.file();
        let bytes = serde_json::to_vec_pretty(&List { trusted }).map_err(|error| problem(&path, error))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(problem(&path, "is full: revoke what you no longer need"));
        }
        let failed = |errno: Errno| problem(&path, io::Error::from(errno));
        match rustix::fs::unlinkat(dir, NEW, AtFlags::empty()) {
            Err(errno) if errno != Errno::NOENT => return Err(failed(errno)),
            _ => {}
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let new = rustix::fs::openat(dir, NEW, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
        let mut new = File::from(new);
        new.write_all(&bytes).and_then(|()| new.sync_all()).map_err(|error| problem(&path, error))?;
        rustix::fs::renameat(dir, NEW, dir, FILE).map_err(failed)
    }

    /// Whoever else can write there could trust what they like.
    fn private(&self, there: &Stat, path: &Path, mode: &str) -> Result<(), TrustError> {
        if there.st_uid != rustix::process::geteuid().as_raw() {
            return Err(problem(path, "belongs to somebody else"));
        }
        if there.st_mode & 0o077 != 0 {
            return Err(problem(path, format!("is open to others: its mode must be {mode}")));
        }
        Ok(())
    }
}

impl Trusted {
    /// Whether the file is what was trusted.
    pub fn holds(&self) -> bool {
        read_itself(&self.path).is_ok_and(|bytes| digest(&bytes) == self.sha256)
    }
}

impl Candidate {
    /// Reads a workspace's preset.
    pub fn read(file: &Path) -> Result<Self, TrustError> {
        let path = place(file);
        let fault = |fault| TrustError::File { path: path.clone(), fault };
        let (Some(name), true) = (preset_name(&path), path.parent().is_some_and(is_presets)) else {
            return Err(TrustError::Elsewhere { path });
        };
        let bytes = read_itself(&path).map_err(fault)?;
        let preset = parse(name, &bytes).map_err(fault)?;
        let sha256 = digest(&bytes);
        Ok(Candidate { file: Trusted { path, sha256 }, preset })
    }
}

/// What the list calls a file: the directories it is in are followed through links, the file itself is not. It need
/// not be there.
pub fn place(file: &Path) -> PathBuf {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    match (absolute.parent().map(Path::canonicalize), absolute.file_name()) {
        (Some(Ok(dir)), Some(name)) => dir.join(name),
        _ => absolute,
    }
}

/// The hash that trust is bound to.
pub(super) fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

const FILE: &str = "trusted.json";
const NEW: &str = "trusted.json.new";
/// [`Trust::MOST`] of the longest paths there can be, about.
const MAX_BYTES: u64 = 8 << 20;

#[derive(Serialize, Deserialize)]
struct List {
    trusted: Vec<Trusted>,
}

fn preset_name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.strip_suffix(".json")
}

fn is_presets(dir: &Path) -> bool {
    dir.ends_with(".compere/presets")
}

fn problem(path: &Path, problem: impl ToString) -> TrustError {
    TrustError::List { path: path.to_owned(), problem: problem.to_string() }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;

    fn file(path: &str) -> Trusted {
        Trusted { path: path.into(), sha256: digest(path.as_bytes()) }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_trusted_until_it_is_revoked() {
        let base = tempfile::tempdir().unwrap();
        let trust = Trust::at(base.path().join("state/compere"));
        assert_eq!(trust.list().unwrap(), []);
        assert!(!trust.remove(Path::new("/a")).unwrap());
        trust.add(&file("/a")).unwrap();
        trust.add(&file("/b")).unwrap();
        trust.add(&file("/a")).unwrap();
        assert_eq!(trust.list().unwrap(), [file("/b"), file("/a")]);
        assert_eq!((mode(&trust.dir), mode(&trust.file())), (0o700, 0o600));
        assert!(trust.remove(Path::new("/b")).unwrap());
        assert_eq!(trust.list().unwrap(), [file("/a")]);
        assert_eq!(fs::read_dir(&trust.dir).unwrap().count(), 1, "nothing but the list is left");
    }

    #[test]
    fn the_oldest_makes_room() {
        let base = tempfile::tempdir().unwrap();
        let trust = Trust::at(base.path().join("compere"));
        trust.add(&file("/first")).unwrap();
        let dir = trust.open().unwrap();
        trust.write(&dir, (0..Trust::MOST).map(|n| file(&format!("/{n}"))).collect()).unwrap();
        trust.add(&file("/last")).unwrap();
        let list = trust.list().unwrap();
        assert_eq!((list.len(), &list[0], list.last()), (Trust::MOST, &file("/1"), Some(&file("/last"))));
    }

    #[test]
    fn several_at_once_lose_nothing() {
        let base = tempfile::tempdir().unwrap();
        let trust = Trust::at(base.path().join("compere"));
        std::thread::scope(|scope| {
            for n in 0..20 {
                let trust = &trust;
                scope.spawn(move || trust.add(&file(&format!("/{n}"))).unwrap());
            }
        });
        assert_eq!(trust.list().unwrap().len(), 20);
    }

    #[test]
    fn a_list_that_others_could_have_written_is_refused() {
        #[track_caller]
        fn check(what: &str, spoil: impl Fn(&Trust)) {
            let base = tempfile::tempdir().unwrap();
            let trust = Trust::at(base.path().join("compere"));
            trust.add(&file("/a")).unwrap();
            spoil(&trust);
            for error in [
                trust.list().unwrap_err(),
                trust.add(&file("/b")).unwrap_err(),
                trust.remove(Path::new("/a")).unwrap_err(),
            ] {
                assert!(error.to_string().contains(what), "{error}");
            }
        }
        let chmod = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let link = |path: &Path| {
            let target = path.with_extension("elsewhere");
            fs::rename(path, &target).unwrap();
            symlink(target, path).unwrap();
        };
        check("is open to others: its mode must be 0700", |trust| chmod(&trust.dir, 0o750));
        check("is open to others: its mode must be 0600", |trust| chmod(&trust.file(), 0o620));
        check("compere: is a symbolic link, or no directory", |trust| link(&trust.dir));
        check("trusted.json: is a symbolic link", |trust| link(&trust.file()));
        check("is not a regular file", |trust| {
            fs::remove_file(trust.file()).unwrap();
            rustix::fs::mkfifoat(rustix::fs::CWD, trust.file(), 0o600.into()).unwrap();
        });
        check("missing field `trusted`", |trust| fs::write(trust.file(), "{}").unwrap());
        check("is longer than", |trust| {
            File::options().write(true).open(trust.file()).unwrap().set_len(MAX_BYTES + 1).unwrap();
        });
    }

    #[test]
    fn what_was_planted_for_the_new_list_is_not_written_through() {
        let base = tempfile::tempdir().unwrap();
        let trust = Trust::at(base.path().join("compere"));
        trust.add(&file("/a")).unwrap();
        let target = base.path().join("target");
        fs::write(&target, "mine").unwrap();
        symlink(&target, trust.dir.join(NEW)).unwrap();
        trust.add(&file("/b")).unwrap();
        assert_eq!((fs::read_to_string(target).unwrap().as_str(), trust.list().unwrap().len()), ("mine", 2));
    }

    #[test]
    fn only_a_good_preset_in_its_place_can_be_trusted() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join(".compere/presets");
        fs::create_dir_all(dir.join("dir.json")).unwrap();
        let good = |name: &str| format!(r#"{{"name":"{name}","about":"x","command":["x"]}}"#);
        fs::write(dir.join("good.json"), good("good")).unwrap();
        fs::write(dir.join("bad.json"), good("good")).unwrap();
        fs::write(dir.join("big.json"), vec![b' '; super::super::file::MAX_FILE as usize + 1]).unwrap();
        fs::write(base.path().join("good.json"), good("good")).unwrap();
        symlink(dir.join("good.json"), dir.join("link.json")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, dir.join("pipe.json"), 0o600.into()).unwrap();
        for (name, why) in [
            ("bad.json", "bad.json: name: is \"good\""),
            ("big.json", "is longer than 65536 bytes"),
            ("dir.json", "is not a regular file"),
            ("pipe.json", "is not a regular file"),
            ("link.json", "is a symbolic link"),
            ("none.json", "No such file"),
            ("good.txt", "is no preset of a workspace"),
            ("../../good.json", "is no preset of a workspace"),
        ] {
            let error = Candidate::read(&dir.join(name)).unwrap_err().to_string();
            assert!(error.contains(why), "{name}: {error}");
        }
        let candidate = Candidate::read(&dir.join("good.json")).unwrap();
        assert_eq!(candidate.file.sha256, digest(good("good").as_bytes()));
        // The same file by another way is the same file.
        symlink(base.path(), base.path().join("way")).unwrap();
        let other = Candidate::read(&base.path().join("way/.compere/presets/good.json")).unwrap();
        assert_eq!(other.file, candidate.file);
    }
}
