//! Which presets there are: those built in, the user's in front of them, and behind them the workspace's, which are only
//! named unless a person has trusted them. What a preset does is not known here.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use super::{
    check::is_preset_name,
    error::{Distrust, Fault, PresetError},
    file::{files, parse, read, read_itself},
    shape::Preset,
    trust::{Trust, TrustError, Trusted, digest},
};

const EMBEDDED: [(&str, &str); 13] = [
    ("amp", include_str!("../../presets/amp.json")),
    ("claude", include_str!("../../presets/claude.json")),
    ("codex", include_str!("../../presets/codex.json")),
    ("copilot", include_str!("../../presets/copilot.json")),
    ("crush", include_str!("../../presets/crush.json")),
    ("fake-agent", include_str!("../../presets/fake-agent.json")),
    ("gemini", include_str!("../../presets/gemini.json")),
    ("goose", include_str!("../../presets/goose.json")),
    ("opencode", include_str!("../../presets/opencode.json")),
    ("pi", include_str!("../../presets/pi.json")),
    ("python", include_str!("../../presets/python.json")),
    ("qwen", include_str!("../../presets/qwen.json")),
    ("shell", include_str!("../../presets/shell.json")),
];

/// Where presets are looked for, beside those built in.
#[derive(Clone, Debug, Default)]
pub struct PresetDirs {
    /// The directory with the user's own `*.json`.
    pub user: Option<PathBuf>,
    /// The project's root; its presets are in `.compere/presets/`.
    pub workspace: Option<PathBuf>,
    /// compere's state directory, with the list of the workspaces' files that a person has trusted.
    pub trust: Option<PathBuf>,
}

/// Where a preset comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// It is part of compere.
    Embedded,
    /// The user's file.
    User(PathBuf),
    /// A file that came with the project: it could run anything, and does not unless a person has trusted it.
    Workspace(PathBuf),
}

/// Whether a preset can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was tried with a version of its program.
    Tested,
    /// It was not tried.
    Untested,
    /// Its file is no good.
    Broken,
    /// The workspace's, and a person has trusted it as it is.
    Trusted,
    /// The workspace's, and nobody has.
    Untrusted,
    /// The workspace's, and not as it was when it was trusted.
    Changed,
    /// The workspace's and trusted, but one of the user's or of ours has its name, and wins.
    Shadowed,
}

impl Standing {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Tested => "tested",
            Standing::Untested => "untested",
            Standing::Broken => "broken",
            Standing::Trusted => "trusted",
            Standing::Untrusted => "untrusted",
            Standing::Changed => "changed",
            Standing::Shadowed => "shadowed",
        }
    }
}

/// A preset as it is shown in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// What it runs, in its own words; in ours if it cannot be used.
    pub about: String,
    /// The program's version it was tried with.
    pub tested: Option<String>,
    /// Where it comes from.
    pub source: Source,
    /// Whether it can be relied on.
    pub standing: Standing,
    /// Why it cannot be used.
    pub error: Option<String>,
}

/// Those that are built in, read once: checking them costs more than all else of a spawn. That they are good is a test's.
static OURS: LazyLock<Vec<Arc<Preset>>> = LazyLock::new(|| {
    EMBEDDED.iter().filter_map(|(name, text)| parse(name, text.as_bytes()).ok().map(Arc::new)).collect()
});

/// All presets there are.
#[derive(Debug)]
pub struct Presets {
    entries: BTreeMap<String, Entry>,
    theirs: BTreeMap<String, Theirs>,
}

#[derive(Debug)]
struct Entry {
    source: Source,
    preset: Result<Arc<Preset>, Fault>,
}

/// A workspace's.
#[derive(Debug)]
struct Theirs {
    path: PathBuf,
    preset: Result<Result<Arc<Preset>, Fault>, Distrust>,
}

impl Presets {
    /// Reads them. What is wrong with a file is kept, and told to whoever asks for its preset.
    pub fn load(dirs: PresetDirs) -> Presets {
        let ours = OURS.iter().map(|preset| {
            (preset.name.clone(), Entry { source: Source::Embedded, preset: Ok(preset.clone()) })
        });
        let mut entries: BTreeMap<String, Entry> = ours.collect();
        for (name, path) in dirs.user.iter().flat_map(|dir| files(dir)) {
            let preset = read(&path).and_then(|bytes| parse(&name, &bytes)).map(Arc::new);
            entries.insert(name, Entry { source: Source::User(path), preset });
        }
        let dir = dirs.workspace.map(|root| root.join(".compere").join("presets"));
        let theirs = dir.map(|dir| theirs(&dir, dirs.trust)).unwrap_or_default();
        Presets { entries, theirs }
    }

    /// The preset of this name.
    pub fn get(&self, name: &str) -> Result<&Preset, PresetError> {
        let broken = |source_of, fault: &Fault| PresetError::Broken {
            name: name.into(),
            source_of,
            fault: fault.to_string(),
        };
        if let Some(entry) = self.entries.get(name) {
            return entry.preset.as_deref().map_err(|fault| broken(entry.source.clone(), fault));
        }
        let Some(Theirs { path, preset }) = self.theirs.get(name) else { return Err(self.unknown(name)) };
        match preset {
            Ok(preset) => preset.as_deref().map_err(|fault| broken(Source::Workspace(path.clone()), fault)),
            Err(why) => {
                Err(PresetError::Untrusted { name: name.into(), path: path.clone(), why: why.clone() })
            }
        }
    }

    /// The preset for a command, by its program's path or name: the one that bears its name, else the user's, else ours,
    /// else a trusted one of the workspace's.
    pub fn for_command(&self, argv: &[String]) -> Option<&Preset> {
        let (program, arguments) = argv.split_first()?;
        // A login shell's own name for itself begins with a dash.
        let program = Path::new(program).file_name()?.to_str()?.trim_start_matches('-');
        let interactive = arguments.iter().all(|argument| is_option(argument));
        let fits = |preset: &&Arc<Preset>| {
            preset.programs.iter().any(|each| each == program) && (interactive || !preset.only_interactive)
        };
        let entries =
            self.entries.values().filter_map(|entry| Some((entry.preset.as_ref().ok()?, &entry.source)));
        let ours = entries
            .filter(|(preset, _)| fits(preset))
            .min_by_key(|(preset, source)| (preset.name != program, **source == Source::Embedded))
            .map(|(preset, _)| preset);
        // What is shadowed by its name is not to be had by its programs either.
        let unshadowed = self.theirs.iter().filter(|(name, _)| !self.entries.contains_key(*name));
        let theirs = || {
            let trusted = unshadowed.filter_map(|(_, theirs)| theirs.preset.as_ref().ok()?.as_ref().ok());
            trusted.filter(fits).min_by_key(|preset| preset.name != program)
        };
        ours.or_else(theirs).map(Arc::as_ref)
    }

    /// All of them by name, then the workspace's.
    pub fn list(&self) -> Vec<Listed> {
        let entries = self.entries.iter().map(|(name, entry)| {
            let preset = entry.preset.as_deref().ok();
            let standing = match preset {
                Some(preset) if preset.tested.is_some() => Standing::Tested,
                Some(_) => Standing::Untested,
                None => Standing::Broken,
            };
            let error = self.get(name).err().map(|error| error.to_string());
            listed(name, preset, entry.source.clone(), standing, error)
        });
        let theirs = self.theirs.iter().map(|(name, theirs)| {
            let preset = theirs.preset.as_ref().ok().and_then(|preset| preset.as_deref().ok());
            let refused = |why: &Distrust| {
                PresetError::Untrusted { name: name.clone(), path: theirs.path.clone(), why: why.clone() }
                    .to_string()
            };
            let other = self.entries.get(name).map(|entry| &entry.source);
            let (standing, error) = match (&theirs.preset, other) {
                (Err(Distrust::Changed), _) => (Standing::Changed, Some(refused(&Distrust::Changed))),
                (Err(why), _) => (Standing::Untrusted, Some(refused(why))),
                (Ok(Err(fault)), _) => (Standing::Broken, Some(fault.to_string())),
                (Ok(Ok(_)), Some(other)) => (Standing::Shadowed, Some(shadow(name, other))),
                (Ok(Ok(_)), None) => (Standing::Trusted, None),
            };
            listed(name, preset, Source::Workspace(theirs.path.clone()), standing, error)
        });
        entries.chain(theirs).collect()
    }

    /// Whose preset wins over a workspace's of this name, in words.
    pub fn shadow(&self, name: &str) -> Option<String> {
        self.entries.get(name).map(|entry| shadow(name, &entry.source))
    }

    fn unknown(&self, name: &str) -> PresetError {
        let nearest = self.entries.keys().map(|known| (distance(name, known), known)).min();
        let nearest =
            nearest.filter(|(steps, known)| *steps <= 1 + known.len() / 3).map(|(_, known)| known.clone());
        let name = name.chars().take(80).collect();
        PresetError::Unknown { name, nearest, known: self.entries.keys().cloned().collect() }
    }
}

/// The workspace's presets. Of those that nobody has trusted the names only: not even opened, since their words would be
/// read by an agent.
fn theirs(dir: &Path, trust: Option<PathBuf>) -> BTreeMap<String, Theirs> {
    let mut names = files(dir);
    names.retain(|(name, _)| is_preset_name(name));
    if names.is_empty() {
        return BTreeMap::new();
    }
    let trusted = trust.map_or_else(|| Ok(Vec::new()), |dir| Trust::at(dir).list());
    // As the list has it.
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let theirs = |(name, path): (String, PathBuf)| {
        let path = path.file_name().map_or_else(|| path.clone(), |file| dir.join(file));
        let preset = vouched(&name, &path, &trusted);
        (name, Theirs { path, preset })
    };
    names.into_iter().map(theirs).collect()
}

/// The preset in a file that a person has trusted. It is read once: what is hashed is what is run.
fn vouched(
    name: &str,
    path: &Path,
    trusted: &Result<Vec<Trusted>, TrustError>,
) -> Result<Result<Arc<Preset>, Fault>, Distrust> {
    let trusted = trusted.as_ref().map_err(|error| Distrust::NoList(error.to_string()))?;
    let known = trusted.iter().find(|trusted| trusted.path == path).ok_or(Distrust::Never)?;
    // What cannot be read any more is not what it was either.
    let bytes = read_itself(path).map_err(|_| Distrust::Changed)?;
    if digest(&bytes) != known.sha256 {
        return Err(Distrust::Changed);
    }
    Ok(parse(name, &bytes).map(Arc::new))
}

fn listed(
    name: &str,
    preset: Option<&Preset>,
    source: Source,
    standing: Standing,
    error: Option<String>,
) -> Listed {
    let unread = match source {
        Source::Workspace(_) => "comes with this workspace, and is not trusted",
        Source::Embedded | Source::User(_) => "cannot be used",
    };
    let about = preset.map_or_else(|| unread.into(), |preset| preset.about.clone());
    let tested = preset.and_then(|preset| preset.tested.clone());
    Listed { name: name.into(), about, tested, source, standing, error }
}

fn shadow(name: &str, other: &Source) -> String {
    let whose = match other {
        Source::Embedded => "compere's own".to_owned(),
        Source::User(path) | Source::Workspace(path) => path.display().to_string(),
    };
    format!("is not used, because {whose} {name} wins: give it another name")
}

/// How many letters must be put in, taken out or changed to make one word of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().take(80).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

/// An option that leaves a shell or an interpreter at its prompt: not `-c`, `-lc` or `-m`, and nothing to run instead.
fn is_option(argument: &str) -> bool {
    match argument.as_bytes() {
        [b'-', b'-', _, ..] | [b'+', _, ..] => true,
        [b'-', letters @ ..] => {
            !letters.is_empty() && !letters.iter().any(|letter| matches!(letter, b'c' | b'm'))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
