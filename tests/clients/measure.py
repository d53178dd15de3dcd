#!/usr/bin/env python3
"""Prints what compere costs, as one table: memory of front, broker and an idle keeper; spawn to first output; a screen
read over stdio. Speaks MCP's lines itself, so that no client's own time is in the figures.

    python3 tests/clients/measure.py [BINARY]        (default: target/release/compere)

Times on a shared machine are noise by half: compare only within one run."""
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

BINARY = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "target/release/compere")
ROUNDS = 300


class Front:
    def __init__(self, directory):
        environment = {"PATH": os.environ["PATH"], "HOME": directory, "LANG": "C.UTF-8",
                       "COMPERE_RUNTIME_DIR": directory + "/run", "COMPERE_LINGER_MS": "100"}
        began = time.perf_counter()
        self.process = subprocess.Popen([BINARY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=directory, env=environment)
        self.last = 0
        self.ask("initialize", {"protocolVersion": "2025-06-18", "capabilities": {},
                                "clientInfo": {"name": "measure", "version": "0"}})
        self.ready_ms = (time.perf_counter() - began) * 1000
        self.tell("notifications/initialized")

    def tell(self, method):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", "method": method}).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, method, params):
        self.last += 1
        message = {"jsonrpc": "2.0", "id": self.last, "method": method, "params": params}
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()
        while True:
            line = json.loads(self.process.stdout.readline())
            if line.get("id") == self.last:
                return line["result"]

    def call(self, tool, **arguments):
        result = self.ask("tools/call", {"name": tool, "arguments": arguments})
        assert not result.get("isError"), result
        return result


def memory(pid):
    figures = {}
    with open(f"/proc/{pid}/smaps_rollup") as lines:
        for line in lines:
            name, _, rest = line.partition(":")
            if rest.strip().endswith("kB"):
                figures[name] = int(rest.split()[0])
    return figures["Rss"] / 1024, (figures["Private_Clean"] + figures["Private_Dirty"]) / 1024


def parent(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return int(stat.read().rsplit(")", 1)[1].split()[1])


def timed(work):
    times = []
    for round_ in range(ROUNDS):
        began = time.perf_counter()
        work(round_)
        times.append((time.perf_counter() - began) * 1000)
    times.sort()
    return statistics.median(times), times[int(len(times) * 0.99)]


def main():
    directory = tempfile.mkdtemp(prefix="cm")
    try:
        Front(directory).process.stdin.close()
        front = Front(directory)
        rows = [("front ready, broker running", f"{front.ready_ms:.1f} ms")]
        child = front.call("spawn", command=["sh", "-c", "echo up; exec cat"])["structuredContent"]
        front.call("timer_wait", timeout_ms=5000, until=[{"child": "c1", "matches": "up"}])
        keeper = parent(child["pid"])
        broker = parent(keeper)
        for name, pid in [("front", front.process.pid), ("broker, one child", broker), ("keeper, idle", keeper)]:
            resident, private = memory(pid)
            rows.append((f"memory of {name}", f"{resident:.1f} MB resident, {private:.2f} MB private"))
        median, worst = timed(lambda _: front.call("read_output", child="c1"))
        rows.append(("read_output screen over stdio", f"p50 {median:.2f} ms, p99 {worst:.2f} ms"))
        spawns, bare = [], []
        for _ in range(20):
            began = time.perf_counter()
            spawned = front.call("spawn", command=["echo", "up"])["structuredContent"]["child"]
            front.call("timer_wait", timeout_ms=5000, until=[{"child": spawned, "matches": "up", "since": 0}])
            spawns.append((time.perf_counter() - began) * 1000)
            began = time.perf_counter()
            subprocess.run(["echo", "up"], stdout=subprocess.PIPE, check=True)
            bare.append((time.perf_counter() - began) * 1000)
        ratio = statistics.median(spawns) / statistics.median(bare)
        rows.append(("spawn to first output, two calls", f"p50 {statistics.median(spawns):.1f} ms, "
                     f"a bare subprocess.run {statistics.median(bare):.1f} ms, ratio {ratio:.1f}"))
        front.call("stop", child="c1", grace_ms=100)
        front.process.stdin.close()
        front.process.wait(5)
        os.kill(broker, signal.SIGTERM)
        for name, value in rows:
            print(f"{name:34} {value}")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


main()
