"""The README's pictures, made of what the real program shows: `just pictures`.

    python docs/pictures/make.py PATH_TO_COMPERE

A company of stand-ins at work, in a directory of its own; a person's terminal, which is tmux's, looks at it; and rich
makes an SVG of each screen. Needs tmux, and rich for this Python. Leaves nothing behind but top.svg and attach.svg.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

COLUMNS, ROWS = 110, 24
PATIENCE = 20
HERE = pathlib.Path(__file__).resolve().parent
# As rich has it, but for the fonts, which it would take from elsewhere.
SVG = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: monospace; font-size: {char_height}px;
line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""


class Scene:
    """A company's directory, and the terminal of the person who looks at it."""

    def __init__(self, compere):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="cmp-", dir="/tmp"))
        for name in ("bin", "shop"):
            (self.home / name).mkdir()
        (self.home / "bin/compere").symlink_to(pathlib.Path(compere).resolve())
        self.env = {
            "PATH": f"{self.home}/bin:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.home),
            "USER": "ada",
            "LANG": "C.UTF-8",
            "COMPERE_RUNTIME_DIR": str(self.home / "run"),
            "TMUX_TMPDIR": str(self.home),
            "COMPERE_LINGER_MS": "100",
        }

    def run(self, *command):
        ran = subprocess.run(command, cwd=self.home / "shop", env=self.env, capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            raise SystemExit(f"{command}: {ran.stdout}{ran.stderr}")
        return ran.stdout

    def tmux(self, *arguments):
        return self.run("tmux", "-L", "pictures", "-f", "/dev/null", *arguments)

    def terminal(self, columns, rows):
        self.tmux("new-session", "-d", "-x", str(columns), "-y", str(rows), "exec bash --norc --noprofile")

    def keys(self, *keys):
        self.tmux("send-keys", "--", *keys)

    def shows(self, text):
        """Waits until it does: there is no event for what a terminal shows."""
        until = time.monotonic() + PATIENCE
        while text not in (shown := self.tmux("capture-pane", "-p")):
            if time.monotonic() > until:
                raise SystemExit(f"{text!r} is not shown:\n{shown}")
            time.sleep(0.05)

    def picture(self, name, title):
        screen = self.tmux("capture-pane", "-e", "-p")
        console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w", encoding="utf-8"), force_terminal=True,
                          color_system="truecolor", legacy_windows=False)
        for line in screen.splitlines():
            console.print(Text.from_ansi(line), no_wrap=True, overflow="crop", highlight=False)
        svg = console.export_svg(title=title, theme=MONOKAI, code_format=SVG, unique_id=name)
        (HERE / f"{name}.svg").write_text(svg, encoding="utf-8")

    def end(self):
        for child in ("lead", "site"):
            subprocess.run(["compere", "stop", child], env=self.env, capture_output=True, check=False,
                           executable=self.home / "bin/compere")
        subprocess.run(["tmux", "-L", "pictures", "kill-server"], env=self.env, capture_output=True, check=False)
        until = time.monotonic() + PATIENCE
        # The broker ends by itself when there is nobody left.
        while (self.home / "run/broker.sock").exists() and time.monotonic() < until:
            time.sleep(0.05)
        shutil.rmtree(self.home)


def company(scene):
    """A lead with three agents, and a server that the person has started."""
    scene.run("compere", "spawn", "--name", "site", "--", "sh", "-c", "echo 'Serving on http://localhost:8000'; exec sleep 600")
    scene.terminal(COLUMNS, ROWS)
    scene.keys("PS1='$ '; clear", "Enter")
    scene.keys("compere run shell --name lead", "Enter")
    scene.shows("you have the input")
    scene.keys("PS1='lead> '; clear", "Enter")
    fake = "compere spawn --preset fake-agent --name"
    for name, flags in (("api", "--work 600000"), ("tests", "--ask"), ("docs", "")):
        scene.keys(f"{fake} {name} -- compere fake-agent --report {flags}", "Enter")
        scene.shows(f" {name}: compere")
    scene.keys("C-]", "d")
    scene.shows("left ")
    scene.keys("clear", "Enter")
    scene.run("compere", "wait", "--idle", "docs")
    scene.run("compere", "send", "api", "Add a route for orders; run the tests before you report.")
    scene.run("compere", "send", "tests", "cargo test -p shop")
    scene.run("compere", "send", "docs", "report blocked: which of the two names is it, orders or purchases?")


def main():
    scene = Scene(sys.argv[1])
    try:
        company(scene)
        scene.keys("compere top", "Enter")
        scene.shows("blocked: which")
        scene.keys("Up", "Up")
        scene.shows("Allow this?")
        scene.picture("top", "compere top")
        scene.keys("q")
        scene.shows("$")
        scene.run("compere", "send", "lead", "sleep 2; compere send docs 'It is orders, says the lead.'")
        scene.keys("clear; compere attach docs", "Enter")
        scene.shows("you have the input")
        scene.keys("The name is orders; I have")
        scene.shows("1 held")
        scene.picture("attach", "compere attach docs")
        scene.keys("C-]", "d")
        scene.shows("left ")
    finally:
        scene.end()


if __name__ == "__main__":
    main()
