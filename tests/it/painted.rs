//! What programs draw is painted for a person as it is, wherever one looks: the emulator's own reference recordings,
//! which come with its source, which is wherever this was built, and ours of the real agents.

use std::{path::PathBuf, process::Command, time::Instant};

use compere::{
    child::{
        paint::paint,
        picture::Sheet,
        recording::{Happened, Recording},
        screen::Screen,
    },
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

/// A screen, and a person's terminal that was painted with what it showed before.
struct Pane {
    screen: Screen,
    terminal: Screen,
    shown: Option<Sheet>,
    looks: usize,
}

impl Pane {
    fn new(size: Size) -> Pane {
        Pane { screen: Screen::new(size), terminal: Screen::new(size), shown: None, looks: 0 }
    }

    /// The difference makes of the terminal what the screen is, and so does the whole in a new one.
    fn look(&mut self, what: &str) {
        let (sheet, _) = self.screen.sheet(0);
        feed(&mut self.terminal, paint(self.shown.as_ref(), &sheet).as_bytes());
        assert!(self.terminal.sheet(0).0 == sheet, "{what}, look {}: a difference", self.looks);
        let mut other = Screen::new(self.screen.size());
        feed(&mut other, paint(None, &sheet).as_bytes());
        assert!(other.sheet(0).0 == sheet, "{what}, look {}: the whole", self.looks);
        assert_eq!(other.text(0).lines.join("\n"), self.terminal.text(0).lines.join("\n"), "{what}");
        self.looks += 1;
        self.shown = Some(sheet);
    }
}

#[test]
fn what_they_draw_is_painted_as_it_is_at_every_cut_and_over_what_was_there_before() {
    let recordings = recordings();
    assert!(recordings.len() >= 40, "{recordings:?}");
    let mut looks = 0;
    for recording in recordings {
        let bytes = std::fs::read(recording.join("alacritty.recording")).unwrap();
        let size: Value =
            serde_json::from_slice(&std::fs::read(recording.join("size.json")).unwrap()).unwrap();
        let part = |name: &str| size[name].as_u64().unwrap() as u16;
        let mut pane = Pane::new(Size { rows: part("screen_lines"), cols: part("columns") });
        // Cut where nobody would.
        for piece in bytes.chunks(bytes.len() / 6 + 1) {
            feed(&mut pane.screen, piece);
            pane.look(&recording.display().to_string());
        }
        looks += pane.looks;
    }
    assert!(looks > 200, "{looks}");
}

#[test]
fn what_the_real_agents_draw_is_painted_as_it_is() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/recordings");
    let mut looks = 0;
    for path in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        let file = std::fs::read(&path).unwrap();
        let mut recording = Recording::new(&file[..]).unwrap();
        let mut pane = Pane::new(recording.size());
        while let Some(moment) = recording.moment().unwrap() {
            if let Happened::Output(text) = moment.what {
                // Cut in its midst, too.
                let (one, two) = text.as_bytes().split_at(text.len() / 2);
                for piece in [one, two] {
                    feed(&mut pane.screen, piece);
                    pane.look(&path.display().to_string());
                }
            }
        }
        looks += pane.looks;
    }
    assert!(looks > 200, "{looks}");
}
