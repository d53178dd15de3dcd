//! The directories that belong to a runtime directory and outlive it: where the journal is, where files for children
//! are, and where the user's configuration is. Whoever starts a broker first decides, by its environment; that is
//! written down beside the socket, since after a crash another one starts it, perhaps a nested agent with another HOME.

use std::{
    fs::{DirBuilder, OpenOptions},
    io::{Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use etcetera::{BaseStrategy, base_strategy::Xdg};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::door::{Door, DoorError, Lock, own};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    /// The journal's.
    pub state: PathBuf,
    /// Where files for children can be, such that no directory above them is open to others, as some programs want it.
    pub files: PathBuf,
    /// The user's configuration, if there is a place for it.
    pub config: Option<PathBuf>,
    /// The user's list of trusted presets, if there is a place for it.
    #[serde(default)]
    pub trust: Option<PathBuf>,
}

/// What the environment says of a user's directories.
#[derive(Clone, Debug, Default)]
struct Around {
    state: Option<PathBuf>,
    config: Option<PathBuf>,
    /// A second company, which has everything of its own in its runtime directory.
    second: bool,
}

impl Home {
    /// What an earlier broker of this directory has written down, or what this environment says.
    pub fn look(door: &Door) -> Home {
        Home::written(door).unwrap_or_else(|| Home::of(door, &Around::here(door)))
    }

    /// The same, with its directories made and checked, and written down. Only whoever holds the lock may. A disk that is
    /// full or read-only keeps nobody out: what is there already can be read and adopted, and whoever needs to write is
    /// told why he cannot.
    pub fn find(door: &Door, _lock: &Lock) -> Result<Home, DoorError> {
        if let Some(home) = Home::written(door)
            && home.make().is_ok()
        {
            return Ok(home);
        }
        let home = Home::of(door, &Around::here(door));
        // One that nobody could use yet is not decided for those after us.
        if home.make()?
            && let Err(error) = home.write(door)
        {
            tracing::error!(%error, "the next broker decides anew where the journal is");
        }
        Ok(home)
    }

    /// Its directories, made and checked; whether all are there. One that somebody else could write to is an error.
    fn make(&self) -> Result<bool, DoorError> {
        let mut all = true;
        for dir in [&self.state, &self.files] {
            match make(dir) {
                Err(error @ DoorError::Io { .. }) => {
                    tracing::error!(%error, "it is made when it is needed, if that can be done then");
                    all = false;
                }
                made => made?,
            }
        }
        Ok(all)
    }

    fn of(door: &Door, around: &Around) -> Home {
        let digest = Sha256::digest(door.dir().as_os_str().as_encoded_bytes());
        let outside =
            around.state.as_ref().map(|state| state.join("compere").join(hex::encode(&digest[..4])));
        let inside = door.dir().join("state");
        let state = if around.second { inside.clone() } else { outside.clone().unwrap_or(inside) };
        let files =
            if door.is_below_open() { outside.unwrap_or_else(|| door.keepers()) } else { door.keepers() };
        let ours = |dir: &Option<PathBuf>| dir.as_ref().map(|dir| dir.join("compere"));
        Home { state, files, config: ours(&around.config), trust: ours(&around.state) }
    }

    fn written(door: &Door) -> Option<Home> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(door.home()).ok()?;
        let mut text = Vec::new();
        file.take(64 * 1024).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    fn write(&self, door: &Door) -> Result<(), DoorError> {
        let (path, new) = (door.home(), door.home().with_extension("new"));
        let io = |error| DoorError::Io { path: path.clone(), error };
        // One that was left half written, or planted.
        let _ = std::fs::remove_file(&new);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).map_err(io)?;
        let text = serde_json::to_vec(self).map_err(|error| io(error.into()))?;
        file.write_all(&text).and_then(|()| std::fs::rename(&new, &path)).map_err(io)
    }
}

impl Around {
    fn here(door: &Door) -> Around {
        let xdg = Xdg::new().ok();
        Around {
            state: xdg.as_ref().and_then(Xdg::state_dir),
            config: xdg.as_ref().map(Xdg::config_dir),
            second: door.is_second(),
        }
    }
}

/// A directory of ours alone, with those above it.
fn make(dir: &Path) -> Result<(), DoorError> {
    if let Some(above) = dir.parent() {
        let io = |error| DoorError::Io { path: above.to_owned(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(above).map_err(io)?;
    }
    own(dir)
}

/// Whether somebody else may change what is in this directory.
pub(super) fn is_open(dir: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(dir).is_ok_and(|there| there.mode() & 0o022 != 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    fn around(base: &Path, second: bool) -> Around {
        Around { state: Some(base.join("s")), config: Some(base.join("c")), second }
    }

    #[test]
    fn the_journal_is_in_the_users_state_and_a_second_companys_in_its_own_directory() {
        let base = tempfile::tempdir().unwrap();
        let door = Door::at(base.path().join("d")).unwrap();
        let home = Home::of(&door, &around(base.path(), false));
        assert!(home.state.starts_with(base.path().join("s/compere")), "{home:?}");
        assert_eq!(home.config, Some(base.path().join("c/compere")));
        let second = Home::of(&door, &around(base.path(), true));
        assert_eq!(second.state, door.dir().join("state"));
        assert_eq!(
            Home::of(&door, &Around::default()).state,
            door.dir().join("state"),
            "where there is no other place"
        );
    }

    #[test]
    fn files_for_children_are_below_no_directory_that_is_open() {
        let base = tempfile::tempdir().unwrap();
        let door = Door::at(base.path().join("d")).unwrap();
        let around = around(base.path(), true);
        std::fs::set_permissions(base.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(Home::of(&door, &around).files.starts_with(base.path().join("s/compere")));
        assert_eq!(
            Home::of(&door, &Around::default()).files,
            door.keepers(),
            "where there is no other place"
        );
    }

    #[test]
    fn a_place_that_cannot_be_made_keeps_no_broker_from_starting_and_is_tried_again() {
        let base = tempfile::tempdir().unwrap();
        let door = Door::at(base.path().join("d")).unwrap();
        let lock = door.lock().unwrap().unwrap();
        std::fs::write(base.path().join("s"), "").unwrap();
        let home = Home { state: base.path().join("s/state"), ..Home::of(&door, &Around::default()) };
        home.write(&door).unwrap();
        assert_eq!(Home::find(&door, &lock).unwrap(), home);
        std::fs::remove_file(base.path().join("s")).unwrap();
        assert_eq!(Home::find(&door, &lock).unwrap(), home);
        assert_eq!(std::fs::metadata(&home.state).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn what_the_first_broker_decided_holds_for_those_after_it() {
        let base = tempfile::tempdir().unwrap();
        let door = Door::at(base.path().join("d")).unwrap();
        let lock = door.lock().unwrap().unwrap();
        let elsewhere = base.path().join("elsewhere");
        let home = Home { state: elsewhere.clone(), files: door.keepers(), config: None, trust: None };
        own(&elsewhere).unwrap();
        home.write(&door).unwrap();
        assert_eq!(std::fs::metadata(door.home()).unwrap().mode() & 0o777, 0o600);
        assert_eq!(Home::look(&door), home);
        assert_eq!(Home::find(&door, &lock).unwrap(), home);
        std::fs::set_permissions(&elsewhere, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_ne!(
            Home::find(&door, &lock).unwrap().state,
            elsewhere,
            "one that is open to others is not used"
        );
    }
}
