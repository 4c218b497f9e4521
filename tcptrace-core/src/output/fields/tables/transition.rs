//! A transition: a storm has millions of these lines.

use std::sync::Arc;

use super::close::Close;
use crate::{
    model::{
        event::{Context, Event},
        owner::Owner,
        state::State,
        transition::{Origin, Transition},
    },
    output::{
        cached::{Cache, Whose},
        fields::{
            table::fields,
            value::Absent,
            values::{Cached, Flat, Form, Head, Object},
        },
    },
};

/// Parts of transitions that repeat, as text.
#[derive(Default)]
pub(in crate::output) struct Parts {
    whose: Cache<Whose>,
    owners: Cache<Arc<Owner>>,
    contexts: Cache<Context>,
}

/// A transition, with the texts of the parts that repeat.
pub(in crate::output) struct Line<'a> {
    time: &'a str,
    transition: &'a Transition,
    whose: Cached<'a, Flat<&'a Event>>,
    owner: Option<Cached<'a, Object<&'a Owner>>>,
    context: Option<Cached<'a, Object<&'a Context>>>,
}

impl<'a> Line<'a> {
    /// `time` is RFC 3339.
    #[inline(always)]
    pub(in crate::output) fn of<F: Form>(
        parts: &'a mut Parts,
        time: &'a str,
        transition: &'a Transition,
    ) -> Self {
        let event = &transition.event;
        let whose = Whose::of(event);
        let whose = parts.whose.text(&whose, whose.number(), |texts| F::write(&Flat(event), texts));
        let owner = transition.owner.as_ref().map(|owner| {
            parts.owners.text(owner, owner.number(), |texts| F::write(&Object(&**owner), texts))
        });
        let context = match transition.origin {
            Origin::Observed => {
                let (context, number) = (&event.context, event.context.tid);
                Some(parts.contexts.text(context, number, |texts| F::write(&Object(context), texts)))
            }
            // No task ran.
            Origin::Inferred => None,
        };
        Self {
            time,
            transition,
            whose: Cached::new(whose),
            owner: owner.map(Cached::new),
            context: context.map(Cached::new),
        }
    }

    #[inline(always)]
    fn close(&self) -> Option<Object<Close<'a>>> {
        (self.transition.event.new_state == State::CLOSE).then_some(Object(Close(self.transition)))
    }
}

fields! { "transition", impl['a] for Line<'a>, |line|, "A socket changed its state.",
    rules r#"{
        "if": { "properties": { "new_state": { "const": "CLOSE" } } },
        "then": { "required": ["close"] },
        "else": { "properties": { "close": false } }
    }"#, {
    "head": Flat<Head<'_, Self>> [csv 0 ""] = Flat(Head::new(line.time, line.transition.event.ktime_ns)), "";
    "whose": Cached<'a, Flat<&'a Event>> [csv 0 ""] = line.whose, "";
    "old_state": State [csv 0] = line.transition.event.old_state, "";
    "new_state": State [csv 0] = line.transition.event.new_state, "";
    "duration_us": Option<u64> [csv 0] = line.transition.in_old_state_ns.map(|ns| ns / 1_000),
        "Whole microseconds that the socket was in old_state; null when the beginning was not seen.";
    "duration_min_us": Option<u64> [csv 2] = line.transition.at_least_ns.map(|ns| ns / 1_000),
        "Microseconds in old_state at least, where its beginning was not seen: the socket is pre-existing. null otherwise.";
    "origin": Origin [csv 1] = line.transition.origin,
        "observed: the kernel reported it. inferred: it follows from what was observed, since the kernel reports no \
         transitions of the timewait sockets in TIME_WAIT; docs/states.md says from what.";
    "owner": Option<Cached<'a, Object<&'a Owner>>> [csv 0 "owner_"] = line.owner,
        "The process that owns the socket; null when that is not certain.";
    "context": Option<Cached<'a, Object<&'a Context>>> [csv 0 "context_"] = line.context,
        "null when the transition is inferred: nothing ran.";
    "close": Absent<Object<Close<'a>>> [csv 0 "close_"] = Absent(line.close()),
        "How it ended, and final figures; present exactly when new_state is CLOSE.";
} }
