//! What the running kernel's type information tells. It is large, so it is read once.

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

/// All of it that matters here.
pub(super) struct Kernel {
    /// Settings with nothing but what is known of the kernel's structures.
    layout: Result<Config, LayoutError>,
    /// `Known` bits of what it hands to programs that take typed pointers.
    pub(super) typed: u32,
    /// Its names of the reasons for resets.
    pub(super) reasons: ResetReasons,
    excerpt: Excerpt,
}

impl Kernel {
    /// Reads it, the first time.
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

    /// Puts what is known of the kernel's structures into the settings.
    ///
    /// # Errors
    /// [`LayoutError`]: something is not known without which nothing works.
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
