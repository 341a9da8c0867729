//! The password, as a hash: Argon2id with the parameters of RFC 9106's second choice as the crate has them.

use std::io;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};

/// Hashes a password with a salt of its own. Errors: no random bytes can be had.
pub(super) fn hash(password: &str) -> io::Result<String> {
    let mut salt = [0_u8; 16];
    rustix::rand::getrandom(&mut salt, rustix::rand::GetRandomFlags::empty())?;
    let hash: PasswordHash = Argon2::default()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|error| io::Error::other(error.to_string()))?;
    Ok(hash.to_string())
}

/// Tells whether a password is the one of a hash. A hash that can't be read is of no password.
pub(super) fn is_right(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_is_right_and_no_two_hashes_are_alike() {
        let (one, other) = (hash("correct horse").unwrap(), hash("correct horse").unwrap());
        assert!(one.starts_with("$argon2id$") && one != other);
        assert!(is_right("correct horse", &one));
        for wrong in ["", "correct hors", "Correct horse", "correct horse "] {
            assert!(!is_right(wrong, &one), "{wrong:?}");
        }
        assert!(!is_right("", "") && !is_right("x", "x"));
    }
}
