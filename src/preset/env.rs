//! A child's environment: what of ours it keeps, what every child gets, and what a caller may add. Knows the names that
//! mark nesting, not the programs that set them.

use std::collections::BTreeMap;

use super::error::PresetError;

/// What no child is given of the environment compere runs in: the marks of the agent and the terminal multiplexer that
/// compere itself runs in, which would make a child think it is nested in them, and what is only true of their terminal.
pub(super) const SCRUBBED: &[&str] = &[
    // Ours: another child's identity.
    "COMPERE_*",
    // Agents' own sessions.
    "CLAUDECODE",
    "CLAUDE_CODE_*",
    "CLAUDE_EFFORT",
    "CODEX_CI",
    "CODEX_SANDBOX*",
    "CODEX_THREAD_ID",
    "GEMINI_CLI",
    "OPENCODE",
    "OPENCODE_PID",
    "QWEN_CODE",
    // Multiplexers.
    "STY",
    "TMUX*",
    "ZELLIJ*",
    // The terminal that compere was started from, whose name makes programs send what only it understands.
    "ALACRITTY_*",
    "COLORFGBG",
    "COLUMNS",
    "GHOSTTY_*",
    "INSIDE_EMACS",
    "ITERM_*",
    "KITTY_*",
    "KONSOLE_*",
    "LC_TERMINAL*",
    "LINES",
    "TERMCAP",
    "TERMINFO",
    "TERM_PROGRAM*",
    "TERM_SESSION_ID",
    "VTE_VERSION",
    "WEZTERM_*",
    "WINDOWID",
    // The shell that compere was started from.
    "OLDPWD",
    "PWD",
    "SHLVL",
    "_",
];

/// What is given all the same: how a user logs in, and which broker a child finds without its identity.
const KEPT: &[&str] = &[
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_SKIP_BEDROCK_AUTH",
    "CLAUDE_CODE_SKIP_VERTEX_AUTH",
    "CLAUDE_CODE_API_KEY_HELPER_TTL_MS",
    "COMPERE_RUNTIME_DIR",
];

/// The child's identity, a secret.
pub(super) const IDENTITY: &str = "COMPERE_IDENTITY";
/// Where the child's MCP server connects.
pub(super) const SOCKET: &str = "COMPERE_SOCKET";

/// An environment being put together; what is set later replaces what was set before.
pub(super) type Env = BTreeMap<String, String>;

/// What is left of `base` without [`SCRUBBED`] and `unset`, and with the terminal we are.
pub(super) fn inherited(base: Vec<(String, String)>, unset: &[String]) -> Env {
    let scrubbed = |name: &str| {
        let own = SCRUBBED.iter().any(|pattern| covers(pattern, name)) && !KEPT.contains(&name);
        own || unset.iter().any(|pattern| covers(pattern, name))
    };
    let mut env: Env = base.into_iter().filter(|(name, _)| !scrubbed(name)).collect();
    env.insert("TERM".into(), "xterm-256color".into());
    env.insert("COLORTERM".into(), "truecolor".into());
    // Without a locale many programs take the terminal for ASCII.
    let locale = ["LANG", "LC_ALL", "LC_CTYPE"];
    if locale.iter().all(|name| env.get(*name).is_none_or(String::is_empty)) {
        env.insert("LANG".into(), "C.UTF-8".into());
    }
    env
}

/// Whether a caller may set this variable.
pub(super) fn check_wished(name: &str, value: &str) -> Result<(), PresetError> {
    let problem = if name.is_empty() {
        "has no name"
    } else if name.contains('=') || name.contains('\0') {
        "has '=' or NUL in its name"
    } else if name.starts_with("COMPERE_") {
        "is compere's own to set"
    } else if value.contains('\0') {
        "has NUL in its value"
    } else {
        return Ok(());
    };
    Err(PresetError::BadVariable { name: name.into(), problem })
}

/// Whether a preset may name a variable so: as a shell would.
pub(super) fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|c| c.is_ascii_alphabetic() || c == b'_')
        && bytes.all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

/// Whether this is a `NAME` or a `PREFIX*`.
pub(super) fn is_pattern(pattern: &str) -> bool {
    is_name(pattern.strip_suffix('*').unwrap_or(pattern))
}

fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(names: &[(&str, &str)], unset: &[&str]) -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        let unset: Vec<_> = unset.iter().map(ToString::to_string).collect();
        inherited(names.iter().map(owned).collect(), &unset).into_iter().collect()
    }

    fn names(names: &[&str], unset: &[&str]) -> Vec<String> {
        let valued: Vec<_> = names.iter().map(|name| (*name, "x")).collect();
        env(&valued, unset).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn marks_of_nesting_are_left_out() {
        let ours = [
            "CLAUDECODE",
            "CLAUDE_CODE_ENTRYPOINT",
            "CODEX_THREAD_ID",
            "TMUX",
            "TMUX_PANE",
            "ZELLIJ_SESSION_NAME",
            "STY",
            "COMPERE_IDENTITY",
            "LINES",
            "COLUMNS",
            "TERM_PROGRAM_VERSION",
        ];
        assert_eq!(names(&ours, &[]), ["COLORTERM", "LANG", "TERM"]);
        assert_eq!(
            names(&["PATH", "STYLE", "CLAUDECODEX", "A_1", "A_2", "A"], &["A_*", "STYLE"]).join(" "),
            "A CLAUDECODEX COLORTERM LANG PATH TERM"
        );
    }

    #[test]
    fn the_terminal_is_ours_and_a_locale_is_kept() {
        let of = |names: &[(&str, &str)], name: &str| {
            env(names, &[]).into_iter().find(|(each, _)| each == name).map(|(_, value)| value)
        };
        assert_eq!(of(&[("TERM", "dumb")], "TERM").as_deref(), Some("xterm-256color"));
        assert_eq!(of(&[], "LANG").as_deref(), Some("C.UTF-8"));
        assert_eq!(of(&[("LANG", "")], "LANG").as_deref(), Some("C.UTF-8"));
        assert_eq!(of(&[("LANG", "de_DE.UTF-8")], "LANG").as_deref(), Some("de_DE.UTF-8"));
        assert_eq!(of(&[("LC_CTYPE", "UTF-8")], "LANG"), None);
    }

    #[test]
    fn a_caller_cannot_set_what_is_ours_or_what_cannot_be() {
        for (name, value, good) in [
            ("A", "b=c", true),
            ("a.b", "", true),
            ("", "", false),
            ("A=B", "", false),
            ("A\0", "", false),
            ("A", "\0", false),
            ("COMPERE_IDENTITY", "x", false),
        ] {
            assert_eq!(check_wished(name, value).is_ok(), good, "{name:?}");
        }
    }
}
