//! What the emulator's own reference recordings draw is painted for a person as it is, wherever one looks. They come
//! with the emulator's source, which is wherever this was built.

use std::{path::PathBuf, process::Command, time::Instant};

use compere::{
    child::{paint::paint, picture::Sheet, screen::Screen},
    id::Size,
};
use serde_json::Value;

fn recordings() -> Vec<PathBuf> {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--locked", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).expect("cargo tells where sources are");
    let packages = metadata["packages"].as_array().unwrap();
    let emulator = packages.iter().find(|package| package["name"] == "alacritty_terminal").unwrap();
    let source = PathBuf::from(emulator["manifest_path"].as_str().unwrap());
    let entries = std::fs::read_dir(source.with_file_name("tests").join("ref")).unwrap();
    let mut recordings: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    recordings.sort();
    recordings
}

fn feed(screen: &mut Screen, bytes: &[u8]) {
    let _ = screen.feed(bytes, Instant::now());
    if let Some(deadline) = screen.sync_deadline() {
        let _ = screen.end_sync(deadline);
    }
}

#[test]
fn what_they_draw_is_painted_as_it_is_at_every_cut_and_over_what_was_there_before() {
    let recordings = recordings();
    assert!(recordings.len() >= 40, "{recordings:?}");
    let mut painted = 0;
    for recording in recordings {
        let bytes = std::fs::read(recording.join("alacritty.recording")).unwrap();
        let size: Value =
            serde_json::from_slice(&std::fs::read(recording.join("size.json")).unwrap()).unwrap();
        let part = |name: &str| size[name].as_u64().unwrap() as u16;
        let size = Size { rows: part("screen_lines"), cols: part("columns") };
        let (mut screen, mut terminal) = (Screen::new(size), Screen::new(size));
        let mut shown: Option<Sheet> = None;
        // Cut where nobody would.
        for piece in bytes.chunks(bytes.len() / 6 + 1) {
            feed(&mut screen, piece);
            let (sheet, _) = screen.sheet(0);
            let what = format!("{} after {painted}", recording.display());
            feed(&mut terminal, paint(shown.as_ref(), &sheet).as_bytes());
            assert!(terminal.sheet(0).0 == sheet, "{what}: a difference");
            let mut other = Screen::new(size);
            feed(&mut other, paint(None, &sheet).as_bytes());
            assert!(other.sheet(0).0 == sheet, "{what}: the whole");
            assert_eq!(other.text(0).lines.join("\n"), terminal.text(0).lines.join("\n"), "{what}");
            painted += 1;
            shown = Some(sheet);
        }
    }
    assert!(painted > 200, "{painted}");
}
