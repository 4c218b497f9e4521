//! What the reader has for the writer.

use super::{BATCH, Batch, account::Account};
use crate::{
    record::{Origin, Record, Transition},
    sink::View,
    tracker::Hidden,
    wanted::Wanted,
};

/// The batch that is being filled, and the account of what went into it.
pub(super) struct Outgoing {
    pub(super) batch: Batch,
    pub(super) account: Account,
    /// Which transitions become lines.
    pub(super) view: View,
    /// Lines still wanted.
    left: Option<u64>,
    /// Filters, where the kernel side has not applied these.
    pub(super) wanted: Option<Wanted>,
}

impl Outgoing {
    pub(super) fn new(view: View, count: Option<u64>, wanted: Option<Wanted>) -> Self {
        // Those that hide nothing need not be asked.
        let wanted = wanted.filter(|wanted| Hidden::by(wanted).any);
        Self { batch: Vec::with_capacity(BATCH), account: Account::default(), view, left: count, wanted }
    }

    /// Adds a transition, unless enough are there.
    pub(super) fn push(&mut self, transition: Transition) {
        let observed = u64::from(transition.origin == Origin::Observed);
        if self.wanted.as_ref().is_some_and(|wanted| !wanted.passes_transition(&transition)) {
            self.account.hidden += observed;
            return;
        }
        if self.is_satisfied() {
            self.account.surplus += observed;
            return;
        }
        if let Some(left) = &mut self.left
            && self.view.shows(&transition)
        {
            *left -= 1;
        }
        self.account.sent += observed;
        self.account.inferred += 1 - observed;
        self.account.connections += u64::from(transition.ends_connection());
        self.batch.push(Record::Transition(transition));
    }

    /// Whether there are as many lines as are wanted.
    pub(super) fn is_satisfied(&self) -> bool {
        self.left == Some(0)
    }

    pub(super) fn is_full(&self) -> bool {
        self.batch.len() >= BATCH
    }
}
