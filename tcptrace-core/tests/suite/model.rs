//! The tracker against a simple model of the state machine, on histories that a kernel could have made: everything that
//! it tells, whatever the kernel can and hides; and with gaps, that nothing of it is wrong.

use crate::machine::{
    checks::{as_predicted, is_true, nothing_is_wrong, timewait_sockets_are_right, track},
    each_once, history,
    kernel::Kernel,
    steps,
};
use proptest::prelude::*;
use tcptrace_core::{model::transition::Origin, pipeline::tracker::Tracker};

/// Kernels that differ in what they show.
fn kernels() -> impl Strategy<Value = Kernel> {
    any::<(bool, bool)>().prop_map(|(anonymous, nameless)| Kernel {
        anonymous,
        nameless,
        ..Kernel::default()
    })
}

proptest! {
    /// Nothing is missing, and everything is told exactly: which is also true.
    #[test]
    fn all_is_told(steps in steps(120), kernel in kernels()) {
        let sent = kernel.sent(history(&steps));
        as_predicted(kernel, &sent, usize::MAX, false)?;
        let mut tracker = Tracker::new(kernel.options(usize::MAX, false));
        for happening in &sent {
            let out = track(&mut tracker, &happening.event);
            for transition in out.iter().filter(|transition| transition.event == happening.event) {
                prop_assert_eq!(transition.in_old_state_ns, happening.in_old_state_ns);
                is_true(transition, happening)?;
                if let (Some(owner), Some(listener)) = (&transition.owner, &happening.listener) {
                    prop_assert!(listener.actors.contains(&owner.pid), "{:?}", transition);
                }
                if let Some(closing) = &transition.closing {
                    prop_assert_eq!(closing.life_ns, Some(happening.life_ns));
                    let spent: u64 = closing.states.iter().map(|(_, ns)| ns).sum();
                    prop_assert_eq!(spent, happening.life_ns);
                }
            }
        }
    }

    /// In a table that is too small the idlest are forgotten, and nothing else.
    #[test]
    fn few_are_remembered(
        steps in steps(120),
        kernel in kernels(),
        by_port in any::<bool>(),
        limit in 1_usize..5,
    ) {
        let kernel = Kernel { by_port, ..kernel };
        as_predicted(kernel, &kernel.sent(history(&steps)), limit, false)?;
    }

    /// With filters, what is hidden teaches and what is undecided waits.
    #[test]
    fn filters_hide_and_teach(
        steps in steps(120),
        kernel in kernels(),
        (by_port, by_state, hides) in any::<(bool, bool, bool)>(),
    ) {
        let kernel = Kernel { by_port, by_state, hides, ..kernel };
        as_predicted(kernel, &kernel.sent(history(&steps)), usize::MAX, false)?;
    }

    /// What follows from a history does not change what is told of it. TIME_WAIT follows where this side has closed
    /// first and the peer's FIN has come.
    #[test]
    fn time_wait_follows(steps in steps(120), kernel in kernels()) {
        let sent = kernel.sent(history(&steps));
        as_predicted(kernel, &sent, usize::MAX, true)?;
        let mut tracker = Tracker::new(kernel.options(usize::MAX, true));
        let mut out: Vec<_> = sent.iter().flat_map(|one| track(&mut tracker, &one.event)).collect();
        tracker.tick(u64::MAX, |transition| out.push(transition.clone()));
        out.retain(|transition| transition.origin == Origin::Inferred);
        timewait_sockets_are_right(&sent.iter().collect::<Vec<_>>(), &out, false)?;
    }

    /// Whatever is lost: what is told is true.
    #[test]
    fn gaps_make_unknown_not_wrong(steps in steps(160), kernel in kernels(), infer in any::<bool>()) {
        nothing_is_wrong(kernel, &kernel.sent(history(&steps)), infer, true)?;
    }

    /// Also when nobody says yet that something is lost, as long as cookies tell the sockets at an address apart.
    #[test]
    fn cookies_tell_sockets_apart(steps in steps(160), infer in any::<bool>()) {
        let kernel = Kernel::default();
        nothing_is_wrong(kernel, &kernel.sent(history(&each_once(steps))), infer, false)?;
    }
}
