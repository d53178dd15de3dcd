//! Screens that nobody looks at. One that sleeps is its checkpoint, a fiftieth of it, and whoever looks or writes wakes
//! it: exactly as it was, since all that `Term` hides is in there. Does not know when it is time.

use std::{
    cell::OnceCell,
    ops::{Deref, DerefMut},
};

use alacritty_terminal::{Term, event::VoidListener};

use super::{Screen, grids::behind};

/// A `Term` that may sleep.
pub(super) struct Sleeper {
    term: OnceCell<Term<VoidListener>>,
    /// What it is made of again; as long as nobody has written to it since, it can be had from here once more.
    asleep: Option<Box<[u8]>>,
}

impl Sleeper {
    pub(super) fn awake(term: Term<VoidListener>) -> Self {
        Sleeper { term: OnceCell::from(term), asleep: None }
    }

    fn wake(bytes: Option<&[u8]>) -> Term<VoidListener> {
        let screen = bytes.and_then(Screen::read).map(|mut screen| {
            screen.trim();
            screen
        });
        screen
            .and_then(|screen| screen.emulator.term.term.into_inner())
            .expect("it was tried before it slept")
    }
}

impl Deref for Sleeper {
    type Target = Term<VoidListener>;

    fn deref(&self) -> &Self::Target {
        self.term.get_or_init(|| Self::wake(self.asleep.as_deref()))
    }
}

impl DerefMut for Sleeper {
    fn deref_mut(&mut self) -> &mut Self::Target {
        let asleep = self.asleep.take();
        if self.term.get().is_none() {
            self.term = OnceCell::from(Self::wake(asleep.as_deref()));
        }
        self.term.get_mut().expect("it has just been woken")
    }
}

impl Screen {
    /// Gives back the rows that stand ready for more to scroll away: 3 MB at 120 columns from the first one on, whatever
    /// has scrolled. The next one costs as much again.
    pub fn trim(&mut self) {
        if !self.is_asleep() {
            let term = &mut *self.emulator.term;
            term.grid_mut().truncate();
            if self.alternate() {
                behind(&mut self.emulator.term, |primary| primary.truncate());
            }
        }
    }

    /// Sleeps until somebody looks or writes. Any screen can, also in the middle of a sequence, and whatever is in it.
    pub fn sleep(&mut self) {
        if self.is_asleep() {
            return;
        }
        if self.emulator.term.asleep.is_none() {
            let Some(bytes) = self.write(usize::MAX) else { return };
            // Where it could not be woken it had better not sleep.
            if Screen::read(&bytes).is_none() {
                return;
            }
            self.emulator.term.asleep = Some(bytes.into());
        }
        self.emulator.term.term = OnceCell::new();
    }

    /// Nobody has looked or written since it went to sleep.
    pub fn is_asleep(&self) -> bool {
        self.emulator.term.term.get().is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::BufReader, path::Path, time::Instant};

    use super::*;
    use crate::{
        child::{
            recording::{Happened, Recording},
            screen::{
                checkpoint::tests::{program, same},
                tests::Dice,
            },
            status::Told,
        },
        id::Size,
    };

    const SIZE: Size = Size { rows: 9, cols: 30 };

    /// Two that are fed the same, of which one sleeps whenever it can.
    struct Twins {
        sleeps: Screen,
        wakes: Screen,
        now: Instant,
    }

    impl Twins {
        fn new(size: Size) -> Self {
            Twins { sleeps: Screen::new(size), wakes: Screen::new(size), now: Instant::now() }
        }

        #[track_caller]
        fn feed(&mut self, bytes: &[u8], when: &str) {
            let [one, two] = [&mut self.sleeps, &mut self.wakes].map(|screen| screen.feed(bytes, self.now));
            assert_eq!(one, two, "{when}");
        }

        #[track_caller]
        fn compare(&mut self, when: &str) {
            self.sleeps.sleep();
            assert!(self.sleeps.is_asleep(), "{when}");
            same(&mut self.sleeps, &mut self.wakes, when);
            assert!(!self.sleeps.is_asleep(), "{when}");
        }
    }

    #[test]
    fn a_screen_that_slept_is_the_one_that_did_not_wherever_the_bytes_are_cut() {
        for seed in 1..=40 {
            let mut dice = Dice(seed);
            let size =
                |dice: &mut Dice| Size { rows: 1 + dice.roll(14) as u16, cols: 2 + dice.roll(60) as u16 };
            let mut twins = Twins::new(size(&mut dice));
            let bytes = program::write(&mut dice, if seed % 20 == 0 { 30_000 } else { 3000 });
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (part, after) =
                    rest.split_at(rest.len().min(1 + dice.roll(if seed % 20 == 0 { 999 } else { 99 })));
                rest = after;
                let when = format!("seed {seed}, {} bytes before its end", rest.len());
                twins.feed(part, &when);
                match dice.roll(4) {
                    0 => twins.compare(&when),
                    1 => twins.sleeps.sleep(),
                    2 => twins.sleeps.trim(),
                    _ => {}
                }
                if dice.roll(8) == 0 {
                    let size = size(&mut dice);
                    twins.sleeps.resize(size);
                    twins.wakes.resize(size);
                }
                if dice.roll(8) == 0 {
                    twins.now += std::time::Duration::from_millis(dice.roll(200) as u64);
                }
            }
            twins.compare(&format!("seed {seed}, in the end"));
        }
    }

    #[test]
    fn what_is_unfinished_goes_on_after_its_sleep() {
        for text in [
            "ab漢👩e\u{301}",
            "\x1b[1;3H\x1b[38;2;1;2;3mx\x1b[0m",
            "\x1b]0;a title\x07x",
            "\x1b[?2026hnew\x1b[?2026l",
            "\x1bP$qr\x1b\\\x1b[6n",
            "a\x1b[5b",
            "\x1b(0lqk\x1b[?1049hx\x1b[?1049l",
        ] {
            for cut in 0..=text.len() {
                let mut twins = Twins::new(SIZE);
                let when = format!("{text:?} cut at {cut}");
                twins.feed(&text.as_bytes()[..cut], &when);
                twins.sleeps.sleep();
                twins.feed(&text.as_bytes()[cut..], &when);
                twins.compare(&when);
            }
        }
    }

    #[test]
    fn the_programs_own_screens_sleep_and_wake_as_they_were() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/recordings");
        let mut seen = 0;
        for path in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            let mut recording = Recording::new(BufReader::new(File::open(&path).unwrap())).unwrap();
            let mut twins = Twins::new(recording.size());
            let mut at = 0;
            while let Some(moment) = recording.moment().unwrap() {
                at += 1;
                let when = format!("{}, event {at}", path.display());
                match moment.what {
                    Happened::Output(text) => twins.feed(text.as_bytes(), &when),
                    Happened::Resized(size) => {
                        twins.sleeps.resize(size);
                        twins.wakes.resize(size);
                    }
                    _ => {}
                }
                twins.sleeps.sleep();
                if at % 7 == 0 {
                    twins.compare(&when);
                }
            }
            twins.compare(&path.display().to_string());
            seen += 1;
        }
        assert!(seen >= 6, "{seen} recordings");
    }

    #[test]
    fn what_the_state_goes_by_wakes_nobody() {
        let mut screen = Screen::new(SIZE);
        let _ = screen.feed(b"\x1b]0;t\x07\x1b]9;4;1;50\x07text\x1b]133;A\x07\x07", Instant::now());
        let told = screen.told().clone();
        screen.sleep();
        assert_ne!(told, Told::default());
        assert_eq!((screen.title(), screen.told(), screen.bell_count()), (Some("t"), &told, 1));
        assert_eq!((screen.size(), screen.emulator_resets(), screen.sync_deadline()), (SIZE, 0, None));
        let _ = (screen.version(), screen.status(), screen.progress(), screen.prompt_mark());
        screen.trim();
        assert!(screen.is_asleep());
        assert_eq!(screen.text(0).lines, ["text"]);
        assert!(!screen.is_asleep(), "who looks wakes it");
        screen.sleep();
        screen.resize(SIZE);
        assert!(screen.is_asleep(), "the same size is none of its business");
        screen.resize(Size { rows: 3, ..SIZE });
        assert!(!screen.is_asleep());
    }

    #[test]
    fn the_rows_that_stand_ready_are_given_back_and_those_that_are_used_stay() {
        let mut screen = Screen::new(Size { rows: 3, cols: 10 });
        let _ = screen.feed("line\r\n".repeat(20).as_bytes(), Instant::now());
        let before = screen.text(99);
        assert_eq!(before.history, 18);
        screen.trim();
        assert_eq!(screen.text(99), before);
        let _ = screen.feed(b"\x1b[?1049hx", Instant::now());
        screen.trim();
        let _ = screen.feed(b"\x1b[?1049l", Instant::now());
        assert_eq!(screen.text(99), before);
    }
}
