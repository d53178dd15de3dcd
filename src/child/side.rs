//! A second, small parser beside the emulator's, for the sequences that never reach it: questions it would leave
//! unanswered, and what a program says of itself.
//!
//! Sources: xterm's ctlseqs (DA3, DECXCPR, DECRQSS, XTVERSION, window operations), ConEmu's OSC 9;4, the Program
//! Status Protocol (OSC 7501) as claude and codex speak it.

use std::collections::BTreeMap;

use alacritty_terminal::vte::{Params, Perform};
use base64::{Engine, engine::general_purpose::STANDARD};

/// What a program says it is doing, by OSC 7501.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramStatus {
    /// `idle`, `working`, `done`, `blocked`, `error`.
    pub state: String,
    /// What kind of blocked: `permission`.
    pub kind: Option<String>,
    /// In its own words.
    pub message: Option<String>,
}

/// What must be done for a sequence before the emulator goes on, in order with its own answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Answer with this.
    Answer(Vec<u8>),
    /// Answer with where the cursor is (DECXCPR).
    CursorPosition,
    /// Answer with the title (21 t).
    Title,
    /// Answer with the size of the screen in cells (19 t).
    ScreenSize,
    /// Answer with a setting (DECRQSS).
    Setting(Vec<u8>),
    /// Soft reset (DECSTR).
    SoftReset,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// What is to be done now; parsing stops at each.
    pub(super) act: Option<Act>,
    records: BTreeMap<String, ProgramStatus>,
    query: Query,
}

/// The DCS being read, if it is a question.
#[derive(Debug, Default)]
enum Query {
    #[default]
    None,
    Setting(Vec<u8>),
    Capability(Vec<u8>),
}

impl Side {
    const MAX_RECORDS: usize = 32;
    const MAX_FIELD: usize = 64;
    const MAX_MESSAGE: usize = 1024;
    const MAX_QUERY: usize = 256;

    /// The program's own record, if it has one.
    pub(super) fn status(&self) -> Option<&ProgramStatus> {
        self.records.get("")
    }

    fn answer(&mut self, bytes: impl Into<Vec<u8>>) {
        self.act = Some(Act::Answer(bytes.into()));
    }

    /// `key=value` joined by `:`; no `id` is the program's own record, and `state=clear` removes one.
    fn program_status(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        let fields: BTreeMap<&str, &str> =
            text.split(':').filter_map(|field| field.split_once('=')).collect();
        let short = |value: &&str| {
            value.chars().filter(|c| !c.is_control()).take(Self::MAX_FIELD).collect::<String>()
        };
        let Some(state) = fields.get("state").map(short) else { return };
        let id = fields.get("id").map(short).unwrap_or_default();
        if state == "clear" {
            self.records.remove(&id);
            return;
        }
        if self.records.len() >= Self::MAX_RECORDS && !self.records.contains_key(&id) {
            return;
        }
        let message = fields.get("msg").and_then(|message| STANDARD.decode(message).ok());
        let message = message.map(|bytes| {
            let text = String::from_utf8_lossy(&bytes);
            text[..text.floor_char_boundary(Self::MAX_MESSAGE)].to_owned()
        });
        self.records.insert(id, ProgramStatus { state, kind: fields.get("kind").map(short), message });
    }
}

impl Perform for Side {
    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        if ignore {
            return;
        }
        let first = params.iter().next().and_then(|param| param.first()).copied().unwrap_or(0);
        match (intermediates, action, first) {
            ([b'>'], 'q', 0) => self.answer(format!("\x1bP>|compere {}\x1b\\", env!("CARGO_PKG_VERSION"))),
            ([b'='], 'c', 0) => self.answer("\x1bP!|00000000\x1b\\"),
            ([b'?'], 'n', 6) => self.act = Some(Act::CursorPosition),
            // We say that we are dark: programs then choose colours that can be read on a terminal's usual ground.
            ([b'?'], 'n', 996) => self.answer("\x1b[?997;1n"),
            // The size of a cell in pixels, as the kernel's window size tells it too.
            ([], 't', 16) => self.answer("\x1b[6;16;8t"),
            ([], 't', 19) => self.act = Some(Act::ScreenSize),
            ([], 't', 20) => self.answer("\x1b]L\x1b\\"),
            ([], 't', 21) => self.act = Some(Act::Title),
            ([b'!'], 'p', _) => self.act = Some(Act::SoftReset),
            _ => {}
        }
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _bell: bool) {
        match params {
            [b"7501", b"?"] => self.answer("\x1b]7501;?\x1b\\"),
            [b"7501", text] => self.program_status(text),
            _ => {}
        }
    }

    fn hook(&mut self, _params: &Params, intermediates: &[u8], _ignore: bool, action: char) {
        self.query = match (intermediates, action) {
            ([b'$'], 'q') => Query::Setting(Vec::new()),
            ([b'+'], 'q') => Query::Capability(Vec::new()),
            _ => Query::None,
        };
    }

    fn put(&mut self, byte: u8) {
        if let Query::Setting(text) | Query::Capability(text) = &mut self.query
            && text.len() < Self::MAX_QUERY
        {
            text.push(byte);
        }
    }

    fn unhook(&mut self) {
        match std::mem::take(&mut self.query) {
            Query::None => {}
            Query::Setting(text) => self.act = Some(Act::Setting(text)),
            // No terminfo of ours could be asked for: none of it is known.
            Query::Capability(text) => {
                let text: String =
                    text.iter().map(|byte| char::from(*byte)).filter(char::is_ascii_alphanumeric).collect();
                self.answer(format!("\x1bP0+r{text}\x1b\\"));
            }
        }
    }

    fn terminated(&self) -> bool {
        self.act.is_some()
    }
}

#[cfg(test)]
mod tests {
    use alacritty_terminal::vte::Parser;

    use super::*;

    fn told(bytes: &str) -> Side {
        let (mut side, mut parser) = (Side::default(), Parser::<1024>::new());
        parser.advance(&mut side, bytes.as_bytes());
        side
    }

    #[test]
    fn a_program_says_what_it_does() {
        let side = told("\x1b]7501;state=blocked:kind=permission:msg=YXBwcm92ZSBCYXNo\x1b\\");
        let status = side.status().unwrap();
        assert_eq!((&*status.state, status.kind.as_deref()), ("blocked", Some("permission")));
        assert_eq!(status.message.as_deref(), Some("approve Bash"));
        let side = told("\x1b]7501;state=working\x07\x1b]7501;state=idle:id=7\x07");
        assert_eq!(side.status().unwrap().state, "working", "another record is not the program's own");
        assert_eq!(told("\x1b]7501;state=idle\x07\x1b]7501;state=clear\x07").status(), None);
        assert_eq!(told("\x1b]7501;nonsense\x07").status(), None);
    }

    #[test]
    fn its_records_have_a_bound() {
        let many: String = (0..100).map(|id| format!("\x1b]7501;state=idle:id={id}\x07")).collect();
        assert_eq!(told(&many).records.len(), Side::MAX_RECORDS);
    }
}
