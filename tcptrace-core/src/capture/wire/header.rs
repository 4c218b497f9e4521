//! The header of a capture.

use super::{Bytes, Malformed, Wire, choice, put, record};
use crate::model::{
    clock::Clock,
    header::{Before, Header, Hidden},
    hooks::{HalfOpenHooks, Hook, Syns},
};

record!(Header {
    0 tool,
    1 host,
    2 kernel,
    3 little_endian,
    4 clock,
    5 start_ns,
    6 hook,
    7 half_open,
    8 polled,
    9 cookies,
    10 retransmits,
    11 reset_reasons,
    12 hidden,
    13 netns,
    14 tgid,
    15 before,
    16 own_netns,
    17 own_pids,
    // An older version recorded resets wherever the kernel reports them.
    18 resets = true,
    19 filters,
});

record!(Clock { 0 offset_ns });

choice!(Hook { 0 b"tp_btf" TpBtf, 1 b"tracepoint" Tracepoint });

record!(HalfOpenHooks { 0 syns, 1 retransmits });

record!(Syns { 0 whole_host, 1 netns });

record!(Hidden { 0 any, 1 by_state });

record!(Before { 0 counted, 1 lost, 2 half_open });
