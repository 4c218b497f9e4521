//! Who goes first when the processors are short: what reads the ring, before it is full.

use rustix::process::{getpriority_process, setpriority_process};

/// Nice value beside that of the process.
const READER: i32 = -10;

/// The calling thread has little to do, and that soon, as long as what is returned lives: programs that it starts later
/// would inherit it.
pub(crate) fn raise() -> Raised {
    Raised(add(READER))
}

/// Whose end takes it back.
pub(crate) struct Raised(Option<i32>);

impl Drop for Raised {
    fn drop(&mut self) {
        if let Some(before) = self.0 {
            let _ = setpriority_process(None, before);
        }
    }
}

/// On Linux a thread has a nice value of its own (`sched(7)`). Who may not raise it goes on without. Returns the one before.
fn add(nice: i32) -> Option<i32> {
    let before = getpriority_process(None).ok()?;
    setpriority_process(None, before + nice).ok().map(|()| before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_taken_back() {
        let now = || getpriority_process(None).expect("a nice value");
        let before = now();
        let raised = raise();
        let is_raised = now() < before;
        assert_eq!(is_raised, raised.0.is_some(), "who may not, does not");
        drop(raised);
        assert_eq!(now(), before);
    }
}
