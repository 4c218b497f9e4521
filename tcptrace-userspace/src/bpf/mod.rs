//! The kernel side as user space sees it: the built object, loaded, attached and read.

mod arrivals;
mod batches;
mod boundary;
mod btf;
mod cgroup;
mod error;
mod facts;
mod fdinfo;
mod features;
mod format;
mod half_open;
mod holders;
mod kernel;
mod layout;
mod load;
mod object;
mod owned;
mod privileges;
mod release;
mod relocate;
mod ring;
mod shared;
mod signals;
mod tracefs;
mod tracer;

pub use arrivals::Arrivals;
pub use boundary::waitable;
pub(crate) use boundary::{keep_little_memory, netns_cookie, run_at_once, shares_descriptors};
pub use btf::{Btf, BtfError, Excerpt, Field};
pub use error::Error;
pub use fdinfo::RunStats;
pub use features::{Feature, Features};
pub use format::{FormatError, parse_format, parse_signals};
pub use holders::{Held, HoldersError, SocketFiles};
pub use layout::{LayoutError, sock_layout};
pub use load::{Floor, Options, load, load_floor};
pub use privileges::{Capabilities, Capability};
pub use release::{keeps_missed_runs, version};
pub use ring::{MAX_BUFFER, default_buffer, ring_size};
pub(crate) use tracefs::PLACES as TRACEFS_PLACES;
pub use tracer::Tracer;

/// The kernel object: built by `cargo xtask build-ebpf`, checked in, part of this binary.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!("../../bpf/tcptrace.bpf.o");
