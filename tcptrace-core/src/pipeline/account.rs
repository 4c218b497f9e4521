//! The account of every transition that user space read.

use crate::model::loss::Lost;

/// Counts made in user space. The kernel side has counters of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Transitions read from the ring, and records that could not be decoded.
    pub read: u64,
    /// Records that could not be decoded, of those read.
    pub undecodable: u64,
    /// Transitions handed to the writer.
    pub sent: u64,
    /// Transitions handed to the writer that end a connection.
    pub connections: u64,
    /// Inferred transitions handed to the writer.
    pub inferred: u64,
    /// Transitions that came after `--count` was reached.
    pub surplus: u64,
    /// Transitions that the filter on the process hides, where the kernel side has not applied this filter.
    pub hidden: u64,
    /// Inputs of a capture that this version does not know.
    pub skipped_inputs: u64,
}

impl Account {
    /// Counts `transitions` as read and as surplus, without reading them.
    pub(crate) fn forgo(&mut self, transitions: u64) {
        self.read += transitions;
        self.surplus += transitions;
    }

    /// Settles the account at the end. The kernel side has put `submitted` records on the ring, and the writer has written
    /// `written` transitions. Every record that is missing was lost at the output.
    pub(crate) fn settle(&self, ring_full: u64, missed_runs: u64, submitted: u64, written: u64) -> Lost {
        Lost {
            ring_full,
            output: submitted.saturating_sub(self.read).saturating_add(self.sent.saturating_sub(written)),
            undecodable: self.undecodable,
            missed_runs,
            others: 0,
            skipped_inputs: self.skipped_inputs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_was_lost_at_the_output() {
        let account = Account {
            read: 100,
            undecodable: 1,
            sent: 90,
            connections: 8,
            inferred: 4,
            surplus: 9,
            hidden: 2,
            skipped_inputs: 3,
        };
        let lost = account.settle(7, 2, 105, 80);
        let expected = Lost {
            ring_full: 7,
            output: 5 + 10,
            undecodable: 1,
            missed_runs: 2,
            others: 0,
            skipped_inputs: 3,
        };
        assert_eq!(lost, expected);
    }
}
