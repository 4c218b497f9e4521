//! How well the host could be looked at.

/// What the looks were like.
#[derive(Clone, Debug, Default)]
pub(crate) struct Looks {
    /// How many there were.
    pub(crate) count: u64,
    /// What some could not see.
    pub(crate) unseen: Trouble,
    /// Why some failed altogether.
    pub(crate) failed: Trouble,
}

impl Looks {
    /// One more, and what it could not see.
    pub(crate) fn looked(&mut self, unseen: Option<&str>) {
        self.count += 1;
        if let Some(what) = unseen {
            self.unseen.note(what);
        }
    }

    /// One more, which saw nothing.
    pub(crate) fn failed(&mut self, why: &str) {
        self.count += 1;
        self.failed.note(why);
    }
}

/// What went wrong with some of the looks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble {
    count: u64,
    /// As the last of them says.
    why: String,
}

impl Trouble {
    fn note(&mut self, why: &str) {
        self.count += 1;
        why.clone_into(&mut self.why);
    }

    /// It, and at how many of `all` looks; `None` where it never was.
    pub(crate) fn of(&self, all: u64) -> Option<String> {
        match self.count {
            0 => None,
            count if count == all => Some(self.why.clone()),
            count => Some(format!("{} (at {count} of {all} looks)", self.why)),
        }
    }
}
