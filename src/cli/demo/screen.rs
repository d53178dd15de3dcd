//! `compere demo-screen`: a full-screen program as small as one can be, so that the demo has one on every machine. It
//! holds the alternate screen, draws a box in colours, and counts the keys it is given; `q` ends it.

use std::{
    io::{self, Read, Write},
    process::ExitCode,
};

use crate::cli::raw::Raw;

pub(in crate::cli) fn run() -> io::Result<ExitCode> {
    let _raw = Raw::set()?;
    let mut out = io::stdout().lock();
    out.write_all(b"\x1b[?1049h\x1b[?25l")?;
    draw(&mut out, 0, None)?;
    let mut pressed = 0;
    for byte in io::stdin().lock().bytes() {
        match byte? {
            b'q' => break,
            byte => {
                pressed += 1;
                draw(&mut out, pressed, Some(char::from(byte)))?;
            }
        }
    }
    out.write_all(b"\x1b[?25h\x1b[?1049l")?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn draw(out: &mut impl Write, pressed: u32, last: Option<char>) -> io::Result<()> {
    let last = last.map_or_else(|| "none yet".into(), |key| format!("{key:?}"));
    let lines = [
        "\u{256d}\u{2500}\u{2500} a full-screen program \u{2500}\u{2500}\u{2500}\u{256e}".to_owned(),
        format!("\u{2502} {:<26} \u{2502}", format!("keys pressed: {pressed}")),
        format!("\u{2502} {:<26} \u{2502}", format!("the last: {last}")),
        format!("\u{2570}{}\u{256f}", "\u{2500}".repeat(28)),
    ];
    out.write_all(b"\x1b[2J")?;
    for (row, line) in lines.iter().enumerate() {
        write!(out, "\x1b[{};3H\x1b[3{}m{line}\x1b[0m", row + 2, 4 + row % 3)?;
    }
    out.flush()
}
