//! What a person at a pane sees and does, as a plain value: it is told what the terminal and the broker send, and says
//! what to answer. Knows no terminal and no socket.

use super::keys::{Key, Mouse, Sent};
use crate::{
    child::{
        picture::Sheet,
        screen::{Mouse as Wanted, Wants},
    },
    id::Size,
    ipc::viewer::{FromViewer, Known, Message, ToViewer},
};

/// See the module.
pub(super) struct Pane {
    /// Of the person's terminal.
    pub(super) size: Size,
    /// How the prefix key is written, and what it sends.
    pub(super) prefix: (String, u8),
    pub(super) mode: Mode,
    pub(super) known: Known,
    /// What the child shows.
    pub(super) sheet: Sheet,
    pub(super) up: usize,
    pub(super) above: usize,
    pub(super) wants: Wants,
    pub(super) held: Vec<Message>,
    /// A word that stands until the next key.
    pub(super) notice: Option<String>,
    /// Why there is no broker, while there is none.
    pub(super) lost: bool,
}

/// Where the keys go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// To the child.
    Live,
    /// The prefix was pressed.
    Prefix,
    /// Through what has scrolled away.
    Scroll,
    /// Through what is held; at one of them.
    Held(usize),
    /// Into a line about one of them.
    Line { delivery: u64, about: About, text: String },
    /// To the question whether the child is to be ended.
    Kill,
}

/// What a line about a held message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// Why it is sent back.
    Reject,
    /// What it shall say.
    Edit,
}

/// What comes of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Send(FromViewer),
    Detach,
}

/// Rows that a step of the wheel goes.
const STEP: usize = 3;

impl Pane {
    pub(super) fn new(size: Size, prefix: (String, u8)) -> Pane {
        Pane {
            size,
            prefix,
            mode: Mode::Live,
            known: Known::default(),
            sheet: Sheet::new(Size::MIN),
            up: 0,
            above: 0,
            wants: Wants::default(),
            held: Vec::new(),
            notice: None,
            lost: false,
        }
    }

    /// What of the terminal is for the child.
    pub(super) fn room(&self) -> Size {
        Size { rows: self.size.rows.saturating_sub(1).max(1), ..self.size }
    }

    /// The broker says something. What it will not do is an end.
    pub(super) fn heard(&mut self, frame: ToViewer) -> Result<(), String> {
        match frame {
            ToViewer::Screen { size, rows, pointer, up, above, wants } => {
                let size = size.clamped();
                if self.sheet.size() != size {
                    self.sheet = Sheet::new(size);
                }
                for (at, row) in rows {
                    self.sheet.set(at.into(), row);
                }
                self.sheet.pointer = pointer;
                (self.up, self.above, self.wants) = (up, above, wants);
            }
            ToViewer::Child(known) => {
                if let Some(who) = known.person.as_ref().filter(|_| self.known.yours && !known.yours) {
                    self.notice = Some(format!("{who} has taken the input; you look on"));
                }
                if known.ended && !self.known.ended {
                    self.notice = Some(format!("it has ended: {}. Enter leaves", known.state));
                }
                self.known = known;
            }
            ToViewer::Held { messages } => {
                self.held = messages;
                match &mut self.mode {
                    Mode::Held(at) => *at = (*at).min(self.held.len().saturating_sub(1)),
                    Mode::Line { delivery, .. }
                        if !self.held.iter().any(|held| held.delivery == *delivery) =>
                    {
                        self.mode = Mode::Live;
                    }
                    _ => {}
                }
            }
            ToViewer::Word { text } => self.notice = Some(text),
            ToViewer::Refused { why } => return Err(why),
            ToViewer::Unknown => {}
        }
        Ok(())
    }

    /// The terminal sends something.
    pub(super) fn sent(&mut self, sent: Sent) -> Vec<Act> {
        if !matches!(sent, Sent::Mouse(_) | Sent::Focus(_)) {
            self.notice = None;
        }
        match sent {
            Sent::Prefix => self.prefix_key(),
            Sent::Key(key, bytes) => self.key(key, bytes),
            Sent::Paste(text) => match &mut self.mode {
                Mode::Live | Mode::Prefix => self.pass_on(FromViewer::Paste { text }),
                Mode::Line { text: line, .. } => {
                    line.push_str(&text);
                    Vec::new()
                }
                _ => Vec::new(),
            },
            Sent::Mouse(mouse) => self.mouse(mouse),
            Sent::Focus(on) if self.wants.focus && self.known.yours => {
                input(if on { b"\x1b[I" } else { b"\x1b[O" }.to_vec())
            }
            Sent::Focus(_) => Vec::new(),
        }
    }

    fn prefix_key(&mut self) -> Vec<Act> {
        if self.mode == Mode::Prefix {
            self.mode = Mode::Live;
            return self.pass_on(FromViewer::Input { bytes: vec![self.prefix.1] });
        }
        self.mode = Mode::Prefix;
        Vec::new()
    }

    fn key(&mut self, key: Key, bytes: Vec<u8>) -> Vec<Act> {
        match self.mode.clone() {
            Mode::Live => match key {
                Key::Enter | Key::Char('q') if self.known.ended => vec![Act::Detach],
                Key::PageUp if !self.known.yours => self.scroll_by(-(self.page() as isize)),
                _ => self.pass_on(FromViewer::Input { bytes }),
            },
            Mode::Prefix => self.order(key),
            Mode::Scroll => self.scroll(key),
            Mode::Held(at) => self.about_held(at, key),
            Mode::Line { delivery, about, text } => self.line(delivery, about, text, key),
            Mode::Kill => {
                self.mode = Mode::Live;
                match key {
                    Key::Char('y' | 'Y') => vec![Act::Send(FromViewer::Kill)],
                    _ => Vec::new(),
                }
            }
        }
    }

    /// A key after the prefix.
    fn order(&mut self, key: Key) -> Vec<Act> {
        self.mode = Mode::Live;
        match key {
            Key::Char('d') => vec![Act::Detach],
            Key::Char('b') if self.known.person.is_none() => {
                self.say("the input is the orchestrator's already")
            }
            Key::Char('b') => vec![Act::Send(FromViewer::GiveBack)],
            Key::Char('t') => vec![Act::Send(FromViewer::Take)],
            Key::Char('e') if self.known.held == 0 => self.say("nothing is held"),
            Key::Char('e') => vec![Act::Send(FromViewer::Deliver { delivery: None })],
            Key::Char('h') => {
                self.mode = Mode::Held(0);
                vec![Act::Send(FromViewer::Held)]
            }
            Key::Char('[') => {
                self.mode = Mode::Scroll;
                Vec::new()
            }
            Key::PageUp | Key::PageDown => {
                self.mode = Mode::Scroll;
                self.scroll(key)
            }
            Key::Char('k') if self.known.ended => self.say("it has ended already"),
            Key::Char('k') => {
                self.mode = Mode::Kill;
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn scroll(&mut self, key: Key) -> Vec<Act> {
        let page = self.page() as isize;
        match key {
            Key::Up | Key::Char('k') => self.scroll_by(-1),
            Key::Down | Key::Char('j') => self.scroll_by(1),
            Key::PageUp | Key::Char('b') => self.scroll_by(-page),
            Key::PageDown | Key::Char(' ' | 'f') => self.scroll_by(page),
            Key::Home | Key::Char('g') => self.scroll_to(self.above),
            _ => {
                self.mode = Mode::Live;
                self.scroll_to(0)
            }
        }
    }

    fn scroll_by(&mut self, rows: isize) -> Vec<Act> {
        self.scroll_to(self.up.saturating_add_signed(-rows).min(self.above))
    }

    fn scroll_to(&mut self, up: usize) -> Vec<Act> {
        match (&self.mode, up) {
            (Mode::Live, 1..) => self.mode = Mode::Scroll,
            (Mode::Scroll, 0) => self.mode = Mode::Live,
            _ => {}
        }
        if up == self.up {
            return Vec::new();
        }
        // Before the broker has said so, for the next step to be one from here.
        self.up = up;
        vec![Act::Send(FromViewer::Scroll { up })]
    }

    fn about_held(&mut self, at: usize, key: Key) -> Vec<Act> {
        let Some(message) = self.held.get(at) else {
            self.mode = Mode::Live;
            return Vec::new();
        };
        let delivery = message.delivery;
        match key {
            Key::Up | Key::Char('k') => self.mode = Mode::Held(at.saturating_sub(1)),
            Key::Down | Key::Char('j') => self.mode = Mode::Held((at + 1).min(self.held.len() - 1)),
            Key::Char('d') | Key::Enter => {
                return vec![Act::Send(FromViewer::Deliver { delivery: Some(delivery) })];
            }
            Key::Char('r') => {
                self.mode = Mode::Line { delivery, about: About::Reject, text: String::new() };
            }
            Key::Char('e') => {
                self.mode = Mode::Line { delivery, about: About::Edit, text: message.text.clone() };
            }
            _ => self.mode = Mode::Live,
        }
        Vec::new()
    }

    fn line(&mut self, delivery: u64, about: About, mut text: String, key: Key) -> Vec<Act> {
        match key {
            Key::Char(c) => text.push(c),
            Key::Backspace => drop(text.pop()),
            Key::Enter => {
                self.mode = Mode::Held(0);
                return vec![Act::Send(match about {
                    About::Reject => FromViewer::Reject { delivery, why: text },
                    About::Edit => FromViewer::Edit { delivery, text },
                })];
            }
            Key::Escape => {
                self.mode = Mode::Held(0);
                return Vec::new();
            }
            _ => {}
        }
        self.mode = Mode::Line { delivery, about, text };
        Vec::new()
    }

    fn mouse(&mut self, mouse: Mouse) -> Vec<Act> {
        if self.wants.mouse == Wanted::Off || self.mode != Mode::Live || !self.known.yours {
            return match mouse.wheel() {
                // As xterm does for a program that has no history and knows no mouse.
                Some(way) if self.wants.alternate && self.known.yours && self.mode == Mode::Live => {
                    let arrow: &[u8] = match (way < 0, self.wants.app_cursor) {
                        (true, false) => b"\x1b[A",
                        (true, true) => b"\x1bOA",
                        (false, false) => b"\x1b[B",
                        (false, true) => b"\x1bOB",
                    };
                    input(arrow.repeat(STEP))
                }
                Some(way) if matches!(self.mode, Mode::Live | Mode::Scroll) => {
                    self.scroll_by(way * STEP as isize)
                }
                _ => Vec::new(),
            };
        }
        let wanted = match self.wants.mouse {
            Wanted::Off => false,
            Wanted::Clicks => !mouse.moves(),
            Wanted::Drags => !mouse.hovers(),
            Wanted::Motion => true,
        };
        let (from_row, from_col) = self.corner();
        let (row, col) = (usize::from(mouse.row) + from_row, usize::from(mouse.col) + from_col);
        let size = self.sheet.size();
        let inside = (1..=size.rows.into()).contains(&row)
            && (1..=size.cols.into()).contains(&col)
            && mouse.row <= self.room().rows;
        if !wanted || !inside {
            return Vec::new();
        }
        if self.wants.sgr_mouse {
            let end = if mouse.pressed { 'M' } else { 'm' };
            return input(format!("\x1b[<{};{col};{row}{end}", mouse.code).into_bytes());
        }
        // The older form: a byte each, and all buttons are released as one.
        let code = if mouse.pressed { mouse.code } else { mouse.code & !3 | 3 };
        let byte = |number: usize| u8::try_from(number + 32).ok();
        match (byte(code.into()), byte(col), byte(row)) {
            (Some(code), Some(col), Some(row)) => input(vec![0x1b, b'[', b'M', code, col, row]),
            _ => Vec::new(),
        }
    }

    /// The first row and column of the child's that are seen: where its cursor is, if not all of it can be.
    pub(super) fn corner(&self) -> (usize, usize) {
        let (room, size) = (self.room(), self.sheet.size());
        let from = |room: u16, size: u16, at: Option<u16>| {
            let most = size.saturating_sub(room);
            usize::from(at.map_or(0, |at| (at + 1).saturating_sub(room)).min(most))
        };
        let pointer = self.sheet.pointer;
        (
            from(room.rows, size.rows, pointer.map(|at| at.row)),
            from(room.cols, size.cols, pointer.map(|at| at.col)),
        )
    }

    fn page(&self) -> usize {
        usize::from(self.room().rows).saturating_sub(1).max(1)
    }

    fn pass_on(&mut self, act: FromViewer) -> Vec<Act> {
        if self.known.yours && !self.lost {
            return vec![Act::Send(act)];
        }
        let (key, whose) = (&self.prefix.0, self.known.person.as_deref().unwrap_or("the orchestrator"));
        self.notice = Some(match self.lost {
            true => "there is no broker to take that".into(),
            false => format!("the input is {whose}'s; {key} t takes it"),
        });
        Vec::new()
    }

    fn say(&mut self, text: &str) -> Vec<Act> {
        self.notice = Some(text.into());
        Vec::new()
    }
}

fn input(bytes: Vec<u8>) -> Vec<Act> {
    vec![Act::Send(FromViewer::Input { bytes })]
}

#[cfg(test)]
mod tests;
