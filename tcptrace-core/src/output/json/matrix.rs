//! The table of transitions by old and new state.

use serde::{Serialize, Serializer};

use crate::model::state::State;

/// A cell of the table of transitions.
#[derive(Serialize)]
pub(super) struct MatrixRow {
    old_state: StateName,
    new_state: StateName,
    count: u64,
}

impl MatrixRow {
    pub(super) fn of((old, new, count): (State, State, u64)) -> Self {
        Self { old_state: StateName(old), new_state: StateName(new), count }
    }
}

/// A state by its name, or its number.
struct StateName(State);

impl Serialize for StateName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.name() {
            Some(name) => serializer.serialize_str(name),
            None => serializer.collect_str(&self.0),
        }
    }
}
