//! What the integration tests stand on.
//!
//! The tests drive the real binary and read what it prints; they do not link its library. What it says is
//! compared with what tracefs' own `sock:inet_sock_set_state` event said in the same run, and with what the
//! test knows that it did itself.
//!
//! # Layout
//! - `src/`: this support library, and programs. `load` makes many connections, `actor` is another process
//!   with a socket; `guest` is the first process of a virtual machine.
//! - `src/daemons/`: real daemons at work and at fault; the program `daemons` runs them, by `cargo xtask daemons`.
//! - `tests/scenarios/`: one test a scenario, traced by both hooks at once; every kind of transition that the kernel can
//!   produce.
//! - `tests/causes/`: every way in which a connection can end, and what `life` says of it, also by both hooks at once.
//! - `tests/churn.rs`, `tests/overload.rs`: nothing is lost without being counted.
//! - `tests/coexist/`: beside other programs, killed, with an output that takes nothing.
//! - `tests/captures.rs`, `tests/recording.rs`: what is recorded, and what becomes of that when it cannot be written.
//! - `tests/filters.rs`, `tests/durations.rs`: what is shown, and for how long a state lasted.
//! - `tests/cli.rs`, `tests/output.rs`: the command line, and what is printed.
//! - `tests/lacking.rs`: kernels and privileges that lack something.
//! - `tests/doctor/`: the report on a host.
//! - `tests/owners/`: whose sockets are.
//! - `tests/diagnose/`: faults one at a time, with low thresholds; `tests/labs/`: honest look-alikes and faults all at once,
//!   with the thresholds as they are shipped, see [`labs`].
//! - `tests/docs/`: every command, example of output and link in the documents.
//!
//! # Isolation
//! Every test has a network namespace, a tracefs instance and a range of ports of its own, see [`slot`], so
//! that they run in parallel, as threads of one process or as processes; those that load the host wait until
//! they are alone, see [`host`].
//!
//! # Environment
//! - `TCPTRACE_BIN`: the binary; without, the one that cargo built beside the tests.
//! - `TCPTRACE_REQUIRE_ALL=1`: a test that cannot run here fails instead of being skipped.
//! - `TCPTRACE_ALLOW_SKIP=a,b`: names of tests that may be skipped nevertheless.
//! - `TCPTRACE_LABS=WORD`: of the labs, only the situations with this word in their name; `TCPTRACE_LABS_REPORT=FILE` keeps
//!   what `tcptrace diagnose` reported of them.
//! - `TCPTRACE_REPEATS=FILE`: takes a line for each repeat of a test's steps, see [`replay`]; without, standard error does.
//! - `TCPTRACE_TOLERANCE_US=N`: how far times in state may differ from tracefs', on a machine that is slow.

#![allow(clippy::missing_panics_doc, reason = "panicking is how a test fails")]

pub mod actor;
pub mod chain;
mod clocks;
pub mod close_checks;
pub mod contradictions;
pub mod daemons;
pub mod degraded;
pub mod expect;
pub mod fixture;
pub mod host;
pub mod init;
pub mod instance;
pub mod labs;
pub mod load;
pub mod machine;
pub mod net;
pub mod netns;
pub mod process;
pub mod recording;
pub mod replay;
pub mod resets;
pub mod slot;
pub mod steps;
pub mod syn;
pub mod syscalls;
pub mod tracefs;
pub mod tracer;
pub mod transition;
pub mod wait;
