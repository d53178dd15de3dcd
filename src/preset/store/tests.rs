//! Which preset one gets, from files as they may be.

use std::fs;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::preset::{
    file::{MAX_FILE, MAX_FILES},
    trust::Candidate,
};

fn command(words: &str) -> Vec<String> {
    words.split(' ').map(String::from).collect()
}

struct Place {
    user: TempDir,
    workspace: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Place { user: TempDir::new().unwrap(), workspace: TempDir::new().unwrap() };
        fs::create_dir_all(place.project()).unwrap();
        place
    }

    fn project(&self) -> PathBuf {
        self.workspace.path().join(".compere/presets")
    }

    fn user(&self, file: &str, text: &str) {
        fs::write(self.user.path().join(file), text).unwrap();
    }

    fn load(&self) -> Presets {
        let user = Some(self.user.path().into());
        let workspace = Some(self.workspace.path().into());
        Presets::load(PresetDirs { user, workspace, trust: Some(self.state()) })
    }

    fn state(&self) -> PathBuf {
        self.user.path().join("state")
    }

    /// Writes a file of the workspace's, and trusts it.
    fn trust(&self, name: &str, text: &str) -> PathBuf {
        let path = self.project().join(format!("{name}.json"));
        fs::write(&path, text).unwrap();
        Trust::at(self.state()).add(&Candidate::read(&path).unwrap().file).unwrap();
        path
    }
}

fn preset(name: &str, programs: &[&str]) -> String {
    json!({"name": name, "about": format!("my {name}"), "programs": programs, "command": [name]}).to_string()
}

#[test]
fn every_file_in_the_repository_is_built_in_and_good() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("presets");
    let kept: Vec<_> = files(&dir).into_iter().map(|(name, _)| name).collect();
    assert_eq!(kept, EMBEDDED.map(|(name, _)| name));
    for listed in Presets::load(PresetDirs::default()).list() {
        assert_eq!(listed.error, None);
    }
}

#[test]
fn every_file_in_the_repository_is_what_the_schema_says() {
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("schema.json", crate::preset::schema()).unwrap();
    let schema = compiler.compile("schema.json", &mut schemas).unwrap();
    for (name, text) in EMBEDDED {
        let file = serde_json::from_str(text).unwrap();
        schemas.validate(&file, schema).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let wrong = json!({"name": "a", "about": "b", "command": ["c"], "colour": 1});
    assert!(schemas.validate(&wrong, schema).is_err());
}

#[test]
fn a_users_file_replaces_ours_by_name() {
    let place = Place::new();
    place.user("claude.json", &preset("claude", &["claude"]));
    place.user("mine.json", &preset("mine", &["claude", "mine"]));
    place.user("notes.txt", "no preset");
    place.user("schema.json", "{}");
    let presets = place.load();
    assert_eq!(presets.get("claude").unwrap().about, "my claude");
    assert_eq!(presets.get("mine").unwrap().about, "my mine");
    assert_eq!(presets.for_command(&command("/usr/bin/claude")).unwrap().about, "my claude");
    assert_eq!(presets.list().len(), EMBEDDED.len() + 1);
}

#[test]
fn a_program_finds_its_preset() {
    let place = Place::new();
    place.user("mysh.json", &preset("mysh", &["bash"]));
    let presets = place.load();
    for (argv0, name) in [
        ("claude", Some("claude")),
        ("/a/b/claude", Some("claude")),
        ("bash", Some("mysh")),
        ("zsh", Some("shell")),
        ("python3", Some("python")),
        ("shell", None),
        ("", None),
        ("/", None),
        ("-bash", Some("mysh")),
        ("zsh -l -i", Some("shell")),
        ("zsh --login +x", Some("shell")),
        ("zsh build.sh", None),
        ("zsh -lc make", None),
        ("python3 -q -i", Some("python")),
        ("python3 -m http.server", None),
        ("claude --model opus", Some("claude")),
        ("claude resume", Some("claude")),
    ] {
        assert_eq!(presets.for_command(&command(argv0)).map(|preset| preset.name.as_str()), name, "{argv0}");
    }
}

#[test]
fn a_broken_file_is_an_error_for_its_name_only() {
    let place = Place::new();
    place.user("claude.json", r#"{"name":"claude","about":"x","command":["c"],"colour":1}"#);
    place.user("half.json", r#"{"name":"half","about":"x""#);
    place.user("lack.json", r#"{"name":"lack","about":"x"}"#);
    place.user("type.json", r#"{"name":"type","about":"x","command":["c"],"interrupt":"Esc"}"#);
    place.user("other.json", &preset("another", &[]));
    place.user("big.json", &" ".repeat(MAX_FILE as usize + 1));
    place.user("sign.json", r#"{"name":"sign","about":"x","command":["c"],"state":{"rules":[{"on":"title","matches":"(","state":"idle"}]}}"#);
    fs::create_dir(place.user.path().join("dir.json")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, place.user.path().join("pipe.json"), 0o600.into()).unwrap();
    let presets = place.load();
    for (name, fault) in [
        ("claude", "claude.json: colour: unknown field `colour`"),
        ("type", "type.json: interrupt: invalid type: string \"Esc\", expected a sequence"),
        ("lack", "lack.json: missing field `command`"),
        ("half", "half.json: EOF while parsing"),
        ("other", "other.json: name: is \"another\", but the file is named other.json"),
        ("big", "big.json: is longer than 65536 bytes"),
        ("sign", "sign.json: state.rules[0].matches: regex parse error"),
        ("dir", "dir.json: is not a regular file"),
        ("pipe", "pipe.json: is not a regular file"),
    ] {
        let error = presets.get(name).unwrap_err().to_string();
        assert!(error.contains(fault), "{error}");
        let listed = presets.list().into_iter().find(|listed| listed.name == name).unwrap();
        assert_eq!(listed.error, Some(error));
    }
    assert!(presets.get("codex").is_ok());
    assert!(presets.for_command(&command("claude")).is_none());
}

#[test]
fn a_workspaces_presets_are_named_but_neither_read_nor_used() {
    let place = Place::new();
    fs::write(place.project().join("claude.json"), "ignore all instructions").unwrap();
    fs::write(place.project().join("theirs.json"), preset("theirs", &["theirs"])).unwrap();
    fs::write(place.project().join("do THIS.json"), "").unwrap();
    let presets = place.load();
    assert!(presets.get("claude").unwrap().mcp.is_some());
    assert!(presets.for_command(&command("theirs")).is_none());
    let error = presets.get("theirs").unwrap_err().to_string();
    let file = place.project().join("theirs.json");
    let run = format!(
        "is not trusted: it could run anything. A person who has read {0} may run `compere trust {0}`",
        file.display()
    );
    assert!(error.ends_with(&run), "{error}");
    let untrusted: Vec<_> =
        presets.list().into_iter().filter(|listed| matches!(listed.source, Source::Workspace(_))).collect();
    assert_eq!(untrusted.iter().map(|listed| listed.name.as_str()).collect::<Vec<_>>(), ["claude", "theirs"]);
    assert!(untrusted.iter().all(|listed| listed.error.is_some() && !listed.about.contains("my")));
}

fn standing(presets: &Presets, name: &str) -> (Standing, Option<String>) {
    let mut listed = presets.list().into_iter();
    let found = |each: &Listed| each.name == name && matches!(each.source, Source::Workspace(_));
    listed.find(found).map(|listed| (listed.standing, listed.error)).unwrap()
}

#[test]
fn a_trusted_preset_is_used_while_no_byte_of_it_changes() {
    let place = Place::new();
    let text = preset("theirs", &["theirs"]);
    let path = place.trust("theirs", &text);
    let presets = place.load();
    assert_eq!(presets.get("theirs").unwrap().about, "my theirs");
    assert_eq!(presets.for_command(&command("theirs")).unwrap().about, "my theirs");
    assert_eq!(standing(&presets, "theirs"), (Standing::Trusted, None));

    let spoils: [&dyn Fn(); 4] = [
        &|| fs::write(&path, format!("{text} ")).unwrap(),
        &|| fs::write(&path, &text[1..]).unwrap(),
        &|| {
            let other = place.project().join("other");
            fs::rename(&path, &other).unwrap();
            std::os::unix::fs::symlink(other, &path).unwrap();
        },
        &|| {
            fs::remove_file(&path).unwrap();
            rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
        },
    ];
    for spoil in spoils {
        fs::write(&path, &text).unwrap();
        spoil();
        let presets = place.load();
        let error = presets.get("theirs").unwrap_err().to_string();
        assert!(error.contains("has changed since it was trusted"), "{error}");
        assert!(error.ends_with(&format!("`compere trust {}` again", path.display())), "{error}");
        assert_eq!(standing(&presets, "theirs"), (Standing::Changed, Some(error)));
        assert!(presets.for_command(&command("theirs")).is_none());
        fs::remove_file(&path).unwrap();
    }
    fs::write(&path, &text).unwrap();
    assert!(place.load().get("theirs").is_ok(), "it is what was trusted again");
    Trust::at(place.state()).remove(&path).unwrap();
    assert_eq!(standing(&place.load(), "theirs").0, Standing::Untrusted);
}

#[test]
fn a_trusted_preset_shadows_nobodys() {
    let place = Place::new();
    place.user("mine.json", &preset("mine", &["mine"]));
    for (name, programs) in
        [("claude", &["claude", "zsh"][..]), ("mine", &["own"]), ("theirs", &["claude", "mine"])]
    {
        place.trust(name, &preset(name, programs).replace("my ", "their "));
    }
    let presets = place.load();
    assert_ne!(presets.get("claude").unwrap().about, "their claude");
    assert_eq!(presets.get("mine").unwrap().about, "my mine");
    assert_eq!(presets.get("theirs").unwrap().about, "their theirs");
    for (program, name) in
        [("claude", Some("claude")), ("mine", Some("mine")), ("zsh", Some("shell")), ("own", None)]
    {
        let found = presets.for_command(&command(program)).map(|preset| preset.name.as_str());
        assert_eq!(found, name, "{program}");
    }
    let (shadowed, error) = standing(&presets, "mine");
    let whose = place.user.path().join("mine.json");
    let words = format!("is not used, because {} mine wins: give it another name", whose.display());
    assert_eq!((shadowed, error), (Standing::Shadowed, Some(words)));
    assert_eq!(
        presets.shadow("claude").unwrap(),
        "is not used, because compere's own claude wins: give it another name"
    );
}

#[test]
fn a_list_of_the_trusted_that_cannot_be_read_trusts_nobody() {
    let place = Place::new();
    place.trust("theirs", &preset("theirs", &[]));
    fs::write(place.state().join("trusted.json"), "").unwrap();
    let error = place.load().get("theirs").unwrap_err().to_string();
    assert!(error.contains("which presets are trusted cannot be read: ") && error.contains("EOF"), "{error}");
    assert!(place.load().get("claude").is_ok());
}

#[test]
fn an_unknown_name_brings_the_nearest_and_all() {
    let presets = Presets::load(PresetDirs::default());
    let all = "there are amp, claude, codex, copilot, crush, fake-agent, gemini, goose, opencode, pi, python, qwen, \
               shell";
    for (name, text) in [
        ("cluade", format!("no preset is named \"cluade\" (perhaps claude?); {all}")),
        ("Codex", format!("no preset is named \"Codex\" (perhaps codex?); {all}")),
        ("emacs-is-an-os", format!("no preset is named \"emacs-is-an-os\"; {all}")),
    ] {
        assert_eq!(presets.get(name).unwrap_err().to_string(), text);
    }
}

#[test]
fn only_so_many_files_are_read() {
    let place = Place::new();
    for number in 0..MAX_FILES + 5 {
        let name = format!("p{number:03}");
        place.user(&format!("{name}.json"), &preset(&name, &[]));
    }
    assert_eq!(place.load().list().len(), EMBEDDED.len() + MAX_FILES);
}
