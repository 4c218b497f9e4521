//! Half-open connections that `--half-open` would see, tried as a trace does it.

use tcptrace_core::model::hooks::Hook;

use super::row::{Group, Row, Status, Subject};
use crate::bpf::{self, Options};

const SUBJECT: Subject = Subject {
    group: Group::Host,
    name: "half_open",
    consequence: Some(
        "--half-open learns of a SYN, or of a SYN-ACK that is sent again, up to a second late, or not at all if it is \
         over by then",
    ),
    instead: Some("a poll of sock_diag, once a second"),
};

/// The row; `hook` is the hook that a trace would use.
pub(super) fn row(hook: Option<Hook>) -> Row {
    let Some(hook) = hook else { return SUBJECT.row(Status::Unknown, "no hook works, so it was not tried") };
    let tracer = match bpf::load(&Options { hook: Some(hook), half_open: true, ..Options::default() }) {
        Ok(tracer) => tracer,
        Err(error) => return SUBJECT.row(Status::Unknown, error),
    };
    let Some(hooks) = tracer.half_open() else { return SUBJECT.row(Status::Unknown, "it was not tried") };
    let syns = match &hooks.syns {
        Ok(syns) if syns.whole_host => "sock_ops sees each SYN".to_owned(),
        Ok(_) => "sock_ops sees SYNs of the cgroups that this process can see".to_owned(),
        Err(why) => format!("sock_ops does not work ({why})"),
    };
    let retransmits = match &hooks.retransmits {
        Ok(()) => "tcp_retransmit_synack each SYN-ACK sent again".to_owned(),
        Err(why) => format!("tcp_retransmit_synack does not work ({why})"),
    };
    let all = hooks.syns.as_ref().is_ok_and(|syns| syns.whole_host) && hooks.retransmits.is_ok();
    let status = if all { Status::Ok } else { Status::Limited };
    SUBJECT.row(status, format_args!("{syns}; {retransmits}; cookies and dropped SYNs are only counted"))
}
