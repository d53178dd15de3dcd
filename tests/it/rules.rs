//! Rules of the source and of what hosts are shown, which nothing else would hold.

use std::path::{Path, PathBuf};

use compere::tools;
use serde_json::{Value, json};

/// The order of knowledge: each module uses only what stands to its left.
const ORDER: [&str; 15] = [
    "id", "fault", "proc", "keeper", "child", "preset", "journal", "registry", "tools", "ipc", "attach",
    "front", "broker", "cli", "main",
];

/// Where each outside crate may be named, as beginnings of paths below `src`.
const PLACES: [(&str, &[&str]); 6] = [
    ("portable_pty", &["keeper"]),
    ("alacritty_terminal", &["child"]),
    ("rusqlite", &["journal"]),
    ("rmcp", &["tools", "broker"]),
    ("ratatui", &["cli"]),
    ("crossterm", &["cli"]),
];

/// All that a host is told of the tools costs every conversation this much, in bytes.
const MAX_TOLD: usize = 14_000;
/// And what it tells its model of that, in tokens.
const MAX_TOKENS: usize = 2_500;

struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// The first word of its path: the module of the crate that it belongs to.
    fn module(&self) -> &str {
        let first = self.path.iter().next().unwrap().to_str().unwrap();
        first.trim_end_matches(".rs")
    }

    /// Its lines without comments and without its own tests.
    fn code(&self) -> impl Iterator<Item = &str> {
        let lines = self.text.lines().take_while(|line| *line != "#[cfg(test)]");
        lines.filter(|line| !line.trim_start().starts_with("//"))
    }
}

fn sources() -> Vec<Source> {
    fn walk(dir: &Path, root: &Path, found: &mut Vec<Source>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push(Source { path: path.strip_prefix(root).unwrap().to_owned(), text });
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    found
}

/// The modules of the crate that this code names: `crate::x` wherever, and each `x` of `use crate::{x…, y…}`.
fn used(code: &str) -> Vec<String> {
    let word =
        |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let mut used = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if !rest.starts_with('{') {
            used.push(word(rest));
            continue;
        }
        let (mut depth, mut begins) = (0, false);
        for (at, c) in rest.char_indices() {
            match c {
                '{' => {
                    depth += 1;
                    begins = depth == 1;
                }
                '}' => depth -= 1,
                ',' => begins = depth == 1,
                c if c.is_alphanumeric() && begins => {
                    begins = false;
                    used.push(word(&rest[at..]));
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    used
}

#[test]
fn what_a_use_names_is_found() {
    assert_eq!(
        used(
            "use crate::id::X; use crate::{\n  child::{A, b::C},\n  keeper::{self, d},\n  id,\n}; x(crate::cli::y)"
        ),
        ["id", "child", "keeper", "id", "cli"]
    );
}

#[test]
fn a_module_knows_only_what_stands_to_its_left() {
    let rank = |module: &str| ORDER.iter().position(|known| *known == module);
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.module() != "lib") {
        let own = rank(source.module()).unwrap_or_else(|| panic!("{} is not in ORDER", source.module()));
        let code: String = source.code().flat_map(|line| [line, "\n"]).collect();
        for name in used(&code) {
            // What the crate's root has besides modules is nobody's to use.
            let other = rank(&name).unwrap_or(usize::MAX);
            if other > own {
                wrong.push(format!("{} uses {name}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn an_outside_crate_is_named_only_where_it_belongs() {
    let mut wrong = Vec::new();
    for (outside, places) in PLACES {
        for source in sources() {
            let allowed = places.iter().any(|place| source.path.starts_with(place));
            if !allowed && source.code().any(|line| line.contains(&format!("{outside}::"))) {
                wrong.push(format!("{} names {outside}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Each is code that we did not write and everybody compiles, so one that comes in is named here too.
const DEPENDENCIES: [&str; 28] = [
    "alacritty_terminal",
    "base64",
    "chrono",
    "clap",
    "clap_complete",
    "crossterm",
    "etcetera",
    "futures",
    "hex",
    "memchr",
    "portable-pty",
    "rand",
    "ratatui",
    "regex",
    "rmcp",
    "rusqlite",
    "rustix",
    "schemars",
    "serde",
    "serde_json",
    "sha2",
    "signal-hook",
    "thiserror",
    "tokio",
    "tokio-util",
    "tracing",
    "tracing-subscriber",
    "unicode-width",
];

#[test]
fn what_we_depend_on_is_named() {
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let (_, rest) = manifest.split_once("[dependencies]\n").unwrap();
    let (listed, _) = rest.split_once("\n[").unwrap();
    let listed: Vec<&str> = listed.lines().filter_map(|line| Some(line.split_once(" = ")?.0)).collect();
    assert_eq!(listed, DEPENDENCIES);
}

#[test]
fn every_point_of_failure_is_in_the_list_and_in_the_program() {
    let named = |text: &str, before: &str| -> Vec<String> {
        let names = text.split(before).skip(1).filter_map(|rest| rest.split('"').next());
        names.map(str::to_owned).collect()
    };
    let sources = sources();
    let (listing, others): (Vec<&Source>, Vec<&Source>) =
        sources.iter().partition(|source| source.module() == "fault");
    let list = listing[0].text.split_once("POINTS: &[&str] = &[").unwrap().1.split_once("];").unwrap().0;
    let mut listed = named(list, "        \"");
    let mut placed: Vec<String> = others
        .iter()
        .flat_map(|source| ["fault::point!(\"", "fault::failure!(\""].map(|word| named(&source.text, word)))
        .flatten()
        .collect();
    listed.sort();
    placed.sort();
    assert_eq!(listed, placed);
}

#[test]
fn no_file_is_too_long_to_be_read_at_once() {
    const MAX: usize = 500;
    let long: Vec<String> = sources()
        .iter()
        .filter(|source| source.text.lines().count() > MAX)
        .map(|source| source.path.display().to_string())
        .collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let silent: Vec<PathBuf> = sources()
        .into_iter()
        .filter(|source| !source.text.starts_with("//!"))
        .map(|source| source.path)
        .collect();
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn every_tool_has_its_file_and_every_file_its_tool() {
    let mut names: Vec<String> = tools::list().iter().map(|tool| tool.name.to_string()).collect();
    names.sort();
    let mut files: Vec<String> = sources()
        .iter()
        .filter(|source| source.path.starts_with("tools") && source.text.contains("#[tool("))
        .map(|source| source.path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    files.sort();
    assert_eq!(names, files);
}

#[test]
fn every_tools_schema_is_one_that_all_hosts_take() {
    for tool in tools::list() {
        let schema = Value::Object((*tool.input_schema).clone());
        assert_eq!(schema["type"], "object", "{}", tool.name);
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            assert!(property["description"].is_string(), "{}.{name} is not described", tool.name);
        }
        portable(&tool.name, &schema);
    }
}

/// Nothing in it that some host stumbles over.
fn portable(at: &str, schema: &Value) {
    match schema {
        Value::Object(object) => {
            assert!(!object.get("format").is_some_and(Value::is_string), "{at} has a format");
            assert!(!object.get("type").is_some_and(Value::is_array), "{at} has several types");
            for (name, value) in object {
                portable(&format!("{at}.{name}"), value);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| portable(at, value)),
        value => assert!(!(at.ends_with(".enum") && value.is_null()), "{at} has null among its words"),
    }
}

#[test]
fn every_tool_says_what_it_does_and_what_it_may_change() {
    for tool in tools::list() {
        let about = tool.description.as_deref().unwrap_or_default();
        assert!((40..=400).contains(&about.len()), "{}: {} characters", tool.name, about.len());
        let hints = tool.annotations.as_ref().unwrap();
        assert!(hints.title.is_some() && hints.read_only_hint.is_some() && hints.open_world_hint.is_some());
    }
}

#[test]
fn the_tools_as_hosts_are_told_of_them() {
    let tools: Vec<Value> = tools::list()
        .iter()
        .map(|tool| json!({"name": tool.name, "description": tool.description, "input": *tool.input_schema}))
        .collect();
    insta::assert_snapshot!(serde_json::to_string_pretty(&tools).unwrap());
}

#[test]
fn what_hosts_are_told_of_the_tools_costs_little() {
    let told = serde_json::to_string(&tools::list()).unwrap().len();
    eprintln!("{told} bytes");
    assert!(told <= MAX_TOLD, "{told} bytes are told of the tools; {MAX_TOLD} are the most");
}

#[test]
fn what_models_are_told_of_the_tools_costs_little() {
    let tokenizer = tiktoken_rs::o200k_base().unwrap();
    let tokens = |tool: &rmcp::model::Tool| {
        let told =
            json!({"name": tool.name, "description": tool.description, "input_schema": *tool.input_schema});
        tokenizer.encode_ordinary(&told.to_string()).len()
    };
    let told: usize = tools::list().iter().map(tokens).sum();
    eprintln!("{told} tokens");
    assert!(told <= MAX_TOKENS, "{told} tokens are told of the tools; {MAX_TOKENS} are the most");
}

#[test]
fn the_readmes_table_is_the_list_of_tools() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let name = |line: &str| Some(line.strip_prefix("| `")?.split_once("` |")?.0.to_owned());
    // The first table whose rows begin with a name of a tool.
    let mut names: Vec<String> = readme
        .lines()
        .map(name)
        .skip_while(|name| name.as_ref().is_none_or(|name| name != "spawn"))
        .map_while(|name| name)
        .collect();
    names.sort();
    let mut tools: Vec<String> = tools::list().iter().map(|tool| tool.name.to_string()).collect();
    tools.sort();
    assert_eq!(names, tools);
}

/// Each process, and so each keeper, would else make pages of its own of what is to be relocated.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn the_program_has_an_address_of_its_own() {
    const ET_EXEC: [u8; 2] = [2, 0];
    let program = std::fs::read(env!("CARGO_BIN_EXE_compere")).unwrap();
    assert_eq!(program[16..18], ET_EXEC, "e_type is {:?}", &program[16..18]);
}
