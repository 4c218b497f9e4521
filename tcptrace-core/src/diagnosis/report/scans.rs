//! The success of scans of the host.

/// The scans of a trace.
#[derive(Clone, Debug, Default)]
pub struct Scans {
    /// The number of scans.
    pub count: u64,
    /// The gaps of some scans.
    pub unseen: Trouble,
    /// The reasons why some scans failed altogether.
    pub failed: Trouble,
}

impl Scans {
    /// Records a scan with its gaps.
    pub fn seen(&mut self, unseen: Option<&str>) {
        self.count += 1;
        if let Some(what) = unseen {
            self.unseen.note(what);
        }
    }

    /// Records a scan that failed, and the reason.
    pub fn failed(&mut self, why: &str) {
        self.count += 1;
        self.failed.note(why);
    }
}

/// A problem of some of the scans.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    count: u64,
    /// The text from the last of them.
    why: String,
}

impl Trouble {
    fn note(&mut self, why: &str) {
        self.count += 1;
        why.clone_into(&mut self.why);
    }

    /// The problem, and the number of scans with it, of `all`; `None` where no scan had it.
    pub fn of(&self, all: u64) -> Option<String> {
        match self.count {
            0 => None,
            count if count == all => Some(self.why.clone()),
            count => Some(format!("{} (in {count} of {all} scans)", self.why)),
        }
    }
}
