//! Whose sockets are: what `tcptrace sockets` says by each of its sources, compared with `ss -p`, with `/proc` and with
//! what the test knows.

mod actor;
mod agree;
mod cgroup;
mod four;
mod pid_namespace;
mod processes;
mod report;
mod source;
