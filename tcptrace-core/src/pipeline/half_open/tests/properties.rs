//! Tests with any steps in any order.

use proptest::prelude::*;

use super::*;

/// A step of a test.
#[derive(Clone, Debug)]
enum Step {
    Syn(u8),
    Retransmit(u8),
    Child(u8),
    Poll(Vec<u8>),
    Tick,
    Gap,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<u8>().prop_map(Step::Syn),
        any::<u8>().prop_map(Step::Retransmit),
        any::<u8>().prop_map(Step::Child),
        prop::collection::vec(any::<u8>(), 0..8).prop_map(Step::Poll),
        Just(Step::Tick),
        Just(Step::Gap),
    ]
}

proptest! {
    /// For any steps in any order, also impossible ones: every connection that began is accounted for, and neither the open
    /// connections nor those at a listener exceed the limit.
    #[test]
    fn the_account_balances(
        steps in prop::collection::vec((step(), 0_u64..70 * SECOND), 0..60),
        limit in 1_usize..6,
        cookies in any::<bool>(),
    ) {
        let mut trial = Trial::new(limit, all());
        let number = |number: u8| Connection {
            cookie: if cookies || number.is_multiple_of(2) { 1 + u64::from(number % 16) } else { 0 },
            flow: connection(number % 16).flow.in_netns((!number.is_multiple_of(3)).then_some(NETNS)),
        };
        for (step, at) in steps {
            match step {
                Step::Syn(which) => trial.syn(at, number(which)),
                Step::Retransmit(which) => trial.retransmit(at, number(which)),
                Step::Child(which) => trial.child(at, number(which)),
                Step::Poll(which) => {
                    trial.half_opens.poll_begins();
                    trial.poll(at, &which.iter().map(|which| (number(*which), 1, at)).collect::<Vec<_>>());
                }
                Step::Tick => trial.half_opens.tick(at, |_| None, |change| trial.told.push(change)),
                Step::Gap => trial.half_opens.gap(at),
            }
            let counts = trial.assert_balance();
            prop_assert!(counts.open <= limit as u64);
            prop_assert!(trial.told.iter().all(|change| change.open <= limit as u64));
        }
    }
}
