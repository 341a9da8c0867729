//! Archives of files as the kernel unpacks them: cpio, form `newc`.
//!
//! *Invariant:* the archive is a function of the tree: names sorted, numbered from one, all owned by root, all of time zero. (The kernel
//! leaves times of an archive alone, and nothing on the box asks for them.)

use crate::tree::{Node, Tree};

const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// Returns the archive of a tree.
pub fn archive(tree: &Tree) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, (path, entry)) in tree.iter().enumerate() {
        let kind = match entry.node {
            Node::Directory => DIRECTORY,
            Node::File(_) => FILE,
            Node::Link(_) => LINK,
        };
        let links = if kind == DIRECTORY { 2 } else { 1 };
        member(&mut out, index + 1, kind | entry.mode, links, path, entry.bytes());
    }
    member(&mut out, 0, 0, 1, "TRAILER!!!", &[]);
    out
}

/// Returns bytes compressed in the form the kernel takes; `level` is that of zstd, 1 to 19. Errors: none that an input can cause.
pub fn compress(bytes: &[u8], level: i32) -> crate::Result<Vec<u8>> {
    let failed = |error: std::io::Error| crate::Error::Program {
        program: "zstd".to_owned(),
        words: error.to_string(),
    };
    zstd::bulk::compress(bytes, level).map_err(failed)
}

fn member(out: &mut Vec<u8>, number: usize, mode: u32, links: u32, name: &str, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).expect("a file of an image has less than 4 GiB");
    let number = u32::try_from(number).expect("an image has few files");
    let name_len = u32::try_from(name.len() + 1).expect("a name is short");
    out.extend_from_slice(b"070701");
    // In order: number, mode, user, group, links, time, length, device (2), device of a node (2), length of the name, checksum.
    for field in [number, mode, 0, 0, links, 0, len, 0, 0, 0, 0, name_len, 0] {
        out.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend_from_slice(bytes);
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specimen() -> Tree {
        let mut tree = Tree::default();
        tree.file("usr/bin/tool", 0o755, b"\x7fELF".to_vec(), "tool");
        tree.link("bin", "usr/bin", "landfall");
        tree.directory("var/empty", 0o700, "landfall");
        tree
    }

    #[test]
    fn an_archive_is_the_same_whatever_the_order_of_putting_in() {
        let mut other = Tree::default();
        other.directory("var/empty", 0o700, "landfall");
        other.link("bin", "usr/bin", "landfall");
        other.file("usr/bin/tool", 0o755, b"\x7fELF".to_vec(), "tool");
        assert_eq!(archive(&specimen()), archive(&other));
    }

    #[test]
    fn the_first_member_has_the_form_the_kernel_documents() {
        let bytes = archive(&specimen());
        assert_eq!(&bytes[..6], b"070701");
        assert_eq!(&bytes[6..22], b"000000010000a1ff", "number one, a link");
        assert_eq!(&bytes[110..114], b"bin\0");
        assert!(bytes.ends_with(b"TRAILER!!!\0\0\0\0"), "{:?}", &bytes[bytes.len() - 16..]);
    }
}
