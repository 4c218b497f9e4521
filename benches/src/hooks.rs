//! The cost of each run of the optional programs, under loads that make the kernel run them.

use std::{net::SocketAddr, path::Path, thread, time::Duration};

use anyhow::{Context as _, Result};
use tcptrace_tests::syn;

use crate::{
    churn::{self, Load},
    plan::Plan,
    proc::{self, Programs},
    tool::Tool,
};

/// A program, and the load that makes the kernel run it.
struct Hook {
    /// The name in the table.
    name: &'static str,
    /// The program's name in the kernel object.
    program: &'static str,
    /// The tracer's arguments that attach the program.
    arguments: &'static [&'static str],
    trigger: Trigger,
}

/// The loads.
#[derive(Clone, Copy)]
enum Trigger {
    /// Connections that come and go.
    Churn,
    /// Connections that one side resets.
    Reset,
    /// SYNs whose senders do not answer, until the SYN-ACKs have been sent again.
    Unanswered,
    /// No load: the kernel runs the program when the trace begins.
    Start,
}

const HOOKS: [Hook; 9] = [
    Hook {
        name: "tcp:tcp_send_reset, tp_btf",
        program: "send_reset",
        arguments: &[],
        trigger: Trigger::Reset,
    },
    Hook {
        name: "tcp:tcp_receive_reset, tp_btf",
        program: "receive_reset",
        arguments: &[],
        trigger: Trigger::Reset,
    },
    Hook {
        name: "tcp:tcp_send_reset, tracepoint",
        program: "send_reset_tp",
        arguments: &["--hook", "tracepoint"],
        trigger: Trigger::Reset,
    },
    Hook {
        name: "tcp:tcp_receive_reset, tracepoint",
        program: "receive_reset_tp",
        arguments: &["--hook", "tracepoint"],
        trigger: Trigger::Reset,
    },
    Hook {
        name: "sock_ops, asked several times a connection",
        program: "syn_netns",
        arguments: &["--half-open"],
        trigger: Trigger::Churn,
    },
    Hook {
        name: "tcp:tcp_retransmit_synack, tp_btf",
        program: "synack",
        arguments: &["--half-open"],
        trigger: Trigger::Unanswered,
    },
    Hook {
        name: "sock:inet_sock_set_state with a filter on states",
        program: "set_state_btf",
        arguments: &["--state", "ESTABLISHED"],
        trigger: Trigger::Churn,
    },
    Hook {
        name: "sock:inet_sock_set_state with a filter on ports that hides all",
        program: "set_state_btf",
        arguments: &["-L", "1"],
        trigger: Trigger::Churn,
    },
    Hook {
        name: "iter/task_file, for each descriptor at the start",
        program: "holders",
        arguments: &[],
        trigger: Trigger::Start,
    },
];

/// The measurements of a program.
pub(crate) struct HookCost {
    pub(crate) name: &'static str,
    /// Arguments of the tracer.
    pub(crate) arguments: &'static [&'static str],
    /// The number of measured runs, over all slices.
    pub(crate) runs: u64,
    /// Nanoseconds of a run, for each slice in which the program ran.
    pub(crate) ns: Vec<f64>,
}

/// Measures all programs, in as many slices and connections as the comparison uses.
///
/// # Errors
/// When the tracer or a load cannot be run.
pub(crate) fn measure(tracer: &Path, plan: Plan, folder: &Path) -> Result<Vec<HookCost>> {
    let output = folder.join("output");
    HOOKS.iter().map(|hook| hook.measure(tracer, plan, &output)).collect()
}

impl Hook {
    fn measure(&self, tracer: &Path, plan: Plan, output: &Path) -> Result<HookCost> {
        eprintln!("optional program: {}", self.name);
        let (mut runs, mut ns) = (0, Vec::new());
        let statistics = proc::Statistics::on()?;
        let tool = Tool::ours(tracer, self.arguments);
        let mut running = tool.start(output)?;
        for slice in 0..plan.slices {
            let restarts = matches!(self.trigger, Trigger::Start);
            if restarts && slice > 0 {
                running.stop()?;
                running = tool.start(output)?;
            }
            let before = if restarts { Programs::new() } else { proc::programs(running.pid())? };
            self.trigger.pull(plan.kernel_connections)?;
            let after = proc::programs(running.pid())?;
            let names = proc::program_names();
            let is_it = |id: &u32| names.get(id).is_some_and(|name| proc::is_named(name, self.program));
            let used = proc::spent(&before, &after, is_it);
            runs += used.runs;
            if used.runs > 0 {
                ns.push(used.ns_per(used.runs));
            }
        }
        running.stop()?;
        drop(statistics);
        Ok(HookCost { name: self.name, arguments: self.arguments, runs, ns })
    }
}

/// The most SYNs at once: a listener's queue has the capacity for them.
const SYNS: u32 = 2_000;
/// The time from a SYN to the second SYN-ACK, and somewhat longer.
const SYNACK_AGAIN: Duration = Duration::from_millis(1_300);

impl Trigger {
    fn pull(self, connections: u32) -> Result<()> {
        match self {
            Self::Churn => churn::run(connections, Load::Churn { threads: 1 }).map(drop),
            Self::Reset => churn::reset(connections),
            Self::Unanswered => {
                let listener = churn::listener()?;
                let address: SocketAddr = listener.local_addr().context("the listener")?;
                syn::flood(address, u16::try_from(connections.min(SYNS))?);
                thread::sleep(SYNACK_AGAIN);
                Ok(())
            }
            Self::Start => Ok(()),
        }
    }
}
