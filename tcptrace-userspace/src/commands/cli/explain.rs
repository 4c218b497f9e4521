//! `tcptrace explain`.

use std::io::{self, Write as _};

use tcptrace_core::diagnosis::explain;

use super::{USAGE, print};

/// Options of `explain`.
#[derive(Clone, Debug, clap::Args)]
pub struct ExplainArgs {
    /// A state such as CLOSE_WAIT, a finding such as syn-flood, or a cause such as reset_linger; without, what there is
    pub what: Option<String>,
}

/// Prints it.
pub(super) fn run(args: &ExplainArgs) -> anyhow::Result<u8> {
    let Some(what) = &args.what else { return print(explain::overview().as_bytes()) };
    let Some(text) = explain::explain(what) else {
        let what = tcptrace_core::model::text::Escaped(what.as_bytes());
        let _ = writeln!(
            io::stderr(),
            "tcptrace: '{what}' is no state, finding or cause; `tcptrace explain` lists them"
        );
        return Ok(USAGE);
    };
    print(text.as_bytes())
}
