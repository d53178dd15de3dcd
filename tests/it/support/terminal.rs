//! A person's terminal, which is tmux's: their keys go in by `send-keys`, what they see comes out by `capture-pane`.

use std::{
    path::PathBuf,
    process::{Command, Output},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{COMPERE, Client, PATH, Real};

/// No test waits longer for a text.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A person's terminal: a tmux server of its own with one session. Dropping it ends it and all in it.
pub(crate) struct Terminal {
    home: PathBuf,
    run: PathBuf,
}

impl Terminal {
    /// A shell with the prompt `> ` in a terminal of so many columns and rows.
    pub(crate) async fn new(real: &Real, cols: u16, rows: u16) -> Terminal {
        let terminal = Terminal { home: real.home().to_owned(), run: real.run() };
        let (cols, rows) = (cols.to_string(), rows.to_string());
        // A session's own shell may not be what runs the command.
        let shell = "exec bash --norc --noprofile";
        let made = terminal.tmux(&["new-session", "-d", "-x", &cols, "-y", &rows, shell]);
        assert!(made.status.success(), "these tests need tmux: {made:?}");
        terminal.tmux(&["set-option", "-g", "window-size", "manual"]);
        terminal.enters("PS1='> '; PROMPT_COMMAND=; clear");
        terminal.shows(|shown| shown == ">").await;
        terminal
    }

    /// Another one of the same person's, on a server of its own.
    pub(crate) fn second(real: &Real) -> Terminal {
        let home = real.home().join("second");
        std::fs::create_dir_all(home.join("work")).unwrap();
        let terminal = Terminal { home, run: real.run() };
        let shell = "exec bash --norc --noprofile";
        let made = terminal.tmux(&["new-session", "-d", "-x", "80", "-y", "24", shell]);
        assert!(made.status.success(), "{made:?}");
        terminal
    }

    pub(crate) fn tmux(&self, arguments: &[&str]) -> Output {
        Command::new("tmux")
            .args(["-L", "person", "-f", "/dev/null"])
            .args(arguments)
            .env_clear()
            .envs([("PATH", PATH), ("LANG", "C.UTF-8"), ("COMPERE_LINGER_MS", "100"), ("USER", "ada")])
            .env("TMUX_TMPDIR", &self.home)
            .env("HOME", &self.home)
            .env("COMPERE_RUNTIME_DIR", &self.run)
            .current_dir(self.home.join("work"))
            .output()
            .expect("these tests need tmux: `apt-get install tmux`")
    }

    /// Keys by tmux's names; what is no name is typed.
    pub(crate) fn keys(&self, keys: &str) {
        self.tmux(&["send-keys", "--", keys]);
    }

    /// Types it, and Enter.
    pub(crate) fn enters(&self, text: &str) {
        self.keys(text);
        self.keys("Enter");
    }

    /// Gives an order: the prefix key, and this one.
    pub(crate) fn order(&self, key: &str) {
        self.keys("C-]");
        self.keys(key);
    }

    /// What is on it, without the blanks at the end.
    pub(crate) fn shown(&self) -> String {
        let shown = String::from_utf8(self.tmux(&["capture-pane", "-p"]).stdout).unwrap();
        shown.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }

    /// Waits until it shows that. There is no event for what a terminal shows: this asks again and again.
    pub(crate) async fn shows(&self, what: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let shown = self.shown();
            if what(&shown) {
                return shown;
            }
            assert!(Instant::now() < until, "the terminal shows\n{shown}\nand that is not it");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until it shows that text.
    pub(crate) async fn has(&self, text: &str) -> String {
        self.shows(|shown| shown.contains(text)).await
    }

    /// Runs a command of compere's in it.
    pub(crate) fn run(&self, arguments: &str) {
        self.enters(&format!("{COMPERE} {arguments}"));
    }

    /// Runs `compere attach`, and waits until it has the input.
    pub(crate) async fn attach(&self, child: &str) {
        self.run(&format!("attach {child}"));
        self.has("you have the input").await;
    }

    /// What tmux knows of the terminal's state.
    pub(crate) fn state(&self) -> String {
        let format = "#{alternate_on} #{cursor_flag} #{insert_flag} #{keypad_cursor_flag} #{keypad_flag} #{mouse_any_flag} \
                      #{mouse_button_flag} #{mouse_sgr_flag} #{origin_flag} #{wrap_flag} #{pane_title}";
        String::from_utf8(self.tmux(&["display-message", "-p", format]).stdout).unwrap()
    }

    /// Runs `stty -a` in it; the tests' shells make files.
    pub(crate) async fn stty(&self) -> String {
        let file = self.home.join("work/stty");
        let _ = std::fs::remove_file(&file);
        self.enters("stty -a > stty.part; mv stty.part stty");
        let until = Instant::now() + PATIENCE;
        loop {
            match std::fs::read_to_string(&file) {
                Ok(stty) => return stty,
                Err(_) if Instant::now() < until => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => panic!("{error}\n{}", self.shown()),
            }
        }
    }

    /// Processes of compere's that use this terminal: the one that waits, and the one that draws.
    pub(crate) fn processes(&self) -> (i32, i32) {
        let tty = String::from_utf8(self.tmux(&["display-message", "-p", "#{pane_tty}"]).stdout).unwrap();
        let ps = Command::new("ps").args(["-t", tty.trim(), "-o", "pid=,args="]).output().unwrap();
        let ps = String::from_utf8(ps.stdout).unwrap();
        let ours = ps.lines().filter(|line| line.contains(" attach ") || line.contains(" watch "));
        let pid = |line: &str| line.split_whitespace().next().unwrap().parse::<i32>().unwrap();
        let (draws, waits): (Vec<&str>, Vec<&str>) = ours.partition(|line| line.contains("--guarded"));
        (pid(waits[0]), pid(draws[0]))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

/// The newest row of the listing that is as it should be, which it becomes in a moment.
pub(crate) async fn row_is(client: &Client, child: &str, so: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let row = client.row(child).await;
        if so(&row) {
            return row;
        }
        assert!(Instant::now() < until, "{row}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
