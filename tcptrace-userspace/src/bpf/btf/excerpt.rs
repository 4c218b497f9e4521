//! An excerpt of the kernel's type information, with all that aya needs to attach programs: a few names and their ids.

use super::{Btf, BtfError, KIND_TYPEDEF, MAGIC};

const KIND_FORWARD: u32 = 7;
const KIND_FUNCTION: u32 = 12;

/// Bytes of the header.
const HEADER: u32 = 24;

/// Types that programs are attached by. aya makes an object of every type that it is given, and a kernel has a hundred
/// thousand.
#[derive(Debug)]
pub struct Excerpt {
    /// In the order of their ids.
    types: Vec<Named>,
}

#[derive(Debug)]
struct Named {
    id: u32,
    kind: u32,
    name: String,
}

impl Btf<'_> {
    /// The excerpt with those of these trace events and iterators that exist.
    ///
    /// # Errors
    /// The part that is damaged.
    pub fn excerpt(&self, events: &[&str], iterators: &[&str]) -> Result<Excerpt, BtfError> {
        let events = events.iter().map(|name| (KIND_TYPEDEF, format!("btf_trace_{name}")));
        let iterators = iterators.iter().map(|name| (KIND_FUNCTION, format!("bpf_iter_{name}")));
        let mut types = Vec::new();
        for (kind, name) in events.chain(iterators) {
            if let Some(id) = self.named(kind, &name)? {
                types.push(Named { id, kind, name });
            }
        }
        types.sort_unstable_by_key(|ty| ty.id);
        Ok(Excerpt { types })
    }
}

impl Excerpt {
    /// Type information in which the types of the excerpt have the kernel's ids. All other types are nameless
    /// declarations.
    pub fn blob(&self) -> Vec<u8> {
        let (mut types, mut strings) = (Vec::new(), vec![0]);
        let mut next = 1;
        for Named { id, kind, name } in &self.types {
            for _ in next..*id {
                push(&mut types, 0, KIND_FORWARD);
            }
            push(&mut types, length(&strings), *kind);
            strings.extend_from_slice(name.as_bytes());
            strings.push(0);
            next = id + 1;
        }
        let mut blob = MAGIC.to_ne_bytes().to_vec();
        // Version, flags.
        blob.extend_from_slice(&[1, 0]);
        for word in [HEADER, 0, length(&types), length(&types), length(&strings)] {
            blob.extend_from_slice(&word.to_ne_bytes());
        }
        blob.append(&mut types);
        blob.append(&mut strings);
        blob
    }
}

/// Appends a type: name, kind, and the type that it refers to, which is none.
fn push(types: &mut Vec<u8>, name: u32, kind: u32) {
    for word in [name, kind << 24, 0] {
        types.extend_from_slice(&word.to_ne_bytes());
    }
}

/// Bytes of a part of the type information, which is smaller than a gigabyte in the kernel.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A type that programs are attached by must keep the kernel's id.
    #[test]
    fn ids_stay() {
        let named = |id, kind, name: &str| Named { id, kind, name: name.to_owned() };
        let kernel = Excerpt {
            types: vec![
                named(2, KIND_TYPEDEF, "btf_trace_tcp_probe"),
                named(5, KIND_FUNCTION, "btf_trace_tcp_send_reset"),
                named(6, KIND_TYPEDEF, "btf_trace_tcp_send_reset"),
                named(9, KIND_FUNCTION, "bpf_iter_task_file"),
            ],
        };
        let excerpt = |blob: &[u8]| {
            let btf = Btf::parse(blob).expect("it is whole");
            btf.excerpt(&["no", "tcp_send_reset"], &["task_file"]).expect("it is whole")
        };
        let first = excerpt(&kernel.blob());
        for excerpt in [excerpt(&first.blob()), first] {
            let ids: Vec<(u32, &str)> = excerpt.types.iter().map(|ty| (ty.id, ty.name.as_str())).collect();
            assert_eq!(ids, [(6, "btf_trace_tcp_send_reset"), (9, "bpf_iter_task_file")]);
        }
    }
}
