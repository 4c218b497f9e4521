//! Signals: trace events beside the one of the hook, which refine how a connection ended. Each row is optional: a trace
//! goes on without it.

use std::{fs, path::Path};

use aya::{
    Ebpf,
    programs::{Program, ProgramFd},
};
use tcptrace_common::{Config, Known};
use tcptrace_core::model::hooks::{Hook, ResetReasons};

use super::{Btf, Feature, fdinfo, format, object};

/// An event, and its programs in the kernel object.
struct Event {
    group: &'static str,
    name: &'static str,
    /// The program for `tp_btf`; `None` where a program with type information reads the same from the socket.
    typed: Option<&'static str>,
    /// The program for the classic tracepoint, whose record is read as its `format` describes.
    classic: &'static str,
}

/// Events that a trace can use: all the events of a row, or none of them.
struct Row {
    feature: Feature,
    events: &'static [Event],
    /// The row is needless with this feature: the socket shows the same.
    needless: Option<Feature>,
}

const ROWS: [Row; 3] = [
    Row {
        feature: Feature::Resets,
        events: &[
            Event {
                group: "tcp",
                name: "tcp_send_reset",
                typed: Some("send_reset"),
                classic: "send_reset_tp",
            },
            Event {
                group: "tcp",
                name: "tcp_receive_reset",
                typed: Some("receive_reset"),
                classic: "receive_reset_tp",
            },
        ],
        needless: None,
    },
    Row {
        feature: Feature::Retransmits,
        events: &[Event { group: "tcp", name: "tcp_retransmit_skb", typed: None, classic: "retransmit_tp" }],
        needless: Some(Feature::Metrics),
    },
    Row {
        feature: Feature::Errors,
        events: &[Event {
            group: "sock",
            name: "inet_sk_error_report",
            typed: None,
            classic: "error_report_tp",
        }],
        needless: Some(Feature::Error),
    },
];

/// Facts about the signals in the running kernel's type information, as [`Known`] bits.
pub(super) fn known_typed(btf: &Btf<'_>) -> u32 {
    // Socket, packet, reason.
    let has_reason = btf.trace_arguments("tcp_send_reset").is_ok_and(|arguments| arguments == Some(3));
    if has_reason { Known::RESET_REASON } else { 0 }
}

/// Sets the layout of the signals by the `format` files, under tracefs' directory `events`. A field that the files lack
/// stays 0.
pub(super) fn known_classic(events: &Path, config: &mut Config) {
    let text = |event: &str| fs::read_to_string(events.join(event).join("format")).unwrap_or_default();
    config.signals = format::parse_signals(text);
    if config.signals.reset_reason != 0 {
        config.known |= Known::RESET_REASON;
    }
}

/// The names of the reasons, without the common prefix.
pub(super) fn reasons(btf: &Btf<'_>) -> ResetReasons {
    let enumerators = btf.enumerators("sk_rst_reason").unwrap_or_default();
    let name = |name: String| name.trim_start_matches("SK_RST_REASON_").to_ascii_lowercase();
    enumerators.into_iter().map(|(value, text)| (value, name(text))).collect()
}

/// The attached programs.
#[derive(Default)]
pub(super) struct Signals {
    /// Descriptors of our own, to ask for missed runs after detaching.
    programs: Vec<fdinfo::Program<ProgramFd>>,
}

impl Signals {
    /// Attaches the rows that the kernel allows, except those that are needless beside `hook`. Returns their features.
    pub(super) fn attach(
        ebpf: &mut Ebpf,
        hook: Hook,
        config: &Config,
        types: Option<&aya::Btf>,
    ) -> (Self, Vec<Feature>) {
        let mut signals = Self::default();
        let mut features = Vec::new();
        for row in &ROWS {
            let is_needless = row.needless.is_some_and(|feature| config.known & feature.known() != 0);
            if is_needless || (hook == Hook::Tracepoint && !is_described(row.feature, config)) {
                continue;
            }
            let attached: Option<Vec<ProgramFd>> =
                row.events.iter().map(|event| attach(ebpf, event, hook, types)).collect();
            match attached {
                Some(programs) => {
                    signals.programs.extend(programs.into_iter().map(fdinfo::Program::new));
                    features.push(row.feature);
                }
                None => row.events.iter().for_each(|event| unload(ebpf, event)),
            }
        }
        (signals, features)
    }

    /// How often the kernel did not run one of the programs; 0 where it does not report that.
    pub(super) fn missed_runs(&self) -> u64 {
        self.programs.iter().filter_map(fdinfo::Program::missed_runs).sum()
    }
}

/// Detaches the programs: they send no new records.
pub(super) fn detach(ebpf: &mut Ebpf) {
    ROWS.iter().flat_map(|row| row.events).for_each(|event| unload(ebpf, event));
}

/// Whether the `format` files describe all fields that the classic programs read.
fn is_described(feature: Feature, config: &Config) -> bool {
    let signals = &config.signals;
    match feature {
        Feature::Resets => signals.send_reset != 0 && signals.receive_reset != 0,
        Feature::Retransmits => signals.retransmit != 0,
        _ => ![signals.error, signals.error_protocol, signals.error_ends.sport].contains(&0),
    }
}

fn attach(ebpf: &mut Ebpf, event: &Event, hook: Hook, types: Option<&aya::Btf>) -> Option<ProgramFd> {
    let name = if hook == Hook::TpBtf { event.typed? } else { event.classic };
    let program = ebpf.program_mut(name)?;
    let descriptor = match program {
        Program::BtfTracePoint(program) => {
            object::attach_btf(program, event.name, types?).ok()?;
            program.fd()
        }
        Program::TracePoint(program) => {
            program.load().ok()?;
            program.attach(event.group, event.name).ok()?;
            program.fd()
        }
        _ => return None,
    };
    descriptor.ok()?.try_clone().ok()
}

fn unload(ebpf: &mut Ebpf, event: &Event) {
    event.typed.into_iter().chain([event.classic]).for_each(|name| object::unload(ebpf, name));
}
