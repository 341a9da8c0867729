//! All steps in their order.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::disk::{self, DISK_LEN};
use crate::error::{read, write};
use crate::fetch::Packages;
use crate::figures::{Content, count};
use crate::ovf::{self, Machine};
use crate::pick::{Picker, overlay};
use crate::program::{Tools, command, run};
use crate::recipe::Recipe;
use crate::sign::Signer;
use crate::tree::Tree;
use crate::uki::{Section, add_sections};
use crate::{Error, Result, cpio, modules, ova, sbom, vmdk};

/// The programs of ours that go in.
pub const PROGRAMS: [&str; 3] = ["landfalld", "landfall", "landfall-boot"];
/// Where the stub and the boot loader are.
const LOADERS: &str = "usr/lib/systemd/boot/efi";

/// What an image is made of.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The lists.
    pub recipe: Recipe,
    /// The packages, unpacked.
    pub packages: Packages,
    /// Where the programs of ours are.
    pub programs: PathBuf,
    /// The version it gets.
    pub version: String,
    /// Where the results go.
    pub out: PathBuf,
    /// Who signs what the firmware runs.
    pub firmware: Option<Signer>,
    /// Who signs the archive.
    pub archive: Option<Signer>,
    /// How hard the root file system is compressed, 1 to 19.
    pub level: i32,
    /// Whether the archive's machine has a second, empty disk.
    pub retention_disk: bool,
}

/// What was made, and how large each part is, in bytes.
#[derive(Clone, Debug, Serialize)]
pub struct Built {
    /// The version.
    pub version: String,
    /// The archive for vCenter.
    pub ova: PathBuf,
    /// The disk as it is, for other hypervisors.
    pub disk: PathBuf,
    /// The kernel image alone, as an update brings it.
    pub image: PathBuf,
    /// The list of what went in.
    pub sbom: PathBuf,
    /// Length of the archive.
    pub ova_bytes: u64,
    /// Length of the kernel image that is the whole system.
    pub image_bytes: u64,
    /// Length of the kernel in it.
    pub kernel_bytes: u64,
    /// Length of the root file system in it, compressed.
    pub root_bytes: u64,
    /// Length of our programs in that, before compression.
    pub programs_bytes: u64,
    /// What is in the root file system.
    pub content: Content,
}

/// Builds an image and returns what was made. Errors: whichever step fails; what is at `out` then is of no use.
pub fn build(inputs: &Inputs) -> Result<Built> {
    let out = &inputs.out;
    fs::create_dir_all(out).map_err(Error::file(out, "made"))?;
    let root = root(inputs)?;
    let (kernel, loader, stub) = boot_parts(&inputs.packages.root)?;
    let packed = cpio::compress(&cpio::archive(&root), inputs.level)?;
    let release = release(&inputs.version);
    let version = modules::kernel_version(&inputs.packages.root)?;
    let sections = [
        Section { name: ".osrel", bytes: release.as_bytes() },
        Section { name: ".cmdline", bytes: inputs.recipe.command_line.as_bytes() },
        Section { name: ".uname", bytes: version.as_bytes() },
        Section { name: ".initrd", bytes: &packed },
        Section { name: ".linux", bytes: &kernel },
    ];
    let epoch = inputs.packages.lock.epoch;
    let signed = |bytes: Vec<u8>| match &inputs.firmware {
        Some(signer) => signer.program(&bytes, epoch),
        None => Ok(bytes),
    };
    let image = signed(add_sections(&stub, &sections)?)?;
    let loader = signed(loader)?;
    let name = format!("landfall-{}", inputs.version);
    let image_path = out.join(format!("landfall_{}.efi", inputs.version));
    write(&image_path, &image)?;
    let disk = out.join(format!("{name}.raw"));
    let image_bytes = image.len() as u64;
    let content = disk::Content { version: inputs.version.clone(), image, loader, epoch };
    disk::make(&Tools::of(&inputs.packages.root), &disk, &content)?;
    let ova = archive(inputs, &name, &disk)?;
    let own: Vec<_> = PROGRAMS.iter().map(|name| format!("usr/bin/{name}")).collect();
    let sbom = out.join(format!("{name}.cdx.json"));
    let listed = sbom::list(&inputs.version, &root, &inputs.packages.lock, &own);
    write(&sbom, format!("{listed:#}\n").as_bytes())?;
    let programs_bytes =
        own.iter().filter_map(|path| root.get(path)).map(|entry| entry.bytes().len() as u64).sum();
    Ok(Built {
        version: inputs.version.clone(),
        ova_bytes: fs::metadata(&ova).map_err(Error::file(&ova, "read"))?.len(),
        ova,
        disk,
        image: image_path,
        sbom,
        image_bytes,
        kernel_bytes: kernel.len() as u64,
        root_bytes: packed.len() as u64,
        programs_bytes,
        content: count(&root),
    })
}

/// Makes the root file system. What comes later goes over what was there: packages, modules, our programs, own files.
fn root(inputs: &Inputs) -> Result<Tree> {
    let (recipe, packages) = (&inputs.recipe, &inputs.packages);
    let picker = Picker::new(&packages.root, &packages.owners);
    let mut tree = Tree::default();
    picker.take(&mut tree, &recipe.files)?;
    let kernel = format!("boot/vmlinuz-{}", modules::kernel_version(&packages.root)?);
    let owner = packages.owners.get(&kernel).map_or("linux", String::as_str);
    modules::take(&mut tree, &packages.root, owner, &recipe.modules)?;
    for name in PROGRAMS {
        let bytes = stripped(&inputs.programs.join(name))?;
        picker.needs_of(&mut tree, name, &bytes)?;
        tree.file(&format!("usr/bin/{name}"), 0o755, bytes, "landfall");
    }
    for (mode, path) in &recipe.directories {
        tree.directory(path, *mode, "landfall");
    }
    tree.file("etc/os-release", 0o644, release(&inputs.version).into_bytes(), "landfall");
    overlay(&mut tree, &recipe.own)?;
    Ok(tree)
}

fn boot_parts(root: &Path) -> Result<(Vec<u8>, Vec<u8>, Vec<u8>)> {
    let kernel = root.join(format!("boot/vmlinuz-{}", modules::kernel_version(root)?));
    let loaders = root.join(LOADERS);
    Ok((
        read(&kernel)?,
        read(&loaders.join("systemd-bootx64.efi"))?,
        read(&loaders.join("linuxx64.efi.stub"))?,
    ))
}

/// Returns a program without what only a debugger wants.
fn stripped(path: &Path) -> Result<Vec<u8>> {
    let stage = tempfile::NamedTempFile::new().map_err(Error::file(path, "copied"))?;
    run(command("strip")
        .args(["--strip-all", "--enable-deterministic-archives", "-o"])
        .arg(stage.path())
        .arg(path))?;
    read(stage.path())
}

fn release(version: &str) -> String {
    format!(
        "NAME=Landfall\nID=landfall\nIMAGE_ID=landfall\nPRETTY_NAME=\"Landfall {version}\"\nVERSION_ID={version}\n\
         IMAGE_VERSION={version}\n"
    )
}

fn archive(inputs: &Inputs, name: &str, disk: &Path) -> Result<PathBuf> {
    let disk_name = format!("{name}-disk1.vmdk");
    let packed = inputs.out.join(&disk_name);
    let written = vmdk::write(disk, &packed, &disk_name)?;
    let ovf = ovf::describe(&Machine {
        version: &inputs.version,
        disk_name: &disk_name,
        disk_file_len: written.len,
        disk_len: DISK_LEN,
        populated: written.populated,
        retention_disk: inputs.retention_disk,
    });
    let ova = inputs.out.join(format!("{name}.ova"));
    let parts = ova::Parts {
        name,
        ovf: &ovf,
        disk: &packed,
        disk_name: &disk_name,
        epoch: inputs.packages.lock.epoch,
        signer: inputs.archive.as_ref(),
    };
    ova::write(&ova, &parts)?;
    fs::remove_file(&packed).map_err(Error::file(&packed, "removed"))?;
    Ok(ova)
}
