//! Which session of its own a program is in: read off the files it has open and off its screen, by a preset's signs.
//! Knows no program.

use std::sync::Arc;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pattern::pattern;
use crate::proc;

/// Where a program shows its session's id: regular expressions (Rust's `regex` syntax) with a group named `session`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SessionSigns {
    /// On the path of a file that the program or one of its processes has open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// On its screen when it has ended: many programs say last how they are gone on with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub screen: Option<String>,
}

/// The group that holds the id.
pub const GROUP: &str = "session";

/// Looks where a preset says, and tells what is new.
#[derive(Debug)]
pub(super) struct Search {
    file: Option<Arc<Regex>>,
    screen: Option<Arc<Regex>>,
    known: Option<String>,
}

impl Search {
    /// A preset's patterns are checked when it is read; one that does not compile finds nothing.
    pub(super) fn new(signs: &SessionSigns) -> Self {
        let compile = |text: &Option<String>| pattern(text.as_ref()?);
        Search { file: compile(&signs.file), screen: compile(&signs.screen), known: None }
    }

    /// Among the files that the child has open.
    pub(super) fn open_files(&mut self, child: i32) -> Option<String> {
        let pattern = self.file.as_ref()?;
        let paths = proc::family(child).into_iter().flat_map(proc::open_files);
        // A program that has begun another session may not have closed the old one's file yet; the newer one sorts last,
        // since these ids and names begin with the time.
        let found = paths.filter_map(|path| id(pattern, &path)).max()?;
        self.news(found)
    }

    /// On the screen of one that has ended.
    pub(super) fn last_words(&mut self, screen: &str) -> Option<String> {
        let found = id(self.screen.as_ref()?, screen)?;
        self.news(found)
    }

    fn news(&mut self, found: String) -> Option<String> {
        (self.known.as_ref() != Some(&found)).then(|| self.known.insert(found).clone())
    }
}

/// Characters of an id. It becomes an argument, so it cannot look like a flag either.
const MAX_ID: usize = 128;

fn id(pattern: &Regex, text: &str) -> Option<String> {
    let found = pattern.captures_iter(text).last()?.name(GROUP)?.as_str();
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (found.len() <= MAX_ID
        && found.starts_with(|c: char| c.is_ascii_alphanumeric())
        && found.chars().all(sound))
    .then(|| found.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[track_caller]
    fn check(pattern: &str, text: &str, found: Option<&str>) {
        assert_eq!(id(&Regex::new(pattern).unwrap(), text).as_deref(), found, "{text:?}");
    }

    #[test]
    fn an_id_is_the_last_one_seen_and_never_a_flag() {
        let resume = r"codex resume (?P<session>\S+)";
        check(resume, "To continue this session, run:\n  codex resume 01a213c6-452b", Some("01a213c6-452b"));
        check(resume, "codex resume a\ncodex resume b", Some("b"));
        check(resume, "codex resume --dangerous", None);
        check(resume, "codex resume a;rm", None);
        check(resume, &format!("codex resume {}", "a".repeat(129)), None);
        check(resume, "codex", None);
    }

    #[test]
    fn an_open_file_names_the_session_and_is_told_of_once() {
        let dir = tempfile::tempdir().unwrap();
        let signs = SessionSigns {
            file: Some(r"/rollout-[\dT-]*(?P<session>[0-9a-f]{4})\.jsonl$".into()),
            screen: None,
        };
        let mut search = Search::new(&signs);
        let me = std::process::id() as i32;
        assert_eq!(search.open_files(me), None);
        let _file = fs::File::create(dir.path().join("rollout-2026-01-02T03-01a2.jsonl")).unwrap();
        assert_eq!(search.open_files(me).as_deref(), Some("01a2"));
        assert_eq!(search.open_files(me), None);
        let _newer = fs::File::create(dir.path().join("rollout-2026-01-02T04-01b0.jsonl")).unwrap();
        assert_eq!(search.open_files(me).as_deref(), Some("01b0"));
    }

    #[test]
    fn a_file_that_a_grandchild_has_open_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s-abc.log");
        let script = r#"sh -c 'exec 9>"$0"; echo open; read -r wait' "$0""#;
        let mut child = std::process::Command::new("sh")
            .args(["-c", &format!("{script}; :")])
            .arg(&path)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = [0; 5];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
        let signs = SessionSigns { file: Some(r"/s-(?P<session>\w+)\.log$".into()), screen: None };
        assert_eq!(Search::new(&signs).open_files(child.id() as i32).as_deref(), Some("abc"));
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
