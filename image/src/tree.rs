//! Files of the image, before they are an archive.

use std::collections::BTreeMap;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Directory,
    /// A file with these bytes.
    File(Vec<u8>),
    /// A symbolic link to this.
    Link(String),
}

/// One name in the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its permission bits.
    pub mode: u32,
    /// What it is.
    pub node: Node,
    /// Whose it is: the package, or `landfall`.
    pub origin: String,
}

/// All names of the image, without a leading slash, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    entries: BTreeMap<String, Entry>,
}

impl Tree {
    /// Puts a file in, in place of what was there, and the directories it lies in.
    pub fn file(&mut self, path: &str, mode: u32, bytes: Vec<u8>, origin: &str) {
        self.put(path, Entry { mode, node: Node::File(bytes), origin: origin.to_owned() });
    }

    /// Puts a symbolic link in, and the directories it lies in.
    pub fn link(&mut self, path: &str, target: &str, origin: &str) {
        self.put(path, Entry { mode: 0o777, node: Node::Link(target.to_owned()), origin: origin.to_owned() });
    }

    /// Puts a directory in, and those it lies in.
    pub fn directory(&mut self, path: &str, mode: u32, origin: &str) {
        self.put(path, Entry { mode, node: Node::Directory, origin: origin.to_owned() });
    }

    fn put(&mut self, path: &str, entry: Entry) {
        let path = path.trim_matches('/');
        assert!(
            !path.is_empty() && !path.split('/').any(|part| part == ".." || part.is_empty()),
            "{path} is a path"
        );
        for (end, _) in path.match_indices('/') {
            let parent = Entry { mode: 0o755, node: Node::Directory, origin: entry.origin.clone() };
            self.entries.entry(path[..end].to_owned()).or_insert(parent);
        }
        self.entries.insert(path.to_owned(), entry);
    }

    /// Takes a file out again and returns it.
    pub fn take(&mut self, path: &str) -> Option<Entry> {
        self.entries.remove(path)
    }

    /// Says whether a name is taken.
    pub fn has(&self, path: &str) -> bool {
        self.entries.contains_key(path.trim_matches('/'))
    }

    /// Returns what a name stands for.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path.trim_matches('/'))
    }

    /// Returns all names, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }
}

impl Entry {
    /// Returns the bytes of a file; a link's are its target's name.
    pub fn bytes(&self) -> &[u8] {
        match &self.node {
            Node::Directory => &[],
            Node::File(bytes) => bytes,
            Node::Link(target) => target.as_bytes(),
        }
    }
}
