//! A child's output as a stream: lines of plain text for readers and for pattern watchers, or raw bytes cut where they
//! may be cut. Knows nothing of screens: what addresses one is dropped, and `redraws` says so.

use alacritty_terminal::vte::{Params, Parser, Perform};

use super::{
    line::Line,
    scan::{self, Piece, Scanner},
};

/// Where bytes to be read begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Where an earlier read ended, or at the very first byte.
    Clean,
    /// Anywhere: what was before is lost.
    Cut,
}

/// Bytes as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// What they say. Lines end with LF; the last may be unfinished.
    pub text: String,
    /// How many bytes at the start were passed over, to begin at a line.
    pub skipped: usize,
    /// How many bytes are dealt with, `skipped` among them: the next read begins there. The few after them are half a
    /// character or half an escape sequence.
    pub used: usize,
    /// Much of this moves the cursor about: the screen tells more.
    pub redraws: bool,
}

/// Plain text of a stream: carriage returns, backspaces and moves within a line are applied, so that a progress bar is
/// one line; all else that is no text is dropped. Give it all bytes there are, or 64 KiB at least: an escape sequence
/// of up to 4 KiB that has not ended is waited for.
pub fn clean(bytes: &[u8], start: Start) -> Cleaned {
    let (skipped, used) = raw(bytes, start);
    let mut text = String::new();
    let mut reader = Reader::default();
    reader.read(&bytes[skipped..used], |line, end| {
        line.write_to(&mut text);
        if end == End::Line {
            text.push('\n');
        }
    });
    reader.line.write_to(&mut text);
    Cleaned { text, skipped, used, redraws: reader.redraws(used - skipped) }
}

/// Which bytes to hand out raw, from and up to: never half a character or half an escape sequence at either end, as
/// far as that can be told.
pub fn raw(bytes: &[u8], start: Start) -> (usize, usize) {
    let skipped = match start {
        Start::Clean => 0,
        Start::Cut => first_boundary(bytes),
    };
    (skipped, skipped + scan::whole(&bytes[skipped..], ESCAPE_MAX))
}

/// The same for one who watches: bytes come in pieces of any length, lines come out.
#[derive(Default)]
pub struct LineFeeder {
    reader: Reader,
}

impl LineFeeder {
    /// At the beginning of a line.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells each line that is finished now, without its LF. Lines of over 64 Ki characters come in parts.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) {
        let mut text = String::new();
        self.reader.read(bytes, |line, _| {
            text.clear();
            line.write_to(&mut text);
            each(&text);
        });
    }

    /// What the unfinished line says so far.
    pub fn partial(&self) -> String {
        let mut text = String::new();
        self.reader.line.write_to(&mut text);
        text
    }
}

/// Longest escape sequence that is waited for.
const ESCAPE_MAX: usize = 4 * 1024;
/// How far to look for the first line, after a cut.
const LINE_SEARCH: usize = 64 * 1024;
/// So many moves over the screen, and one in so many bytes at least, make a redraw. A build log has none at all, a
/// redraw one in each line.
const REDRAW_MOVES: usize = 8;
const REDRAW_BYTES: usize = 256;

/// After a cut: the next line, else the next escape, where a parser's state is known too, else the next character.
fn first_boundary(bytes: &[u8]) -> usize {
    let near = &bytes[..bytes.len().min(LINE_SEARCH)];
    match near.iter().position(|&b| b == b'\n') {
        Some(at) => at + 1,
        None => scan::find_escape(near).unwrap_or_else(|| scan::rest_of_char(bytes)),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The line ended.
    Line,
    /// It goes on, but no more of it is kept.
    Full,
}

#[derive(Default)]
struct Reader {
    scanner: Scanner,
    parser: Parser,
    line: Line,
    moves: usize,
    alternate: bool,
}

impl Reader {
    fn read(&mut self, bytes: &[u8], ended: impl FnMut(&Line, End)) {
        self.line.pay(bytes.len());
        let mut pen =
            Pen { line: &mut self.line, moves: &mut self.moves, alternate: &mut self.alternate, ended };
        let mut rest = bytes;
        while !rest.is_empty() {
            let piece = self.scanner.next(rest);
            let (now, later) = rest.split_at(piece.len());
            if !matches!(piece, Piece::Excess(_)) {
                self.parser.advance(&mut pen, now);
            }
            rest = later;
        }
    }

    fn redraws(&self, bytes: usize) -> bool {
        self.alternate || self.moves >= REDRAW_MOVES.max(bytes / REDRAW_BYTES)
    }
}

struct Pen<'a, F> {
    line: &'a mut Line,
    moves: &'a mut usize,
    alternate: &'a mut bool,
    ended: F,
}

impl<F: FnMut(&Line, End)> Pen<'_, F> {
    fn end(&mut self, end: End) {
        (self.ended)(self.line, end);
        self.line.clear();
    }
}

impl<F: FnMut(&Line, End)> Perform for Pen<'_, F> {
    fn print(&mut self, c: char) {
        self.line.put(c);
        if self.line.full() {
            self.end(End::Full);
        }
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\n' => self.end(End::Line),
            b'\r' => self.line.to(0),
            b'\t' => self.line.tab(),
            0x08 => self.line.left(1),
            _ => {}
        }
        if self.line.full() {
            self.end(End::Full);
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        let first = params.iter().next().map_or(0, |param| param[0]);
        let count = usize::from(first.max(1));
        match (intermediates, action) {
            _ if ignore => {}
            ([], 'C' | 'a') => self.line.right(count),
            ([], 'D') => self.line.left(count),
            ([], 'G' | '`') => self.line.to(count - 1),
            ([], 'K') => match first {
                0 => self.line.erase_right(),
                1 => self.line.erase_left(),
                2 => self.line.erase(),
                _ => {}
            },
            ([], 'P') => self.line.delete_chars(count),
            ([], 'X') => self.line.erase_chars(count),
            ([], '@') => self.line.insert_blanks(count),
            // Elsewhere on the screen: at least not the same word.
            ([], 'H' | 'f' | 'd') => {
                *self.moves += 1;
                self.end(End::Line);
            }
            // So many lines are drawn again.
            ([], 'A' | 'B' | 'E' | 'F') => *self.moves += count.min(100),
            ([], 'J' | 'L' | 'M' | 'S' | 'T' | 'r') => *self.moves += 1,
            ([b'?'], 'h') if params.iter().any(|param| matches!(param[0], 47 | 1047 | 1049)) => {
                *self.alternate = true;
            }
            _ => {}
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], _: bool, byte: u8) {
        // NEL.
        if let ([], b'E') = (intermediates, byte) {
            self.end(End::Line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], text: &str) {
        let cleaned = clean(bytes, Start::Clean);
        assert_eq!((cleaned.text.as_str(), cleaned.used), (text, bytes.len()), "{bytes:?}");
    }

    #[test]
    fn a_line_is_what_is_left_of_it() {
        check(b"plain\r\ntext\n", "plain\ntext\n");
        check(b"10%\r50%\r100%\r\ndone", "100%\ndone");
        check(b"\x1b[2K\r[=> ] 10%\x1b[2K\r[==>] 99%\x1b[K\n", "[==>] 99%\n");
        check(b"spin |\x08/\x08-\x08\\\x08 done\n", "spin  done\n");
        check(b"\x1b[1;31merror\x1b[0m: \x1b]8;;http://x\x1b\\link\x1b]8;;\x07\n", "error: link\n");
        check(b"\x1b]0;title\x07\x1bPq#0;2~\x1b\\\x1b_apc\x1b\\a\x1b(0b\x1b7\n", "ab\n");
        check(b"tab\tkept\n\r\ttoo\n", "tab\tkept\n\ttoo\n");
        check(b"a\x00\x07\x0b\x7f\xc2\x9bb\xe2\x80\xae!\n", "ab!\n");
        check("漢字 e\u{301} 👩\u{200d}💻\n".as_bytes(), "漢字 e\u{301} 👩\u{200d}💻\n");
        check(b"\xff\xfeab\xe6\xbc\n", "\u{fffd}\u{fffd}ab\u{fffd}\n");
        check(b"abcd\x1b[3D\x1b[Pxy\x1b[1Gz\x1b[6Cend\n", "zxy    end\n");
        check(b"Password: ", "Password: ");
        check(b"one\x1b[5;1Htwo", "one\ntwo");
        check(b"one\x1bEtwo", "one\ntwo");
    }

    const SAMPLE: &str = "$ make\r\n\x1b[1mcc\x1b[0m  -c é\u{301}漢字 👩\u{200d}💻.c\t\x1b]0;make\x1b\\ok\r\n\
        \x1b]8;id=1;http://x/?a;b\x07link\x1b]8;;\x07\x1b(Bx\x1bP1$r0m\x1b\\y\x1b[?25h\r\n\x1b[38;2;1;2;3m$ ";

    #[test]
    fn a_stream_cut_anywhere_reads_the_same() {
        let bytes = SAMPLE.as_bytes();
        let whole = clean(bytes, Start::Clean).text;
        for cut in 0..=bytes.len() {
            let first = clean(&bytes[..cut], Start::Clean);
            let second = clean(&bytes[first.used..], Start::Clean);
            assert_eq!(first.text + &second.text, whole, "cut at {cut}");
            assert_eq!(first.used + second.used, bytes.len());

            let (from, to) = raw(&bytes[..cut], Start::Clean);
            assert_eq!((from, to), (0, first.used));
            assert!(str::from_utf8(&bytes[..to]).is_ok() && str::from_utf8(&bytes[to..]).is_ok());
        }
    }

    #[test]
    fn a_watcher_sees_the_same_lines_in_pieces_of_any_length() {
        let text = SAMPLE.to_owned() + "10%\r20%\r30%\nab\x08c";
        for step in 1..40 {
            let mut feeder = LineFeeder::new();
            let mut lines = Vec::new();
            for piece in text.as_bytes().chunks(step) {
                feeder.push(piece, |line| lines.push(line.to_owned()));
            }
            let cleaned = clean(text.as_bytes(), Start::Clean).text;
            lines.push(feeder.partial());
            assert_eq!(lines.join("\n"), cleaned, "in steps of {step}");
            assert_eq!(lines[3..], ["30%0%", "ac"]);
        }
    }

    #[test]
    fn after_a_cut_it_begins_at_a_line() {
        let check = |bytes: &[u8], skipped, text: &str| {
            let cleaned = clean(bytes, Start::Cut);
            assert_eq!((cleaned.skipped, cleaned.text.as_str()), (skipped, text), "{bytes:?}");
            assert_eq!(raw(bytes, Start::Cut).0, skipped);
        };
        check(b"5;1Hhalf\nwhole\n", 9, "whole\n");
        check(b"5;1Hhalf\x1b[2Kwhole", 8, "whole");
        check(b"\xbc\xa2text", 2, "text");
        check(b"", 0, "");
        let mut far = vec![b'a'; LINE_SEARCH];
        far.extend(b"\nb");
        check(&far, 0, &String::from_utf8(far.clone()).unwrap());
    }

    #[test]
    fn what_never_ends_is_dropped_and_not_waited_for() {
        let mut bytes = b"a\x1b]0;".to_vec();
        bytes.resize(ESCAPE_MAX, b'x');
        assert_eq!(clean(&bytes, Start::Clean), Cleaned { text: "a".into(), used: 1, ..Default::default() });
        bytes.resize(100_000, b'x');
        assert_eq!(
            clean(&bytes, Start::Clean),
            Cleaned { text: "a".into(), used: 100_000, ..Default::default() }
        );
    }

    #[test]
    fn a_line_without_end_comes_in_parts_and_loses_nothing() {
        let bytes = vec![b'a'; 200_000];
        assert_eq!(clean(&bytes, Start::Clean).text.len(), 200_000);
        let (mut feeder, mut seen) = (LineFeeder::new(), 0);
        for piece in bytes.chunks(4096) {
            feeder.push(piece, |line| seen += line.len());
        }
        assert_eq!((seen, feeder.partial().len()), (3 << 16, 200_000 - (3 << 16)));
        let marks = "e".to_owned() + &"\u{301}".repeat(100_000);
        assert_eq!(clean(marks.as_bytes(), Start::Clean).text.chars().count(), 17);
    }

    #[test]
    fn redraws_are_told_from_logs() {
        let log = "\x1b[32mCompiling\x1b[0m x v1\r\n\x1b[Kbuilding 1/2\r".repeat(100);
        assert!(!clean(log.as_bytes(), Start::Clean).redraws);
        let frame = "\x1b[2K\x1b[1A".repeat(10) + &"some text\r\n".repeat(10);
        assert!(clean(frame.repeat(3).as_bytes(), Start::Clean).redraws);
        assert!(clean(b"\x1b[?1049h\x1b[Hvi", Start::Clean).redraws);
        // pi's spinner, with the colours of a frame of its composer now and then.
        let spinner =
            "\x1b[3A\r\x1b[2K * Working...\x1b[3B\x1b[1G".repeat(10) + &"\x1b[38;2;80;80;80m-".repeat(300);
        assert!(clean(spinner.repeat(3).as_bytes(), Start::Clean).redraws);
        assert!(!clean(b"\x1b[H\x1b[2Jcleared\n", Start::Clean).redraws);
    }

    #[test]
    fn no_bytes_break_it_and_none_that_control_a_reader_come_out() {
        let pieces = [
            "a", "漢", "\u{301}", "\t", "\r", "\n", "\x08", "\x1b[", "\x1b]", "\x1b", "3", "99999", ";", "C",
            "D", "G", "K", "P", "@", "X", "H", "m", "\x07", "\u{202e}", "\u{9b}",
        ];
        let mut state = 7_u64;
        let mut roll = |below: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % below
        };
        for _ in 0..500 {
            let mut bytes = Vec::new();
            for _ in 0..roll(80) {
                match roll(5) {
                    0 => bytes.push(roll(256) as u8),
                    _ => bytes.extend(pieces[roll(pieces.len())].as_bytes()),
                }
            }
            for start in [Start::Clean, Start::Cut] {
                let cleaned = clean(&bytes, start);
                assert!(cleaned.skipped <= cleaned.used && cleaned.used <= bytes.len());
                assert!(!cleaned.text.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
            }
            let mut feeder = LineFeeder::new();
            bytes
                .chunks(1 + roll(9))
                .for_each(|piece| feeder.push(piece, |line| assert!(!line.contains('\n'))));
            feeder.partial();
        }
    }
}
