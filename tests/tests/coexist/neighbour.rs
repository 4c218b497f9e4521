//! Another program of this host on a classic tracepoint, as bpftrace and many agents use them. While such a program
//! runs, the kernel runs no other of its kind on that CPU.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
        mpsc::channel,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use aya::{Ebpf, programs::TracePoint};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, CpuSet, sched_setaffinity, unshare},
    unistd::{Pid, getsid},
};
use object::{
    Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
    write::{Object, Symbol, SymbolSection},
};

const NAME: &str = "neighbour";

/// An event that hardly any program makes, and the system call behind it.
const RARE: (&str, &str) = ("syscalls", "sys_enter_getsid");

/// Rounds that take some ten microseconds, and are not too many for the verifier.
const HEAVY: i32 = 100_000;
/// Rounds that take about as long as a program that prints.
const LIGHT: i32 = 5_000;

/// The program, attached until the drop.
pub(crate) struct Neighbour {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicU32>,
    thread: Option<JoinHandle<()>>,
}

impl Neighbour {
    /// Starts the program on the event that tcptrace uses.
    pub(crate) fn on_the_same_event() -> Self {
        Self::start(("sock", "inet_sock_set_state"), LIGHT, |stop, _| {
            while !stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(5));
            }
        })
    }

    /// Starts the program so that it runs on this CPU nearly all the time.
    pub(crate) fn busy_on(cpu: usize) -> Self {
        Self::start(RARE, HEAVY, move |stop, calls| {
            pin_to(cpu);
            while !stop.load(Ordering::Relaxed) {
                getsid(None).expect("getsid");
                calls.fetch_add(1, Ordering::Relaxed);
            }
        })
    }

    fn start(
        (group, event): (&'static str, &'static str),
        rounds: i32,
        live: impl FnOnce(&AtomicBool, &AtomicU32) + Send + 'static,
    ) -> Self {
        let (stop, calls) = (Arc::<AtomicBool>::default(), Arc::<AtomicU32>::default());
        let (theirs, counter) = (Arc::clone(&stop), Arc::clone(&calls));
        let (ready, attached) = channel();
        let thread = thread::spawn(move || {
            with_tracefs();
            let mut ebpf = Ebpf::load(&program(rounds)).expect("an object");
            let tracepoint: &mut TracePoint =
                ebpf.program_mut(NAME).expect("the program").try_into().expect("its kind");
            tracepoint.load().expect("the verifier accepts it");
            tracepoint.attach(group, event).expect("the event is there");
            ready.send(()).expect("the starter waits");
            live(&theirs, &counter);
        });
        let this = Self { stop, calls, thread: Some(thread) };
        attached.recv().expect("it is attached");
        this
    }

    /// The current duration of a run, as measured by the thread that makes the event.
    pub(crate) fn run_time(&self) -> Duration {
        let (start, before) = (Instant::now(), self.calls.load(Ordering::Relaxed));
        thread::sleep(Duration::from_millis(100));
        let calls = self.calls.load(Ordering::Relaxed) - before;
        start.elapsed() / calls.max(1)
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Limits the calling thread, and the processes that it starts, to this CPU.
pub(crate) fn pin_to(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu).expect("a CPU");
    sched_setaffinity(Pid::from_raw(0), &set).expect("an affinity");
}

/// Mounts tracefs for the calling thread alone if it is not mounted.
fn with_tracefs() {
    const NONE: Option<&str> = None;
    const PLACE: &str = "/sys/kernel/tracing";
    unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).expect("private mounts");
    if !Path::new(PLACE).join("events").exists() {
        mount(Some("tracefs"), PLACE, Some("tracefs"), MsFlags::empty(), NONE).expect("tracefs");
    }
}

/// An object with one program, which counts `rounds` down to 0 and returns.
fn program(rounds: i32) -> Vec<u8> {
    let [a, b, c, d] = rounds.to_le_bytes();
    // Operation, registers, offset (16 bits), number (32 bits): Documentation/bpf/standardization/instruction-set.rst.
    let code = [
        [0xb7, 1, 0, 0, a, b, c, d],       // r1 = rounds
        [0x17, 1, 0, 0, 1, 0, 0, 0],       // r1 -= 1
        [0x55, 1, 0xfe, 0xff, 0, 0, 0, 0], // if r1 != 0 go back to the line before
        [0xb7, 0, 0, 0, 0, 0, 0, 0],       // r0 = 0
        [0x95, 0, 0, 0, 0, 0, 0, 0],       // return
    ]
    .concat();
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let text = object.add_section(Vec::new(), b"tracepoint".to_vec(), SectionKind::Text);
    object.append_section_data(text, &code, 8);
    object.add_symbol(Symbol {
        name: NAME.as_bytes().to_vec(),
        value: 0,
        size: code.len() as u64,
        kind: SymbolKind::Text,
        scope: SymbolScope::Linkage,
        weak: false,
        section: SymbolSection::Section(text),
        flags: SymbolFlags::None,
    });
    let license = object.add_section(Vec::new(), b"license".to_vec(), SectionKind::Data);
    object.append_section_data(license, b"GPL\0", 1);
    object.write().expect("an object")
}
