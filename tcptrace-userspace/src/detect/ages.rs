//! How long sockets are in their states, as far as several looks tell.

use super::Sample;
use crate::{hash::HashMap, state::State};

/// What the last look said: state, and since when at the latest, by cookie.
#[derive(Default)]
pub struct Ages(HashMap<u64, (State, u64)>);

impl Ages {
    /// Raises the ages in a sample to what earlier ones tell.
    pub fn apply(&mut self, sample: &mut Sample) {
        let mut now: HashMap<_, _> = HashMap::default();
        now.reserve(sample.sockets.len());
        for seen in &mut sample.sockets {
            let socket = &mut seen.socket;
            let told = sample.ktime_ns.saturating_sub(socket.age_at_least_ns.unwrap_or(0));
            let since_ns = match self.0.get(&socket.cookie) {
                Some((state, since_ns)) if *state == socket.state => told.min(*since_ns),
                _ => told,
            };
            if since_ns < sample.ktime_ns {
                socket.age_at_least_ns = Some(sample.ktime_ns - since_ns);
            }
            now.insert(socket.cookie, (socket.state, since_ns));
        }
        self.0 = now;
    }
}
