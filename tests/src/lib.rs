//! The support library of the integration tests.
//!
//! The tests drive the real binary and read its output; they do not link its library. The output is compared with
//! tracefs' own `sock:inet_sock_set_state` event of the same run, and with the steps of the test itself.
//!
//! # Layout
//! - `src/`: this support library, and programs. `load` makes many connections, `actor` is another process with a
//!   socket; `guest` is the first process of a virtual machine.
//! - `src/daemons/`: real daemons in normal work and with faults; the program `daemons` runs them, by
//!   `cargo xtask daemons`.
//! - `tests/scenarios/`: one test for each scenario, traced by both hooks at once; every kind of transition that the
//!   kernel can produce.
//! - `tests/causes/`: every way in which a connection can end, and the output of `life`, also by both hooks at once.
//! - `tests/churn.rs`, `tests/overload.rs`: every loss is counted.
//! - `tests/coexist/`: other tracing programs at the same time, a killed tracer, an output that is not read.
//! - `tests/captures.rs`, `tests/recording.rs`: the content of captures, and recordings that cannot be written.
//! - `tests/filters.rs`, `tests/durations.rs`: the effect of filters, and the time in each state.
//! - `tests/cli.rs`, `tests/output.rs`: the command line, and the output.
//! - `tests/degraded.rs`: kernels without a feature, and processes without a privilege.
//! - `tests/doctor/`: the report on a host.
//! - `tests/owners/`: the owners of sockets.
//! - `tests/diagnose/`: faults one at a time, with low thresholds; `tests/labs/`: harmless look-alikes and faults all
//!   at once, with the shipped thresholds, see [`labs`].
//! - `tests/docs/`: every command, example of output and link in the documents.
//!
//! # Isolation
//! Every test has a separate network namespace, tracefs instance and range of ports, see [`slot`]. So tests run in
//! parallel, as threads of one process or as processes. Tests that load the host wait until they are alone, see
//! [`host`].
//!
//! # Environment
//! - `TCPTRACE_BIN`: the binary; by default the one that cargo built beside the tests.
//! - `TCPTRACE_REQUIRE_ALL=1`: a test that cannot run here fails instead of being skipped.
//! - `TCPTRACE_ALLOW_SKIP=a,b`: names of tests that may be skipped even then.
//! - `TCPTRACE_LABS=WORD`: runs only the lab situations with this word in their name; `TCPTRACE_LABS_REPORT=FILE` keeps
//!   the report of `tcptrace diagnose` about them.
//! - `TCPTRACE_REPEATS=FILE`: receives a line for each repeat of a test's steps, see [`replay`]; by default standard
//!   error does.
//! - `TCPTRACE_TOLERANCE_US=N`: the largest difference between times in state and tracefs' times, for a slow machine.

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
