#!/usr/bin/env python3
"""A model on loopback that says what the text of its user tells it to, for the agents' programs that tests/agents runs.

    model.py [--port 0] [--trace DIR]     serves, and prints its port; ends when its standard input does
    model.py --self-test                  tries what decides here, without any socket

It speaks Anthropic's Messages, OpenAI's Responses and chat completions, and Gemini's generateContent, each as a stream or
at once, and answers the small questions that the programs ask at their start. The first part of a path says who asks:
`/claude/v1/messages` is heard from `claude`. It keeps nothing on disk but what --trace asks for: each request as it came.

The script. What stands between the first `[[` and its `]]` in a user's text is done in order; without one the answer is
`heard N characters`. Steps are separated by `;;` and brackets nest, so a step may carry another model's script:

    say WORDS           says them; {result} is what the last tool answered, {tools} the names of all tools
    lines N             says N numbered lines
    slow N              says a word each 0.2 s for N seconds
    gap N               says something, is silent for N seconds in the middle of its answer, and says something more
    silent N            is silent for N seconds; as the first step, before the first word
    hold NAME           is silent until somebody asks for /release?name=NAME
    call TOOL {JSON}    calls the tool whose name ends so
    shell COMMAND       runs it with the program's own shell tool, in the way that makes it ask its user for permission
    error CODE          answers with this HTTP status, as often as it is asked; only as the first step

A call ends an answer; what stands after it is the answer to its result. The model remembers nothing: how many results
stand behind the text with the script says how far it has come.

What it heard. GET /log?from=N&wait=SECONDS answers {"next": M, "events": […]}: all that happened since event N, or the
first thing that does. Each event has `at` (ms since 1970), `who`, `what`, and:

    heard   id, text              a user's text that was not in this conversation before: once, however often the program
                                  sends it again as history
    begun   id, main, users       a request; `main` if it brings tools (titles and summaries are asked for without any)
    result  id, text              what a tool answered
    tools   names                 the tools of a request, where they differ from those before
    ended   id, how               an answer: `done`, `error`, or `cut` by the program

GET /heard answers the texts alone: [{"at", "who", "text"}].
"""

import argparse
import gzip
import hashlib
import json
import os
import re
import select
import socket
import sys
import threading
import time
import uuid
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

# The most that is remembered: of events, and of their texts' bytes. The oldest go first.
MOST_EVENTS = 20_000
MOST_BYTES = 64 << 20
# The most conversations of one program.
MOST_CONVERSATIONS = 64
# A hold that nobody releases ends.
HOLD_SECONDS = 120


# ---- The script


def script(text):
    """The steps in a text, as (verb, rest); None where it has no script."""
    start = text.find("[[")
    if start < 0:
        return None
    depth, at, steps, begun = 1, start + 2, [], start + 2
    while at < len(text) and depth:
        two = text[at : at + 2]
        if two == "[[":
            depth += 1
        elif two == "]]":
            depth -= 1
        if depth == 0 or (depth == 1 and two == ";;"):
            steps.append(text[begun:at].strip())
            begun = at + 2
        at += 2 if two in ("[[", "]]", ";;") else 1
    if depth:
        return None
    return [(verb, rest.strip()) for verb, _, rest in (step.partition(" ") for step in steps if step)]


def answers(steps):
    """The steps as answers, each of which ends with its call."""
    parts = [[]]
    for step in steps:
        parts[-1].append(step)
        if step[0] in ("call", "shell"):
            parts.append([])
    return parts


def plan(messages):
    """What to do about this conversation: the steps of the answer, and what the last tool answered."""
    at = steps = None
    for index, message in enumerate(messages):
        for kind, text in message:
            if kind == "user" and (found := script(text)):
                at, steps = index, found
    last = messages[-1] if messages else []
    result = next((text for message in reversed(messages) for kind, text in message if kind == "result"), "")
    texts = [text for kind, text in last if kind == "user"]
    told = at is not None and (at == len(messages) - 1 or any(kind == "result" for kind, _ in last))
    if not told:
        return [("say", f"heard {len(texts[-1])} characters" if texts else "nothing to do")], result
    rounds = sum(any(kind == "result" for kind, _ in message) for message in messages[at + 1 :])
    parts = answers(steps)
    return (parts[rounds] if rounds < len(parts) else []) or [("say", "done")], result


# ---- What a request says, whatever its protocol: messages, each a list of ("user" | "result" | "model", text)

# What the programs say in their user's name by themselves.
NOISE = (
    "<system-reminder>",
    "<environment_context>",
    "<user_instructions>",
    "<permissions instructions>",
    "<turn_aborted>",
    "<session_context>",
    "<local-command",
    "<command-",
    "# AGENTS.md",
    "This is the Gemini CLI",
    "This is the Qwen Code",
    "[Request interrupted",
    "[SUGGESTION MODE",
)


def users(text):
    text = text or ""
    return [] if not text.strip() or text.lstrip().startswith(NOISE) else [("user", text)]


def plain(content):
    """The text in what a tool answered."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(filter(None, map(plain, content)))
    if isinstance(content, dict):
        if isinstance(content.get("text"), str):
            return content["text"]
        return plain(content["content"]) if "content" in content else json.dumps(content)
    return ""


def blocks(content):
    return [{"type": "text", "text": content}] if isinstance(content, str) else content or []


def read_anthropic(body):
    tools = {tool.get("name", ""): tool.get("input_schema") or {} for tool in body.get("tools") or []}
    messages = []
    for message in body.get("messages") or []:
        if message.get("role") == "assistant":
            messages.append([("model", "")])
        if message.get("role") != "user":
            continue
        items = []
        for block in blocks(message.get("content")):
            if block.get("type") == "tool_result":
                items.append(("result", plain(block.get("content"))))
            elif block.get("type") == "text":
                items += users(block.get("text"))
        if items:
            messages.append(items)
    return tools, messages


def read_responses(body):
    tools = {}
    for tool in body.get("tools") or []:
        # A namespace's tools are called with both names.
        for inner in tool.get("tools") or [] if tool.get("type") == "namespace" else [tool]:
            prefix = tool["name"] + "\0" if tool.get("type") == "namespace" else ""
            name = inner.get("name") or inner.get("type") or ""
            tools[prefix + name] = inner.get("parameters") or {}
    given, messages = body.get("input") or [], []
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    for item in given:
        kind = item.get("type", "message")
        if kind.endswith("_call_output"):
            result = ("result", plain(item.get("output")))
            # The answers to several calls come one after the other.
            if messages and messages[-1][-1][0] == "result":
                messages[-1].append(result)
            else:
                messages.append([result])
        elif kind == "message" and item.get("role") == "user":
            items = [each for block in blocks(item.get("content")) for each in users(block.get("text"))]
            if items:
                messages.append(items)
        elif item.get("role") not in ("developer", "system"):
            messages.append([("model", "")])
    return tools, messages


def read_chat(body):
    tools = {}
    for tool in body.get("tools") or []:
        function = tool.get("function") or {}
        tools[function.get("name", "")] = function.get("parameters") or {}
    messages = []
    for message in body.get("messages") or []:
        role = message.get("role")
        if role == "user":
            items = [each for block in blocks(message.get("content")) for each in users(block.get("text"))]
            if items:
                messages.append(items)
        elif role == "tool":
            result = ("result", plain(message.get("content")))
            if messages and messages[-1][-1][0] == "result":
                messages[-1].append(result)
            else:
                messages.append([result])
        elif role == "assistant":
            messages.append([("model", "")])
    return tools, messages


def read_gemini(body):
    tools = {}
    for tool in body.get("tools") or []:
        for function in tool.get("functionDeclarations") or []:
            schema = function.get("parametersJsonSchema") or function.get("parameters") or {}
            tools[function.get("name", "")] = schema
    messages = []
    for content in body.get("contents") or []:
        if content.get("role") == "model":
            messages.append([("model", "")])
            continue
        items = []
        for part in content.get("parts") or []:
            if "functionResponse" in part:
                items.append(("result", json.dumps(part["functionResponse"].get("response"))))
            else:
                items += users(part.get("text"))
        if items:
            messages.append(items)
    return tools, messages


# ---- Tools

SHELLS = ("Bash", "bash", "run_shell_command", "exec_command", "shell_command", "shell")


def tool_named(tools, name):
    """The tool of that name, or the first whose name ends with it."""
    if name in tools:
        return name
    return next((each for each in tools if each.endswith(name)), None)


def shell_call(tools, command):
    """The program's own shell tool, and its arguments."""
    for name in SHELLS:
        if name not in tools:
            continue
        known = tools[name].get("properties") or {}
        array = (known.get("command") or {}).get("type") == "array"
        values = {
            "command": ["bash", "-lc", command] if array else command,
            "cmd": command,
            "description": "What a test wants",
            "is_background": False,
            # Codex's: what its sandbox allows it would not ask for.
            "sandbox_permissions": "require_escalated",
            "with_escalated_permissions": True,
            "justification": "a test wants it",
        }
        return name, {key: value for key, value in values.items() if key in known}
    return None, None


# ---- What was heard


class Conversations:
    """Which of a program's texts are new: it sends all of a conversation with each request."""

    def __init__(self):
        self.all = []

    def new(self, texts):
        marks = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]

        def common(known):
            pairs = zip(known, marks)
            return next((at for at, (left, right) in enumerate(pairs) if left != right), min(len(known), len(marks)))

        best = max(self.all, key=common, default=None)
        shared = common(best) if best is not None else 0
        # What was heard stays heard, whatever a program leaves out of its history afterwards.
        heard = {mark for known in self.all for mark in known[shared:]} if shared else set()
        fresh = [at for at in range(shared, len(marks)) if marks[at] not in heard]
        if shared and best is not None and shared == len(best):
            best += marks[shared:]
        elif shared < len(marks):
            self.all = self.all[-MOST_CONVERSATIONS + 1 :] + [marks]
        return [texts[at] for at in fresh]


class Log:
    """What happened, for whoever asks; one for all threads."""

    def __init__(self):
        self.changed = threading.Condition()
        self.events, self.first, self.bytes = [], 0, 0
        self.known, self.tools, self.released = {}, {}, set()

    def add(self, who, what, **more):
        with self.changed:
            self.events.append({"at": round(time.time() * 1000), "who": who, "what": what, **more})
            self.bytes += len(more.get("text", ""))
            while len(self.events) > MOST_EVENTS or self.bytes > MOST_BYTES:
                self.bytes -= len(self.events.pop(0).get("text", ""))
                self.first += 1
            self.changed.notify_all()

    def asked(self, who, request, tools, messages):
        """A request has come."""
        texts = [text for message in messages for kind, text in message if kind == "user"]
        main = bool(tools)
        self.add(who, "begun", id=request, main=main, users=len(texts))
        if not main:
            return
        names = [name.replace("\0", "__") for name in tools]
        with self.changed:
            fresh = self.known.setdefault(who, Conversations()).new(texts)
            other = self.tools.get(who) != names
            self.tools[who] = names
        if other:
            self.add(who, "tools", names=names)
        for text in fresh:
            self.add(who, "heard", id=request, text=text)
        for kind, text in messages[-1] if messages else []:
            if kind == "result":
                self.add(who, "result", id=request, text=text)

    def since(self, start, seconds):
        deadline = time.monotonic() + seconds
        with self.changed:
            while self.first + len(self.events) <= start:
                left = deadline - time.monotonic()
                if left <= 0 or not self.changed.wait(left):
                    break
            return {"next": self.first + len(self.events), "events": self.events[max(0, start - self.first) :]}

    def heard(self):
        with self.changed:
            keys = ("at", "who", "text")
            return [{key: each[key] for key in keys} for each in self.events if each["what"] == "heard"]

    def release(self, name):
        with self.changed:
            self.released.add(name)
            self.changed.notify_all()


class Gone(Exception):
    """The program has hung up."""


# ---- The protocols' answers: begin, text, call, end


def name_of(prefix):
    return prefix + uuid.uuid4().hex[:24]


class Anthropic:
    USAGE = {"input_tokens": 100, "output_tokens": 10, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}

    def __init__(self, wire, body):
        self.wire, self.stream = wire, bool(body.get("stream"))
        self.content, self.stop = [], "end_turn"
        self.message = {"id": name_of("msg_"), "type": "message", "role": "assistant", "model": body.get("model")}

    def send(self, kind, **more):
        if self.stream:
            self.wire.event({"type": kind, **more}, kind)

    def begin(self):
        if self.stream:
            self.wire.begin()
        message = {**self.message, "content": [], "stop_reason": None, "stop_sequence": None, "usage": self.USAGE}
        self.send("message_start", message=message)

    def open(self, block):
        self.send("content_block_start", index=len(self.content), content_block=block)
        self.content.append(block)

    def close(self):
        if self.content:
            self.send("content_block_stop", index=len(self.content) - 1)

    def text(self, words):
        if not self.content or self.content[-1]["type"] != "text":
            self.close()
            self.open({"type": "text", "text": ""})
        delta = {"type": "text_delta", "text": words}
        self.send("content_block_delta", index=len(self.content) - 1, delta=delta)
        self.content[-1] = {"type": "text", "text": self.content[-1]["text"] + words}

    def call(self, name, arguments):
        self.close()
        self.open({"type": "tool_use", "id": name_of("toolu_"), "name": name, "input": {}})
        delta = {"type": "input_json_delta", "partial_json": json.dumps(arguments)}
        self.send("content_block_delta", index=len(self.content) - 1, delta=delta)
        self.content[-1] = {**self.content[-1], "input": arguments}
        self.stop = "tool_use"

    def end(self):
        if not self.stream:
            self.wire.json(
                {
                    **self.message,
                    "content": self.content,
                    "stop_reason": self.stop,
                    "stop_sequence": None,
                    "usage": self.USAGE,
                }
            )
            return
        self.close()
        self.send("message_delta", delta={"stop_reason": self.stop, "stop_sequence": None}, usage={"output_tokens": 10})
        self.send("message_stop")
        self.wire.end()


class Responses:
    USAGE = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 10,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 110,
    }

    def __init__(self, wire, body):
        self.wire, self.stream, self.number = wire, bool(body.get("stream")), 0
        self.done, self.item = [], None
        self.response = {
            "id": name_of("resp_"),
            "object": "response",
            "created_at": int(time.time()),
            "model": body.get("model"),
        }

    def send(self, kind, **more):
        if self.stream:
            self.wire.event({"type": kind, "sequence_number": self.number, **more}, kind)
            self.number += 1

    def begin(self):
        if self.stream:
            self.wire.begin()
        self.send("response.created", response={**self.response, "status": "in_progress", "output": [], "usage": None})

    def place(self):
        return {"item_id": self.item["id"], "output_index": len(self.done), "content_index": 0}

    def close(self):
        if self.item is None:
            return
        if self.item["type"] == "message":
            words = self.item["content"][0]
            self.send("response.output_text.done", **self.place(), text=words["text"])
            self.send("response.content_part.done", **self.place(), part=words)
        self.item["status"] = "completed"
        self.send("response.output_item.done", output_index=len(self.done), item=self.item)
        self.done.append(self.item)
        self.item = None

    def text(self, words):
        if self.item is None:
            item = {"type": "message", "id": name_of("msg_"), "role": "assistant", "status": "in_progress"}
            self.item = {**item, "content": [{"type": "output_text", "text": "", "annotations": []}]}
            self.send("response.output_item.added", output_index=len(self.done), item={**item, "content": []})
            self.send("response.content_part.added", **self.place(), part=self.item["content"][0])
        self.send("response.output_text.delta", **self.place(), delta=words)
        self.item["content"][0]["text"] += words

    def call(self, name, arguments):
        self.close()
        space, _, name = name.rpartition("\0")
        item = {"type": "function_call", "id": name_of("fc_"), "call_id": name_of("call_"), "name": name}
        if space:
            item["namespace"] = space
        self.item = {**item, "arguments": json.dumps(arguments), "status": "in_progress"}
        self.send("response.output_item.added", output_index=len(self.done), item={**self.item, "arguments": ""})
        self.close()

    def end(self):
        self.close()
        response = {**self.response, "status": "completed", "output": self.done, "usage": self.USAGE}
        if not self.stream:
            self.wire.json(response)
            return
        self.send("response.completed", response=response)
        self.wire.end()


class Chat:
    USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}

    def __init__(self, wire, body):
        self.wire, self.stream = wire, bool(body.get("stream"))
        self.words, self.calls = "", []
        self.base = {"id": name_of("chatcmpl-"), "created": int(time.time()), "model": body.get("model")}

    def send(self, delta, finish=None):
        if self.stream:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            self.wire.event({**self.base, "object": "chat.completion.chunk", "choices": [choice]})

    def begin(self):
        if self.stream:
            self.wire.begin()
        self.send({"role": "assistant", "content": ""})

    def text(self, words):
        self.words += words
        self.send({"content": words})

    def call(self, name, arguments):
        function = {"name": name, "arguments": json.dumps(arguments)}
        call = {"id": name_of("call_"), "type": "function", "function": function}
        self.send({"tool_calls": [{"index": len(self.calls), **call}]})
        self.calls.append(call)

    def end(self):
        finish = "tool_calls" if self.calls else "stop"
        if not self.stream:
            message = {"role": "assistant", "content": self.words or None}
            if self.calls:
                message["tool_calls"] = self.calls
            choice = {"index": 0, "message": message, "finish_reason": finish}
            self.wire.json({**self.base, "object": "chat.completion", "choices": [choice], "usage": self.USAGE})
            return
        self.send({}, finish)
        self.wire.event({**self.base, "object": "chat.completion.chunk", "choices": [], "usage": self.USAGE})
        self.wire.event("[DONE]")
        self.wire.end()


class Gemini:
    USAGE = {"promptTokenCount": 100, "candidatesTokenCount": 10, "totalTokenCount": 110}

    def __init__(self, wire, body):
        self.wire, self.stream, self.parts = wire, body["stream"], []

    def send(self, parts, **more):
        content = {"content": {"role": "model", "parts": parts}, "index": 0}
        finish = {"finishReason": "STOP"} if "usageMetadata" in more else {}
        answer = {"candidates": [{**content, **finish}], "modelVersion": "fake", "responseId": "fake", **more}
        if self.stream:
            self.wire.event(answer)
        else:
            self.wire.json(answer)

    def begin(self):
        if self.stream:
            self.wire.begin()

    def part(self, part):
        if self.stream:
            self.send([part])
        else:
            self.parts.append(part)

    def text(self, words):
        self.part({"text": words})

    def call(self, name, arguments):
        self.part({"functionCall": {"name": name, "args": arguments, "id": name_of("call_")}})

    def end(self):
        self.send(self.parts or [{"text": ""}], usageMetadata=self.USAGE)
        if self.stream:
            self.wire.end()


def protocol(path, body):
    """How this path's requests are read and answered; None for those that no model answers."""
    if path.endswith("/messages"):
        return read_anthropic, Anthropic
    if path.endswith("/responses"):
        return read_responses, Responses
    if path.endswith("/chat/completions"):
        return read_chat, Chat
    if path.endswith((":generateContent", ":streamGenerateContent")):
        body["stream"] = path.endswith(":streamGenerateContent")
        return read_gemini, Gemini
    return None


# ---- The server


class Wire(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    # Each write is an event of a stream.
    wbufsize = 0
    disable_nagle_algorithm = True
    log = Log()
    trace = None
    number = 0

    def log_message(self, *_):
        pass

    # What the protocols write with.

    def json(self, value, status=200):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def begin(self):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("cache-control", "no-cache")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def event(self, value, name=None):
        data = value if isinstance(value, str) else json.dumps(value)
        text = (f"event: {name}\n" if name else "") + f"data: {data}\n\n"
        text = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))

    def end(self):
        self.wfile.write(b"0\r\n\r\n")

    # What it does meanwhile.

    def here(self):
        """Fails when the program has hung up."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        if readable and not self.connection.recv(1, socket.MSG_PEEK):
            raise Gone

    def pause(self, seconds, over=lambda: False):
        deadline = time.monotonic() + seconds
        while not over() and (left := deadline - time.monotonic()) > 0:
            self.here()
            with self.log.changed:
                if not over():
                    self.log.changed.wait(min(left, 0.05))

    def act(self, answer, steps, tools, result):
        begun = False
        for verb, rest in steps:
            # Before its first word an answer has not begun.
            if verb == "silent" and not begun:
                self.pause(float(rest))
                continue
            if not begun:
                answer.begin()
                begun = True
            if verb == "say":
                names = ", ".join(name.replace("\0", "__") for name in tools)
                answer.text(rest.replace("{result}", result).replace("{tools}", names))
            elif verb == "lines":
                for number in range(1, int(rest) + 1):
                    answer.text(f"line {number:04} of {int(rest)}  \n")
            elif verb == "slow":
                for number in range(round(float(rest) * 5)):
                    answer.text(f"word{number} ")
                    self.pause(0.2)
            elif verb == "gap":
                answer.text("before the gap ")
                self.pause(float(rest))
                answer.text("after the gap ")
            elif verb == "silent":
                self.pause(float(rest))
            elif verb == "hold":
                answer.text("holding ")
                self.pause(HOLD_SECONDS, lambda: rest in self.log.released)
                answer.text("released ")
            elif verb in ("call", "shell"):
                self.act_call(answer, verb, rest, tools)
            else:
                answer.text(f"there is no step {verb!r}")
        if not begun:
            answer.begin()
        answer.end()

    def act_call(self, answer, verb, rest, tools):
        if verb == "shell":
            name, arguments = shell_call(tools, rest)
        else:
            wanted, _, arguments = rest.partition(" ")
            name, arguments = tool_named(tools, wanted), json.loads(arguments or "{}")
        if name is None:
            answer.text(f"there is no tool for {verb} {rest[:80]}; there are {', '.join(tools)}")
        else:
            answer.call(name, arguments)

    # What comes in.

    def body(self):
        if "chunked" in self.headers.get("transfer-encoding", ""):
            data = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            data = self.rfile.read(int(self.headers.get("content-length") or 0))
        packed = self.headers.get("content-encoding", "")
        if packed == "gzip":
            return gzip.decompress(data)
        return zlib.decompress(data) if packed == "deflate" else data

    def do_GET(self):
        url = urlsplit(self.path)
        asked = {key: values[-1] for key, values in parse_qs(url.query).items()}
        if url.path == "/log":
            self.json(self.log.since(int(asked.get("from", 0)), float(asked.get("wait", 0))))
        elif url.path == "/heard":
            self.json(self.log.heard())
        elif url.path == "/release":
            self.log.release(asked.get("name", ""))
            self.json({})
        else:
            self.small(url.path)

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_POST(self):
        url = urlsplit(self.path)
        data = self.body()
        who, _, path = url.path.lstrip("/").partition("/")
        with self.log.changed:
            Wire.number += 1
            request = Wire.number
        if self.trace:
            with open(os.path.join(self.trace, f"{request:05}-{who}.json"), "wb") as file:
                file.write(json.dumps({"path": self.path, "headers": dict(self.headers)}).encode() + b"\n" + data)
        try:
            body = json.loads(data or b"{}")
        except ValueError:
            self.json({"error": {"message": "no JSON"}}, 400)
            return
        known = protocol("/" + path, body)
        if known is None:
            self.small(path, len(data))
            return
        read, answerer = known
        tools, messages = read(body)
        self.log.asked(who, request, tools, messages)
        steps, result = plan(messages) if tools else ([("say", '{"title": "A test"}')], "")
        how = "done"
        try:
            if steps[0][0] == "error":
                how = "error"
                code = int(steps[0][1])
                error = {"type": "api_error", "code": code, "message": "as the test wants it", "status": "UNAVAILABLE"}
                self.json({"type": "error", "error": error}, code)
            else:
                self.act(answerer(self, body), steps, tools, result)
        except (Gone, ConnectionError):
            how = "cut"
            self.close_connection = True
        finally:
            self.log.add(who, "ended", id=request, how=how)

    def small(self, path, size=0):
        """What the programs ask at their start."""
        if path.endswith("count_tokens"):
            self.json({"input_tokens": size // 4})
        elif path.endswith(":countTokens"):
            self.json({"totalTokens": size // 4})
        elif path.endswith("/models"):
            self.json({"object": "list", "data": [{"id": "fake-model", "object": "model"}], "models": []})
        else:
            self.json({"type": "error", "error": {"type": "not_found_error", "message": "not here"}}, 404)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_):
        # A program that ends hangs up in the middle of anything.
        if not isinstance(sys.exc_info()[1], (ConnectionError, ValueError)):
            super().handle_error(*_)


# ---- Its own tests


def self_test():
    def check(seen, wanted):
        assert seen == wanted, f"{seen!r}, and not {wanted!r}"

    say = lambda words: [("say", words)]
    user = lambda text: [("user", text)]
    result = lambda text: [("result", text)]
    model = [("model", "")]

    check(script("no script"), None)
    check(script("[[ never closed"), None)
    check(script("a [[say b ;; gap 2]] c"), [("say", "b"), ("gap", "2")])
    nested = 'call spawn {"message": "[[say x ;; shell y]]", "command": [["a"]]}'
    check(script(f"[[{nested} ;; say z]]"), [("call", nested[5:]), ("say", "z")])

    text = "[[say a ;; call t {} ;; say b]]"
    first = [("say", "a"), ("call", "t {}")]
    for messages, wanted in [
        ([], say("nothing to do")),
        ([user("four")], say("heard 4 characters")),
        ([user(text)], first),
        # Tried again.
        ([user("x"), model, user(text)], first),
        ([user(text), model, result("r")], say("b")),
        ([user(text), model, result("r"), model, result("s")], say("done")),
        # Another text beside the result, and one after the end.
        ([user(text), model, result("r") + user("more")], say("b")),
        ([user(text), model, result("r"), model, user("more")], say("heard 4 characters")),
        # Its answer was cut off.
        ([user(text), user("more")], say("heard 4 characters")),
        ([user(text), model, result("r"), model, user("[[say new]]")], say("new")),
    ]:
        check(plan(messages)[0], wanted)
    check(plan([user(text), model, result("r")])[1], "r")

    known = Conversations()
    for texts, wanted in [
        (["a"], ["a"]),
        (["a"], []),
        (["a", "b", "b"], ["b", "b"]),
        (["a", "b", "b", "c"], ["c"]),
        # One was left out of the history; one comes again.
        (["a", "b", "c", "d"], ["d"]),
        (["a", "b", "b", "c", "a"], ["a"]),
        # Another conversation.
        (["x"], ["x"]),
        (["a", "b", "b", "c", "a", "e"], ["e"]),
        ([], []),
    ]:
        check(known.new(texts), wanted)

    chat = {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "a"}]}]}
    check(read_chat(chat), ({}, [user("a")]))
    content = [{"type": "tool_result", "content": [{"type": "text", "text": "r"}]}, {"type": "text", "text": "b"}]
    anthropic = {"messages": [{"role": "user", "content": "a"}, {"role": "system"}, {"role": "assistant"}, {"role": "user", "content": content}]}
    check(read_anthropic(anthropic), ({}, [user("a"), model, result("r") + user("b")]))
    reminder = {"messages": [{"role": "user", "content": [{"type": "text", "text": "<system-reminder>x"}]}]}
    check(read_anthropic(reminder), ({}, []))
    output = [{"type": "function_call", "name": "t"}, {"type": "function_call_output", "output": "r"}]
    responses = {"input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]}] + output}
    space = {"type": "namespace", "name": "mcp__compere", "tools": [{"name": "spawn"}]}
    check(read_responses({**responses, "tools": [space]}), ({"mcp__compere\0spawn": {}}, [user("a"), model, result("r")]))
    gemini = {"contents": [{"role": "user", "parts": [{"text": "a"}]}, {"role": "model"}]}
    check(read_gemini(gemini), ({}, [user("a"), model]))

    bash = {"Bash": {"properties": {"command": {"type": "string"}, "description": {}}}, "mcp__x__shell": {}}
    check(shell_call(bash, "ls"), ("Bash", {"command": "ls", "description": "What a test wants"}))
    check(tool_named({"mcp__compere__spawn": {}}, "spawn"), "mcp__compere__spawn")
    check(tool_named({}, "spawn"), None)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--trace")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        self_test()
        return
    Wire.trace = arguments.trace
    server = Server(("127.0.0.1", arguments.port), Wire)
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # Whoever started it has ended when this does.
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
