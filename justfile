# What a change has to pass is .ci/run; these are its parts, and the comparison.

_default:
    @just --list

# The tests of the library: unit, integration, trybuild, documentation
test *ARGS:
    cargo test --workspace {{ARGS}}

# Formatting, clippy over everything, and what cargo-deny can check offline
lint:
    cargo fmt --all --check
    cargo fmt --manifest-path bench/Cargo.toml --check
    cargo fmt --manifest-path fuzz/Cargo.toml --check
    cargo clippy --workspace --all-targets --all-features -- -D warnings
    cargo clippy --manifest-path bench/Cargo.toml --all-targets -- -D warnings
    cargo clippy --manifest-path bench/Cargo.toml --all-targets --features redis -- -D warnings
    cargo deny check --hide-inclusion-graph bans licenses sources

# The documentation, warnings denied
doc *ARGS:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features {{ARGS}}

# The packages, as those get them who are not in this repository
packages:
    .ci/packages

# What broke in the public interface since the last release, or with `--baseline-rev` since a commit
semver *ARGS:
    cargo semver-checks -p bsession -p bsession-runtime --all-features {{ARGS}}

# Runs an example
example NAME="guestbook":
    cargo run --example {{NAME}}

# Life under load: visitors, killed servers, and a model that checks all they see
soak *ARGS="--minutes 10":
    cargo run --release -p bsession-soak -- {{ARGS}}

# Measures bsession beside other libraries and prints Markdown (needs redis-server, and valgrind for instructions; see CONTRIBUTING for flags)
compare *ARGS:
    cargo run --release --manifest-path bench/Cargo.toml --features sqlite,redis -- compare {{ARGS}}

# Feeds a fuzz target (cookie, token, seal, record) until it fails or is stopped
fuzz TARGET *ARGS:
    mkdir -p fuzz/corpus/{{TARGET}}
    cd fuzz && cargo fuzz run -s none {{TARGET}} corpus/{{TARGET}} seeds/{{TARGET}} -- {{ARGS}}

# Writes anew what the attribute expands to and what wrong code is told: read the difference
bless:
    SNAPSHOTS=overwrite cargo test -p bsession-macros
    TRYBUILD=overwrite cargo test --test ui

# All that CI runs
ci:
    .ci/run
