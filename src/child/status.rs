//! What a program says of itself beside its text: directory, notifications, progress, prompt marks and the Program
//! Status Protocol. Reads the operating system commands (OSC) that say so; does not know what anybody concludes.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::{Deserialize, Serialize};

use super::plain::{is_plain_text, plain};

/// All that a program has said. Every text in it is plain and bounded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// OSC 7: where a shell says that it is.
    pub cwd: Option<String>,
    /// OSC 9 and 777: how many notifications there were.
    pub notifications: u64,
    /// The newest of them.
    pub last_notification: Option<String>,
    /// OSC 9;4: how far it is, while it says so.
    pub progress: Option<Progress>,
    /// OSC 133: where a shell is between its prompt and the end of a command.
    pub prompt: Option<PromptMark>,
    /// OSC 7501: its own state.
    pub status: Option<ProgramStatus>,
    /// OSC 7501: the states of its parts by their ids, oldest news first.
    pub parts: Vec<(String, ProgramStatus)>,
}

/// One record of the Program Status Protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramStatus {
    /// What it is doing.
    pub state: ProgramState,
    /// Which program, in its own words.
    pub app: Option<String>,
    /// What it is blocked on: `permission`.
    pub kind: Option<String>,
    /// For a person: "approve Bash: rm -r build".
    pub msg: Option<String>,
}

/// A state of the Program Status Protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProgramState {
    /// Waits for a new task.
    Idle,
    /// Busy.
    Working,
    /// Has finished its task.
    Done,
    /// Waits for a person.
    Blocked,
    /// Has failed.
    Error,
    /// A word that we do not know.
    Other(String),
}

impl std::fmt::Display for ProgramStatus {
    /// The state, and what it is blocked on, as the protocol writes them: `blocked permission`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match &self.state {
            ProgramState::Idle => "idle",
            ProgramState::Working => "working",
            ProgramState::Done => "done",
            ProgramState::Blocked => "blocked",
            ProgramState::Error => "error",
            ProgramState::Other(word) => word,
        };
        f.write_str(state)?;
        self.kind.iter().try_for_each(|kind| write!(f, " {kind}"))
    }
}

impl std::fmt::Display for Progress {
    /// What sort it is and, if it tells, how far: `running 50`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.state {
            ProgressState::Running => "running",
            ProgressState::Failed => "failed",
            ProgressState::Indeterminate => "indeterminate",
            ProgressState::Paused => "paused",
        })?;
        self.percent.iter().try_for_each(|percent| write!(f, " {percent}"))
    }
}

/// How far a program is (ConEmu's and Windows Terminal's OSC 9;4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What sort of progress.
    pub state: ProgressState,
    /// 0 to 100; none when it cannot tell.
    pub percent: Option<u8>,
}

/// The second number of OSC 9;4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProgressState {
    /// It goes on.
    Running,
    /// It failed there.
    Failed,
    /// It goes on, nobody knows how far.
    Indeterminate,
    /// It stands still.
    Paused,
}

/// The newest mark of a shell (FinalTerm's OSC 133).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PromptMark {
    /// A: the prompt begins.
    Prompt,
    /// B: the prompt has ended, what follows is typed.
    Input,
    /// C: a command runs.
    Running,
    /// D: it has ended, perhaps with this code.
    Done(Option<i32>),
}

impl std::fmt::Display for PromptMark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PromptMark::Prompt => f.write_str("prompt"),
            PromptMark::Input => f.write_str("input"),
            PromptMark::Running => f.write_str("running"),
            PromptMark::Done(None) => f.write_str("done"),
            PromptMark::Done(Some(code)) => write!(f, "done {code}"),
        }
    }
}

/// What an OSC did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// None of ours.
    Nothing,
    /// Something new is known.
    News,
    /// OSC 7501;?: the program asks whether anybody listens.
    StatusQuery,
}

impl Told {
    /// Takes one OSC, as vte splits it at each semicolon.
    pub(super) fn osc(&mut self, params: &[&[u8]]) -> Heard {
        let Some((&command, rest)) = params.split_first() else { return Heard::Nothing };
        match (command, rest) {
            (b"7", [_, ..]) => self.cwd = cwd(&rest.join(&b';')),
            (b"9", [b"4", rest @ ..]) => self.progress = progress(rest),
            // ConEmu's others: 9;1;ms sleeps, 9;9;path is a directory …
            (b"9", [number, _, ..]) if number.len() < 3 && number.iter().all(u8::is_ascii_digit) => {
                return Heard::Nothing;
            }
            (b"9", [_, ..]) => self.notify(&rest.join(&b';')),
            (b"777", [b"notify", rest @ ..]) => self.notify(&rest.join(&b": "[..])),
            (b"133", [mark, rest @ ..]) => match prompt(mark, rest) {
                Some(mark) => self.prompt = Some(mark),
                None => return Heard::Nothing,
            },
            (b"7501", [b"?"]) => return Heard::StatusQuery,
            (b"7501", [_, ..]) => self.record(&rest.join(&b';')),
            _ => return Heard::Nothing,
        }
        Heard::News
    }

    /// Could a program have said it? For what comes from a file.
    pub(super) fn is_sound(&self) -> bool {
        let plain = |text: &Option<String>, max| text.as_ref().is_none_or(|text| is_plain_text(text, max));
        let status = |status: &ProgramStatus| {
            let word = match &status.state {
                ProgramState::Other(word) => is_plain_text(word, WORD_MAX),
                _ => true,
            };
            word && plain(&status.app, WORD_MAX)
                && plain(&status.kind, WORD_MAX)
                && plain(&status.msg, MESSAGE_MAX)
        };
        plain(&self.cwd, PATH_MAX)
            && plain(&self.last_notification, NOTIFICATION_MAX)
            && self.progress.and_then(|progress| progress.percent).is_none_or(|percent| percent <= 100)
            && self.status.iter().all(status)
            && self.parts.len() <= PARTS_MAX
            && self.parts.iter().all(|(id, part)| is_plain_text(id, WORD_MAX) && status(part))
    }

    fn notify(&mut self, text: &[u8]) {
        self.notifications += 1;
        self.last_notification = Some(plain(&String::from_utf8_lossy(text), NOTIFICATION_MAX));
    }

    /// `key=value` joined by colons. Without `id` it is the program's own state; each record replaces the one before.
    fn record(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        let value = |key: &str| {
            text.split(':').filter_map(|pair| pair.split_once('=')).find(|(k, _)| *k == key).map(|(_, v)| v)
        };
        let word = |key: &str| value(key).map(|v| plain(v, WORD_MAX)).filter(|v| !v.is_empty());
        let Some(state) = word("state") else { return };
        let id = word("id");
        if let Some(id) = &id {
            self.parts.retain(|(part, _)| part != id);
        } else {
            self.status = None;
        }
        if state == "clear" {
            return;
        }
        let state = match state.as_str() {
            "idle" => ProgramState::Idle,
            "working" => ProgramState::Working,
            "done" => ProgramState::Done,
            "blocked" => ProgramState::Blocked,
            "error" => ProgramState::Error,
            _ => ProgramState::Other(state),
        };
        let msg = value("msg").and_then(|v| BASE64.decode(v).ok()).map(|mut bytes| {
            bytes.truncate(MESSAGE_MAX);
            let text = String::from_utf8_lossy(&bytes).replace(['\n', '\t'], " ");
            plain(text.trim_end_matches('\u{fffd}'), MESSAGE_MAX)
        });
        let status = ProgramStatus { state, app: word("app"), kind: word("kind"), msg };
        match id {
            None => self.status = Some(status),
            Some(id) => {
                if self.parts.len() == PARTS_MAX {
                    self.parts.remove(0);
                }
                self.parts.push((id, status));
            }
        }
    }
}

/// Characters of a notification.
const NOTIFICATION_MAX: usize = 256;
/// Characters of an id, a kind, a name.
const WORD_MAX: usize = 64;
/// Bytes of a message, decoded.
const MESSAGE_MAX: usize = 1024;
/// Bytes of a path: Linux's PATH_MAX.
const PATH_MAX: usize = 4096;
/// Records by id. A program that never clears them loses its oldest.
const PARTS_MAX: usize = 32;

/// Some senders pad, some do not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// `file://host/path`, percent-encoded. One with characters that must not be shown is as good as none.
fn cwd(url: &[u8]) -> Option<String> {
    let path = url.strip_prefix(b"file://")?;
    let path = &path[path.iter().position(|&b| b == b'/')?..];
    let mut bytes = Vec::with_capacity(path.len().min(PATH_MAX));
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|hex| u8::from_str_radix(str::from_utf8(hex).ok()?, 16).ok());
        match code {
            Some(code) if *first == b'%' => {
                bytes.push(code);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    let path = String::from_utf8(bytes).ok()?;
    (path.len() <= PATH_MAX && plain(&path, PATH_MAX) == path).then_some(path)
}

fn progress(params: &[&[u8]]) -> Option<Progress> {
    let number = |at: usize| str::from_utf8(params.get(at)?).ok()?.parse::<u32>().ok();
    let percent = number(1).map(|n| n.min(100) as u8);
    let state = match number(0)? {
        1 => ProgressState::Running,
        2 => ProgressState::Failed,
        3 => return Some(Progress { state: ProgressState::Indeterminate, percent: None }),
        4 => ProgressState::Paused,
        _ => return None,
    };
    Some(Progress { state, percent })
}

fn prompt(mark: &[u8], rest: &[&[u8]]) -> Option<PromptMark> {
    Some(match mark {
        b"A" => PromptMark::Prompt,
        b"B" => PromptMark::Input,
        b"C" => PromptMark::Running,
        b"D" => PromptMark::Done(rest.first().and_then(|code| str::from_utf8(code).ok()?.parse().ok())),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(commands: &[&str]) -> Told {
        let mut told = Told::default();
        for command in commands {
            let params: Vec<&[u8]> = command.split(';').map(str::as_bytes).collect();
            told.osc(&params);
        }
        told
    }

    #[track_caller]
    fn root(command: &str, state: ProgramState, kind: Option<&str>, msg: Option<&str>) {
        let status = told(&[command]).status.unwrap();
        assert_eq!((status.state, status.kind.as_deref(), status.msg.as_deref()), (state, kind, msg));
    }

    #[test]
    fn a_program_tells_its_state() {
        root("7501;state=idle", ProgramState::Idle, None, None);
        root("7501;state=working:app=claude", ProgramState::Working, None, None);
        root("7501;app=x:state=done:msg=aGk", ProgramState::Done, None, Some("hi"));
        root(
            "7501;state=blocked:kind=permission:msg=YXBwcm92ZSBCYXNoOiBscw==",
            ProgramState::Blocked,
            Some("permission"),
            Some("approve Bash: ls"),
        );
        root("7501;state=error:msg=!!", ProgramState::Error, None, None);
        root("7501;state=pondering", ProgramState::Other("pondering".into()), None, None);
        let long = format!("7501;state=blocked:msg={}", "QUJD".repeat(1000));
        assert_eq!(told(&[&long]).status.unwrap().msg.unwrap().len(), MESSAGE_MAX);
        assert_eq!(told(&["7501;app=claude"]).status, None);
        assert_eq!(told(&["7501;state=idle", "7501;state=clear"]).status, None);
        assert_eq!(Told::default().osc(&[b"7501", b"?"]), Heard::StatusQuery);
    }

    #[test]
    fn parts_are_kept_by_id_and_the_oldest_goes_first() {
        let told = |commands: &[&str]| told(commands).parts.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        assert_eq!(
            told(&["7501;state=idle:id=a", "7501;state=idle:id=b", "7501;id=a:state=done"]),
            ["b", "a"]
        );
        assert_eq!(told(&["7501;state=idle:id=a", "7501;state=clear:id=a"]), [""; 0]);
        let many: Vec<String> = (0..40).map(|n| format!("7501;state=idle:id={n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let kept = told(&many);
        assert_eq!((kept.len(), kept[0].as_str(), kept[31].as_str()), (32, "8", "39"));
    }

    #[test]
    fn a_shell_tells_its_directory_and_its_prompt() {
        for (command, path) in [
            ("7;file://host/home/a%20b/%c3%a9;x", Some("/home/a b/é;x")),
            ("7;file:///", Some("/")),
            ("7;file:///100%", Some("/100%")),
            ("7;/home", None),
            ("7;file://host", None),
            ("7;file:///a%1bb", None),
            ("7;file:///%ff", None),
        ] {
            assert_eq!(told(&[command]).cwd.as_deref(), path, "{command}");
        }
        for (command, mark) in [
            ("133;A", Some(PromptMark::Prompt)),
            ("133;A;k=s", Some(PromptMark::Prompt)),
            ("133;B", Some(PromptMark::Input)),
            ("133;C", Some(PromptMark::Running)),
            ("133;D", Some(PromptMark::Done(None))),
            ("133;D;130", Some(PromptMark::Done(Some(130)))),
            ("133;Z", None),
        ] {
            assert_eq!(told(&[command]).prompt, mark, "{command}");
        }
    }

    #[test]
    fn notifications_are_counted_and_progress_is_not_one() {
        let notified =
            told(&["9;build; done", "777;notify;Title;body\u{1b}", "9;4;1;50", "9;1;100", "9;9;/x"]);
        assert_eq!((notified.notifications, notified.last_notification.as_deref()), (2, Some("Title: body")));
        let long = format!("9;{}", "x".repeat(5000));
        assert_eq!(told(&[&long]).last_notification.unwrap().len(), 256);
        for (command, state, percent) in [
            ("9;4;1;50", ProgressState::Running, Some(50)),
            ("9;4;1;900", ProgressState::Running, Some(100)),
            ("9;4;2", ProgressState::Failed, None),
            ("9;4;3;7", ProgressState::Indeterminate, None),
            ("9;4;4;7", ProgressState::Paused, Some(7)),
        ] {
            assert_eq!(told(&[command]).progress, Some(Progress { state, percent }), "{command}");
        }
        assert_eq!(told(&["9;4;1;50", "9;4;0"]).progress, None);
    }
}
