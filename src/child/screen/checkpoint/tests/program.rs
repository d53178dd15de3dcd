//! A program that does whatever a terminal knows, in any order: bytes out of a seed.

use crate::child::screen::tests::Dice;

/// What it does. `%` stands for a small number, `$` for any, `&` for a word.
const ACTS: &[&str] = &[
    // Text.
    "&",
    "& & &\r\n",
    "&\t&",
    "\t\t&",
    "漢字&漢",
    "👩\u{200d}💻é",
    "e\u{301}\u{302}&",
    "\u{301}",
    "\r\n",
    "\n",
    "\r",
    "\x08",
    "\x07",
    "\x1b[%b",
    "qqx\x1b[%b",
    // Pens.
    "\x1b[m",
    "\x1b[1m",
    "\x1b[2;3m",
    "\x1b[4:%m",
    "\x1b[7m",
    "\x1b[8m",
    "\x1b[9m",
    "\x1b[3%m",
    "\x1b[4%m",
    "\x1b[9%m",
    "\x1b[10%m",
    "\x1b[38;5;$m",
    "\x1b[48;2;$;%;7m",
    "\x1b[58;5;$m",
    "\x1b[58:2::$:%:1m",
    "\x1b[39;49;59m",
    "\x1b]8;id=%;http://&\x1b\\",
    "\x1b]8;;\x07",
    // Cursor and tab stops.
    "\x1b[%;%H",
    "\x1b[%A",
    "\x1b[%B",
    "\x1b[$C",
    "\x1b[%D",
    "\x1b[%E",
    "\x1b[%F",
    "\x1b[$G",
    "\x1b[%d",
    "\x1b[%I",
    "\x1b[%Z",
    "\x1bH",
    "\x1b[g",
    "\x1b[3g",
    "\x1b[?5W",
    "\x1b7",
    "\x1b8",
    "\x1b[s",
    "\x1b[u",
    "\x1bD",
    "\x1bE",
    "\x1bM",
    // Erasing and moving.
    "\x1b[J",
    "\x1b[1J",
    "\x1b[2J",
    "\x1b[3J",
    "\x1b[K",
    "\x1b[1K",
    "\x1b[2K",
    "\x1b[%L",
    "\x1b[%M",
    "\x1b[%P",
    "\x1b[%@",
    "\x1b[%X",
    "\x1b[%S",
    "\x1b[%T",
    "\x1b#8",
    "\x1b[%;%r",
    "\x1b[r",
    // Modes.
    "\x1b[?1049h",
    "\x1b[?1049l",
    "\x1b[?1049h\x1b[2J\x1b[H",
    "\x1b[?47h",
    "\x1b[?47l",
    "\x1b[?1047h",
    "\x1b[?1047l",
    "\x1b[?1048h",
    "\x1b[?1048l",
    "\x1b[?1h\x1b[?2004h",
    "\x1b[?1;2004l",
    "\x1b[?3h",
    "\x1b[?6h",
    "\x1b[?6l",
    "\x1b[?7h",
    "\x1b[?7l",
    "\x1b[?12h",
    "\x1b[?25l",
    "\x1b[?25h",
    "\x1b[?1000h",
    "\x1b[?1002;1006h",
    "\x1b[?1003;1005h",
    "\x1b[?1000;1002;1003l",
    "\x1b[?1004h",
    "\x1b[?1004l",
    "\x1b[?1007l",
    "\x1b[?1042l",
    "\x1b[4h",
    "\x1b[4l",
    "\x1b[20h",
    "\x1b[20l",
    "\x1b=",
    "\x1b>",
    "\x1b[% q",
    "\x1b]50;CursorShape=1\x07",
    "\x1b[>%u",
    "\x1b[=%u",
    "\x1b[=%;2u",
    "\x1b[<u",
    "\x1b[<%u",
    "\x1b(0",
    "\x1b(B",
    "\x1b)0",
    "\x1b*0",
    "\x0e",
    "\x0f",
    "\x1b[!p",
    // What is told, and queries.
    "\x1b]2;& &\x07",
    "\x1b]0;\x07",
    "\x1b[22t",
    "\x1b[23t",
    "\x1b]4;$;rgb:12/34/56\x07",
    "\x1b]104;$\x07",
    "\x1b]11;#102030\x1b\\",
    "\x1b]111\x07",
    "\x1b]7;file://h/&/%\x07",
    "\x1b]9;&\x07",
    "\x1b]9;4;%;$\x07",
    "\x1b]133;A\x07",
    "\x1b]133;D;%\x07",
    "\x1b]777;notify;&;&\x07",
    "\x1b]7501;state=working:app=&:msg=aGk\x07",
    "\x1b]7501;state=&:kind=&\x07",
    "\x1b]7501;state=idle:id=%\x07",
    "\x1b]7501;state=clear\x07",
    "\x1b[c\x1b[6n\x1b[?6n\x1b[?u\x1b[?%$p",
    "\x1bP$qr\x1b\\\x1bP$q q\x1b\\\x1bP$qm\x1b\\",
    "\x1b]4;$;?\x07",
    "\x1b[?2026h&\r\n&\x1b[?2026l",
    "\x1bPq#0;&\x1b\\",
];

/// What it does seldom, for little is left of what went before.
const RARE: &[&str] = &["\x1bc", "\x1b[?2026h", "\x1b]2;$$$", "\x1b[", "\x1bP", "\x18"];

/// At least so many bytes.
pub(in crate::child::screen) fn write(dice: &mut Dice, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < len {
        let act = match dice.roll(400) {
            0 => RARE[dice.roll(RARE.len())],
            1 => {
                bytes.push(dice.roll(256) as u8);
                continue;
            }
            2 => {
                bytes.extend(std::iter::repeat_n(&b"& line after line\r\n"[..], dice.roll(40)).flatten());
                continue;
            }
            _ => ACTS[dice.roll(ACTS.len())],
        };
        for byte in act.bytes() {
            match byte {
                b'%' => bytes.extend(dice.roll(10).to_string().bytes()),
                b'$' if !act.contains("\x1bP") => bytes.extend(dice.roll(300).to_string().bytes()),
                b'&' => bytes.extend((0..=dice.roll(12)).map(|_| b"aeinorst-_wxyz"[dice.roll(14)])),
                byte => bytes.push(byte),
            }
        }
    }
    bytes
}
