//! From a preset and a wish to what is run: arguments, environment and files. Pure: writes and starts nothing, and does
//! not look whether the program exists.

use std::{borrow::Cow, collections::BTreeMap, path::Path};

use serde_json::Value;

use super::{
    again::Session,
    env::{self, Env},
    error::PresetError,
    placeholder::{MESSAGE, SECRET, SESSION, fill, fill_json, flat},
    shape::{Place, Preset},
};
use crate::{
    child::{
        rules::{Rules, Typing},
        session::SessionSigns,
        typing,
    },
    id::Size,
};

/// The longest message that goes on a command line: Linux takes no argument of 128 KiB or more (`MAX_ARG_STRLEN`).
const MAX_ARGUMENT: usize = 100 * 1024;

/// What a caller asks for.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// The program and its arguments, instead of the preset's.
    pub command: Option<Vec<String>>,
    /// Variables to set, over the preset's.
    pub env: BTreeMap<String, String>,
    /// The terminal's size, over the preset's.
    pub size: Option<Size>,
    /// The first message.
    pub message: Option<String>,
    /// The program's own session, where the preset knows how to name it.
    pub session: Option<SessionWish>,
}

/// Which session of its own a program shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionWish {
    /// A new one, of this id.
    New(String),
    /// The one of this id again.
    Resume(String),
}

/// What a launch is made in.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The path of compere's own program.
    pub compere: &'a Path,
    /// The child's secret.
    pub identity: &'a str,
    /// Where the child's MCP server connects.
    pub socket: &'a Path,
    /// The child's private directory.
    pub dir: &'a Path,
    /// The environment to start from.
    pub base_env: Vec<(String, String)>,
}

/// What to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The program and its arguments; never empty, and never holding the identity.
    pub argv: Vec<String>,
    /// The whole environment, by name.
    pub env: Vec<(String, String)>,
    /// What to write to the child's private directory, by plain name, before the program starts.
    pub files: Vec<(String, Vec<u8>)>,
    /// The terminal's size, within what can be.
    pub size: Size,
    /// How to read the program.
    pub rules: Rules,
    /// How to type into it.
    pub typing: Typing,
    /// The first message, if it is still to be typed.
    pub message_typed: Option<String>,
    /// The id of the program's own session, if it was given one.
    pub session: Option<String>,
    /// Where the program shows which one it is in.
    pub session_signs: SessionSigns,
}

/// Works out what to run.
pub fn resolve(preset: Option<&Preset>, wish: Wish, context: Context<'_>) -> Result<Resolved, PresetError> {
    for (name, value) in &wish.env {
        env::check_wished(name, value)?;
    }
    let values = Values::new(&context);
    let of = |preset: &Preset| Typing { interrupt: preset.interrupt.clone(), ..preset.typing.clone() };
    let typing = preset.map_or_else(Typing::of_a_command, of);
    // What a caller's own arguments mean is not known here: another prompt among them could be the wrong one.
    let bare = wish.command.as_ref().is_none_or(|command| command.len() == 1);
    let argument =
        wish.message.as_deref().filter(|_| bare).and_then(|message| as_argument(message, preset?, &values));

    let session =
        wish.session.filter(|_| bare).and_then(|session| named(&session, preset?.session.as_ref()?, &values));
    let mut argv = match (wish.command, preset) {
        (Some(command), _) => command,
        (None, Some(preset)) => values.all(&preset.command),
        (None, None) => Vec::new(),
    };
    if argv.first().is_none_or(String::is_empty) {
        return Err(PresetError::NoProgram);
    }
    if let Some(index) = argv.iter().position(|arg| arg.contains('\0')) {
        return Err(PresetError::BadArgument { index });
    }
    let session = session.map(|(id, args, at)| {
        place(&mut argv, args, at);
        id
    });
    let unset = preset.map_or(&[][..], |preset| &preset.unset);
    let mut env = env::inherited(context.base_env, unset);
    let mut files = Vec::new();
    if let Some(preset) = preset {
        env.extend(preset.env.iter().map(|(name, value)| (name.clone(), values.text(value))));
        if let Some(mcp) = &preset.mcp {
            place(&mut argv, mcp.args.iter().map(|arg| flat(values.json(arg))).collect(), mcp.place);
            env.extend(mcp.env.iter().map(|(name, value)| (name.clone(), flat(values.json(value)))));
            files.extend(
                mcp.files
                    .iter()
                    .map(|(name, json)| (name.clone(), values.json(json).to_string().into_bytes())),
            );
        }
    }
    let message_typed = match argument {
        Some((args, at)) => {
            place(&mut argv, args, at);
            None
        }
        None => wish.message,
    };
    env.extend(wish.env);
    own(&mut env, context.identity, &values.socket);

    let size =
        wish.size.or_else(|| preset.and_then(|preset| preset.size).map(Size::from)).unwrap_or(Size::DEFAULT);
    Ok(Resolved {
        argv,
        env: env.into_iter().collect(),
        files,
        size: size.clamped(),
        rules: preset.map(|preset| preset.state.clone()).unwrap_or_default(),
        typing,
        message_typed,
        session,
        session_signs: preset.and_then(|preset| preset.session.as_ref()?.found.clone()).unwrap_or_default(),
    })
}

/// The arguments for a first message, if it can go by them. It is cleaned as if it were typed, because programs treat a
/// prompt from either the same: a leading `/` is a command to both.
fn as_argument(message: &str, preset: &Preset, values: &Values<'_>) -> Option<(Vec<String>, Place)> {
    let first = preset.first_message.as_ref()?;
    let text = typing::clean(message, &preset.typing).ok()?.text;
    if text.len() > MAX_ARGUMENT || text.starts_with('-') {
        return None;
    }
    let value = |name: &str| if name == MESSAGE { Some(text.as_str().into()) } else { values.get(name) };
    let args = first.args.iter().map(|arg| fill(arg, value)).collect::<Result<_, _>>().ok()?;
    Some((args, first.place))
}

/// A session's id, and the arguments for it.
fn named(wish: &SessionWish, session: &Session, values: &Values<'_>) -> Option<(String, Vec<String>, Place)> {
    let (id, args) = match wish {
        SessionWish::New(_) if session.args.is_empty() => return None,
        SessionWish::New(id) => (id, &session.args),
        SessionWish::Resume(id) => (id, &session.resume),
    };
    let value = |name: &str| if name == SESSION { Some(id.as_str().into()) } else { values.get(name) };
    let args = args.iter().map(|arg| fill(arg, value)).collect::<Result<_, _>>().ok()?;
    Some((id.clone(), args, session.place))
}

/// Puts arguments in their place; what stands behind a `--` is no place for flags.
fn place(argv: &mut Vec<String>, args: Vec<String>, place: Place) {
    let at = match place {
        Place::First => 1,
        Place::Last => argv.iter().skip(1).position(|arg| arg == "--").map_or(argv.len(), |found| found + 1),
    };
    argv.splice(at..at, args);
}

fn own(env: &mut Env, identity: &str, socket: &str) {
    env.insert(env::IDENTITY.into(), identity.into());
    env.insert(env::SOCKET.into(), socket.into());
}

/// What placeholders stand for in one launch.
struct Values<'a> {
    compere: Cow<'a, str>,
    identity: &'a str,
    socket: Cow<'a, str>,
    dir: Cow<'a, str>,
    shell: String,
}

impl<'a> Values<'a> {
    fn new(context: &Context<'a>) -> Self {
        let shell = context.base_env.iter().rev().find(|(name, value)| name == "SHELL" && !value.is_empty());
        Values {
            compere: context.compere.to_string_lossy(),
            identity: context.identity,
            socket: context.socket.to_string_lossy(),
            dir: context.dir.to_string_lossy(),
            shell: shell.map_or_else(|| "/bin/sh".into(), |(_, value)| value.clone()),
        }
    }

    fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let value: &str = match name {
            "compere" => &self.compere,
            "socket" => &self.socket,
            "dir" => &self.dir,
            "shell" => &self.shell,
            SECRET => self.identity,
            _ => return None,
        };
        Some(value.into())
    }

    // A preset is checked before anyone gets it, so nothing here is without a value; should it be, it stays as written.
    fn text(&self, text: &str) -> String {
        fill(text, |name| self.get(name)).unwrap_or_else(|_| text.into())
    }

    fn json(&self, json: &Value) -> Value {
        fill_json(json, &|name: &str| self.get(name)).unwrap_or_else(|_| json.clone())
    }

    fn all(&self, texts: &[String]) -> Vec<String> {
        texts.iter().map(|text| self.text(text)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::{FirstMessage, Place, PresetDirs, Presets};

    const IDENTITY: &str = "0123456789abcdef-secret";

    fn launch(name: &str, wish: Wish) -> Result<Resolved, PresetError> {
        let presets = Presets::load(PresetDirs::default());
        // `prompted` is a claude that takes its first message on the command line.
        let known = if name == "prompted" { "claude" } else { name };
        let mut preset = (!known.is_empty()).then(|| presets.get(known).unwrap().clone());
        if let Some(preset) = preset.as_mut().filter(|_| name == "prompted") {
            preset.first_message =
                Some(FirstMessage { args: vec!["${message}".into()], place: Place::First });
        }
        let base =
            [("PATH", "/bin"), ("SHELL", "/bin/zsh"), ("CLAUDECODE", "1"), ("COMPERE_IDENTITY", "parent's")];
        let context = Context {
            compere: Path::new("/opt/com \"pere"),
            identity: IDENTITY,
            socket: Path::new("/run/c.sock"),
            dir: Path::new("/run/c3"),
            base_env: base.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        };
        resolve(preset.as_ref(), wish, context)
    }

    fn command(words: &str) -> Option<Vec<String>> {
        Some(words.split(' ').map(String::from).collect())
    }

    fn message(text: &str) -> Option<String> {
        Some(text.to_string())
    }

    fn variable<'a>(resolved: &'a Resolved, name: &str) -> Option<&'a str> {
        resolved.env.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn no_argument_ever_holds_the_identity() {
        for listed in Presets::load(PresetDirs::default()).list() {
            for own in [None, command("prog a")] {
                let wish = Wish { command: own, message: message("hello"), ..Wish::default() };
                let resolved = launch(&listed.name, wish).unwrap();
                assert!(!resolved.argv.iter().any(|arg| arg.contains(IDENTITY)), "{:?}", resolved.argv);
                assert!(!resolved.argv.iter().any(|arg| arg.contains("${")), "{:?}", resolved.argv);
                assert_eq!(variable(&resolved, "COMPERE_IDENTITY"), Some(IDENTITY));
                assert_eq!(variable(&resolved, "COMPERE_SOCKET"), Some("/run/c.sock"));
                assert_eq!(variable(&resolved, "CLAUDECODE"), None);
            }
        }
    }

    #[test]
    fn a_prompt_goes_first_and_claudes_server_into_a_file() {
        let resolved = launch("prompted", Wish { message: message("/do it\\"), ..Wish::default() }).unwrap();
        let argv = ["claude", "\u{2800}/do it\\ ", "--ax-screen-reader", "--mcp-config", "/run/c3/mcp.json"];
        assert_eq!(resolved.argv[..5], argv);
        assert_eq!(resolved.argv[5..], ["--allowedTools", "mcp__compere__*"]);
        assert_eq!(resolved.message_typed, None);
        let (name, bytes) = &resolved.files[0];
        let json: Value = serde_json::from_slice(bytes).unwrap();
        assert_eq!(name, "mcp.json");
        assert_eq!(json["mcpServers"]["compere"]["command"], "/opt/com \"pere");
        assert_eq!(json["mcpServers"]["compere"]["env"]["COMPERE_IDENTITY"], IDENTITY);
    }

    #[test]
    fn other_programs_get_their_server_as_they_take_it() {
        let argv =
            launch("codex", Wish { command: command("codex resume x"), ..Wish::default() }).unwrap().argv;
        assert_eq!(argv[..3], ["codex", "--no-daemon", "-c"]);
        assert!(
            argv[3]
                .starts_with(r#"mcp_servers.compere={command="/opt/com \"pere",args=[],env_vars=["COMPERE_"#)
        );
        assert_eq!(argv[4..], ["resume", "x"]);

        let qwen = launch("qwen", Wish::default()).unwrap().argv;
        let json: Value = serde_json::from_str(&qwen[3]).unwrap();
        assert_eq!(json["mcpServers"]["compere"]["command"], "/opt/com \"pere");

        let opencode = launch("opencode", Wish::default()).unwrap();
        let json: Value =
            serde_json::from_str(variable(&opencode, "OPENCODE_CONFIG_CONTENT").unwrap()).unwrap();
        assert_eq!(json["mcp"]["compere"]["environment"]["COMPERE_IDENTITY"], IDENTITY);

        let gemini = launch("gemini", Wish::default()).unwrap();
        assert_eq!(variable(&gemini, "GEMINI_CLI_SYSTEM_SETTINGS_PATH"), Some("/run/c3/settings.json"));
        assert_eq!(gemini.files[0].0, "settings.json");
    }

    #[test]
    fn a_message_that_cannot_be_an_argument_is_typed() {
        let long = "a".repeat(MAX_ARGUMENT + 1);
        for (preset, own, text, typed) in [
            ("prompted", None, "hi", false),
            ("prompted", command("claude"), "hi", false),
            ("prompted", command("claude --resume x"), "hi", true),
            ("prompted", None, "-p", true),
            ("prompted", None, "\x1b-p", true),
            ("prompted", None, "\0", true),
            ("prompted", None, "${identity}", false),
            ("prompted", None, &long, true),
            ("claude", None, "hi", true),
            ("", command("cat"), "hi", true),
        ] {
            let wish = Wish { command: own, message: message(text), ..Wish::default() };
            let resolved = launch(preset, wish).unwrap();
            assert_eq!(resolved.message_typed.is_some(), typed, "{preset} {text:.20}");
            assert_eq!(resolved.argv.iter().any(|arg| arg == text), !typed, "{preset} {text:.20}");
        }
    }

    #[test]
    fn a_session_is_named_where_the_caller_gave_no_arguments() {
        let new = || Some(SessionWish::New("ID".into()));
        let resume = || Some(SessionWish::Resume("ID".into()));
        for (preset, own, session, words) in [
            ("claude", None, new(), "claude --ax-screen-reader --session-id ID --mcp-config"),
            ("claude", None, resume(), "claude --ax-screen-reader --resume ID --mcp-config"),
            ("claude", command("claude"), new(), "claude --session-id ID --mcp-config"),
            ("claude", command("claude -c"), new(), "claude -c --mcp-config"),
            ("gemini", None, new(), "gemini --screen-reader --session-id ID"),
            ("gemini", None, resume(), "gemini --screen-reader --resume ID"),
            ("qwen", None, resume(), "qwen --screen-reader --resume ID --mcp-config"),
            ("codex", None, new(), "codex --no-daemon"),
            ("codex", None, resume(), "codex --no-daemon -c"),
            ("opencode", None, new(), "opencode --mini"),
            ("opencode", None, resume(), "opencode --mini --session ID"),
            ("", command("cat"), new(), "cat"),
        ] {
            let resolved = launch(preset, Wish { command: own, session, ..Wish::default() }).unwrap();
            let said = resolved.argv.join(" ");
            assert!(said.starts_with(words), "{said} <> {words}");
            assert_eq!(resolved.session.is_some(), said.contains(" ID"), "{said}");
        }
    }

    #[test]
    fn a_wish_goes_over_the_preset() {
        let env = BTreeMap::from([("DISABLE_AUTOUPDATER".to_string(), "0".to_string())]);
        let size = Some(Size { rows: 0, cols: 2000 });
        let wish = Wish { command: command("/x/claude -c -- hi"), env, size, ..Wish::default() };
        let resolved = launch("claude", wish).unwrap();
        assert_eq!(
            resolved.argv.join(" "),
            "/x/claude -c --mcp-config /run/c3/mcp.json --allowedTools mcp__compere__* -- hi"
        );
        assert_eq!(variable(&resolved, "DISABLE_AUTOUPDATER"), Some("0"));
        assert_eq!(variable(&resolved, "CLAUDE_CODE_DISABLE_ALTERNATE_SCREEN"), Some("1"));
        assert_eq!(resolved.size, Size { rows: 1, cols: 1000 });
    }

    #[test]
    fn a_command_alone_gets_a_clean_environment_and_nothing_else() {
        let resolved = launch("", Wish { command: command("cat ${dir}"), ..Wish::default() }).unwrap();
        assert_eq!(resolved.argv, ["cat", "${dir}"]);
        assert_eq!(resolved.size, Size::DEFAULT);
        assert_eq!((resolved.rules, resolved.files.len()), Default::default());
        assert_eq!(resolved.typing, Typing::of_a_command());
        let names: Vec<_> = resolved.env.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["COLORTERM", "COMPERE_IDENTITY", "COMPERE_SOCKET", "LANG", "PATH", "SHELL", "TERM"]
        );
        assert_eq!(launch("shell", Wish::default()).unwrap().argv, ["/bin/zsh"]);
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        let set = |name: &str| BTreeMap::from([(name.to_string(), String::new())]);
        let run = |argv: &[&str], env| {
            let argv = argv.iter().map(ToString::to_string).collect();
            launch("", Wish { command: Some(argv), env, ..Wish::default() }).unwrap_err().to_string()
        };
        assert_eq!(run(&[], BTreeMap::new()), "there is no program to run: the command is empty");
        assert_eq!(run(&["", "a"], BTreeMap::new()), "there is no program to run: the command is empty");
        assert_eq!(run(&["a", "b\0"], BTreeMap::new()), "command[1] holds a NUL byte");
        assert_eq!(
            run(&["a"], set("COMPERE_SOCKET")),
            "environment variable \"COMPERE_SOCKET\" is compere's own to set"
        );
        assert_eq!(run(&["a"], set("")), "environment variable \"\" has no name");
        assert!(matches!(launch("", Wish::default()), Err(PresetError::NoProgram)));
    }
}
