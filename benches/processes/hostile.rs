//! The inputs that cost an emulator most for each byte, fed to a screen in a process of its own each: how fast they are
//! dealt with, and what memory they take.

use std::{process::Command, time::Instant};

use compere::{child::screen::Screen, id::Size};

use crate::{
    proc,
    table::{Goal, Row},
};

/// What is repeated, after what is written once before.
const INPUTS: [(&str, &str, &str); 12] = [
    ("kitty's keyboard stack, pushed", "", "\x1b[>1u"),
    ("REP of 65,535", "x", "\x1b[65535b"),
    ("CBT without stops", "\x1b[3g\x1b[999C", "\x1b[65535Z"),
    ("CHT without stops", "\x1b[3g", "\r\x1b[65535I"),
    ("titles of 60 KB, pushed", "", TITLE),
    ("combining marks on one cell", "x", "\u{301}"),
    ("an OSC that never ends", "\x1b]0;", "xxxxxxxx"),
    ("a DCS that never ends", "\x1bPq", "xxxxxxxx"),
    ("DECALN", "", "\x1b#8"),
    ("ED 2 into the history", "x", "\x1b[2J"),
    ("scroll by 65,535", "", "\x1b[65535S"),
    ("alternate screen, there and back", "", "\x1b[?1049h\x1b[?1049l"),
];
const TITLE: &str = "TITLE";
/// Of each: enough for what grows to be seen, and at 1 MB/s bearable.
const BYTES: usize = 2 << 20;
/// The largest terminal that a person would have.
const SIZE: Size = Size { rows: 60, cols: 200 };

/// A row for each input's speed, and one for the memory of the worst.
pub(crate) fn measure() -> Vec<Row> {
    let (mut rows, mut worst) = (Vec::new(), ("", 0.0));
    for (at, (name, ..)) in INPUTS.iter().enumerate() {
        let exe = std::env::current_exe().unwrap();
        let output = Command::new(exe).args(["role", "hostile", &at.to_string()]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let figures: Vec<f64> = text.split_whitespace().filter_map(|figure| figure.parse().ok()).collect();
        // One that does not survive is infinitely slow.
        let (speed, grown) =
            if let [speed, grown] = figures[..] { (speed, grown) } else { (0.0, f64::INFINITY) };
        rows.push(
            Row::new(format!("hostile: {name}"), speed, "MB/s")
                .goal(Goal::Least(1.0))
                .how("by the processor's time; 2 MB in pieces of 4 KB, 60x200"),
        );
        if grown >= worst.1 {
            worst = (name, grown);
        }
    }
    let what = format!("hostile: memory of the worst, {}", worst.0);
    // A screen with a full history is 5 MB at this size.
    rows.push(
        Row::new(what, worst.1, "MB")
            .goal(Goal::Most(24.0))
            .how("growth of RSS; a full history is 5 MB of it"),
    );
    rows
}

/// One of them, in this process: prints MB/s, and the megabytes it has grown by.
pub(crate) fn play(which: &str) -> Option<String> {
    let (_, before, repeated) = INPUTS.get(which.parse::<usize>().ok()?)?;
    let title = format!("\x1b]0;{}\x07\x1b[22t", "t".repeat(60_000));
    let repeated = if *repeated == TITLE { &title } else { *repeated };
    let mut input = before.as_bytes().to_vec();
    while input.len() < BYTES {
        input.extend(repeated.as_bytes());
    }
    let mut screen = Screen::new(SIZE);
    let pid = std::process::id() as i32;
    let held = proc::rss_mb(pid);
    let began = processor();
    for piece in input.chunks(4096) {
        // Whoever it is answers nothing here.
        drop(screen.feed(piece, Instant::now()));
    }
    let speed = input.len() as f64 / 1e6 / (processor() - began);
    Some(format!("{speed} {}", proc::rss_mb(pid) - held))
}

/// Seconds of the processor that this process has had.
fn processor() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
