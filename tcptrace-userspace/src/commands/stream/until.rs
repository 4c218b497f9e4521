//! The end of a session of the command line: by itself, by a signal, or because its output has no reader any more.

use std::{future::pending, io, os::fd::AsFd as _};

use tokio::{io::Interest, runtime::Runtime};

use crate::{
    bpf,
    session::{Error, Outcome, Session},
    sys::signals::Ending,
};

/// The reason why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) enum End {
    /// A signal, the time or the count, or the session could not go on.
    Asked,
    /// The reader of our output went away.
    OutputClosed,
}

/// Handlers of the signals that ask a command to end.
pub(in crate::commands) struct Signals {
    runtime: Runtime,
    ending: Ending,
}

impl Signals {
    /// Installs the handlers.
    ///
    /// # Errors
    /// The system refuses a handler.
    pub(in crate::commands) fn install() -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Error::Setup)?;
        let ending = runtime.block_on(async { Ending::install() }).map_err(Error::Setup)?;
        Ok(Self { runtime, ending })
    }
}

/// Waits until the session ends by itself or by a signal; where `reads` is true, also until the reader of standard
/// output goes away.
///
/// # Errors
/// The error because of which the session could not go on.
pub(in crate::commands) fn until_end(
    session: Session,
    signals: Signals,
    reads: bool,
) -> Result<(End, Outcome), Error> {
    let Signals { runtime, mut ending } = signals;
    let handle = session.handle().clone();
    let end = runtime.block_on(async {
        tokio::select! {
            () = handle.ended() => End::Asked,
            () = ending.any() => End::Asked,
            () = output_closed(), if reads => End::OutputClosed,
        }
    });
    handle.stop();
    Ok((end, session.join()?))
}

/// Resolves when the reader of our output goes away, which a session that writes nothing would not notice. Never
/// resolves for files and terminals, which cannot be waited for or do not go away.
async fn output_closed() {
    if let Ok(output) = io::stdout().as_fd().try_clone_to_owned()
        && let Ok(output) = bpf::waitable(output, Interest::ERROR)
        && output.ready(Interest::ERROR).await.is_ok()
    {
        return;
    }
    pending::<()>().await;
}
