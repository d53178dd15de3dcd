//! Preset files: which there are in a directory, and what is in one. Knows nothing of whose they are.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};
use serde_json::{Value, json};

use super::{check::check, error::Fault, shape::Preset};

/// The longest preset file, in bytes.
pub(super) const MAX_FILE: u64 = 64 * 1024;
/// The most files looked at in one directory, the first by name.
pub(super) const MAX_FILES: usize = 200;

/// The presets of a directory, by name. One that is not there has none.
pub(super) fn files(dir: &Path) -> Vec<(String, PathBuf)> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                tracing::warn!(dir = %dir.display(), %error, "presets cannot be read");
            }
            return Vec::new();
        }
    };
    let mut found: Vec<_> = entries.flatten().filter_map(|entry| named(entry.path())).collect();
    found.sort();
    if found.len() > MAX_FILES {
        tracing::warn!(dir = %dir.display(), files = found.len(), "only the first {MAX_FILES} presets are read");
        found.truncate(MAX_FILES);
    }
    found
}

fn named(path: PathBuf) -> Option<(String, PathBuf)> {
    let name = path.file_name()?.to_str()?.strip_suffix(".json")?.to_string();
    // The schema that `$schema` points an editor to may lie beside the presets.
    (name != "schema" && !name.is_empty()).then_some((name, path))
}

/// What is in a preset file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    // Looked at before it is opened, since opening a pipe waits for its writer. A link to a file is as good as the file.
    if !fs::metadata(path)?.is_file() {
        return Err(Fault::NotRegular);
    }
    bounded(File::open(path)?)
}

/// What is in a file that is where it seems to be: no link leads to it. For what somebody else may have put there.
pub(super) fn read_itself(path: &Path) -> Result<Vec<u8>, Fault> {
    // NONBLOCK: a pipe without a writer must not hold us up.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) => return Err(Fault::Link),
        // A socket.
        Err(Errno::NXIO) => return Err(Fault::NotRegular),
        Err(errno) => return Err(std::io::Error::from(errno).into()),
    };
    if !file.metadata()?.is_file() {
        return Err(Fault::NotRegular);
    }
    bounded(file)
}

fn bounded(file: File) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Fault::TooLarge);
    }
    Ok(bytes)
}

/// The preset that `bytes` are, if it is a good one and called `name`.
pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<Preset, Fault> {
    let preset = serde_json::from_slice(bytes).map_err(|error| match misfit(bytes) {
        Some(field) => Fault::Field { field, problem: error.to_string() },
        None => error.into(),
    })?;
    check(&preset, name)?;
    Ok(preset)
}

/// The field whose value is not of its form; serde's own error has only its line and column. Found by trying each field
/// in a preset that is otherwise good.
fn misfit(bytes: &[u8]) -> Option<String> {
    let fields: serde_json::Map<String, Value> = serde_json::from_slice(bytes).ok()?;
    let wrong = |(name, value): (String, Value)| {
        let mut preset = json!({"name": "a", "about": "b", "command": ["c"]});
        preset[&name] = value;
        // As text once more: a second way of reading a preset would be 70 kB of the program.
        serde_json::from_slice::<Preset>(preset.to_string().as_bytes()).is_err().then_some(name)
    };
    fields.into_iter().find_map(wrong)
}
