//! Reads the process and the device from the record of a transition before its turn, for the questions to the resolver.

use std::mem::offset_of;

use tcptrace_common::{ClosingRecord, KIND_TRANSITION, RecordFlags, TransitionRecord, context_owns};

use crate::model::event::is_bystander;

/// A transition's record, not decoded.
pub(super) struct Peek<'a> {
    fixed: &'a [u8; size_of::<TransitionRecord>()],
    record: &'a [u8],
    flags: u16,
}

impl<'a> Peek<'a> {
    /// Takes a record; `None` where it is of another kind, or too short.
    pub(super) fn at(record: &'a [u8]) -> Option<Self> {
        let fixed = record.first_chunk()?;
        let peek = Self { fixed, record, flags: 0 };
        let kind = u16::from_ne_bytes(peek.field(offset_of!(TransitionRecord, kind))?);
        let flags = u16::from_ne_bytes(peek.field(offset_of!(TransitionRecord, flags))?);
        (kind == KIND_TRANSITION).then_some(Self { flags, ..peek })
    }

    /// The process that acts on the socket, if one does, and its name; `None` where the name is that of another thread.
    pub(super) fn actor(&self) -> Option<(u32, Option<[u8; 16]>)> {
        let error = i32::from_ne_bytes(self.field(offset_of!(TransitionRecord, sk_err))?);
        let [old] = self.field(offset_of!(TransitionRecord, old_state))?;
        let [new] = self.field(offset_of!(TransitionRecord, new_state))?;
        if !context_owns(self.flags, error, old, new) {
            return None;
        }
        let comm = self.field(offset_of!(TransitionRecord, comm))?;
        let pid = u32::from_ne_bytes(self.field(offset_of!(TransitionRecord, tgid))?);
        let tid = u32::from_ne_bytes(self.field(offset_of!(TransitionRecord, tid))?);
        (!is_bystander(&comm)).then_some((pid, (pid == tid).then_some(comm)))
    }

    /// The device that the socket is bound to, if any: the inode number of its namespace, and its index in that namespace.
    pub(super) fn device(&self) -> Option<(u32, u32)> {
        if self.flags & RecordFlags::DEVICE == 0 {
            return None;
        }
        let netns = u32::from_ne_bytes(self.field(offset_of!(TransitionRecord, netns))?);
        let is_longer = self.flags & RecordFlags::CLOSING != 0;
        let place = if is_longer { size_of::<ClosingRecord>() } else { size_of::<TransitionRecord>() };
        let ifindex = u32::from_ne_bytes(*self.record.get(place..)?.first_chunk()?);
        (netns != 0 && ifindex != 0).then_some((netns, ifindex))
    }

    fn field<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.fixed.get(offset..)?.first_chunk().copied()
    }
}

#[cfg(test)]
mod tests {
    use tcptrace_common::DeviceRecord;

    use super::*;
    use crate::{model::event::Observed, pipeline::decode::decode};

    proptest::proptest! {
        /// Process and device are those of the decoded record.
        #[test]
        fn it_is_what_the_event_has(
            mut bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..240),
            flags in proptest::prelude::any::<u16>(),
            same_thread in proptest::prelude::any::<bool>(),
            states in (0_u8..13, 0_u8..13),
        ) {
            let place = offset_of!(TransitionRecord, tgid);
            if bytes.len() >= size_of::<TransitionRecord>() {
                bytes[..2].copy_from_slice(&KIND_TRANSITION.to_ne_bytes());
                bytes[2..4].copy_from_slice(&flags.to_ne_bytes());
                if same_thread {
                    bytes.copy_within(place..place + 4, place + 4);
                }
                bytes[offset_of!(TransitionRecord, old_state)] = states.0;
                bytes[offset_of!(TransitionRecord, new_state)] = states.1;
                let closing = if flags & RecordFlags::CLOSING == 0 { size_of::<TransitionRecord>() } else { size_of::<ClosingRecord>() };
                let device = if flags & RecordFlags::DEVICE == 0 { 0 } else { size_of::<DeviceRecord>() };
                bytes.truncate(closing + device);
            }
            let peek = Peek::at(&bytes);
            if let Ok(Observed::Transition(event)) = decode(&bytes) {
                let peek = peek.expect("a transition");
                let actor = event.context_owns.then(|| {
                    let context = &event.context;
                    (context.pid, context.is_main_thread().then_some(context.comm))
                });
                proptest::prop_assert_eq!(peek.actor(), actor);
                proptest::prop_assert_eq!(
                    peek.device(),
                    event.flow.netns.zip(event.device.map(|device| device.ifindex))
                );
            }
        }
    }
}
