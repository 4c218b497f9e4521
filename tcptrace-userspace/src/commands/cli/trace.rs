//! `tcptrace trace`.

use tcptrace_core::model::state::State;

use super::{
    detect::DetectArgs,
    filter::{state_bits, state_words},
    show::show,
    stream::StreamArgs,
};
use crate::{commands::stream::Settings, session::HalfOpenBy};

/// Options of `trace`.
#[derive(Clone, Debug, clap::Args)]
#[command(mut_args(requires_findings))]
pub struct TraceArgs {
    /// Print no transitions, only count them
    #[arg(short, long, conflicts_with_all = ["from", "write"])]
    pub quiet: bool,
    /// Print what is found to be wrong among the transitions, as `diagnose` does at its end
    // They rest on all states, and would be false behind a filter on some.
    #[arg(long, conflicts_with_all = ["quiet", "state", "from_state", "to_state"])]
    pub findings: bool,
    /// Show only what the kernel reports, not what follows from it (into and out of TIME_WAIT)
    #[arg(long)]
    pub no_inferred: bool,
    /// Show half-open connections, too: SYN received, final ACK not yet. By `events` (each SYN and SYN-ACK sent again)
    /// or by a `poll` a second
    #[arg(long, value_enum, value_name = "BY", num_args = 0..=1, require_equals = true, default_missing_value = "events")]
    pub half_open: Option<HalfOpenBy>,
    /// Those that it shares.
    #[command(flatten)]
    pub stream: StreamArgs,
    /// What to look for.
    #[command(flatten)]
    pub detect: DetectArgs,
    /// Transitions from or to these states, such as CLOSE_WAIT,LAST_ACK
    #[arg(long, value_name = "STATES", value_delimiter = ',', help_heading = "Filters")]
    pub state: Vec<State>,
    /// Transitions from these states
    #[arg(long, value_name = "STATES", value_delimiter = ',', help_heading = "Filters")]
    pub from_state: Vec<State>,
    /// Transitions to these states
    #[arg(long, value_name = "STATES", value_delimiter = ',', help_heading = "Filters")]
    pub to_state: Vec<State>,
}

/// Options that would do nothing without findings.
fn requires_findings(arg: clap::Arg) -> clap::Arg {
    let is_one = ["only", "skip", "expect_listen", "config"].contains(&arg.get_id().as_str());
    if is_one { arg.requires("findings") } else { arg }
}

impl TraceArgs {
    /// What the user should know before waiting for something that cannot come.
    pub fn note(&self) -> Option<&'static str> {
        let wanted = || [&self.state, &self.from_state, &self.to_state].into_iter().flatten();
        if self.half_open.is_none() && wanted().any(|state| *state == State::NEW_SYN_RECV) {
            return Some(
                "note: the kernel reports no transitions from or to NEW_SYN_RECV; --half-open shows them",
            );
        }
        let hidden = self.no_inferred && wanted().any(|state| *state == State::TIME_WAIT);
        hidden.then_some("note: transitions from and to TIME_WAIT are inferred, which --no-inferred hides")
    }

    /// Validates what clap cannot.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        let stream = self.stream.settings()?;
        let mut settings = stream.trace;
        settings.bpf.count_only = self.quiet;
        settings.infer = !self.no_inferred;
        settings.half_open = self.half_open;
        settings.shows_half_open = self.half_open.is_some();
        if self.findings {
            settings.detect_on(self.detect.options(self.stream.source.filter.pid)?);
        }
        for (name, states) in
            [("--state", &self.state), ("--from-state", &self.from_state), ("--to-state", &self.to_state)]
        {
            settings.filters.extend(state_words(name, states));
        }
        settings.bpf.filter.states = state_bits(&self.state);
        settings.bpf.filter.old_states = state_bits(&self.from_state);
        settings.bpf.filter.new_states = state_bits(&self.to_state);
        Ok(Settings { trace: settings, ..stream })
    }
}

/// Runs it.
pub(super) fn run(args: &TraceArgs) -> anyhow::Result<u8> {
    show(args.settings(), args.stream.from.as_deref(), args.note())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::Args;

    /// A detector that is not shown all states finds what is not there.
    #[test]
    fn findings_take_no_filter_on_states() {
        let error = |arguments: &[&str]| {
            Args::try_parse_from([&["tcptrace", "--findings"], arguments].concat())
                .err()
                .map(|error| error.to_string())
        };
        assert_eq!(error(&["-L", "80"]), None);
        for filter in ["--state", "--from-state", "--to-state"] {
            let text = error(&[filter, "CLOSE_WAIT"]).unwrap_or_default();
            let words = format!("'--findings' cannot be used with '{filter} <STATES>'");
            assert!(text.contains(&words), "{text}");
        }
    }

    #[test]
    fn what_to_look_for_needs_findings() {
        let parsed = |arguments: &[&str]| Args::try_parse_from([&["tcptrace"], arguments].concat());
        for option in
            [["--only", "stalled"], ["--skip", "stalled"], ["--expect-listen", "22"], ["--config", "x"]]
        {
            assert!(parsed(&option).is_err(), "{option:?}");
            assert!(parsed(&[&["trace", "--findings"], &option[..]].concat()).is_ok(), "{option:?}");
        }
    }
}
