//! `cargo xtask vm-test`: the tests on commonly used kernels, each in a virtual machine.
//!
//! Kernels, guest tools and emulator are Debian's, fetched into a folder under `target`. The machine has no disk and no
//! network. Its initial file system holds the tests, built statically, and the binary that is released. `init` runs the
//! tests and prints the harness' output on the console.

mod apt;
mod build;
mod catalogue;
mod features;
mod fetch;
mod image;
mod machine;
mod modules;
mod table;
mod tested;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, bail};

use crate::workspace;
use build::Programs;
use catalogue::{Arch, Kernel};
use fetch::Store;
use image::Image;
use modules::Modules;
use table::Table;
use tested::Tested;

/// Modules that the tests need: devices between namespaces, and the dumps that `ss` reads.
const MODULES: [&str; 3] = ["veth", "inet_diag", "tcp_diag"];

/// Run the tests on other kernels, in virtual machines that need neither root nor KVM.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Kernels: 5.10, 6.1, 6.12, 7.2, 6.12-arm64; all unless given.
    kernels: Vec<String>,
    /// Only these test programs, by their names in `tests/tests`; all unless given.
    #[arg(long, value_delimiter = ',', value_parser = build::TESTS)]
    only: Vec<String>,
    /// Where Debian's packages come from.
    #[arg(long, default_value = "http://deb.debian.org/debian")]
    mirror: String,
    /// Write the table into docs/kernel-support.md, with the commit and the day; only for all kernels, and only when all is well.
    #[arg(long)]
    write: bool,
    /// Go on with a run that was ended, or failed on some kernels: those that passed by the same image are not run again.
    #[arg(long)]
    resume: bool,
}

/// # Errors
/// A kernel cannot be fetched or started, or a test fails on one.
pub(crate) fn main(args: &Args) -> Result<()> {
    let kernels = catalogue::select(&args.kernels)?;
    if args.write && (kernels.len() < catalogue::KERNELS.len() || !args.only.is_empty()) {
        bail!("--write needs all kernels and all tests");
    }
    // The commit is read now: the run takes long, and a commit may come meanwhile.
    let tested = args.write.then(Tested::now).transpose()?;
    let wanted = |test: &&str| args.only.is_empty() || args.only.iter().any(|only| only == test);
    let tests: Vec<&'static str> = build::TESTS.into_iter().filter(wanted).collect();
    let store = Store { cache: workspace::target()?.join("vm"), mirror: args.mirror.clone() };
    fs::create_dir_all(&store.cache)?;
    let mut table = Table::default();
    let mut programs: Vec<(Arch, Programs)> = Vec::new();
    for kernel in &kernels {
        let start = Instant::now();
        eprintln!("==> {kernel}");
        if !programs.iter().any(|(arch, _)| *arch == kernel.arch) {
            programs.push((kernel.arch, Programs::build(kernel.arch, &tests)?));
        }
        let built = programs.iter().find(|(arch, _)| *arch == kernel.arch).map(|(_, programs)| programs);
        let outcome = built
            .context("built above")
            .and_then(|built| test(&store, kernel, built, args.resume, &mut table));
        if let Err(error) = outcome {
            eprintln!("    {error:#}");
            table.broken(kernel.name, &format!("{error:#}"));
        }
        eprintln!("    {} after {} s", table.summary(kernel.name), start.elapsed().as_secs());
    }
    println!("\n{table}");
    table.verdict()?;
    if let Some(tested) = tested {
        table.write(&tested, &workspace::root().join("docs/kernel-support.md"))?;
    }
    Ok(())
}

/// Runs one machine, and adds its results to the table. With `resume`, takes the results of an earlier run if they are
/// valid.
fn test(store: &Store, kernel: &Kernel, programs: &Programs, resume: bool, table: &mut Table) -> Result<()> {
    let unpacked = store.kernel(kernel)?;
    let emulator = store.emulator(kernel.arch)?;
    let tools = store.tools(kernel.arch)?;
    let initrd = store.cache.join(format!("{}.cpio", kernel.name));
    let log = store.cache.join(format!("{}.log", kernel.name));
    let before = if resume { fs::read(&initrd).ok() } else { None };
    write_image(&initrd, &tools, &unpacked, (kernel, programs))?;
    if before.is_some_and(|before| fs::read(&initrd).is_ok_and(|now| now == before))
        && has_passed(kernel, &log)
    {
        eprintln!("    passed before; the console is in {}", log.display());
        return read_again(kernel, &log, table);
    }
    let boot = machine::Boot {
        arch: kernel.arch,
        emulator: &emulator,
        kernel: &kernel_image(&unpacked)?,
        initrd: &initrd,
        log: &log,
        environment: &environment(kernel),
    };
    eprintln!("    starting; the console goes to {}", boot.log.display());
    let mut console = table::Console::new(kernel.name, true);
    machine::run(&boot, |line| console.read(line, table))?;
    console.finish()
}

/// Whether a console log shows a complete run without a failure.
fn has_passed(kernel: &Kernel, log: &Path) -> bool {
    let mut table = Table::default();
    read_again(kernel, log, &mut table).and_then(|()| table.verdict()).is_ok()
}

fn read_again(kernel: &Kernel, log: &Path, table: &mut Table) -> Result<()> {
    let text = fs::read(log)?;
    let mut console = table::Console::new(kernel.name, false);
    String::from_utf8_lossy(&text).lines().for_each(|line| console.read(line, table));
    console.finish()
}

/// Variables for the tests. The kernel passes unknown words of its command line to `init`.
fn environment(kernel: &Kernel) -> Vec<String> {
    let of_hooks = |name: &str| table::HOOKS.map(|hook| format!("{name}::{hook}"));
    let skips = kernel.lacks.iter().flat_map(|name| of_hooks(name).into_iter().chain([(*name).to_owned()]));
    vec![
        "TCPTRACE_BIN=/usr/bin/tcptrace".to_owned(),
        "TCPTRACE_REQUIRE_ALL=1".to_owned(),
        format!("TCPTRACE_ALLOW_SKIP={}", skips.collect::<Vec<_>>().join(",")),
        // The first emulation of a function takes longer.
        "TCPTRACE_TOLERANCE_US=10000".to_owned(),
        // Two processors, and tests that mostly wait.
        "RUST_TEST_THREADS=4".to_owned(),
    ]
}

fn write_image(file: &Path, tools: &Path, kernel: &Path, (of, programs): (&Kernel, &Programs)) -> Result<()> {
    let mut image = Image::create(file)?;
    image.tree(tools)?;
    for (number, (name, module)) in Modules::find(kernel)?.with_dependencies(&MODULES)?.iter().enumerate() {
        image.file(&format!("{}/{number:02}-{name}.ko", image::MODULES), 0o644, module)?;
    }
    image.program("init", &programs.init)?;
    for (name, path) in &programs.tools {
        image.program(&format!("usr/bin/{name}"), path)?;
    }
    let tests = programs.tests.iter().filter(|(name, _)| !of.without.contains(name));
    for (name, path) in tests {
        image.program(&format!("{}/{name}", image::TESTS), path)?;
    }
    image.finish()
}

/// The bootable image of an unpacked kernel.
fn kernel_image(unpacked: &Path) -> Result<PathBuf> {
    let mut folders: Vec<PathBuf> = vec![unpacked.join("boot")];
    for modules in ["lib/modules", "usr/lib/modules"] {
        if let Ok(releases) = fs::read_dir(unpacked.join(modules)) {
            folders.extend(releases.filter_map(|release| Some(release.ok()?.path())));
        }
    }
    for folder in folders {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz")) {
                return Ok(path);
            }
        }
    }
    bail!("no vmlinuz in {}", unpacked.display())
}
