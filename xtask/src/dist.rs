//! `cargo xtask dist`: the release. One static binary for each architecture, which runs on any distribution.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{ebpf, process, workspace};

/// The targets of a release.
const TARGETS: [&str; 2] = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"];

/// The release target that this machine runs.
pub(crate) const HERE: &str = if cfg!(target_arch = "aarch64") { TARGETS[1] } else { TARGETS[0] };

/// Files beside the binary in its archive.
const DOCUMENTS: [&str; 6] =
    ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// Folders that the documents and the tracer's own texts refer to. Their subfolders are not included.
const FOLDERS: [&str; 3] = ["docs", "docs/findings", "docs/states"];

/// The shells with completions, and the file names that the shells expect.
const COMPLETIONS: [(&str, &str); 3] =
    [("bash", "tcptrace.bash"), ("zsh", "_tcptrace"), ("fish", "tcptrace.fish")];

/// Build stripped static binaries for x86_64 and aarch64, with man pages, documents and completions, and archive them.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only for this target; all unless given.
    #[arg(long, value_parser = TARGETS)]
    target: Vec<String>,
}

/// # Errors
/// A target is not installed, a build fails, or an archive cannot be written.
pub(crate) fn main(args: &Args) -> Result<()> {
    let folder = workspace::target()?.join("dist");
    fs::create_dir_all(&folder)?;
    let texts = texts(&folder)?;
    let mut sums = Vec::new();
    for target in
        TARGETS.iter().filter(|target| args.target.is_empty() || args.target.iter().any(|t| t == *target))
    {
        let archive = archive(&folder, target, &binary(target)?, &texts)?;
        let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = fs::read(&archive)?;
        sums.push(format!("{}  {name}\n", ebpf::sha256(&bytes)));
        println!("{}: {} KiB", archive.display(), bytes.len() >> 10);
    }
    // The format that `sha256sum --check` reads.
    fs::write(folder.join("SHA256SUMS"), sums.concat())?;
    println!("{}", folder.join("SHA256SUMS").display());
    Ok(())
}

/// Builds the tracer for `target` and returns the path of the program.
///
/// # Errors
/// The target is not installed, or the build fails.
pub(crate) fn binary(target: &str) -> Result<PathBuf> {
    let mut command = cargo_for(target)?;
    let messages =
        workspace::build(command.args(workspace::BUILD_TRACER).args(["--target", target, "--locked"]))?;
    workspace::executable(&messages, "tcptrace")
}

/// Cargo, set up to build for `target`. Rust brings the linker and the C library, so no C compiler is needed.
///
/// # Errors
/// The target is missing and cannot be installed.
pub(crate) fn cargo_for(target: &str) -> Result<Command> {
    let libraries =
        process::output(Command::new("rustc").args(["--print", "target-libdir", "--target", target]))?;
    if !Path::new(&libraries).exists() {
        if process::find("rustup").is_none() {
            bail!("Rust's libraries for {target} are missing, and there is no rustup to install them");
        }
        eprintln!("    rustup target add {target}");
        process::run(Command::new("rustup").args(["target", "add", target]))?;
    }
    let mut command = workspace::cargo();
    let variable = target.to_uppercase().replace('-', "_");
    command.env(format!("CARGO_TARGET_{variable}_LINKER"), "rust-lld");
    // Paths of the build machine do not belong in a release.
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    let remapped =
        [(workspace::root().to_path_buf(), "tcptrace")].into_iter().chain(home.map(|home| (home, "cargo")));
    let flags: Vec<String> =
        remapped.map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())).collect();
    command.env(format!("CARGO_TARGET_{variable}_RUSTFLAGS"), flags.join(" "));
    Ok(command)
}

/// Writes man pages and completions, and returns their paths, named as in the archive. The tracer, built for this
/// machine, makes them.
fn texts(folder: &Path) -> Result<Vec<PathBuf>> {
    let tracer = workspace::build_tracer()?;
    let mut files = Vec::new();
    let mut write = |name: &str, arguments: &[&str]| -> Result<String> {
        let text = process::output(Command::new(&tracer).args(arguments))?;
        let file = folder.join(name);
        let text = text + "\n";
        fs::write(&file, &text).with_context(|| file.display().to_string())?;
        files.push(file);
        Ok(text)
    };
    let page = write("tcptrace.1", &["man"])?;
    for command in pages_named(&page) {
        write(&format!("tcptrace-{command}.1"), &["man", command])?;
    }
    for (shell, name) in COMPLETIONS {
        write(name, &["completions", shell])?;
    }
    Ok(files)
}

/// The commands whose pages a man page names, as `tcptrace\-life(1)`.
fn pages_named(page: &str) -> impl Iterator<Item = &str> {
    page.lines().filter_map(|line| line.strip_prefix("tcptrace\\-")?.strip_suffix("(1)"))
}

/// Archives the binary and its files in a folder named after version and target.
fn archive(folder: &Path, target: &str, binary: &Path, texts: &[PathBuf]) -> Result<PathBuf> {
    let name = format!("tcptrace-{}-{target}", env!("CARGO_PKG_VERSION"));
    let staged = folder.join(&name);
    if staged.exists() {
        fs::remove_dir_all(&staged)?;
    }
    fs::create_dir(&staged)?;
    let documents = DOCUMENTS.map(|name| workspace::root().join(name));
    for file in texts.iter().chain(&documents).map(PathBuf::as_path).chain([binary]) {
        let to = staged.join(file.file_name().context("a file has a name")?);
        fs::copy(file, &to).with_context(|| file.display().to_string())?;
    }
    for folder in FOLDERS {
        copy_files(&workspace::root().join(folder), &staged.join(folder))?;
    }
    let archive = folder.join(format!("{name}.tar.gz"));
    // With times and owners of this machine, the same files would make a different archive.
    let same =
        ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--use-compress-program"];
    let mut tar = Command::new("tar");
    tar.args(same).arg("gzip --no-name").arg("--create").arg("--file").arg(&archive);
    process::run(tar.arg("--directory").arg(folder).arg(&name))?;
    fs::remove_dir_all(&staged)?;
    Ok(archive)
}

/// Copies the files of a folder, without its subfolders.
fn copy_files(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let file = entry?.path();
        if let Some(name) = file.file_name().filter(|_| file.is_file()) {
            fs::copy(&file, to.join(name)).with_context(|| file.display().to_string())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_found_by_their_names() {
        let page = ".SH SUBCOMMANDS\n.TP\ntcptrace\\-life(1)\nPrint\n.TP\ntcptrace\\-man(1)\n";
        assert_eq!(pages_named(page).collect::<Vec<_>>(), ["life", "man"]);
    }

    #[test]
    fn an_archive_holds_everything_and_is_the_same_each_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let (binary, page) = (folder.path().join("tcptrace"), folder.path().join("tcptrace.1"));
        fs::write(&binary, "a program").expect("written");
        fs::write(&page, "a page").expect("written");
        let make = || {
            let archive =
                archive(folder.path(), "some-target", &binary, std::slice::from_ref(&page)).expect("made");
            let bytes = fs::read(&archive).expect("an archive");
            (archive, bytes)
        };
        let ((archive, first), (_, second)) = (make(), make());
        assert_eq!(first, second);
        let listing =
            process::output(Command::new("tar").arg("--list").arg("--file").arg(&archive)).expect("tar");
        let others = [
            "tcptrace",
            "tcptrace.1",
            "docs/output.md",
            "docs/output.schema.json",
            "docs/findings/syn-flood.md",
        ];
        for name in DOCUMENTS.iter().chain(&others) {
            let entry = format!("tcptrace-{}-some-target/{name}", env!("CARGO_PKG_VERSION"));
            assert!(listing.lines().any(|line| line == entry), "{entry} is missing in {listing}");
        }
    }
}
