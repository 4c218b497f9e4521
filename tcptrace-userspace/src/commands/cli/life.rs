//! `tcptrace life`.

use tcptrace_core::model::view::View;

use super::{show::show, stream::StreamArgs};
use crate::{commands::stream::Settings, session};

const COLUMNS: &str = "\
OWNER: name[pid] acted on the socket itself; ~name[pid] opened its listener; - is not known.
TX, RX: bytes acknowledged and received; LIFE: from its first transition; SRTT: smoothed round trip;
RETR: segments retransmitted; - where unknown, as for pre-existing connections.
Exit codes: 0 all right, 1 error, 2 wrong usage, 4 transitions were lost (the summary says why).";

/// Options of `life`.
#[derive(Clone, Debug, clap::Args)]
// The shared texts are about transitions.
#[command(
    after_help = COLUMNS,
    mut_arg("no_snapshot", |arg| arg.help("Do not list pre-existing sockets")),
    mut_arg("count", |arg| arg.help("Stop after this many connections")),
)]
pub struct LifeArgs {
    /// Those that it shares.
    #[command(flatten)]
    pub stream: StreamArgs,
}

impl LifeArgs {
    /// Validates what clap cannot.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        let settings = self.stream.settings()?;
        let trace = session::Settings { view: View::Connections, infer: false, ..settings.trace };
        Ok(Settings { trace, ..settings })
    }
}

/// Runs it.
pub(super) fn run(args: &LifeArgs) -> anyhow::Result<u8> {
    show(args.settings(), args.stream.from.as_deref(), None)
}
