//! What programs write to their terminals, made up the same each time: seven kinds, for 24 lines of 80 columns.

#![allow(dead_code, reason = "each bench uses a part of it")]

use std::fmt::Write;

/// A kind of output.
pub(crate) struct Payload {
    pub(crate) name: &'static str,
    /// How much of it is measured at once: about what a tenth of a second brings.
    pub(crate) bytes: usize,
    piece: fn(&mut Dice, usize, &mut String),
}

/// All there are.
pub(crate) const ALL: [Payload; 7] = [
    Payload { name: "plain text", bytes: 6 << 20, piece: text },
    Payload { name: "build log", bytes: 6 << 20, piece: log },
    Payload { name: "agent redraw", bytes: 5 << 20, piece: redraw },
    Payload { name: "vim", bytes: 5 << 20, piece: vim },
    Payload { name: "short lines", bytes: 1 << 20, piece: short },
    Payload { name: "wide characters", bytes: 5 << 20, piece: wide },
    Payload { name: "truecolor", bytes: 6 << 20, piece: truecolor },
];

impl Payload {
    /// At least so many bytes of it, whole pieces, that leave the terminal as it was.
    pub(crate) fn make(&self, bytes: usize) -> Vec<u8> {
        let (mut dice, mut out, mut n) = (Dice(7), String::with_capacity(bytes + 8192), 0);
        while out.len() < bytes {
            (self.piece)(&mut dice, n, &mut out);
            n += 1;
        }
        out += "\x1b[0m\x1b[r\x1b[?25h\x1b[?1049l";
        out.into_bytes()
    }

    /// The same as a terminal's line discipline hands it on, each LF behind a CR.
    pub(crate) fn cooked(&self, bytes: usize) -> Vec<u8> {
        let mut cooked = Vec::with_capacity(2 * bytes);
        for byte in self.make(bytes) {
            if byte == b'\n' && cooked.last() != Some(&b'\r') {
                cooked.push(b'\r');
            }
            cooked.push(byte);
        }
        cooked
    }
}

/// Numbers without a pattern, the same each time (Knuth's MMIX generator).
pub(crate) struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % n) as usize
    }
}

const WORDS: [&str; 16] = [
    "the", "child", "waits", "until", "a", "line", "that", "matches", "has", "been", "written", "to", "its",
    "terminal", "and", "answers",
];

fn words(dice: &mut Dice, width: usize, out: &mut String) {
    let mut left = width;
    loop {
        let word = WORDS[dice.below(16)];
        if word.len() + 1 > left {
            return;
        }
        out.push_str(word);
        out.push(' ');
        left -= word.len() + 1;
    }
}

fn text(dice: &mut Dice, _: usize, out: &mut String) {
    let width = 40 + dice.below(39);
    words(dice, width, out);
    out.push('\n');
}

fn log(dice: &mut Dice, n: usize, out: &mut String) {
    let (name, place) = (WORDS[dice.below(16)], WORDS[dice.below(16)]);
    match dice.below(8) {
        0 => {
            let (line, col) = (dice.below(900), dice.below(80));
            let _ = write!(
                out,
                "\x1b[0m\x1b[1m\x1b[33mwarning\x1b[0m\x1b[0m\x1b[1m: unused variable: `{name}`\x1b[0m\n\x1b[0m   \
                 \x1b[0m\x1b[0m\x1b[1m\x1b[38;5;12m--> \x1b[0m\x1b[0msrc/{place}/{name}.rs:{line}:{col}\x1b[0m\n"
            );
        }
        1 => {
            let done = n % 200;
            let _ = write!(
                out,
                "\x1b[1m\x1b[36m    Building\x1b[0m [{:<40}] {done}/200: {name}\r\x1b[K",
                "=".repeat(done / 5)
            );
        }
        2 => {
            let ms = dice.below(900);
            let _ = writeln!(out, "test {place}::{name}_{n} ... \x1b[32mok\x1b[0m <{ms} ms>");
        }
        _ => {
            let (major, minor) = (dice.below(4), dice.below(30));
            let _ = writeln!(out, "\x1b[1m\x1b[32m   Compiling\x1b[0m {place}-{name} v{major}.{minor}.{n}");
        }
    }
}

/// As Ink does it: up to where it began, each line erased, all of it drawn again; now and then a line scrolls away.
fn redraw(dice: &mut Dice, n: usize, out: &mut String) {
    const LINES: usize = 12;
    if n > 0 {
        out.push_str("\x1b[?2026h");
        (1..LINES).for_each(|_| out.push_str("\x1b[2K\x1b[1A"));
        out.push_str("\x1b[2K\x1b[G");
    }
    if n.is_multiple_of(20) {
        out.push_str("\x1b[38;2;215;119;87m●\x1b[39m ");
        words(dice, 70, out);
        out.push_str("\r\n");
    }
    let turn = ["✶", "✻", "✽", "✢"][n % 4];
    let _ = write!(
        out,
        "\x1b[38;2;215;119;87m{turn} Working… \x1b[2m({n}s · esc to interrupt)\x1b[22m\x1b[39m\r\n"
    );
    for _ in 0..6 {
        out.push_str("  \x1b[2m⎿ \x1b[22m");
        words(dice, 60, out);
        out.push_str("\r\n");
    }
    let _ = write!(out, "\x1b[38;5;244m╭{}╮\x1b[39m\r\n", "─".repeat(76));
    let _ = write!(
        out,
        "\x1b[38;5;244m│\x1b[39m > \x1b[7m \x1b[27m{}\x1b[38;5;244m│\x1b[39m\r\n",
        " ".repeat(72)
    );
    let _ = write!(out, "\x1b[38;5;244m╰{}╯\x1b[39m\r\n", "─".repeat(76));
    out.push_str("  \x1b[2m? for shortcuts\x1b[22m\r\n  \x1b[2mauto-accept off\x1b[22m");
    if n > 0 {
        out.push_str("\x1b[?2026l");
    }
}

/// A coloured page of source, then lines scrolled in at its end, and its status line each time.
fn vim(dice: &mut Dice, n: usize, out: &mut String) {
    if n == 0 {
        out.push_str("\x1b[?1049h\x1b[22;0;0t\x1b[?1h\x1b=\x1b[H\x1b[2J");
    }
    out.push_str("\x1b[?25l");
    if n.is_multiple_of(12) {
        for row in 1..=22 {
            let _ = write!(out, "\x1b[{row};1H\x1b[38;5;130m{:>3} \x1b[m", n + row);
            source(dice, out);
        }
    } else {
        let _ = write!(out, "\x1b[1;22r\x1b[22;1H\n\x1b[1;24r\x1b[22;1H\x1b[38;5;130m{:>3} \x1b[m", n + 22);
        source(dice, out);
    }
    let _ = write!(
        out,
        "\x1b[23;1H\x1b[1m\x1b[7msrc/main.rs [+]\x1b[23;60H{n},1\x1b[23;72H{}%\x1b[27m\x1b[m",
        n % 100
    );
    let _ = write!(out, "\x1b[{};{}H\x1b[34h\x1b[?25h", 1 + n % 22, 5 + n % 40);
}

fn source(dice: &mut Dice, out: &mut String) {
    let (name, call) = (WORDS[dice.below(16)], WORDS[dice.below(16)]);
    let number = dice.below(10_000);
    let _ = write!(
        out,
        "    \x1b[38;5;81mlet\x1b[m {name} = \x1b[38;5;173m{call}\x1b[m(\x1b[38;5;143m\"{name}\"\x1b[m, \
         \x1b[38;5;141m{number}\x1b[m);\x1b[K"
    );
}

fn short(_: &mut Dice, _: usize, out: &mut String) {
    out.push_str("y\n");
}

fn wide(dice: &mut Dice, _: usize, out: &mut String) {
    for _ in 0..30 {
        // Of the common ideographs; and some pictures.
        let c = if dice.below(12) == 0 { 0x1f600 + dice.below(60) } else { 0x4e00 + dice.below(4000) };
        out.push(char::from_u32(c as u32).unwrap_or('中'));
    }
    out.push('\n');
}

fn truecolor(dice: &mut Dice, n: usize, out: &mut String) {
    for col in 0..78 {
        let (red, green, blue) = (col * 3, n % 256, dice.below(256));
        let _ = write!(out, "\x1b[38;2;{red};{green};{blue}m\x1b[48;2;{blue};{red};{green}m▀");
    }
    out.push_str("\x1b[0m\n");
}
