//! Hash tables for every event, or every socket of a scan. Their hash function is that of the bounded tables, several times
//! as fast as that of the standard library. It is seeded anew in each process, so a peer that chooses addresses cannot know
//! which of them collide.

use hashlink::DefaultHashBuilder;

/// A map; made by `default()`.
pub type HashMap<K, V> = std::collections::HashMap<K, V, DefaultHashBuilder>;

/// A set; made by `default()`.
pub type HashSet<K> = std::collections::HashSet<K, DefaultHashBuilder>;
