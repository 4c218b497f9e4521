//! Owners of sockets: the output of `tcptrace sockets` by each of its sources, compared with `ss -p`, with `/proc` and
//! with the steps of the test.

mod actor;
mod agree;
mod cgroup;
mod four;
mod pid_namespace;
mod processes;
mod report;
mod source;
