//! Debian's packages in a folder of this project: nothing on the system changes, and root is not needed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail};

use super::catalogue::Arch;
use crate::process;

/// The keys that sign the packages. Debian itself always has them.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Package lists are fetched again after this time.
const LISTS_LAST: Duration = Duration::from_hours(24);

/// A suite of Debian for an architecture, with package lists and a cache in a separate folder.
pub(crate) struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Opens the suite, and fetches its lists if they are too old.
    ///
    /// # Errors
    /// apt or Debian's keys are missing, or the mirror does not have the suite.
    pub(crate) fn open(cache: &Path, mirror: &str, suite: &str, arch: Arch) -> Result<Self> {
        for (tool, package) in [("apt-get", "apt"), ("dpkg-deb", "dpkg")] {
            if process::find(tool).is_none() {
                bail!("fetching kernels needs `{tool}` (Debian, Ubuntu: package {package})");
            }
        }
        if !Path::new(KEYRING).exists() {
            bail!("{KEYRING} is missing: apt-get install debian-archive-keyring");
        }
        let this = Self { folder: cache.join(format!("apt/{suite}-{}", arch.debian())) };
        fs::create_dir_all(this.folder.join("lists/partial"))?;
        fs::create_dir_all(this.folder.join("archives/partial"))?;
        // For this apt no package is installed, so it names every dependency.
        fs::write(this.folder.join("status"), "")?;
        let source = format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n");
        let config = this.config(arch);
        let known = |file: &str, text: &str| {
            fs::read_to_string(this.folder.join(file)).is_ok_and(|before| before == text)
        };
        let current = known("sources.list", &source) && known("apt.conf", &config) && this.lists_are_new();
        fs::write(this.folder.join("sources.list"), source)?;
        fs::write(this.folder.join("apt.conf"), config)?;
        if !current {
            eprintln!("    package lists of Debian {suite} {}", arch.debian());
            process::run(this.command("apt-get").args(["update", "-qq"]))
                .with_context(|| format!("{mirror} does not give the lists of {suite}"))?;
            fs::write(this.folder.join("updated"), "")?;
        }
        Ok(this)
    }

    fn lists_are_new(&self) -> bool {
        let updated = fs::metadata(self.folder.join("updated")).and_then(|file| file.modified());
        updated.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age < LISTS_LAST))
    }

    fn config(&self, arch: Arch) -> String {
        let folder = self.folder.display();
        format!(
            "Dir::Etc::SourceList \"{folder}/sources.list\";\nDir::Etc::SourceParts \"/dev/null\";\n\
             Dir::Etc::Preferences \"/dev/null\";\nDir::Etc::PreferencesParts \"/dev/null\";\n\
             Dir::State \"{folder}\";\nDir::State::Lists \"{folder}/lists\";\n\
             Dir::State::status \"{folder}/status\";\nDir::Cache \"{folder}\";\n\
             Dir::Cache::archives \"{folder}/archives\";\n\
             APT::Architecture \"{arch}\";\nAPT::Architectures {{ \"{arch}\"; }};\n\
             APT::Install-Recommends \"false\";\nAPT::Sandbox::User \"root\";\n\
             Acquire::Languages \"none\";\nAcquire::Retries \"3\";\nDebug::NoLocking \"true\";\n",
            arch = arch.debian()
        )
    }

    fn command(&self, tool: &str) -> Command {
        let mut command = Command::new(tool);
        command.env("APT_CONFIG", self.folder.join("apt.conf")).env("LC_ALL", "C");
        command.current_dir(self.folder.join("archives"));
        command
    }

    /// The names of all packages that begin with `prefix`.
    ///
    /// # Errors
    /// apt fails.
    pub(crate) fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let names = process::output(self.command("apt-cache").args(["pkgnames", prefix]))?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Unpacks these packages and nothing else into `root`.
    ///
    /// # Errors
    /// A download fails.
    pub(crate) fn unpack(&self, packages: &[String], root: &Path) -> Result<()> {
        process::run(self.command("apt-get").args(["download", "-qq"]).args(packages))?;
        self.unpack_archives(root, |file| {
            packages
                .iter()
                .any(|package| file.strip_prefix(package.as_str()).is_some_and(|rest| rest.starts_with('_')))
        })
    }

    /// Unpacks these packages and all that they depend on into `root`.
    ///
    /// # Errors
    /// A download fails.
    pub(crate) fn unpack_whole(&self, packages: &[&str], root: &Path) -> Result<()> {
        let install = ["install", "-y", "-qq", "--download-only"];
        process::run(
            self.command("apt-get").args(install).args(packages).stdout(std::process::Stdio::null()),
        )?;
        self.unpack_archives(root, |_| true)
    }

    /// Unpacks the downloaded packages and deletes them: the next call may need others.
    fn unpack_archives(&self, root: &Path, wanted: impl Fn(&str) -> bool) -> Result<()> {
        fs::create_dir_all(root)?;
        for entry in fs::read_dir(self.folder.join("archives"))? {
            let file = entry?.path();
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if file.extension().is_some_and(|extension| extension == "deb") {
                if wanted(&name) {
                    process::run(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(root))?;
                }
                fs::remove_file(&file)?;
            }
        }
        Ok(())
    }
}
