//! One file a probe: the program and its way to read a socket.

mod classic;
mod floor;
mod flush;
mod reset;
mod sock_ops;
mod synack;
mod task_file;
mod tp_btf;
mod tracepoint;
