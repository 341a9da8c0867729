//! The password, as a hash: Argon2id with the parameters of RFC 9106's second choice as the crate has them, or as somebody else chose.

use std::fmt;
use std::str::FromStr;

use argon2::password_hash::phc::PasswordHash as Parts;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params};
use serde::{Deserialize, Serialize};

/// Characters a password must have.
pub const PASSWORD_LEN_MIN: usize = 8;
/// What comparing a password may cost: KiB of memory, rounds, lanes. The appliance must bear it at every login.
const MEMORY_KIB_MAX: u32 = 64 << 10;
const ROUNDS_MAX: u32 = 16;
const LANES_MAX: u32 = 4;

/// The hash of a password, in the form that begins with `$argon2id$`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PasswordHash(String);

/// Why a text is no hash of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "allowed is an Argon2id hash ($argon2id$v=19$m=…,t=…,p=…$salt$hash) of at most {MEMORY_KIB_MAX} KiB, {ROUNDS_MAX} rounds, {LANES_MAX} lanes"
)]
pub struct PasswordError;

impl PasswordHash {
    /// Hashes a password, with a salt that nobody else has. Errors: it is longer than anybody types.
    pub fn of(password: &str, salt: [u8; 16]) -> Result<Self, PasswordError> {
        let hash: Parts = Argon2::default()
            .hash_password_with_salt(password.as_bytes(), &salt)
            .map_err(|_| PasswordError)?;
        hash.to_string().parse()
    }

    /// Tells whether a password is the one of this hash.
    pub fn is_of(&self, password: &str) -> bool {
        Parts::new(&self.0)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
    }
}

impl FromStr for PasswordHash {
    type Err = PasswordError;

    fn from_str(text: &str) -> Result<Self, PasswordError> {
        let hash = Parts::new(text).map_err(|_| PasswordError)?;
        let params = Params::try_from(&hash).map_err(|_| PasswordError)?;
        let lawful = hash.algorithm.as_str() == Algorithm::Argon2id.as_str()
            && hash.salt.is_some()
            && hash.hash.is_some()
            && params.m_cost() <= MEMORY_KIB_MAX
            && params.t_cost() <= ROUNDS_MAX
            && params.p_cost() <= LANES_MAX;
        if lawful { Ok(Self(text.to_owned())) } else { Err(PasswordError) }
    }
}

impl TryFrom<String> for PasswordHash {
    type Error = PasswordError;

    fn try_from(text: String) -> Result<Self, PasswordError> {
        text.parse()
    }
}

impl From<PasswordHash> for String {
    fn from(hash: PasswordHash) -> Self {
        hash.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("PasswordHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_is_right_and_no_two_hashes_are_alike() {
        let hash = |salt| PasswordHash::of("correct horse", [salt; 16]).expect("it is short");
        let (one, other) = (hash(1), hash(2));
        assert!(String::from(one.clone()).starts_with("$argon2id$") && one != other);
        assert!(one.is_of("correct horse"));
        for wrong in ["", "correct hors", "Correct horse", "correct horse "] {
            assert!(!one.is_of(wrong), "{wrong:?}");
        }
        assert!(!format!("{one:?}").contains("argon2id"), "it is written nowhere by accident");
    }

    #[test]
    fn hashes_of_other_tools_are_taken_and_what_is_none_or_costs_too_much_is_not() {
        // echo -n swordfish | argon2 saltsaltsalt -id -t 3 -m 12 -p 4 -l 32 -e
        let foreign = FOREIGN.parse::<PasswordHash>().expect("it is one");
        assert!(foreign.is_of("swordfish") && !foreign.is_of("swordfisk"));
        for wrong in [
            "",
            "swordfish",
            "$6$salt$hash",
            &FOREIGN.replace("argon2id", "argon2i"),
            &FOREIGN.replace("m=4096", "m=4194304"),
            &FOREIGN.replace("t=3", "t=300"),
            FOREIGN.rsplit_once('$').expect("it has parts").0,
        ] {
            wrong.parse::<PasswordHash>().expect_err(wrong);
        }
    }

    const FOREIGN: &str =
        "$argon2id$v=19$m=4096,t=3,p=4$c2FsdHNhbHRzYWx0$Do1MJFx/yTW/PFxUSEDH5kxMYpgUM7N8EYCJJMHHTCY";
}
