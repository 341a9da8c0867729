//! What a path on a volume may look like.

use crate::VolumeError;

/// Bytes a path may have.
pub(crate) const PATH_LEN_MAX: usize = 200;
/// The name of the file that says a volume is taken, kept for the volume itself.
pub(crate) const LOCK_NAME: &str = "lock";

/// Checks the path of a file or a directory. Errors: empty, too long, a foreign character, a component that is empty or starts
/// with a dot, the volume's own name.
pub(crate) fn check_path(path: &str) -> Result<(), VolumeError> {
    match fault_in(path) {
        Some(reason) => Err(VolumeError::Path { path: path.to_owned(), reason }),
        None => Ok(()),
    }
}

/// Checks the path of a directory to be listed; empty means the volume itself.
pub(crate) fn check_directory(path: &str) -> Result<(), VolumeError> {
    if path.is_empty() { Ok(()) } else { check_path(path) }
}

/// Tells whether a name found in a directory is one of ours.
pub(crate) fn is_own_name(name: &str) -> bool {
    !name.contains('/') && fault_in(name).is_none()
}

fn fault_in(path: &str) -> Option<&'static str> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-./".contains(&byte);
    if path.len() > PATH_LEN_MAX {
        return Some("it is longer than 200 bytes");
    }
    if !path.bytes().all(allowed) {
        return Some("allowed are a-z, 0-9, '-', '.' and '/'");
    }
    if path.split('/').any(str::is_empty) {
        return Some("it must be relative, without empty parts");
    }
    if path.split('/').any(|part| part.starts_with('.')) {
        return Some("no part may start with '.'");
    }
    (path == LOCK_NAME).then_some("this name belongs to the volume itself")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_paths_pass() {
        for good in ["a", "machine-1/disk0/redo.000001", "x/lock"] {
            assert!(check_path(good).is_ok(), "{good}");
        }
        let long = "a".repeat(PATH_LEN_MAX + 1);
        for bad in [
            "",
            "/etc/passwd",
            "..",
            "a/../b",
            "a//b",
            "a/",
            "A",
            "a b",
            "a\0b",
            ".hidden",
            "lock",
            "ä",
            &long,
        ] {
            assert!(matches!(check_path(bad), Err(VolumeError::Path { .. })), "{bad:?}");
        }
    }

    #[test]
    fn the_volume_itself_can_be_listed_but_not_opened() {
        assert!(check_directory("").is_ok());
        assert!(check_path("").is_err());
        assert!(!is_own_name("a/b"));
        assert!(!is_own_name("lost+found"));
    }
}
