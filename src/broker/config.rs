//! What the user decides: limits, and what is run when they are needed, in a file of their own.

use std::{
    io,
    path::{Path, PathBuf},
};

use etcetera::BaseStrategy;

use crate::registry::{limits::Limits, nudge::Nudges, roots::Orphans};

/// What the user decides, in `config.json` of compere's configuration directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How many children there may be.
    pub limits: Limits,
    /// What becomes of a tree whose host is gone.
    pub orphans: Orphans,
    /// The command that is run when a child begins to need a person, and its arguments; none if it is empty.
    pub on_attention: Vec<String>,
    /// When a child is reminded to report.
    pub nudges: Nudges,
    /// A person's own at a pane.
    pub attach: Attach,
}

/// What a person wants of panes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Attach {
    /// The key before those that give orders to compere.
    pub prefix: String,
}

impl Default for Attach {
    fn default() -> Self {
        Attach { prefix: "C-]".into() }
    }
}

/// Where the user's configuration is: `$XDG_CONFIG_HOME/compere` or `~/.config/compere`.
pub fn config_dir() -> Option<PathBuf> {
    etcetera::base_strategy::Xdg::new().ok().map(|xdg| xdg.config_dir().join("compere"))
}

/// Where what compere remembers for the user is: `$XDG_STATE_HOME/compere` or `~/.local/state/compere`.
pub fn state_dir() -> Option<PathBuf> {
    etcetera::base_strategy::Xdg::new().ok()?.state_dir().map(|dir| dir.join("compere"))
}

/// The user's configuration, or what is wrong with it.
pub fn read_config() -> Result<Config, String> {
    config_dir().map_or_else(|| Ok(Config::default()), |dir| Config::read(&dir))
}

impl Config {
    /// What `config.json` in this directory says; the defaults where there is none.
    fn read(dir: &Path) -> Result<Config, String> {
        let path = dir.join("config.json");
        match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Config::default()),
            Err(error) => Err(format!("{}: {error}", path.display())),
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", path.display()))
            }
        }
    }

    /// The same, or else the defaults.
    pub(super) fn or_default(dir: Option<&Path>) -> Config {
        dir.map_or_else(|| Ok(Config::default()), Config::read).unwrap_or_else(|error| {
            // The limits that hold without a word are the strict ones; `compere doctor` says this too.
            tracing::error!(error, "the configuration cannot be read; the defaults hold");
            Config::default()
        })
    }
}
