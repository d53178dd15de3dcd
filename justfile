# Sugar over plain commands: whatever stands here can be typed without just.

# What there is.
default:
    @just --list

# The tests.
test *args:
    cargo test --locked {{args}}

# Format and lints, as CI has them.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo clippy --all-targets --locked --features faults -- -D warnings

# Every fault we can make, in the long form: about five minutes (faults --list, faults storm).
faults *args:
    cargo test --release --locked --features faults --test faults -- --long {{args}}

# The same in the short form, as CI has it.
faults-short *args:
    cargo test --locked --features faults --test faults -- {{args}}

# The real agents' programs against a model of our own, which npm installs: `just agents --tries 20 claude short`.
agents *args="--tries 3":
    tests/agents/install
    cargo test --locked --test agents -- {{args}}

# The documentation, as CI has it.
doc *args:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked {{args}}

# Licences, bans and sources of what we depend on (cargo install cargo-deny --locked).
deny:
    cargo deny --locked check licenses bans sources

# A company at work, without any agent's program.
demo: release
    target/release/compere demo

# The README's pictures, anew, of what the program shows (needs tmux).
pictures: release
    python3 -m venv target/pictures
    target/pictures/bin/pip install --quiet 'rich==14.*'
    target/pictures/bin/python docs/pictures/make.py target/release/compere

# The public MCP clients against the real binary.
clients: release
    tests/clients/run

# What it costs: memory, a spawn, a read.
measure: release
    python3 tests/clients/measure.py

# What it costs beside tmux, screen, dtach and another orchestrator, into docs/BENCHMARKS.md: some minutes on a quiet machine.
bench *args: release
    mkdir -p target/bench
    cp target/release/compere target/bench/compere
    cargo bench --locked --bench processes -- --compere target/bench/compere {{args}}

# What a model pays for one job, by waiting and by polling, into docs/BENCHMARKS.md.
tokens *args:
    cargo bench --locked --bench tokens -- {{args}}

# The instructions of the hot paths against their budget, as CI counts them.
instructions *args:
    benches/instructions/check {{args}}

# What reads others' bytes is fed with what nobody wrote: `just fuzz 600 screen`, `just fuzz replay`.
fuzz *args:
    fuzz/run {{args}}

# All that CI does.
ci:
    bash .ci/run

# The presets' JSON schema, written anew from their types.
schema:
    cargo run --quiet --locked -- presets --schema > target/schema.json
    mv target/schema.json presets/schema.json

# The snapshots, accepted as they are now; read the diff before you commit it.
snapshots:
    INSTA_UPDATE=always cargo test --locked
    git diff --stat -- '*.snap'

[private]
release:
    cargo build --release --locked
