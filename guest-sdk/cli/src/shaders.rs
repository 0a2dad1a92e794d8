//! Shaders as their author sees them: WGSL in files, with the blocks it uses put in, and what peers make of it with the line of the
//! author's own where it is said.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use p2c2r_runtime::gpu;
use p2c2r_signing::{Manifest, ResultClass, UnverifiedModule, limits};
use p2c2r_wgsl::{ExpandError, Expanded, Origin, expand};
use serde::Serialize;

use crate::description::DESCRIPTION_FILE;
use crate::files;

/// Folder of the shaders in a kernel's folder.
const FOLDER: &str = "shaders";

/// Where shaders may run. The worst comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Class {
    Exact,
    Device,
    Refused,
}

/// Why a shader is not of a better class. In text `shaders/NAME.wgsl:4:18: sentence`, which editors jump to.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Finding {
    #[serde(skip)]
    file: String,
    /// Name of the shader in a module; absent for WGSL text.
    #[serde(skip_serializing_if = "Option::is_none")]
    shader: Option<String>,
    /// The block whose text it is in; absent for the author's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    block: Option<&'static str>,
    /// From 1; absent if it is in no one place.
    line: Option<u32>,
    /// From 1, in bytes.
    column: Option<u32>,
    message: String,
}

/// What a dispatch must give a shader that may be run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Takes {
    #[serde(skip)]
    file: String,
    /// Name of the shader in a module; absent for WGSL text.
    #[serde(skip_serializing_if = "Option::is_none")]
    shader: Option<String>,
    /// Its bindings, and the axes it may be dispatched along.
    dispatch: String,
}

/// What peers make of shaders.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) class: Class,
    pub(crate) findings: Vec<Finding>,
    pub(crate) takes: Vec<Takes>,
}

/// The shaders of a kernel that is being built.
#[derive(Debug)]
pub(crate) struct Shaders {
    /// Name and WGSL with the blocks it uses, sorted by name.
    pub(crate) texts: Vec<(String, String)>,
    /// What their author should know, a line each.
    pub(crate) warnings: Vec<String>,
}

impl Shaders {
    /// Reads `shaders/*.wgsl` of a kernel's folder and refuses what no peer would run.
    pub(crate) fn read(folder: &Path, manifest: &Manifest) -> Result<Self> {
        let mut texts = Vec::new();
        let mut verdict = Verdict::new();
        for path in listed(&folder.join(FOLDER))? {
            let Some(name) = path.file_stem().and_then(|name| name.to_str()) else {
                bail!("shader {} has a name that is not UTF-8", path.display());
            };
            let (judged, whole) = Verdict::of_text(&path.display().to_string(), &read(&path)?);
            verdict.add(judged);
            texts.extend(whole.map(|whole| (name.to_owned(), whole.into_text())));
        }
        if verdict.class == Class::Refused {
            bail!("{}", verdict.lines());
        }
        let mut warnings = misplaced(folder)?;
        if texts.is_empty() && manifest.gpu.is_some() {
            let here = folder.join(FOLDER);
            warnings.push(format!(
                "{DESCRIPTION_FILE} has [gpu] and there is no {}/*.wgsl: the kernel has no shader to dispatch",
                here.display()
            ));
        }
        if let Some(claim) = verdict.broken_claim(manifest) {
            warnings.extend(verdict.findings.iter().map(Finding::to_string));
            warnings.push(format!("{claim}; p2c2r sign refuses the kernel as it is"));
        }
        texts.sort();
        Ok(Self { texts, warnings })
    }
}

impl Verdict {
    const fn new() -> Self {
        Self { class: Class::Exact, findings: Vec::new(), takes: Vec::new() }
    }

    /// Of a shader as its author wrote it, in `file`, with the blocks it uses put in; and that text, if it could be made.
    pub(crate) fn of_text(file: &str, wgsl: &str) -> (Self, Option<Expanded>) {
        match expand(wgsl) {
            Ok(whole) => (Self::of_shader(file, None, whole.text(), Some(&whole)), Some(whole)),
            Err(ExpandError { line, mistake }) => {
                let place = (Some(line), None);
                let finding = Finding::new(file, None, place, mistake.to_string());
                (Self { class: Class::Refused, findings: vec![finding], takes: Vec::new() }, None)
            }
        }
    }

    /// Of all shaders of a module together.
    pub(crate) fn of_module(module: &UnverifiedModule) -> Self {
        let mut verdict = Self::new();
        for (name, wgsl) in module.shaders() {
            // What `p2c2r build` made of a text it makes of the result again.
            let made = expand(wgsl).ok().filter(|made| made.text() == wgsl);
            verdict.add(Self::of_shader(&format!("{FOLDER}/{name}.wgsl"), Some(name), wgsl, made.as_ref()));
        }
        verdict
    }

    /// `made` says where its lines come from, if it has blocks.
    fn of_shader(file: &str, shader: Option<&str>, wgsl: &str, made: Option<&Expanded>) -> Self {
        let (class, findings) = match gpu::lint(wgsl) {
            Ok((gpu::Class::Exact, findings)) => (Class::Exact, findings),
            Ok((gpu::Class::Device, findings)) => (Class::Device, findings),
            Err(finding) => (Class::Refused, vec![finding]),
        };
        let finding = |gpu::Finding { place, reason }| {
            let (line, column) = (place.map(|place| place.line), place.map(|place| place.column));
            let (block, line) = match line.zip(made).map(|(line, made)| made.origin(line)) {
                Some(Origin::Block { name, line }) => (Some(name), Some(line)),
                Some(Origin::Shader { .. }) | None => (None, line),
            };
            Finding { block, ..Finding::new(file, shader, (line, column), reason) }
        };
        let takes = gpu::interface(wgsl).map(|interface| Takes {
            file: file.to_owned(),
            shader: shader.map(str::to_owned),
            dispatch: interface.to_string(),
        });
        Self { class, findings: findings.into_iter().map(finding).collect(), takes: takes.into_iter().collect() }
    }

    fn add(&mut self, other: Self) {
        self.class = self.class.max(other.class);
        self.findings.extend(other.findings);
        self.takes.extend(other.takes);
    }

    /// What is wrong if the manifest claims more than the shaders keep.
    pub(crate) fn broken_claim(&self, manifest: &Manifest) -> Option<&'static str> {
        let broken = manifest.result_class == ResultClass::Exact && self.class == Class::Device;
        broken.then_some(
            "the manifest says result_class = \"exact\", the default, and the shaders are not; change them, or say \"device\"",
        )
    }

    /// Refuses what no peer would run as the manifest has it.
    pub(crate) fn check(&self, manifest: &Manifest) -> Result<()> {
        match self.broken_claim(manifest) {
            Some(claim) => bail!("{claim}\n{}", self.lines()),
            None if self.class == Class::Refused => bail!("{}", self.lines()),
            None => Ok(()),
        }
    }

    fn lines(&self) -> String {
        self.findings.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n")
    }
}

impl Finding {
    fn new(file: &str, shader: Option<&str>, (line, column): (Option<u32>, Option<u32>), message: String) -> Self {
        Self { file: file.to_owned(), shader: shader.map(str::to_owned), block: None, line, column, message }
    }

    /// About a file as a whole.
    pub(crate) fn of_file(file: &str, message: &str) -> Self {
        Self::new(file, None, (None, None), message.to_owned())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(block) = self.block {
            write!(f, ":block {block}")?;
        }
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl fmt::Display for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: takes {}", self.file, self.dispatch)
    }
}

/// Reads WGSL. Editors of Windows put a byte order mark in front, which WGSL does not know.
pub(crate) fn read(path: &Path) -> Result<String> {
    let bytes = files::read(path, "shader", limits::SHADER_BYTES as u64)?;
    let text = String::from_utf8(bytes).with_context(|| format!("shader {} is not UTF-8", path.display()))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// The files `*.wgsl` of a folder, sorted; none if there is no such folder.
fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = entries(folder)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "wgsl"));
    Ok(paths)
}

/// Shaders that lie where nobody looks for them.
fn misplaced(folder: &Path) -> Result<Vec<String>> {
    let mut folders = vec![folder.to_owned(), folder.join("shader")];
    folders.extend(entries(&folder.join(FOLDER))?);
    let mut warnings = Vec::new();
    for path in folders.iter().filter(|folder| folder.is_dir()).map(|folder| listed(folder)) {
        let warning = |path: &PathBuf| {
            format!(
                "{} is left out: a kernel's shaders are the files {FOLDER}/*.wgsl, in no folder below",
                path.display()
            )
        };
        warnings.extend(path?.iter().map(warning));
    }
    Ok(warnings)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let context = || format!("cannot list {}", folder.display());
    let listing = fs::read_dir(folder).with_context(context)?;
    let mut paths =
        listing.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>().with_context(context)?;
    paths.sort();
    Ok(paths)
}
