//! Tables that every event, or every socket of a scan, goes through. Their hash is the one of the tables that are bounded,
//! several times as fast as the standard library's, and seeded anew in each process: who chooses addresses cannot know which
//! of them collide.

use hashlink::DefaultHashBuilder;

/// A map; made by `default()`.
pub type HashMap<K, V> = std::collections::HashMap<K, V, DefaultHashBuilder>;

/// A set; made by `default()`.
pub type HashSet<K> = std::collections::HashSet<K, DefaultHashBuilder>;
