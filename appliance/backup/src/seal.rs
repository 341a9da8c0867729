//! Sealing and opening.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zerocopy::IntoBytes;
use zeroize::{Zeroize, Zeroizing};

use crate::layout::{MAGIC, VERSION};
use crate::{BackupError, Contents, Cost, Header, Passphrase};

/// Bytes of the tag.
const TAG_LEN: usize = 16;

/// Random bytes, fresh for each file: with them twice, two files under one passphrase would tell what differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seeds {
    /// For the key.
    pub salt: [u8; 16],
    /// For the seal.
    pub nonce: [u8; 12],
}

/// Seals contents under a passphrase; returns the file. Takes as long as the cost says. Errors: the cost is out of bounds.
pub fn seal(
    contents: &Contents,
    passphrase: &Passphrase,
    cost: Cost,
    seeds: Seeds,
) -> Result<Vec<u8>, BackupError> {
    let mut body = contents.encode();
    let header = Header {
        magic: MAGIC,
        version: VERSION.into(),
        passes: cost.passes,
        lanes: cost.lanes,
        memory_kib: cost.memory_kib.into(),
        salt: seeds.salt,
        nonce: seeds.nonce,
        reserved: [0; 4],
        body_len: ((body.len() + TAG_LEN) as u64).into(),
        reserved_too: [0; 8],
    };
    let key = key_of(&header, passphrase)?;
    let sealed = key.seal_in_place_append_tag(
        Nonce::assume_unique_for_key(seeds.nonce),
        Aad::from(header.as_bytes()),
        &mut body,
    );
    sealed.expect("a catalog is shorter than what one nonce may seal");
    Ok([header.as_bytes(), &body].concat())
}

/// Opens a file with a passphrase. Takes as long as the file's cost says. Errors: it is no backup, the passphrase is another, or anything
/// of it was changed.
pub fn open(file: &[u8], passphrase: &Passphrase) -> Result<Contents, BackupError> {
    let (header, body) = Header::read(file)?;
    let key = key_of(&header, passphrase)?;
    let mut body = Zeroizing::new(body.to_vec());
    let nonce = Nonce::assume_unique_for_key(header.nonce);
    let opened = key.open_in_place(nonce, Aad::from(header.as_bytes()), &mut body);
    let opened = opened.map_err(|_| BackupError::Sealed)?;
    let contents = Contents::decode(opened);
    opened.zeroize();
    contents
}

fn key_of(header: &Header, passphrase: &Passphrase) -> Result<LessSafeKey, BackupError> {
    let key = passphrase.key(header.cost(), &header.salt)?;
    let key = UnboundKey::new(&AES_256_GCM, &*key).expect("a key of 32 bytes is one");
    Ok(LessSafeKey::new(key))
}
