//! Pre-existing sockets of the process that the filter names. The kernel side learns the owner of a socket from the
//! actions of the process. Without these tables, nothing would be seen of a pre-existing socket until the process acts
//! on it.

use std::collections::{BTreeMap, BTreeSet};

use aya::{
    Ebpf,
    maps::{HashMap, MapData},
};
use tcptrace_core::model::state::State;

use super::{
    Error, HoldersError, SocketFiles,
    object::{map, object},
};

/// The kernel side's tables of the process' sockets and ports.
pub(super) struct Owned {
    pid: u32,
    /// By socket address.
    sockets: HashMap<MapData, u64, u8>,
    /// Number of listeners, by network namespace and port.
    ports: HashMap<MapData, u64, u32>,
    files: Result<SocketFiles, HoldersError>,
}

impl Owned {
    /// The sockets of process `pid`.
    ///
    /// # Errors
    /// [`Error::Object`]: the object lacks a table.
    pub(super) fn new(ebpf: &mut Ebpf, pid: u32) -> Result<Self, Error> {
        Ok(Self {
            pid,
            sockets: HashMap::try_from(map(ebpf, "OWNED")?).map_err(object)?,
            ports: HashMap::try_from(map(ebpf, "OWNED_PORTS")?).map_err(object)?,
            files: SocketFiles::load(),
        })
    }

    /// Enters the sockets that the process has open now. A socket that closes meanwhile stays in the table until
    /// another one gets its address. The first transition of that socket shows its owner.
    pub(super) fn note(&mut self) {
        let Ok(files) = &mut self.files else { return };
        let held = match files.read() {
            Ok((held, _)) => held,
            Err(error) => {
                self.files = Err(error);
                return;
            }
        };
        let mut listening: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for held in held.iter().filter(|held| held.pid == self.pid) {
            // A full table evicts its oldest entry.
            let _ = self.sockets.insert(held.skaddr, 1, 0);
            if held.state == State::LISTEN {
                let key = (u64::from(held.netns.unwrap_or(0)) << 32) | u64::from(held.lport);
                listening.entry(key).or_default().insert(held.skaddr);
            }
        }
        for (key, sockets) in listening {
            // The kernel side may have seen some of them begin.
            let noted = self.ports.get(&key, 0).unwrap_or(0);
            let found = u32::try_from(sockets.len()).unwrap_or(u32::MAX);
            let _ = self.ports.insert(key, noted.max(found), 0);
        }
    }

    /// The reason why the sockets are unknown, if they are.
    pub(super) fn unknown(&self) -> Option<String> {
        self.files.as_ref().err().map(ToString::to_string)
    }
}
