"""compere as the public Python MCP SDK sees it: `mcp` 2.3.0 over stdio, against the real binary.

    python tests/clients/python_sdk.py PATH_TO_COMPERE          (tests/clients/run does this, in a venv)

All claims are tried twice: in the era of `initialize`, and as 2026-07-28. Each time in a directory of its own, which
must hold no socket and no ring afterwards, and which no process may still use. One PASS line per claim; the first
claim that does not hold ends the run with a traceback and a non-zero status.
"""

import contextlib
import os
import re
import shlex
import signal
import sys
import tempfile
import time
from pathlib import Path

import anyio
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters

TOOLS = {
    "spawn", "send_message_to", "send_keys", "read_output", "timer_wait",
    "report_to_parent", "read_reports", "list_children", "stop",
}
MIB = 1 << 20
FLOOD = 400_000


class Company:
    """One connection; every call of it that should succeed is asserted to."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def call(self, tool: str, **arguments):
        """The record a tool answers, which its text must repeat word for word."""
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, (tool, arguments, result.content)
        record = result.structured_content
        assert isinstance(record, dict), (tool, result)
        assert len(result.content) == 1, result.content
        return record

    async def refused(self, tool: str, **arguments) -> str:
        """What a tool says when it does not do what was asked."""
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error, (tool, arguments, result)
        return result.content[0].text

    async def read(self, child: str, **arguments):
        """A child's output: the figures, and the text below the heading."""
        result = await self.client.call_tool("read_output", {"child": child, **arguments})
        assert not result.is_error, result.content
        figures = {key.removeprefix("compere/"): value for key, value in (result.meta or {}).items()}
        lines = result.content[0].text.split("\n")
        assert lines[0].startswith("["), lines[0]
        while lines and lines[0].startswith("["):
            lines.pop(0)
        return figures, "\n".join(lines)

    async def wait(self, *until, timeout_ms: int = 30_000):
        """A wait for these conditions, or for a report if there are none."""
        conditions = {"until": list(until)} if until else {}
        return await self.call("timer_wait", timeout_ms=timeout_ms, **conditions)

    async def run(self, child: str, command: str, until: str):
        """Types a command and waits for what it prints. Its echo must not contain `until` itself."""
        receipt = await self.call("send_message_to", to=child, message=command)
        assert receipt["status"] == "typed", receipt
        woke = await self.wait({"child": child, "matches": until, "since": receipt["offset"]}, {"child": child, "is": "exited"})
        assert woke["woke"] == "match", woke
        return receipt


async def lists_its_tools(company: Company) -> str:
    tools = (await company.client.list_tools()).tools
    assert TOOLS <= {tool.name for tool in tools}, [tool.name for tool in tools]
    for tool in tools:
        assert tool.input_schema["type"] == "object", tool
        assert tool.description and len(tool.description) < 2048, tool.name
        assert tool.annotations is not None and tool.annotations.title, tool.name
    assert company.client.server_info.name == "compere", company.client.server_info
    return f"{len(tools)} tools, each with an object for a schema, a description and a title"


async def spawns_a_shell(company: Company) -> str:
    spawned = await company.call("spawn", preset="shell", command=["/bin/sh"], name="worker", rows=24, cols=100)
    assert re.fullmatch(r"c[1-9][0-9]*", spawned["child"]), spawned
    assert (spawned["name"], spawned["rows"], spawned["cols"]) == ("worker", 24, 100), spawned
    assert spawned["owner"] == "orchestrator" and spawned["held"] == 0, spawned
    os.kill(spawned["pid"], 0)
    again = await company.refused("spawn", command=["/bin/sh"], name="worker")
    assert "worker" in again and spawned["child"] in again, again
    return f"{spawned['child']} runs in 24x100, and its name is taken"


async def delivers_a_message(company: Company) -> str:
    receipt = await company.run("worker", "echo sum=$((40 + 2))", "^sum=42$")
    assert receipt["owner"] == "orchestrator" and receipt["delivery"], receipt
    figures, screen = await company.read("worker", mode="screen")
    assert "sum=42" in screen.splitlines(), screen
    assert (figures["rows"], figures["cols"]) == (24, 100), figures
    figures, same = await company.read("worker", mode="screen", since_screen=figures["version"])
    assert figures["unchanged"] is True and "sum=42" not in same, same
    figures, stream = await company.read("worker", mode="stream", since=receipt["offset"])
    assert figures["from"] == receipt["offset"] and figures["dropped"] == 0, figures
    assert "sum=42" in stream.splitlines(), stream
    return "typed, run, on the screen, and in the stream after the receipt's offset"


async def keeps_the_newest_mebibyte_of_a_flood(company: Company) -> str:
    receipt = await company.run("worker", f"seq 1 {FLOOD}; echo flood-$((1 + 1))", "^flood-2$")
    figures, text = await company.read("worker", mode="stream", since=receipt["offset"], max_bytes=262_144)
    dropped = figures["dropped"]
    assert dropped > MIB, figures
    assert figures["from"] == receipt["offset"] + dropped, figures
    oldest, numbers, pages, answer = figures["from"], text, 1, len(text)
    while figures["next"] < figures["end"]:
        before = figures["next"]
        figures, text = await company.read("worker", mode="stream", since=before, max_bytes=262_144)
        assert figures["from"] == before and figures["dropped"] == 0, figures
        assert figures["next"] > before, figures
        assert len(text) <= 262_144, len(text)
        numbers += text
        pages += 1
        answer = max(answer, len(text))
    kept = figures["end"] - oldest
    assert MIB - 4096 <= kept <= MIB, kept
    numbers = [int(line) for line in numbers.splitlines() if line.isdecimal()]
    # The first may have lost its beginning: what was dropped ends anywhere.
    assert numbers[1:] == list(range(FLOOD - len(numbers) + 2, FLOOD + 1)), (numbers[:3], numbers[-3:], len(numbers))
    _, screen = await company.read("worker", mode="screen")
    assert "flood-2" in screen.splitlines(), screen
    return f"{dropped} bytes dropped and told, {kept} kept, {len(numbers)} numbers in a row over {pages} pages"


async def cancels_one_of_two_waits(company: Company) -> str:
    receipt = await company.call("send_message_to", to="worker", message="cat > /dev/null")
    assert receipt["status"] == "typed", receipt
    woke = {}
    cancelled = anyio.CancelScope()

    async def doomed() -> None:
        with cancelled:
            woke["doomed"] = await company.wait({"child": "worker", "matches": "never-to-be-seen"})

    async def lasting() -> None:
        woke["lasting"] = await company.wait({"child": "worker", "matches": "^after=2$", "since": receipt["offset"]})

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(doomed)
            tasks.start_soon(lasting)
            # Answered beside them, and after they were sent: so both are on their way.
            beside = await company.call("list_children")
            assert [child["name"] for child in beside["children"]] == ["worker"], beside
            await anyio.sleep(0.3)
            assert not woke, woke
            cancelled.cancel()
            beside = await company.call("list_children")
            assert beside["children"], beside
            assert not woke, woke
            keys = await company.call("send_keys", to="worker", keys=["C-c"])
            assert keys["status"] == "typed", keys
            receipt = await company.call("send_message_to", to="worker", message="echo after=$((1 + 1))")
            assert receipt["status"] == "typed", receipt
    assert set(woke) == {"lasting"} and woke["lasting"]["woke"] == "match", woke
    assert woke["lasting"]["line"] == "after=2", woke
    return "two waits at once, calls beside them, one cancelled, the other woken by its line"


async def waits_out_a_time(company: Company) -> str:
    began = time.monotonic()
    woke = await company.call("timer_wait", timeout_ms=300, until=[])
    took = time.monotonic() - began
    assert woke["woke"] == "timer" and 0.29 <= took < 5, (woke, took)
    return f"300 ms took {took * 1000:.0f}"


async def hears_a_nested_report(company: Company) -> str:
    report = shlex.quote('{"status": "done", "message": "it\\u0027s built", "data": {"tests": 7}}')
    binary = shlex.quote(company.client.server.command)
    receipt = await company.call("send_message_to", to="worker", message=f"{binary} call report_to_parent {report}")
    assert receipt["status"] == "typed", receipt
    woke = await company.wait()
    assert woke["woke"] == "report" and len(woke["reports"]) == 1, woke
    heard = woke["reports"][0]
    assert (heard["name"], heard["status"], heard["message"]) == ("worker", "done", "it's built"), heard
    assert heard["data"] == {"tests": 7}, heard
    kept = await company.call("read_reports", after=heard["report"] - 1)
    assert [row["report"] for row in kept["reports"]] == [heard["report"]], kept
    assert not (await company.call("read_reports"))["reports"], "a report was handed over twice"
    own = await company.refused("report_to_parent", status="done", message="nobody above me")
    assert "parent" in own or "spawned" in own, own
    return "a report from inside the child, under its own name, once"


async def tells_exits_truly(company: Company) -> str:
    for name, script, exit_ in [("seven", "exit 7", {"code": 7}), ("killed", "kill -9 $$", {"signal": 9}), ("well", "echo bye", {"code": 0})]:
        await company.call("spawn", command=["/bin/sh", "-c", script], name=name)
        woke = await company.wait({"child": name, "is": "exited"})
        assert woke["woke"] == "exited" and woke["name"] == name, woke
        rows = {row["name"]: row for row in (await company.call("list_children"))["children"]}
        assert rows[name]["exit"] == exit_, rows[name]
    figures, text = await company.read("well", mode="stream")
    assert "bye" in text and figures["state"] == "exited", (figures, text)
    late = await company.call("send_message_to", to="seven", message="anyone?")
    assert late["status"] == "refused" and late["reason"], late
    return "code 7, signal 9 and code 0; what was written last is still there; a message to the dead is refused"


async def refuses_what_cannot_be(company: Company) -> str:
    unknown = await company.refused("read_output", child="nobody")
    assert "nobody" in unknown and "worker" in unknown, unknown
    missing = await company.refused("spawn", command=["/no/such/program"])
    assert "/no/such/program" in missing and "Nothing was spawned" in missing, missing
    nothing = await company.refused("spawn")
    assert "preset" in nothing and "shell" in nothing, nothing
    pattern = await company.refused("timer_wait", timeout_ms=1000, until=[{"child": "worker", "matches": "("}])
    assert "regular expression" in pattern, pattern
    return "each refusal names what was wrong, and what there is instead"


async def stops_all_of_a_child(company: Company) -> str:
    await company.run("worker", "sh -c 'trap \"\" TERM HUP; sleep 1000 & setsid sleep 1000 & echo started-$((1+1)); wait' &", "started-2$")
    stopped = await company.call("stop", child="worker", grace_ms=200)
    assert stopped["name"] == "worker" and stopped["left"] == [], stopped
    assert stopped["exit"], stopped
    again = await company.call("stop", child="worker")
    assert again["exit"] == stopped["exit"] and again["left"] == [], again
    _, text = await company.read("worker", mode="stream", since=-4096)
    assert "started-2" in text, text
    return "with what it started in other sessions and against TERM; stopping again is no error; still readable"


CLAIMS = [
    lists_its_tools, spawns_a_shell, delivers_a_message, keeps_the_newest_mebibyte_of_a_flood,
    cancels_one_of_two_waits, waits_out_a_time, hears_a_nested_report, tells_exits_truly,
    refuses_what_cannot_be, stops_all_of_a_child,
]


def users(directory: str) -> dict[int, str]:
    """The processes that still have this directory in their environment or memory. (A keeper has no environment, but
    maps its ring.)"""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.name == str(os.getpid()) or (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
                continue
            about = (process / "environ").read_bytes() + (process / "maps").read_bytes()
            if directory.encode() in about:
                found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


@contextlib.contextmanager
def end_of_all(directory: str):
    """A run that failed leaves nothing either."""
    try:
        yield
    finally:
        for process in users(directory):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


async def leaves_nothing(runtime: Path) -> str:
    began = time.monotonic()
    while left := users(str(runtime)):
        assert time.monotonic() - began < 20, left
        await anyio.sleep(0.05)
    sockets = [line for line in Path("/proc/net/unix").read_text().splitlines() if str(runtime) in line]
    assert not sockets, sockets
    files = sorted(str(path.relative_to(runtime)) for path in runtime.rglob("*") if not path.is_dir())
    assert set(files) <= {"broker.lock", "broker.log", "home.json", "state/journal.db"}, files
    return f"no process, no socket, no file but the lock, the log and the journal, {time.monotonic() - began:.1f} s after the last client"


async def main(binary: str, mode: str, version: str) -> None:
    with tempfile.TemporaryDirectory(prefix="compere-") as scratch, end_of_all(scratch):
        workspace, runtime = Path(scratch, "work"), Path(scratch, "run")
        workspace.mkdir()
        env = {
            "COMPERE_RUNTIME_DIR": str(runtime),
            # The last to leave: ended children's output stays readable sixty times this long.
            "COMPERE_LINGER_MS": "50",
            "XDG_CONFIG_HOME": scratch, "XDG_STATE_HOME": scratch, "XDG_DATA_HOME": scratch,
            "ENV": "", "PS1": "$ ",
        }
        server = StdioServerParameters(command=binary, env=env, cwd=workspace)
        with anyio.fail_after(180):
            async with Client(server, mode=mode, read_timeout_seconds=60) as client:
                assert client.protocol_version == version, client.protocol_version
                for claim in CLAIMS:
                    began = time.monotonic()
                    try:
                        how = await claim(Company(client))
                    except BaseException:
                        print(f"FAIL python {version} {claim.__name__}", flush=True)
                        raise
                    passed(version, claim, how, began)
            began = time.monotonic()
            how = await leaves_nothing(runtime)
            passed(version, leaves_nothing, how, began)


def passed(version: str, claim, how: str, began: float) -> None:
    print(f"PASS python {version} {claim.__name__}: {how} ({time.monotonic() - began:.1f} s)", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not os.access(sys.argv[1], os.X_OK):
        sys.exit(__doc__)
    for mode, version in [("legacy", "2025-11-25"), ("auto", "2026-07-28")]:
        anyio.run(main, os.path.realpath(sys.argv[1]), mode, version)
