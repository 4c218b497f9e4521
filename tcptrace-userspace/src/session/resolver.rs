//! The host, as a live trace asks for it while its records are taken.

use std::sync::Arc;

use tcptrace_core::{
    model::{
        event::Context,
        input::{Exit, Key},
        process::Process,
    },
    pipeline::Resolver,
};

use super::{devices::DeviceNames, identities::Identities};
use crate::sys::clock::monotonic_ns;

/// The host.
pub(super) struct Live {
    /// `None` where nobody wants to know.
    pub(super) identities: Option<Identities>,
    pub(super) devices: DeviceNames,
}

impl Resolver for Live {
    fn process(&mut self, context: &Context, ktime_ns: u64) -> Option<Arc<Process>> {
        self.identities.as_mut()?.process(context, ktime_ns)
    }

    fn has_processes(&self) -> bool {
        self.identities.is_some()
    }

    /// When it ended before, nothing tells: it may have lived at any event so far.
    fn exit(&mut self, process: Key) -> Option<Exit> {
        let identities = self.identities.as_mut()?;
        identities.has_ended(process.0, process.1).then(|| Exit { process, by_ns: monotonic_ns() })
    }

    fn device(&mut self, netns: u32, ifindex: u32, ktime_ns: u64) -> Option<Arc<str>> {
        self.devices.name(netns, ifindex, ktime_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::identities::Extent, *};

    /// Records wait in the ring: an event may be older than the end that is found when its turn comes.
    #[test]
    fn an_end_is_known_from_when_it_was_found() {
        let (identities, devices) = (Some(Identities::new(Extent::All)), DeviceNames::new(None));
        let mut live = Live { identities, devices };
        let mut child = std::process::Command::new("true").spawn().expect("a process");
        let process = (child.id(), None);
        child.wait().expect("its end");
        let before_ns = monotonic_ns();
        let exit = live.exit(process).expect("it has ended");
        assert_eq!(exit.process, process);
        assert!((before_ns..=monotonic_ns()).contains(&exit.by_ns));
        assert_eq!(live.exit((std::process::id(), None)), None, "this one lives");
    }
}
