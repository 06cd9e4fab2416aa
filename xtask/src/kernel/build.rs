//! Building: configure, check what came out, make, and put the result into the cache.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::bugs::BUGS;
use super::config;
use super::make::{Make, tools};
use super::packages;
use super::plan::Plan;
use super::source::Archive;
use super::tree::Tree;
use super::variant::Variant;
use crate::room;
use crate::shell::say;
use crate::workspace::Workspace;

/// What is kept of a build beside its image; written last, so its presence means success.
const STAMP: &str = "stamp.json";
/// Says, in the tree, which kernel it was last built as.
const BUILT_AS: &str = ".unlazy-built-as";
/// What a tree and its objects take at most; linking comes last, and writes a third of it: a full
/// disk would be told after minutes.
const ROOM_MIB: u64 = 2500;
/// What is written again where the tree is there already.
const ROOM_AGAIN_MIB: u64 = 900;

/// What a kernel was built from, with, and at what cost.
#[derive(Debug, Serialize, Deserialize)]
struct Stamp {
    name: String,
    archive: Archive,
    /// Compiler, linker and pahole, in their own words.
    tools: Vec<String>,
    bugs: Vec<String>,
    build_seconds: u64,
    image_bytes: u64,
    /// Seconds since 1970.
    built_at: u64,
}

/// The image of a kernel, from the cache, or built.
///
/// # Errors
/// When something that a build needs is missing and cannot be had, an anchor or an option does not
/// fit the source, or `make` fails.
pub(super) fn ensure(workspace: &Workspace, variant: Variant) -> Result<PathBuf> {
    let build = Build::plan(workspace, variant)?;
    if !build.is_kept() {
        let _lock = build.lock()?;
        // Whoever waited for the lock may find it done.
        if !build.is_kept() {
            build.run(workspace, false)?;
        }
    }
    Ok(build.image())
}

/// The tree of that kernel, as it was when the kernel was built.
///
/// # Errors
/// As [`ensure`].
pub(super) fn tree(workspace: &Workspace, variant: Variant) -> Result<PathBuf> {
    let build = Build::plan(workspace, variant)?;
    let _lock = build.lock()?;
    if !build.is_kept() || build.built_as().as_deref() != Some(&build.plan.name) {
        build.run(workspace, false)?;
    }
    Ok(build.tree.dir)
}

/// Builds it from a tree that is unpacked anew, whatever the cache has.
///
/// # Errors
/// As [`ensure`].
pub(super) fn rebuild(workspace: &Workspace, variant: Variant) -> Result<()> {
    let build = Build::plan(workspace, variant)?;
    let _lock = build.lock()?;
    build.run(workspace, true)
}

/// One kernel that is to be in the cache.
struct Build {
    variant: Variant,
    archive: Archive,
    tools: Vec<String>,
    plan: Plan,
    /// `.cache/kernels`.
    kernels: PathBuf,
    tree: Tree,
}

impl Build {
    fn plan(workspace: &Workspace, variant: Variant) -> Result<Self> {
        let kernels = workspace.root.join(".cache/kernels");
        fs::create_dir_all(&kernels).with_context(|| format!("making {}", kernels.display()))?;
        packages::ensure_build_needs()?;
        let archive = variant.source.archive(workspace)?;
        let tools = tools()?;
        let plan = Plan::new(&archive, &tools, &config::fragment(variant));
        let tree = Tree::of(workspace, variant);
        Ok(Self { variant, archive, tools, plan, kernels, tree })
    }

    /// `.cache/kernels/<name>`.
    fn dir(&self) -> PathBuf {
        self.kernels.join(&self.plan.name)
    }

    fn image(&self) -> PathBuf {
        self.dir().join("bzImage")
    }

    fn is_kept(&self) -> bool {
        self.dir().join(STAMP).is_file() && self.image().is_file()
    }

    fn built_as(&self) -> Option<String> {
        fs::read_to_string(self.tree.dir.join(BUILT_AS)).ok()
    }

    /// Keeps other builds out of the tree until it is dropped.
    fn lock(&self) -> Result<File> {
        let path = self.kernels.join(format!("{}.lock", self.variant.source));
        let file = File::create(&path).with_context(|| format!("writing {}", path.display()))?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
            .with_context(|| format!("locking {}", path.display()))?;
        Ok(file)
    }

    fn run(&self, workspace: &Workspace, anew: bool) -> Result<()> {
        let began = Instant::now();
        let Self { variant, archive, plan, tree, .. } = self;
        let room = if anew || !tree.dir.is_dir() { ROOM_MIB } else { ROOM_AGAIN_MIB };
        room::ensure(&self.kernels, room, &format!("building the kernel {}", plan.name))?;
        tree.prepare(workspace, variant.source, archive, plan, anew)?;
        let dir = self.dir();
        fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        // From here on neither is what it was.
        for stale in [tree.dir.join(BUILT_AS), dir.join(STAMP)] {
            if stale.exists() {
                fs::remove_file(&stale).with_context(|| format!("removing {}", stale.display()))?;
            }
        }
        let make = Make::new(&tree.dir, &dir.join("build.log"))?;
        self.configure(&make)?;
        say(format_args!(
            "building the kernel {} ({variant}); the first time takes 5 to 15 minutes; its log is {}",
            plan.name,
            make.log().display()
        ));
        // `modules` writes the symbol versions that an out-of-tree module is linked against.
        make.run(&["bzImage", "modules"])?;
        for (from, to) in [
            ("arch/x86/boot/bzImage", "bzImage"),
            (".config", "config"),
            ("System.map", "System.map"),
        ] {
            let from = tree.dir.join(from);
            fs::copy(&from, dir.join(to)).with_context(|| format!("keeping {}", from.display()))?;
        }
        let stamp = self.stamp(began)?;
        say(format_args!(
            "built the kernel {} in {} s: {} KiB, {} bugs and look-alikes",
            stamp.name,
            stamp.build_seconds,
            stamp.image_bytes / 1024,
            stamp.bugs.len()
        ));
        write(&tree.dir.join(BUILT_AS), &plan.name)?;
        let json = serde_json::to_string_pretty(&stamp).context("writing the stamp")?;
        write(&dir.join(STAMP), &json)
    }

    fn configure(&self, make: &Make) -> Result<()> {
        let asked = config::fragment(self.variant);
        write(&self.tree.dir.join("unlazy.config"), &asked)?;
        make.run(&["KCONFIG_ALLCONFIG=unlazy.config", "allnoconfig"])?;
        let config = self.tree.dir.join(".config");
        let came_out =
            fs::read_to_string(&config).with_context(|| format!("reading {}", config.display()))?;
        config::check(&asked, &came_out)
    }

    fn stamp(&self, began: Instant) -> Result<Stamp> {
        let image = self.image();
        let data =
            fs::metadata(&image).with_context(|| format!("looking at {}", image.display()))?;
        Ok(Stamp {
            name: self.plan.name.clone(),
            archive: self.archive.clone(),
            tools: self.tools.clone(),
            bugs: BUGS.iter().map(|bug| bug.name.to_owned()).collect(),
            build_seconds: began.elapsed().as_secs(),
            image_bytes: data.len(),
            built_at: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        })
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
