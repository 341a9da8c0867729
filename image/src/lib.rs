//! driver: builds the appliance's image: one signed kernel image that is the whole system, the disk it boots from, the OVA it comes in.
//!
//! The way: 1. [`lock`] says which packages, byte by byte. 2. [`fetch`] unpacks exactly these. 3. [`recipe`] and [`pick`] take the
//! few files that are wanted, with the libraries and kernel modules they need. 4. [`cpio`] makes the root file system of them, and
//! [`uki`] one program for the firmware of kernel, root file system and command line. 5. [`disk`] lays it on a disk beside room for
//! later versions. 6. [`vmdk`], [`ovf`] and [`ova`] make a file of it that vCenter takes.
//!
//! *Invariants:* the same inputs give the same bytes: no clock, no random number, no order of a directory gets into the image. Only
//! the unpacking of packages needs root; there are no loop devices and no mounts. Nothing secret is in an image.
//! What this crate does not do: it compiles nothing, and it boots nothing.

/// The command line's build: all steps in their order.
pub mod build;
/// Archives of files as the kernel unpacks them.
pub mod cpio;
/// The disk: its partitions, and what is in them.
pub mod disk;
/// Libraries that programs need.
pub mod elf;
/// What can go wrong.
mod error;
/// The partition of the firmware's programs.
pub mod esp;
/// Packages: had from the mirror that the machine uses, unpacked once.
pub mod fetch;
/// What can be counted in an image.
pub mod figures;
/// The table of partitions.
pub mod gpt;
/// Hashes, in hex.
pub mod hash;
/// Packages by name, version and hash.
pub mod lock;
/// Kernel modules and those they need.
pub mod modules;
/// The archive that vCenter takes.
pub mod ova;
/// The machine that the OVA describes.
pub mod ovf;
/// Files taken out of the packages.
pub mod pick;
/// Other programs, run to their end.
pub mod program;
/// The lists of what goes in.
pub mod recipe;
/// The list of what went in.
pub mod sbom;
/// Signatures.
pub mod sign;
/// Files of the image, before they are an archive.
pub mod tree;
/// One program for the firmware, of several parts.
pub mod uki;
/// Disks in the form that vCenter takes.
pub mod vmdk;

pub use error::{Error, Result};
