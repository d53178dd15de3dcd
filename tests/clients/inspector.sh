#!/usr/bin/env bash
# compere as the MCP Inspector's command line sees it, against the real binary, in both eras of the protocol.
#
#     tests/clients/inspector.sh PATH_TO_COMPERE          (tests/clients/run does this; mcp-inspector must be on PATH)
#
# Every call here is a server process of its own, which ends with its call: what lets a child be spawned by one, read
# by the next and stopped by a third is that it belongs to the workspace, not to a process. `legacy` is the era of
# `initialize`, `modern` is 2026-07-28. One PASS line per claim; the first that does not hold ends the run.
set -euo pipefail

compere=$(realpath "${1:?the path of the compere to try}")
scratch=$(mktemp -d)
mkdir "$scratch/home" "$scratch/work"
runtime=$scratch/run

# The processes that still have our directory in their environment or memory (a keeper has no environment, but maps
# its ring), but for this script and what it runs itself.
users() {
    local process
    for process in /proc/[0-9]*; do
        [ "${process#/proc/}" = $$ ] && continue
        if grep -qsaF "$runtime" "$process/environ" "$process/maps" 2>/dev/null; then echo "${process#/proc/}"; fi
    done
}

end() {
    local status=$? process
    [ $status = 0 ] || echo "FAIL inspector: see above" >&2
    for process in $(users); do kill -KILL "$process" 2>/dev/null || true; done
    rm -rf "$scratch"
}
trap end EXIT

# inspect ERA ARGUMENTS…: its result on stdout; what it and the server complain of in $scratch/complaints.
inspect() {
    local era=$1
    shift
    HOME=$scratch/home mcp-inspector --cli --protocol-era "$era" --cwd "$scratch/work" --format json \
        -e "COMPERE_RUNTIME_DIR=$runtime" -e COMPERE_LINGER_MS=50 -e "XDG_CONFIG_HOME=$scratch/home" \
        -e "XDG_STATE_HOME=$scratch/home" -e "XDG_DATA_HOME=$scratch/home" \
        "$@" -- "$compere" 2> "$scratch/complaints" || { cat "$scratch/complaints" >&2; return 1; }
}

call() { inspect "$1" --method tools/call --tool-name "$2" --tool-args-json "$3"; }

# holds ANSWER WHAT JAVASCRIPT: the expression is true of the answer, which is `r`; its record is `s`, its text `t`.
holds() {
    local what=$2
    # shellcheck disable=SC2016
    node -e '
        const answer = JSON.parse(process.argv[1]), r = answer.result ?? answer;
        const s = r.structuredContent, t = (r.content ?? []).map((block) => block.text).join("\n");
        if (!eval(process.argv[2])) { console.error("does not hold: " + process.argv[2] + "\n" + JSON.stringify(answer, null, 1)); process.exit(1); }
    ' "$1" "$3"
    echo "PASS inspector $era $what"
}

for era in legacy modern; do
    tools=$(inspect $era --method tools/list --strict)
    holds "$tools" "lists the tools" 'r.tools.length >= 9 && r.tools.every((tool) => tool.inputSchema.type === "object")'
    if [ -s "$scratch/complaints" ]; then
        cat "$scratch/complaints" >&2
        echo "--strict has something to say about the tools" >&2
        exit 1
    fi
    echo "PASS inspector $era --strict has no complaint about any schema"

    # shellcheck disable=SC2016
    spawned=$(call $era spawn '{"command": ["/bin/sh", "-c", "echo up; read line; echo got=$line; read line"], "name": "kept"}')
    holds "$spawned" "spawns a child" '!r.isError && s.name === "kept" && /^c\d+$/.test(s.child)'

    listed=$(call $era list_children '{}')
    holds "$listed" "a second process of the same workspace has the first one's child" \
        's.children.length === 1 && s.children[0].name === "kept" && s.children[0].exit === undefined'

    sent=$(call $era send_message_to '{"to": "kept", "message": "forty-two"}')
    holds "$sent" "a third types into it" '!r.isError && s.status === "typed"'

    woke=$(call $era timer_wait '{"timeout_ms": 20000, "until": [{"child": "kept", "matches": "^got=forty-two$", "since": 0}]}')
    holds "$woke" "a fourth waits for what it says" 's.woke === "match" && s.line === "got=forty-two"'

    read=$(call $era read_output '{"child": "kept", "mode": "stream", "since": 0}')
    holds "$read" "a fifth reads all that it wrote" \
        '/^up$/m.test(t) && /^got=forty-two$/m.test(t) && r._meta["compere/dropped"] === 0 && r._meta["compere/from"] === 0'

    stopped=$(call $era stop '{"child": "kept"}')
    holds "$stopped" "a sixth stops it, by its name" '!r.isError && s.name === "kept" && s.left.length === 0 && s.exit'

    # An answer that is an error makes the Inspector exit with a status of its own.
    if unknown=$(call $era read_output '{"child": "nobody"}' 2> "$scratch/refused"); then refused=$unknown; else refused=$(cat "$scratch/refused"); fi
    grep -q nobody <<< "$unknown$refused" || { echo "an unknown child is not named: $unknown $refused" >&2; exit 1; }
    echo "PASS inspector $era an unknown child is an error that names it"

    waited=0
    until [ -z "$(users)" ]; do
        [ $((waited += 1)) -le 100 ] || { echo "still there: $(users)" >&2; exit 1; }
        sleep 0.2
    done
    left=$(find "$runtime" ! -type d ! -name broker.log ! -name broker.lock ! -name home.json ! -name journal.db)
    [ -z "$left" ] || { echo "left: $left" >&2; exit 1; }
    echo "PASS inspector $era leaves no process, no socket, no file but the log and the lock"
done
