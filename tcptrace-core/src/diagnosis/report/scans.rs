//! How well the host could be scanned.

/// The scans of a trace.
#[derive(Clone, Debug, Default)]
pub struct Scans {
    /// How many there were.
    pub count: u64,
    /// What some could not see.
    pub unseen: Trouble,
    /// Why some failed altogether.
    pub failed: Trouble,
}

impl Scans {
    /// Another scan, and what it could not see.
    pub fn seen(&mut self, unseen: Option<&str>) {
        self.count += 1;
        if let Some(what) = unseen {
            self.unseen.note(what);
        }
    }

    /// Another scan, which saw nothing, and why.
    pub fn failed(&mut self, why: &str) {
        self.count += 1;
        self.failed.note(why);
    }
}

/// What went wrong with some of the scans.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    count: u64,
    /// As the last of them says.
    why: String,
}

impl Trouble {
    fn note(&mut self, why: &str) {
        self.count += 1;
        why.clone_into(&mut self.why);
    }

    /// It, and at how many of `all` scans; `None` where it never was.
    pub fn of(&self, all: u64) -> Option<String> {
        match self.count {
            0 => None,
            count if count == all => Some(self.why.clone()),
            count => Some(format!("{} (in {count} of {all} scans)", self.why)),
        }
    }
}
