//! Facts from the running kernel's type information. It is large, so it is read once.

use std::{fs, sync::OnceLock};

use aya::Endianness;
use tcptrace_common::Config;
use tcptrace_core::model::hooks::ResetReasons;

use super::{Btf, Error, LayoutError, btf::Excerpt, layout::sock_layout, object, signals};

/// The trace events that a program takes by type information.
const EVENTS: [&str; 4] =
    ["inet_sock_set_state", "tcp_send_reset", "tcp_receive_reset", "tcp_retransmit_synack"];

/// The iterator that a program belongs to.
pub(super) const ITERATOR: &str = "task_file";

static KERNEL: OnceLock<Kernel> = OnceLock::new();

/// The facts that tcptrace needs.
pub(super) struct Kernel {
    /// Settings that have only the facts about the kernel's structures.
    layout: Result<Config, LayoutError>,
    /// `Known` bits of the arguments that the kernel passes to programs that take typed pointers.
    pub(super) typed: u32,
    /// The kernel's names of the reasons for resets.
    pub(super) reasons: ResetReasons,
    excerpt: Excerpt,
}

impl Kernel {
    /// Returns the facts; the first call reads them.
    ///
    /// # Errors
    /// [`Error::NoBtf`] or [`Error::Btf`].
    pub(super) fn get() -> Result<&'static Self, Error> {
        if let Some(kernel) = KERNEL.get() {
            return Ok(kernel);
        }
        object::prepare();
        let vmlinux = fs::read("/sys/kernel/btf/vmlinux").map_err(Error::NoBtf)?;
        let btf = Btf::parse(&vmlinux)?;
        let mut config = Config::EMPTY;
        let layout = sock_layout(&btf, &mut config).map(|()| config);
        let (typed, reasons) = (signals::known_typed(&btf), signals::reasons(&btf));
        let excerpt = btf.excerpt(&EVENTS, &[ITERATOR])?;
        Ok(KERNEL.get_or_init(|| Self { layout, typed, reasons, excerpt }))
    }

    /// Puts the facts about the kernel's structures into the settings.
    ///
    /// # Errors
    /// [`LayoutError`]: a required field is unknown.
    pub(super) fn describe(&self, config: &mut Config) -> Result<(), LayoutError> {
        let Config { fields, masks, known, .. } = self.layout.as_ref().map_err(Clone::clone)?;
        (config.fields, config.masks) = (*fields, *masks);
        config.known |= *known;
        Ok(())
    }

    /// The types that programs are attached by, as aya reads them.
    ///
    /// # Errors
    /// [`Error::Types`].
    pub(super) fn types(&self) -> Result<aya::Btf, Error> {
        aya::Btf::parse(&self.excerpt.blob(), Endianness::default())
            .map_err(|error| Error::Types(error.to_string()))
    }
}
