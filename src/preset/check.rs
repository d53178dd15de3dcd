//! What must hold of a preset that its form alone does not say, so that a mistake shows when a preset is loaded and not
//! when a child is started with it.

use std::borrow::Cow;

use regex::Regex;

use super::{
    env::{is_name, is_pattern},
    error::Fault,
    placeholder::{MESSAGE, PUBLIC, SECRET, SESSION, fill, fill_json},
    shape::{Mcp, Preset, Reports},
};
use crate::child::{
    session::{self, SessionSigns},
    typing::keys,
};

const MAX_ABOUT: usize = 300;
const MAX_ENTER_AFTER_MS: u32 = 10_000;

/// Who gets to see a field, which decides what placeholders it may hold.
#[derive(Clone, Copy)]
enum Seen {
    /// Every user of the machine: it is an argument.
    Public,
    /// The same, and the first message has its place here.
    Message,
    /// The same, and a session's id has its place here.
    Session,
    /// This user alone: it is in the environment or a private file.
    Private,
}

/// Whether `name` can be a preset's.
pub(super) fn is_preset_name(name: &str) -> bool {
    let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 64
        && name.bytes().next().is_some_and(fits)
        && name.bytes().all(|c| fits(c) || matches!(c, b'.' | b'_' | b'-'))
}

/// Finds the first thing that cannot be; `stem` is the file's name without `.json`.
pub(super) fn check(preset: &Preset, stem: &str) -> Result<(), Fault> {
    if preset.name != stem {
        return Err(fault("name", format!("is {:?}, but the file is named {stem}.json", preset.name)));
    }
    if !is_preset_name(&preset.name) {
        return Err(fault("name", "must be lower-case letters, digits, '-', '_' and '.', at most 64"));
    }
    let about = preset.about.trim();
    if about.is_empty() || preset.about.len() > MAX_ABOUT || preset.about.chars().any(char::is_control) {
        return Err(fault("about", format!("must be one line of at most {MAX_ABOUT} bytes")));
    }
    for (index, program) in preset.programs.iter().enumerate() {
        if program.is_empty() || program.contains('/') {
            return Err(fault(format!("programs[{index}]"), "must be a file name without a directory"));
        }
    }
    command(preset)?;
    environment(preset)?;
    if let Some(mcp) = &preset.mcp {
        injection(mcp)?;
    }
    again(preset)?;
    state(preset)?;
    pressed("interrupt", &preset.interrupt)?;
    pressed("quit", &preset.quit)?;
    if preset.reports == Reports::Typed && !preset.state.can_show_idle() {
        return Err(fault("reports", "are typed once it is idle, and nothing in `state` shows that"));
    }
    match preset.size {
        Some(size) if !(1..=500).contains(&size.rows) || !(2..=1000).contains(&size.cols) => {
            Err(fault("size", "must be 1 to 500 rows and 2 to 1000 cols"))
        }
        _ => Ok(()),
    }
}

fn command(preset: &Preset) -> Result<(), Fault> {
    if preset.command.first().is_none_or(String::is_empty) {
        return Err(fault("command", "names no program"));
    }
    strings("command", &preset.command, Seen::Public)?;
    let Some(first) = &preset.first_message else { return Ok(()) };
    strings("first_message.args", &first.args, Seen::Message)?;
    if !first.args.iter().any(|arg| arg.contains("${message}")) {
        return Err(fault("first_message.args", "lacks ${message}"));
    }
    Ok(())
}

fn again(preset: &Preset) -> Result<(), Fault> {
    if let Some(session) = &preset.session {
        for (field, args) in [("session.args", &session.args), ("session.resume", &session.resume)] {
            strings(field, args, Seen::Session)?;
            let chosen_by_program = field == "session.args" && args.is_empty();
            if !chosen_by_program && !args.iter().any(|arg| arg.contains("${session}")) {
                return Err(fault(field, "lacks ${session}"));
            }
        }
    }
    found(preset)?;
    match preset.on_exit {
        Some(wish) if !(1..=100).contains(&wish.most) => Err(fault("on_exit.most", "must be 1 to 100")),
        Some(wish) if wish.after_ms > 60_000 => Err(fault("on_exit.after_ms", "must be at most 60000")),
        _ => Ok(()),
    }
}

/// Where a session's id is to be found.
fn found(preset: &Preset) -> Result<(), Fault> {
    let Some(session) = &preset.session else { return Ok(()) };
    let signs = session.found.clone().unwrap_or_default();
    if session.args.is_empty() && signs == SessionSigns::default() {
        return Err(fault("session", "has neither args to choose an id nor found to find one"));
    }
    for (field, pattern) in [("session.found.file", &signs.file), ("session.found.screen", &signs.screen)] {
        let Some(pattern) = pattern else { continue };
        let regex = Regex::new(pattern).map_err(|error| fault(field, error.to_string()))?;
        if !regex.capture_names().flatten().any(|name| name == session::GROUP) {
            return Err(fault(field, "lacks a group (?P<session>…)"));
        }
    }
    Ok(())
}

fn environment(preset: &Preset) -> Result<(), Fault> {
    for (name, value) in &preset.env {
        let field = format!("env.{name}");
        variable(&field, name)?;
        text(&field, value, Seen::Private)?;
    }
    for (index, pattern) in preset.unset.iter().enumerate() {
        if !is_pattern(pattern) {
            return Err(fault(
                format!("unset[{index}]"),
                "must be a variable's name, or the start of one and '*'",
            ));
        }
    }
    Ok(())
}

fn injection(mcp: &Mcp) -> Result<(), Fault> {
    for (index, arg) in mcp.args.iter().enumerate() {
        json(format!("mcp.args[{index}]"), arg, Seen::Public)?;
    }
    for (name, value) in &mcp.env {
        let field = format!("mcp.env.{name}");
        variable(&field, name)?;
        json(field, value, Seen::Private)?;
    }
    for (name, content) in &mcp.files {
        let field = format!("mcp.files.{name}");
        let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
        if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.bytes().all(fits) {
            return Err(fault(field, "must be a plain file name: letters, digits, '.', '_' and '-'"));
        }
        json(field, content, Seen::Private)?;
    }
    Ok(())
}

fn state(preset: &Preset) -> Result<(), Fault> {
    for (index, rule) in preset.state.rules.iter().enumerate() {
        if let Err(error) = Regex::new(&rule.matches) {
            return Err(fault(format!("state.rules[{index}].matches"), error.to_string()));
        }
        if rule.for_ms.is_some_and(|ms| ms > 10_000) {
            return Err(fault(format!("state.rules[{index}].for_ms"), "must be at most 10000"));
        }
    }
    if preset.state.quiet_ms.is_some_and(|ms| !(10..=60_000).contains(&ms)) {
        return Err(fault("state.quiet_ms", "must be 10 to 60000"));
    }
    if preset.typing.enter_after_ms.is_some_and(|ms| ms > MAX_ENTER_AFTER_MS) {
        return Err(fault("typing.enter_after_ms", format!("must be at most {MAX_ENTER_AFTER_MS}")));
    }
    Ok(())
}

fn pressed(field: &str, names: &[String]) -> Result<(), Fault> {
    if names.is_empty() {
        return Ok(());
    }
    keys(names, false).map(drop).map_err(|error| fault(field, error.to_string()))
}

fn variable(field: &str, name: &str) -> Result<(), Fault> {
    if !is_name(name) {
        return Err(fault(field, "must be letters, digits and '_', and not begin with a digit"));
    }
    if name.starts_with("COMPERE_") {
        return Err(fault(field, "is compere's own to set"));
    }
    Ok(())
}

fn strings(field: &str, texts: &[String], seen: Seen) -> Result<(), Fault> {
    texts.iter().enumerate().try_for_each(|(index, each)| text(&format!("{field}[{index}]"), each, seen))
}

fn text(field: &str, text: &str, seen: Seen) -> Result<(), Fault> {
    if text.contains('\0') {
        return Err(fault(field, "holds a NUL byte"));
    }
    fill(text, |name| allowed(name, seen)).map(drop).map_err(|bad| placeholder(field, &bad))
}

fn json(field: String, value: &serde_json::Value, seen: Seen) -> Result<(), Fault> {
    if value.as_str().is_some_and(|text| text.contains('\0')) {
        return Err(fault(field, "holds a NUL byte"));
    }
    fill_json(value, &|name: &str| allowed(name, seen)).map(drop).map_err(|bad| placeholder(&field, &bad))
}

fn allowed(name: &str, seen: Seen) -> Option<Cow<'static, str>> {
    let known = PUBLIC.contains(&name)
        || match seen {
            Seen::Public => false,
            Seen::Message => name == MESSAGE,
            Seen::Session => name == SESSION,
            Seen::Private => name == SECRET,
        };
    known.then_some("".into())
}

fn placeholder(field: &str, bad: &str) -> Fault {
    let problem = match bad {
        "${identity}" | "${identity:quoted}" => {
            format!("{bad} is a secret, and every user of the machine can see a program's arguments")
        }
        _ => format!("{bad} is no placeholder here; write $${{ for a plain ${{"),
    };
    fault(field, problem)
}

fn fault(field: impl Into<String>, problem: impl Into<String>) -> Fault {
    Fault::Field { field: field.into(), problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn verdict(changes: Value) -> String {
        let mut preset = json!({"name": "p", "about": "a program", "command": ["p"]});
        let fields = preset.as_object_mut().unwrap();
        fields.extend(changes.as_object().unwrap().clone());
        let preset: Preset = serde_json::from_value(preset).unwrap();
        check(&preset, "p").map_or_else(|fault| fault.to_string(), |()| "good".into())
    }

    #[test]
    fn a_mistake_is_named_by_its_field() {
        for (changes, field) in [
            (json!({"name": "q"}), "name: is \"q\""),
            (json!({"about": "two\nlines"}), "about:"),
            (json!({"about": " "}), "about:"),
            (json!({"programs": ["sh", "/bin/sh"]}), "programs[1]:"),
            (json!({"command": []}), "command:"),
            (json!({"command": ["a", "${home}"]}), "command[1]: ${home} is no placeholder"),
            (json!({"command": ["a", "${message}"]}), "command[1]:"),
            (json!({"command": ["a", "${identity}"]}), "command[1]: ${identity} is a secret"),
            (json!({"command": ["a", "\u{0}"]}), "command[1]: holds a NUL"),
            (json!({"first_message": {"args": ["-i"], "place": "last"}}), "first_message.args: lacks"),
            (
                json!({"first_message": {"args": ["${message}", "${identity}"], "place": "last"}}),
                "first_message.args[1]:",
            ),
            (json!({"session": {"args": ["-s"], "resume": ["${session}"]}}), "session.args: lacks"),
            (json!({"session": {"args": ["${session}"], "resume": []}}), "session.resume: lacks"),
            (json!({"session": {"resume": ["${session}"]}}), "session: has neither"),
            (
                json!({"session": {"resume": ["${session}"], "found": {"file": "x"}}}),
                "session.found.file: lacks a group",
            ),
            (
                json!({"session": {"resume": ["${session}"], "found": {"screen": "(?P<session>"}}}),
                "session.found.screen: regex parse error",
            ),
            (
                json!({"session": {"args": ["${session}"], "resume": ["${session}", "${identity}"]}}),
                "session.resume[1]: ${identity} is a secret",
            ),
            (json!({"command": ["a", "${session}"]}), "command[1]:"),
            (json!({"on_exit": {"restart": "always", "most": 0}}), "on_exit.most:"),
            (json!({"on_exit": {"restart": "always", "after_ms": 60001}}), "on_exit.after_ms:"),
            (json!({"reports": "typed"}), "reports: are typed once it is idle"),
            (json!({"env": {"A B": ""}}), "env.A B:"),
            (json!({"env": {"COMPERE_SOCKET": ""}}), "env.COMPERE_SOCKET:"),
            (json!({"env": {"A": "${message}"}}), "env.A:"),
            (json!({"unset": ["A", "*"]}), "unset[1]:"),
            (
                json!({"mcp": {"args": [{"a": ["${identity:quoted}"]}]}}),
                "mcp.args[0]: ${identity:quoted} is a secret",
            ),
            (json!({"mcp": {"env": {"1": 1}}}), "mcp.env.1:"),
            (json!({"mcp": {"files": {"../a.json": 1}}}), "mcp.files.../a.json:"),
            (json!({"mcp": {"files": {"a.json": "${x}"}}}), "mcp.files.a.json:"),
            (json!({"state": {"quiet_ms": 9}}), "state.quiet_ms:"),
            (
                json!({"state": {"rules": [
                    {"on": "title", "matches": "a", "state": "idle"},
                    {"on": "title", "matches": "(", "state": "idle"}
                ]}}),
                "state.rules[1].matches:",
            ),
            (json!({"typing": {"enter_after_ms": 10001}}), "typing.enter_after_ms:"),
            (json!({"interrupt": ["Esc", "Ctrl-C"]}), "interrupt: keys[1]"),
            (json!({"quit": ["quit"]}), "quit: keys[0]"),
            (json!({"size": {"rows": 0, "cols": 80}}), "size:"),
        ] {
            let verdict = verdict(changes);
            assert!(verdict.starts_with(field), "{verdict} <> {field}");
        }
    }

    #[test]
    fn what_is_right_is_let_through() {
        for changes in [
            json!({}),
            json!({"command": ["${shell}", "$${x}", "${dir}/a"], "unset": ["A", "A_*"], "quit": ["C-d"]}),
            json!({"mcp": {"args": ["${compere:quoted}", {"a": "${socket}"}], "env": {"A": ["${identity}"]}}}),
            json!({"mcp": {"files": {"a-1.json": {"b": "${identity}"}}}, "size": {"rows": 40, "cols": 120}}),
            json!({"first_message": {"args": ["--prompt=${message}"], "place": "first"}}),
            json!({"session": {"args": ["-s", "${session}"], "resume": ["-r${session}"]}, "on_exit": {"restart": "failed"}}),
        ] {
            assert_eq!(verdict(changes), "good");
        }
    }

    #[test]
    fn names_are_plain() {
        for (name, good) in [
            ("claude", true),
            ("a.b-c_1", true),
            ("", false),
            ("-a", false),
            (".a", false),
            ("A", false),
            ("a/b", false),
            ("é", false),
        ] {
            assert_eq!(is_preset_name(name), good, "{name}");
        }
    }
}
