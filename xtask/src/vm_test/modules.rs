//! Modules of a kernel: those that a guest needs, in the order in which they can be loaded.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use object::{Object as _, ObjectSection as _};

use crate::process;

/// Modules of one kernel.
pub(crate) struct Modules {
    /// The files by module name, with `_` where file names may have `-`.
    files: BTreeMap<String, PathBuf>,
    builtin: String,
}

impl Modules {
    /// Finds the modules of an unpacked kernel.
    ///
    /// # Errors
    /// The kernel has no folder of modules.
    pub(crate) fn find(kernel: &Path) -> Result<Self> {
        let folder = ["lib/modules", "usr/lib/modules"].map(|path| kernel.join(path));
        let folder = folder.into_iter().find(|path| path.is_dir()).context("a kernel without modules")?;
        let mut this = Self { files: BTreeMap::new(), builtin: String::new() };
        this.walk(&folder)?;
        Ok(this)
    }

    fn walk(&mut self, folder: &Path) -> Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !path.is_symlink() {
                self.walk(&path)?;
            } else if let Some((name, _)) = name.split_once(".ko") {
                self.files.insert(name.replace('-', "_"), path);
            } else if name == "modules.builtin" {
                self.builtin = fs::read_to_string(&path)?.replace('-', "_");
            }
        }
        Ok(())
    }

    /// The contents of these modules and of those that they depend on, dependencies first.
    ///
    /// # Errors
    /// A module does not exist, or cannot be read.
    pub(crate) fn with_dependencies(&self, names: &[&str]) -> Result<Vec<(String, Vec<u8>)>> {
        let mut loaded = Vec::new();
        for name in names {
            self.load(name, &mut loaded)?;
        }
        Ok(loaded)
    }

    fn load(&self, name: &str, loaded: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
        let name = name.replace('-', "_");
        if loaded.iter().any(|(there, _)| *there == name) {
            return Ok(());
        }
        let Some(file) = self.files.get(&name) else {
            if self.builtin.lines().any(|line| line.ends_with(&format!("/{name}.ko"))) {
                return Ok(());
            }
            bail!("the kernel has no module {name}");
        };
        let module = decompressed(file)?;
        for dependency in dependencies(&module)? {
            self.load(&dependency, loaded)?;
        }
        loaded.push((name, module));
        Ok(())
    }
}

/// The module's bytes, unpacked by the tool for its file name extension.
fn decompressed(file: &Path) -> Result<Vec<u8>> {
    let tool = match file.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        Some("gz") => "gzip",
        _ => return fs::read(file).with_context(|| file.display().to_string()),
    };
    if process::find(tool).is_none() {
        bail!("{} needs `{tool}`", file.display());
    }
    let output = Command::new(tool).arg("-dc").arg(file).output()?;
    if !output.status.success() {
        bail!("{tool} cannot read {}", file.display());
    }
    Ok(output.stdout)
}

/// The `depends=` line of a module's `.modinfo`.
fn dependencies(module: &[u8]) -> Result<Vec<String>> {
    let file = object::File::parse(module).context("a module that is no object file")?;
    let section = file.section_by_name(".modinfo").context("a module without .modinfo")?;
    let info = String::from_utf8_lossy(section.data()?).into_owned();
    let depends = info.split('\0').find_map(|line| line.strip_prefix("depends=")).unwrap_or_default();
    Ok(depends.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}
