//! The project's own commands: `cargo xtask COMMAND`.
//!
//! Each command has a module. A command checks for the tools that it needs before it starts; the message names the
//! command that installs them.

mod bench;
mod build_ebpf;
mod check_ebpf;
mod ci;
mod daemons;
mod deny;
mod dist;
mod ebpf;
mod fuzz;
mod interface;
mod lab;
mod layers;
mod lint;
mod process;
mod run;
mod schemas;
mod soak;
mod spelling;
mod test;
mod vm_test;
mod words;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Builds, runs and checks tcptrace")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Args),
    Test(test::Args),
    VmTest(vm_test::Args),
    Bench(bench::Args),
    Soak(soak::Args),
    Lab(lab::Args),
    Daemons(daemons::Args),
    Fuzz(fuzz::Args),
    Dist(dist::Args),
    BuildEbpf(build_ebpf::Args),
    CheckEbpf(check_ebpf::Args),
    Deny(deny::Args),
    Words(words::Args),
    Interface(interface::Args),
    Schemas(schemas::Args),
    /// Check dependencies, layers, words, spelling, interfaces, schemas, layout, lints and documentation, of the kernel side too.
    Lint,
    /// Do what continuous integration does: lint, check-ebpf --rebuild, vm-test of two kernels, daemons, test.
    Ci,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => run::main(&args),
        Command::Test(args) => test::main(&args),
        Command::VmTest(args) => vm_test::main(&args),
        Command::Bench(args) => bench::main(&args),
        Command::Soak(args) => soak::main(&args),
        Command::Lab(args) => lab::main(&args),
        Command::Daemons(args) => daemons::main(&args),
        Command::Fuzz(args) => fuzz::main(&args),
        Command::Dist(args) => dist::main(&args),
        Command::BuildEbpf(args) => build_ebpf::main(&args),
        Command::CheckEbpf(args) => check_ebpf::main(&args),
        Command::Deny(args) => deny::main(&args),
        Command::Words(args) => words::main(&args),
        Command::Interface(args) => interface::main(&args),
        Command::Schemas(args) => schemas::main(&args),
        Command::Lint => lint::main(),
        Command::Ci => ci::main(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
