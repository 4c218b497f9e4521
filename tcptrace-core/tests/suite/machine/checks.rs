//! A tracker on a history, and what it says held against the truth.

use proptest::prelude::*;
use tcptrace_core::{
    model::{
        event::Event,
        owner::Provenance,
        state::State,
        transition::{Origin, Transition},
    },
    pipeline::tracker::Tracker,
};

use super::{
    Happening,
    kernel::Kernel,
    model::{Expected, Model},
};

/// `TCP_TIMEWAIT_LEN`.
const TIME_WAIT_NS: u64 = 60_000_000_000;

pub(crate) type Checked = Result<(), TestCaseError>;

pub(crate) fn track(tracker: &mut Tracker, event: &Event) -> Vec<Transition> {
    let mut out = Vec::new();
    tracker.track(&mut Transition::of(event.clone()), |transition| out.push(transition.clone()));
    out
}

/// Holds all that is told of observed transitions against the model.
pub(crate) fn as_predicted(kernel: Kernel, sent: &[Happening], limit: usize, infer: bool) -> Checked {
    let mut tracker = Tracker::new(kernel.options(limit, infer));
    let mut model = Model::new(kernel, limit);
    let (mut told, mut inferred) = (0, Vec::new());
    for (count, happening) in (1..).zip(sent) {
        let (observed, follows): (Vec<_>, Vec<_>) = track(&mut tracker, &happening.event)
            .into_iter()
            .partition(|transition| transition.origin == Origin::Observed);
        let expected = model.take(happening);
        compare(&observed, &expected, limit)?;
        told += observed.len() as u64;
        let accounted = told + tracker.filtered() + model.waiting() as u64;
        prop_assert_eq!(accounted, count, "each event is told, filtered or waits");
        prop_assert_eq!((tracker.len(), tracker.filtered()), (model.len(), model.filtered));
        if !infer {
            prop_assert_eq!(tracker.evicted(), model.evicted);
            prop_assert!(follows.is_empty());
        }
        inferred.extend(follows);
    }
    tracker.tick(u64::MAX, |transition| inferred.push(transition.clone()));
    let mut rest = Vec::new();
    tracker.finish(|transition| rest.push(transition.clone()));
    compare(&rest, &model.finish(), limit)?;
    prop_assert_eq!(told + rest.len() as u64 + tracker.filtered(), sent.len() as u64);
    prop_assert!(tracker.is_empty());
    Ok(())
}

fn compare(observed: &[Transition], expected: &[Expected], limit: usize) -> Checked {
    let mut observed: Vec<Expected> = observed.iter().map(Expected::of).collect();
    let mut expected = expected.to_vec();
    if limit < usize::MAX {
        // How many listeners a table with a limit keeps is its own affair.
        let is_inherited = |one: &Expected| matches!(one.owner, Some((_, Provenance::Inherited)));
        for (one, other) in observed.iter_mut().zip(&mut expected) {
            if is_inherited(one) || is_inherited(other) {
                (one.owner, other.owner) = (None, None);
            }
        }
    }
    prop_assert_eq!(observed, expected);
    Ok(())
}

/// What is told of the past is true, or it is not told: `truth` is what has happened by then.
pub(crate) fn is_true(transition: &Transition, truth: &Happening) -> Checked {
    if let Some(told) = transition.in_old_state_ns {
        prop_assert_eq!(Some(told), truth.in_old_state_ns, "{:?}", transition);
    }
    prop_assert!([0, truth.rport].contains(&transition.event.flow.remote.port), "{:?}", transition);
    if let Some(owner) = transition.owner.as_ref().filter(|owner| owner.provenance == Provenance::Exact) {
        prop_assert!(truth.actors.contains(&owner.pid), "{:?}", transition);
    }
    let Some(closing) = &transition.closing else { return Ok(()) };
    if let Some(told) = closing.life_ns {
        prop_assert_eq!(told, truth.life_ns, "{:?}", transition);
    }
    let spent: u64 = closing.states.iter().map(|(_, ns)| ns).sum();
    prop_assert!(spent <= truth.life_ns, "{:?}", transition);
    Ok(())
}

/// Of a history some of which is lost, nothing that is told is wrong. `noticed`: the tracker is told of the losses.
pub(crate) fn nothing_is_wrong(kernel: Kernel, sent: &[Happening], infer: bool, noticed: bool) -> Checked {
    let mut tracker = Tracker::new(kernel.options(usize::MAX, infer));
    let (mut out, mut lost) = (Vec::new(), None);
    for happening in sent {
        if happening.lost {
            // The loss is told later than it happens, at a time of its own.
            lost = Some(happening.event.ktime_ns + 1).filter(|_| noticed);
            continue;
        }
        if let Some(ktime_ns) = lost.take() {
            tracker.gap(ktime_ns);
        }
        out.extend(track(&mut tracker, &happening.event));
    }
    tracker.tick(u64::MAX, |transition| out.push(transition.clone()));
    tracker.finish(|transition| out.push(transition.clone()));
    let (out, inferred): (Vec<_>, Vec<_>) =
        out.into_iter().partition(|transition| transition.origin == Origin::Observed);
    let kept: Vec<_> = sent.iter().filter(|one| !one.lost).collect();
    prop_assert_eq!(out.len(), kept.len(), "nothing is dropped");
    if infer {
        timewait_sockets_are_right(&kept, &inferred, true)?;
    }
    for transition in &out {
        let name = |event: &Event| (event.ktime_ns, event.skaddr, event.old_state, event.new_state);
        let its: Vec<_> = sent.iter().filter(|one| name(&one.event) == name(&transition.event)).collect();
        // Several at one time and address are not to be told apart.
        if let [happening] = its[..] {
            is_true(transition, happening)?;
        }
    }
    Ok(())
}

/// What is inferred of these: TIME_WAIT begins where it must and nowhere else, and ends once; `lossy`, at most once, since
/// what takes its place may have been lost.
pub(crate) fn timewait_sockets_are_right(
    sent: &[&Happening],
    inferred: &[Transition],
    lossy: bool,
) -> Checked {
    let name = |event: &Event| (event.ktime_ns, event.skaddr, event.cookie, event.old_state);
    let begun: Vec<&Event> =
        inferred.iter().map(|one| &one.event).filter(|event| event.new_state == State::TIME_WAIT).collect();
    let closed = sent.iter().filter(|one| one.goes_on == Some(State::TIME_WAIT));
    let expected: Vec<_> = closed.map(|one| name(&one.event)).collect();
    prop_assert_eq!(begun.iter().map(|event| name(event)).collect::<Vec<_>>(), expected);

    let ends = |event: &Event| (event.flow.netns, event.flow.local.port, event.flow.remote.port);
    let which = |event: &Event, begin_ns: u64| (begin_ns, event.cookie, event.skaddr, ends(event));
    let mut waiting: Vec<_> = begun.iter().map(|event| which(event, event.ktime_ns)).collect();
    for Transition { event, in_old_state_ns, .. } in inferred {
        if (event.old_state, event.new_state) != (State::TIME_WAIT, State::CLOSE) {
            continue;
        }
        let ns = in_old_state_ns.unwrap_or_default();
        let its = which(event, event.ktime_ns - ns);
        let place = waiting.iter().position(|one| *one == its);
        prop_assert!(place.is_some(), "it has not begun, or has ended already: {:?}", event);
        waiting.remove(place.unwrap_or_default());
        let takes_place = |other: &Event| {
            let begins = other.new_state == State::ESTABLISHED
                || [other.old_state, other.new_state].contains(&State::SYN_RECV);
            begins && other.ktime_ns == event.ktime_ns && ends(other) == ends(event)
        };
        let early = ns < TIME_WAIT_NS && sent.iter().any(|one| takes_place(&one.event));
        prop_assert!(ns == TIME_WAIT_NS || early, "{:?}", event);
    }
    prop_assert!(lossy || waiting.is_empty(), "the clock ran on, so all end: {:?}", waiting);
    Ok(())
}
