//! What a broker and a person at a pane say to each other: whatever a frame holds, what is painted of it is text and
//! sequences of ours, and paints the same cells.
#![no_main]

use std::time::Instant;

use compere::{
    child::{paint::paint, picture::Sheet, screen::Screen},
    id::Size,
    ipc::viewer::{FromViewer, ToViewer, read, write},
};
use compere_fuzz::{Pieces, now};
use libfuzzer_sys::fuzz_target;
use serde::{Serialize, de::DeserializeOwned};

fuzz_target!(|data: &[u8]| {
    let [cut, rest @ ..] = data else { return };
    frames::<FromViewer>(rest, *cut);
    let mut shown: Option<Sheet> = None;
    let mut terminal = None;
    for frame in frames::<ToViewer>(rest, *cut) {
        let ToViewer::Screen { size, rows, pointer, .. } = frame else { continue };
        // Larger ones cost time and show no more.
        let size = Size { rows: size.rows.min(9), cols: size.cols.min(40) }.clamped();
        let mut sheet = Sheet::new(size);
        for (at, row) in rows {
            sheet.set(at.into(), row);
        }
        sheet.pointer = pointer.filter(|at| at.row < size.rows && at.col < size.cols);
        let painted = paint(shown.as_ref(), &sheet);
        assert!(!painted.contains(['\u{9b}', '\u{9d}', '\u{90}', '\u{7}', '\n', '\r']));
        let screen: &mut Screen = terminal.get_or_insert_with(|| Screen::new(size));
        if screen.size() != size {
            screen.resize(size);
        }
        let fed = screen.feed(painted.as_bytes(), Instant::now());
        assert!(fed.answers.is_empty() && !fed.reset);
        assert_eq!(screen.sheet(0).0.text(), sheet.text());
        assert_eq!((screen.title(), screen.bell_count()), (None, 0));
        shown = Some(sheet);
    }
});

/// All frames up to the first that is none, each of which says the same when it is said again.
fn frames<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8], cut: u8) -> Vec<T> {
    let mut from = Pieces::new(bytes, cut);
    let mut all = Vec::new();
    while let Ok(Some(frame)) = now(read::<T>(&mut from)) {
        let mut said = Vec::new();
        if now(write(&mut said, &frame)).is_ok() {
            assert_eq!(now(read::<T>(&mut &said[..])).unwrap().as_ref(), Some(&frame));
        }
        all.push(frame);
    }
    all
}
