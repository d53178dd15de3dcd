//! Where a broker keeps what it needs. Paths only.

use std::path::PathBuf;

use crate::id::ChildId;

/// Where this broker keeps what it needs, and what it starts keepers with.
#[derive(Clone, Debug)]
pub struct Place {
    /// Our own program, as it was when we started.
    pub exe: PathBuf,
    /// Where fronts connect.
    pub socket: PathBuf,
    /// The keepers' rings and sockets.
    pub keepers: PathBuf,
    /// The files made for children. Some programs want no directory above them to be open to others.
    pub files: PathBuf,
    /// The user's presets, if there is a place for them.
    pub presets: Option<PathBuf>,
    /// compere's state directory, with the list of the workspaces' presets that a person has trusted.
    pub trust: Option<PathBuf>,
    /// How many files a child may have open, if fewer than we.
    pub open_files: Option<u64>,
}

impl Place {
    /// A keeper's ring.
    pub fn ring(&self, id: ChildId) -> PathBuf {
        self.keepers.join(format!("{id}.ring"))
    }

    /// A keeper's socket.
    pub fn keeper(&self, id: ChildId) -> PathBuf {
        self.keepers.join(format!("{id}.sock"))
    }

    /// The directory of files made for a child.
    pub fn files(&self, id: ChildId) -> PathBuf {
        self.files.join(format!("{id}.d"))
    }

    /// The children of which there is anything on disk.
    pub fn traces(&self) -> std::collections::BTreeSet<ChildId> {
        let entries =
            [&self.keepers, &self.files].map(std::fs::read_dir).into_iter().flatten().flatten().flatten();
        let id = |entry: std::fs::DirEntry| {
            let name = entry.file_name();
            let (stem, _) = name.to_str()?.split_once('.')?;
            stem.parse().ok()
        };
        entries.filter_map(id).collect()
    }

    /// Removes everything of a child's that is on disk.
    pub(super) fn clear(&self, id: ChildId) {
        // What is not there need not be removed, and what cannot be is found by the next broker.
        let _ = std::fs::remove_file(self.ring(id));
        let _ = std::fs::remove_file(self.keeper(id));
        let _ = std::fs::remove_dir_all(self.files(id));
    }
}
